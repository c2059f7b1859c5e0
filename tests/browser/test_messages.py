"""What is done with messages once they are there: rated, edited, copied, forked, deleted, followed up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, answer, ask, call, wait_finished
from tests.browser.test_accessible import PHONE, faults

pytestmark = MARKS
Visit = Callable[..., Page]
SAID = '{"title": "Clean mixers", "tags": ["Science"], "follow_ups": ["With what is it dried?", "How often?"]}'
JOBS = ("ENABLE_TITLE_GENERATION", "ENABLE_TAGS_GENERATION", "ENABLE_FOLLOW_UP_GENERATION")


@pytest.fixture
def jobs(site: Any, dana: Person) -> Iterator[None]:
    """Titles, tags and follow-up questions are on."""
    call(site, "/api/v1/tasks/config/update", dict.fromkeys(JOBS, True), dana.token)
    yield
    call(site, "/api/v1/tasks/config/update", dict.fromkeys(JOBS, False), dana.token)


def more(page: Page, message: Any, name: str) -> None:
    """Something from the menu of a message."""
    message.hover()
    message.get_by_role("button", name="More actions").click()
    page.locator("#message-menu").get_by_role("button", name=name).click()


def once_more(page: Page, message: Any, name: str) -> None:
    """A way to ask for an answer again."""
    message.hover()
    message.get_by_role("button", name="Regenerate").click()
    page.locator("#message-menu").get_by_role("button", name=name).click()


def begun(visit: Visit, person: Person, text: str = "How is it cleaned? [[text=With **water**.]]", **look: Any) -> Page:
    page = visit(person, **look)
    ask(page, text)
    expect(page).to_have_url(re.compile("/c/"))
    wait_finished(page)
    return page


def test_a_rating_says_why_and_is_edited(visit: Visit, alice: Person, dana: Person, site: Any) -> None:
    page = begun(visit, alice)
    last = page.locator(".message.assistant").last
    last.get_by_role("button", name="Good answer").click()
    expect(last.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    last.get_by_text("Well explained").click()
    last.get_by_text("9", exact=True).click()
    last.get_by_role("textbox", name="Comment").fill("Short and right.")
    assert faults(page) == []
    last.get_by_role("button", name="Save").click()
    expect(last.get_by_text("Thank you.")).to_be_visible()
    page.reload()
    last.get_by_role("button", name="Good answer").click()
    expect(last.get_by_role("textbox", name="Comment")).to_have_value("Short and right.")
    expect(last.get_by_role("radio", name="9")).to_be_checked()
    last.get_by_role("button", name="Remove the rating").click()
    expect(last.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "false")
    last.get_by_role("button", name="Bad answer").click()
    last.get_by_text("Not correct").click()
    last.get_by_role("button", name="Save").click()
    expect(last.get_by_text("Thank you.")).to_be_visible()
    found = call(site, "/api/v1/evaluations/feedbacks/list", token=dana.token)["items"][0]
    assert found["user"]["email"] == alice.email and found["data"]["reason"] == "not_factually_correct"


def test_words_are_changed_in_place_and_in_a_second_tab(visit: Visit, alice: Person) -> None:
    page = begun(visit, alice)
    second = page.context.new_page()
    second.goto(page.url)
    question, last = page.locator(".message.user"), page.locator(".message.assistant")
    question.hover()
    question.get_by_role("button", name="Edit").click()
    question.get_by_role("textbox").fill("How is that cleaned?")
    question.get_by_role("button", name="Save").click()
    expect(question).to_contain_text("How is that cleaned?")
    expect(question).to_contain_text("edited")
    expect(second.locator(".message.user")).to_contain_text("How is that cleaned?")

    more(page, last.last, "Edit")
    last.last.get_by_role("textbox").fill("With *alcohol*.")
    last.last.get_by_role("button", name="Save as copy").click()
    expect(answer(page).locator("em")).to_have_text("alcohol")
    expect(last.last.get_by_role("group", name="Versions")).to_contain_text("2/2")
    more(page, last.last, "Edit")
    last.last.get_by_role("textbox").fill("With ethanol.")
    last.last.get_by_role("button", name="Save", exact=True).click()
    expect(answer(page)).to_have_text(re.compile("With ethanol."))
    page.reload()
    expect(answer(page)).to_have_text(re.compile("With ethanol."))


def test_deleted_forked_and_asked_again(visit: Visit, alice: Person) -> None:
    page = begun(visit, alice)
    ask(page, "And dried? [[text=With air.]]")
    expect(page.locator(".message")).to_have_count(4)
    wait_finished(page)
    address = page.url
    page.reload()
    title = page.get_by_role("heading", level=1).inner_text()
    more(page, page.locator(".message.assistant").first, "New chat from here")
    expect(page).not_to_have_url(address)
    expect(page.locator(".message")).to_have_count(2)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{title} (fork)")

    page.goto(address)
    more(page, page.locator(".message.assistant").first, "Delete")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete this answer?")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.locator(".message")).to_have_count(3)
    expect(page.get_by_role("dialog")).to_have_count(0)

    last = page.locator(".message.assistant").last
    once_more(page, last, "Again, more concise")
    expect(last.get_by_role("group", name="Versions")).to_contain_text("2/2")
    wait_finished(page)
    last.hover()
    last.get_by_role("button", name="Regenerate").click()
    field = page.locator("#message-menu").get_by_role("textbox", name="Again, but…")
    field.fill("as a poem [[text=Air, dear air]]")
    field.press("Enter")
    expect(answer(page)).to_contain_text("dear air")
    expect(page.locator("#message-menu")).to_be_hidden()
    wait_finished(page)


def test_an_answer_is_asked_for_again_by_a_menu_or_at_once(visit: Visit, alice: Person) -> None:
    page = begun(visit, alice)
    address, menu = page.url, page.locator("#message-menu")
    last, versions = page.locator(".message.assistant").last, page.get_by_role("group", name="Versions")
    last.get_by_role("button", name="Regenerate").focus()
    page.keyboard.press("Enter")
    expect(menu.get_by_role("button", name="Try again")).to_be_focused()
    expect(last.get_by_role("button", name="Regenerate")).to_have_attribute("aria-expanded", "true")
    assert faults(page) == []
    page.keyboard.press("Enter")
    expect(versions).to_contain_text("2/2")
    wait_finished(page)
    page.keyboard.press("Control+Alt+r")
    expect(versions).to_contain_text("3/3")
    wait_finished(page)

    settings = visit(alice, "/settings")
    switch = settings.get_by_role("switch", name="Ask how an answer shall be written again")
    with settings.expect_response("**/settings/interface"):
        switch.uncheck()
    page.goto(address)
    last.get_by_role("button", name="Regenerate").click()
    expect(versions).to_contain_text("4/4")
    expect(menu).to_be_hidden()
    wait_finished(page)
    more(page, last, "Again, with more details")
    expect(versions).to_contain_text("5/5")
    wait_finished(page)
    with settings.expect_response("**/settings/interface"):
        switch.check()


THOUGHT = "How is it cleaned? [[think=2 text=With water.]]"
CODE = "Show it [[text=Like this:\n\n```python\nfor n in range(3):\n    print(n)\n```\n\nThat is all.]]"


def test_the_thoughts_and_the_words_of_an_answer_are_changed_apart(visit: Visit, alice: Person) -> None:
    page = begun(visit, alice, THOUGHT)
    last = page.locator(".message.assistant").last
    more(page, last, "Edit")
    expect(last.get_by_role("textbox", name="Answer")).to_be_focused()
    expect(last.get_by_role("textbox", name="Thoughts")).to_have_value(re.compile("r1 r2"))
    assert faults(page) == []
    last.get_by_role("textbox", name="Thoughts").fill("Alcohol is faster.")
    last.get_by_role("button", name="Save as copy").click()
    expect(last.get_by_role("group", name="Versions")).to_contain_text("2/2")
    last.locator("summary").first.click()
    expect(last.locator(".fold-body")).to_have_text("Alcohol is faster.")
    more(page, last, "Edit")
    last.get_by_role("textbox", name="Answer").fill("With alcohol.")
    last.get_by_role("button", name="Save", exact=True).click()
    expect(answer(page)).to_contain_text("With alcohol.")
    page.reload()
    last.locator("summary").first.click()
    expect(last.locator(".fold-body")).to_have_text("Alcohol is faster.")
    last.get_by_role("button", name="Previous version").click()
    expect(answer(page)).to_contain_text("With water.")


def test_one_block_of_code_is_changed_where_it_stands(visit: Visit, alice: Person) -> None:
    page = begun(visit, alice, CODE)
    second = page.context.new_page()
    second.goto(page.url)
    block = page.locator(".message.assistant .code").last
    block.get_by_role("button", name="Edit").click()
    area = block.get_by_role("textbox", name="Code of this block")
    expect(area).to_be_focused()
    assert faults(page) == []
    page.keyboard.press("Escape")
    expect(area).to_have_count(0)
    expect(block.get_by_role("button", name="Edit")).to_be_focused()
    page.keyboard.press("Enter")
    area.fill("for n in range(4):\n    print(n * n)")
    page.keyboard.press("Control+Enter")
    for where in (page, second):
        expect(where.locator(".message.assistant .code pre").last).to_have_text(
            "for n in range(4):\n    print(n * n)\n"
        )
    expect(block.get_by_role("button", name="Edit")).to_be_focused()
    expect(page.locator(".message.assistant").last).to_contain_text("edited")
    expect(answer(page)).to_contain_text("That is all.")


def test_copied_as_markdown_or_formatted_with_the_note(
    browsing: Browsing, alice: Person, dana: Person, site: Any
) -> None:
    form = call(site, "/api/v1/auths/admin/config", token=dana.token)
    call(site, "/api/v1/auths/admin/config", {**form, "RESPONSE_WATERMARK": "Written by AI."}, dana.token)
    try:
        page = begun(browsing.open, alice)
        last = page.locator(".message.assistant").last
        copied = "() => navigator.clipboard.readText()"
        last.get_by_role("button", name="Copy", exact=True).click()
        expect(page.locator("#announcer")).to_contain_text("Copied")
        assert page.evaluate(copied) == "With **water**.\n\nWritten by AI."
        # The page that was open may come from a process that had not heard of the note yet.
        page.reload()
        more(page, last, "Copy with formatting")
        page.wait_for_timeout(300)
        assert page.evaluate(copied) == "With water.\n\nWritten by AI."
        html = page.evaluate("async () => (await (await navigator.clipboard.read())[0].getType('text/html')).text()")
        assert "<strong>water</strong>" in html and "Written by AI." in html
    finally:
        call(site, "/api/v1/auths/admin/config", {**form, "RESPONSE_WATERMARK": ""}, dana.token)


def test_a_chat_gets_a_title_and_questions_to_go_on_with(visit: Visit, bob: Person, jobs: None) -> None:
    page = begun(visit, bob, f"How is a mixer cleaned? [[text={SAID}]]")
    expect(page.locator("#chat-list a[aria-current=page]")).to_have_text(re.compile("Clean mixers"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Clean mixers")
    expect(page).to_have_title(re.compile("Clean mixers"))
    chips = page.get_by_role("list", name="What you might ask next")
    expect(chips.get_by_role("button")).to_have_count(2)
    assert faults(page) == []
    page.reload()
    chips.get_by_role("button", name="How often?").click()
    expect(page.locator(".message.user").last).to_contain_text("How often?")
    wait_finished(page)
    # The former ones make room; the new answer may have the same ones by now.
    expect(page.locator(".message.assistant").first.locator(".follow-ups")).to_be_hidden()


def test_the_keyboard_and_a_phone_are_enough(visit: Visit, alice: Person) -> None:
    page = begun(visit, alice)
    page.locator(".message.assistant").last.get_by_role("button", name="More actions").focus()
    page.keyboard.press("Enter")
    menu = page.locator("#message-menu")
    expect(menu).to_be_visible()
    expect(menu.get_by_role("button", name="Edit")).to_be_focused()
    assert faults(page) == []
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(page.get_by_role("button", name="More actions").last).to_be_focused()

    phone = visit(alice, page.url.removeprefix(page.url.split("/c/")[0]), **PHONE)
    last = phone.locator(".message.assistant").last
    last.get_by_role("button", name="Good answer").tap()
    expect(last.get_by_role("textbox", name="Comment")).to_be_visible()
    assert faults(phone) == []
