"""What a person does before a question is sent: prompts, knowledge, files, pictures, drafts, and more questions."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, account, answer, ask, call, wait_finished

pytestmark = MARKS
Visit = Callable[..., Page]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
DROP = """([name, type, body, event]) => {
  const bytes = Uint8Array.from(atob(body), (sign) => sign.charCodeAt(0));
  const carrier = new DataTransfer();
  carrier.items.add(new File([bytes], name, { type }));
  const options = { bubbles: true, cancelable: true };
  const made = event === "drop" ? new DragEvent("drop", { ...options, dataTransfer: carrier })
    : new ClipboardEvent("paste", { ...options, clipboardData: carrier });
  document.querySelector(event === "drop" ? "#messages" : "#prompt").dispatchEvent(made);
}"""


PAINT = """async ([name, type, width, height]) => {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#0a6";
  context.fillRect(0, 0, width / 2, height / 2); // the rest is transparent
  const blob = await new Promise((done) => canvas.toBlob(done, type));
  const carrier = new DataTransfer();
  carrier.items.add(new File([blob], name, { type }));
  document.querySelector("#messages").dispatchEvent(
    new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: carrier }));
  return blob.size;
}"""
KEPT = """async () => {
  const found = [];
  for (const { files: [file] } of document.querySelectorAll('#composer-chips [name="picture"]')) {
    const image = await createImageBitmap(file);
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const alpha = context.getImageData(image.width - 1, image.height - 1, 1, 1).data[3];
    found.push([file.name, file.type, image.width, image.height, alpha, file.size]);
  }
  return found;
}"""


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message", exact=True)


def settle(browsing: Browsing, person: Person, **ui: object) -> None:
    call(browsing.site, "/api/v1/users/user/settings/update", {"ui": ui}, person.token)


def test_a_prompt_is_picked_with_the_keyboard_and_asks_for_what_is_missing(
    browsing: Browsing, visit: Visit, dana: Person, alice: Person
) -> None:
    text = "Dear {{USER_NAME}}, {{topic | text:required}} "
    text += 'in {{tone | select:options=["plain","warm"]:default="plain"}}. {{CLIPBOARD}}'
    everyone = [{"principal_type": "user", "principal_id": "*", "permission": "read"}]
    for command, content in (("letter", text), ("later", "Another day.")):
        form = {"command": command, "name": f"A {command}", "content": content, "access_grants": everyone}
        call(browsing.site, "/api/v1/prompts/create", form, dana.token)
    page = visit(alice)
    page.wait_for_load_state()
    page.evaluate("() => navigator.clipboard.writeText('From the clipboard')")
    field(page).fill("Please: ")
    field(page).press_sequentially("/l")
    expect(page.locator("#picker").get_by_role("option")).to_have_count(2)
    expect(page.get_by_role("option", name="/later")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    page.keyboard.type("e")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", name="/letter")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Tab")
    dialog = page.get_by_role("dialog", name="A letter")
    expect(dialog.get_by_label("Topic")).to_be_focused()
    page.keyboard.press("Enter")  # needed, and still empty
    expect(dialog).to_be_visible()
    page.keyboard.type("a question")
    dialog.get_by_label("Tone").select_option("warm")
    dialog.get_by_role("button", name="Insert prompt").click()
    expect(field(page)).to_have_value("Please: Dear Alice Meyer, a question in warm. From the clipboard")
    expect(field(page)).to_be_focused()


def test_files_and_pictures_by_drop_and_paste(browsing: Browsing, visit: Visit, dana: Person, alice: Person) -> None:
    browsing.allow("40[03] ")
    page = visit(alice)
    page.wait_for_load_state()
    page.evaluate(DROP, ["pixel.png", "image/png", PIXEL, "paste"])
    picture = page.locator(".picture-chip")
    expect(picture.locator("img")).to_be_visible()
    note = base64.b64encode(b"Batch 42 is stored at 7.5 degrees.").decode()
    page.evaluate(DROP, ["note.txt", "text/plain", note, "drop"])
    expect(page.locator('#composer-chips input[name="file"]')).to_have_count(1)
    page.evaluate(DROP, ["empty.txt", "text/plain", "", "drop"])
    failed = page.locator(".chip.bad")
    expect(failed).to_contain_text("empty.txt –")
    failed.get_by_role("button", name="Remove empty.txt").click()
    expect(failed).to_have_count(0)
    ask(page, "What is in the picture? [[n=3]]")
    wait_finished(page)
    shown = page.locator(".message.user .message-pictures img")
    assert shown.evaluate("image => image.complete && image.naturalWidth") == 1
    expect(page.locator("#composer-chips .file-chip")).to_have_count(0)
    # The model is named that cannot look at pictures, before they are sent.
    blind = {"id": "no-eyes", "name": "No Eyes", "base_model_id": "fake-small", "params": {}}
    blind |= {"meta": {"capabilities": {"vision": False}}, "access_grants": [
        {"principal_type": "user", "principal_id": "*", "permission": "read"}
    ]}  # fmt: skip
    call(browsing.site, "/api/v1/models/create", blind, dana.token)
    page.evaluate(DROP, ["pixel.png", "image/png", PIXEL, "paste"])
    expect(picture).to_have_count(1)
    field(page).press_sequentially("@no")
    expect(page.get_by_role("option", name="No Eyes")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_text("cannot look at pictures")).to_be_visible()
    page.get_by_role("button", name="Remove No Eyes").click()
    expect(page.get_by_text("cannot look at pictures")).to_have_count(0)


def test_a_draft_outlives_a_reload_and_what_is_sent_leaves_none(visit: Visit, alice: Person) -> None:
    page = visit(alice)
    page.wait_for_load_state()
    field(page).fill("Half a thou")
    page.evaluate(DROP, ["kept.txt", "text/plain", base64.b64encode(b"kept words").decode(), "drop"])
    expect(page.locator('#composer-chips input[name="file"]')).to_have_count(1)
    page.reload()
    expect(field(page)).to_have_value("Half a thou")
    expect(page.locator("#composer-chips")).to_contain_text("kept.txt")
    page.get_by_role("button", name="Remove kept.txt").click()
    ask(page, "A whole thought [[n=2]]")
    wait_finished(page)
    chat = page.url
    field(page).fill("Only here")
    page.goto("/".join(chat.split("/")[:3]))
    expect(field(page)).to_have_value("")
    page.goto(chat)
    expect(field(page)).to_have_value("Only here")
    # Arrow up in an empty field edits the last question.
    field(page).fill("")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".edit-form textarea")).to_be_focused()


def test_questions_wait_for_the_answer_before_them(visit: Visit, alice: Person) -> None:
    page = visit(alice)
    ask(page, "Slowly [[n=200 tps=20]]")
    expect(answer(page)).to_contain_text("t3 ")
    for text in ("Second [[n=2]]", "Third", "Never"):
        ask(page, text)
    waiting = page.get_by_role("list", name="Waiting to be sent").get_by_role("listitem")
    expect(waiting).to_have_count(3)
    waiting.filter(has_text="Never").get_by_role("button", name="Delete").click()
    waiting.filter(has_text="Third").get_by_role("button", name="Edit").click()
    expect(field(page)).to_have_value("Third")
    field(page).fill("Third, better")
    page.keyboard.press("Enter")
    expect(waiting).to_have_count(2)
    expect(page.locator(".message.user")).to_have_count(1)
    page.get_by_role("button", name="Stop the answer").click()
    expect(page.locator(".message.user")).to_have_count(2)
    expect(page.locator(".message.user").last).to_contain_text(re.compile(r"Second.*Third, better", re.S))
    expect(waiting).to_have_count(0)
    wait_finished(page)


def test_keys_long_pastes_and_addresses(browsing: Browsing, visit: Visit, bob: Person) -> None:
    settle(browsing, bob, ctrlEnterToSend=True, largeTextAsFile=True)
    page = visit(bob, "/?q=Hello+there")
    page.wait_for_load_state()
    expect(field(page)).to_have_value("Hello there")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(field(page)).to_have_value("Hello there\n")
    page.evaluate("() => navigator.clipboard.writeText('long words '.repeat(200))")
    page.keyboard.press("Control+v")
    expect(page.locator("#composer-chips")).to_contain_text("Pasted text.txt")
    expect(field(page)).to_have_value("Hello there\n")
    page.locator('#composer-chips input[name="file"]').wait_for(state="attached")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".message.user")).to_contain_text("Hello there")
    page.goto(f"{browsing.site.url}/?q=Sent+at+once+[[n=2]]&submit=true")
    expect(page).to_have_url(re.compile("/c/"))
    expect(page.locator(".message.user")).to_contain_text("Sent at once")
    settle(browsing, bob, ctrlEnterToSend=False, largeTextAsFile=False)


def test_suggestions_narrow_while_typing(visit: Visit, alice: Person) -> None:
    page = visit(alice)
    page.wait_for_load_state()
    shown = page.locator(".suggestion:visible")
    before = shown.count()
    assert 1 <= before <= 4
    word = shown.first.locator("strong").inner_text()
    field(page).fill(word)
    expect(shown.first).to_contain_text(word)
    assert shown.count() <= before
    shown.first.click()
    expect(field(page)).not_to_have_value(word)


def test_pictures_are_made_smaller_before_they_are_sent(browsing: Browsing, visit: Visit, dana: Person) -> None:
    person = account(browsing.site, "Greta Graf", by=dana)
    settings = visit(person, "/settings#interface")
    settings.wait_for_load_state()
    with settings.expect_response("**/settings/interface"):
        settings.get_by_role("switch", name="Make pictures smaller before they are sent").check()
    with settings.expect_response("**/settings/interface"):
        settings.get_by_role("textbox", name="Widest picture, in pixels").fill("640")
        settings.keyboard.press("Tab")
    browsing.allow("400")
    settings.get_by_role("textbox", name="Highest picture, in pixels").fill("tall")
    settings.keyboard.press("Tab")
    expect(settings.get_by_text("“Highest picture, in pixels” is a whole number from 1 to 10,000")).to_be_visible()

    page = visit(person)
    page.wait_for_load_state()
    pictures = [("wide.png", "image/png", 1600, 800), ("small.png", "image/png", 40, 30)]
    pictures += [("photo.jpg", "image/jpeg", 1280, 2000), ("drawn.webp", "image/webp", 1280, 640)]
    sizes = [page.evaluate(PAINT, list(one)) for one in pictures]
    page.evaluate(DROP, ["moves.gif", "image/gif", GIF, "paste"])
    expect(page.locator("#composer-chips .picture-chip")).to_have_count(5)
    kept = {name: rest for name, *rest in page.evaluate(KEPT)}
    assert kept["wide.png"][:4] == ["image/png", 640, 320, 0], "smaller, and transparent where it was"
    assert kept["small.png"] == ["image/png", 40, 30, 0, sizes[1]], "untouched"
    assert kept["photo.jpg"][:3] == ["image/jpeg", 640, 1000]
    assert kept["drawn.webp"][:4] == ["image/webp", 640, 320, 0]
    assert kept["moves.gif"][0] == "image/gif" and kept["moves.gif"][-1] == len(base64.b64decode(GIF))
