"""What one types in a chat that is there: commands, addresses, files looked at, and scripts that stay words."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, account, answer, ask, wait_finished
from tests.browser.test_accessible import faults
from tests.browser.test_composer import DROP, field
from tests.browser.test_messages import more

pytestmark = MARKS
Visit = Callable[..., Page]
EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}'


def test_commands_and_files_of_a_chat(browsing: Browsing, dana: Person) -> None:
    person = account(browsing.site, "Nils Berg", by=dana)
    page = browsing.open(person)
    page.wait_for_load_state()
    page.evaluate(DROP, ["note.txt", "text/plain", base64.b64encode(b"Batch 42 is kept at 7.5 C.").decode(), "drop"])
    chip = page.locator("#composer-chips .file-chip")
    expect(chip.locator('input[name="file"]')).to_have_count(1)
    chip.get_by_text("Passages").click()
    expect(chip.get_by_role("checkbox")).to_be_checked()
    page.reload()
    expect(chip.get_by_role("checkbox")).to_be_checked()
    ask(page, "Where is it kept? [[text=In the cold.]]")
    wait_finished(page)
    sent = page.locator(".message.user .attached")
    expect(sent).to_contain_text("Whole")
    sent.get_by_role("button", name="note.txt").click()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel).to_contain_text("note.txt")
    assert faults(page) == []
    page.keyboard.press("Escape")

    field(page).press_sequentially("/")
    expect(page.get_by_role("option", name="/status")).to_be_visible()
    field(page).fill("")
    field(page).press_sequentially("/status")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("heading", name="State of this chat")).to_be_visible()
    expect(panel).to_contain_text("2 shown, 2 with all versions")
    assert faults(page) == []
    page.keyboard.press("Escape")
    browsing.allow("400")
    field(page).fill("/compact")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("too short")
    ask(page, "And [[text=THE SUMMARY]]")
    expect(page.locator(".message")).to_have_count(4)
    wait_finished(page)
    field(page).fill("/compact")
    page.keyboard.press("Enter")
    note = page.locator(".compacted")
    expect(note).to_be_visible()
    note.locator("summary").click()
    assert faults(page) == []
    note.get_by_role("button", name="Send everything again").click()
    expect(note).to_have_count(0)
    address = page.url
    field(page).fill("/fork")
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(address)
    expect(page.locator(".message")).to_have_count(4)

    field(page).press_sequentially("#https://intranet.example/page")
    page.get_by_role("option", name="https://intranet.example/page").click()
    expect(page.locator(".chip.bad")).to_contain_text("could not be fetched")


def test_what_looks_like_a_script_stays_words(browsing: Browsing, dana: Person) -> None:
    person = account(browsing.site, "Ines Prado", by=dana)
    page = browsing.open(person)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.wait_for_load_state()
    page.evaluate(DROP, [f"{EVIL[:40]}.txt", "text/plain", base64.b64encode(EVIL.encode()).decode(), "drop"])
    expect(page.locator('#composer-chips input[name="file"]')).to_have_count(1)
    page.get_by_role("button", name="Controls of this chat").click()
    panel = page.get_by_role("complementary", name="Details")
    with page.expect_response("**/c/new/controls"):
        panel.get_by_label("System prompt").fill(EVIL)
        panel.get_by_label("System prompt").blur()
    field(page).fill(f"{EVIL} [[n=2]]")
    field(page).press("Enter")
    expect(page.locator(".message.user")).to_contain_text(EVIL)
    wait_finished(page)
    page.locator(".message.user .attached").get_by_role("button").click()
    expect(panel).to_contain_text(".txt")
    last = page.locator(".message.assistant").last
    more(page, last, "Edit")
    last.get_by_role("textbox").fill(EVIL)
    last.get_by_role("button", name="Save", exact=True).click()
    expect(answer(page)).to_contain_text("{{7*7}}")
    last.hover()
    last.get_by_role("button", name="Regenerate").click()
    own = page.locator("#message-menu").get_by_role("textbox", name="Again, but…")
    own.fill(f"{EVIL} [[n=2]]")
    own.press("Enter")
    expect(last.get_by_role("group", name="Versions")).to_contain_text("2/2")
    wait_finished(page)
    last.get_by_role("button", name="Bad answer").click()
    last.get_by_role("textbox", name="Comment").fill(EVIL)
    last.get_by_role("button", name="Save").click()
    expect(last.get_by_text("Thank you.")).to_be_visible()
    for sign, text in (("#", "https://x/" + EVIL.replace(" ", "")), ("/", "<script>"), ("@", "<img>")):
        field(page).fill("")
        field(page).press_sequentially(f"{sign}{text}")
    field(page).fill("")
    page.get_by_role("textbox", name="Message", exact=True).press("Control+Shift+M")
    page.keyboard.type(EVIL)
    page.keyboard.press("Escape")
    page.goto(f"{browsing.site.url}/?q={EVIL.replace('&', '%26').replace('#', '%23')}&model={EVIL[:20]}&load-url=x")
    expect(field(page)).to_have_value(re.compile("onerror"))
    assert dialogs == []
    assert page.locator("img[src=x]").count() == 0
    browsing.allow("40[04]")
