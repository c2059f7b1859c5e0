"""The controls of a chat, shortcuts and the switches of the settings, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, account, ask, call, open_model, wait_finished

pytestmark = MARKS
Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def cleo(site: Any, dana: Person) -> Person:
    open_model(site, "fake-large", dana)
    return account(site, "Cleo Park", by=dana)


def test_prompt_and_parameters_go_with_the_first_question_and_stay(browsing: Browsing, cleo: Person) -> None:
    page = browsing.open(cleo)
    page.get_by_role("button", name="Controls of this chat").click()
    panel = page.get_by_role("complementary", name="Details")
    with page.expect_response("**/c/new/controls"):
        panel.get_by_label("System prompt").fill("Answer in one line.")
        panel.get_by_label("System prompt").blur()
    with page.expect_response("**/c/new/controls"):
        panel.get_by_role("checkbox", name="Set Temperature").check(force=True)
    expect(panel.get_by_text("Saved", exact=True)).to_be_visible()
    ask(page, "Hello [[n=3]]")
    wait_finished(page)
    expect(page).to_have_url(re.compile("/c/[0-9a-f-]{36}$"))
    chat_id = page.url.rpartition("/")[2]
    stored = call(browsing.site, f"/api/v1/chats/{chat_id}", token=cleo.token)["chat"]["params"]
    assert stored == {"system": "Answer in one line.", "temperature": 0.8}

    expect(panel.get_by_label("System prompt")).to_have_value("Answer in one line.")
    field = panel.get_by_role("spinbutton", name="Temperature")
    browsing.allow("422")
    with page.expect_response("**/controls"):
        field.fill("9")
        field.blur()
    expect(panel.get_by_text("“Temperature” is between 0 and 2.")).to_be_visible()
    with page.expect_response("**/controls"):
        field.fill("0.2")
        field.blur()
    expect(panel.get_by_text("Saved", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Controls of this chat")).to_be_focused()
    page.reload()
    page.get_by_role("button", name="Controls of this chat").click()
    expect(panel.get_by_role("spinbutton", name="Temperature")).to_have_value("0.2")


def test_several_models_answer_side_by_side_and_each_goes_on(browsing: Browsing, cleo: Person) -> None:
    page = browsing.open(cleo, "/?models=fake-small,fake-large")
    expect(page.locator("#models .model-slot")).to_have_count(2)
    ask(page, "Both of you [[n=4]]")
    expect(page.locator(".one-column")).to_have_count(2)
    wait_finished(page)
    expect(page.locator(".one-column .prose", has_text="t4")).to_have_count(2)
    ask(page, "And again [[n=5]]")
    expect(page.locator(".columns")).to_have_count(2)
    expect(page.locator(".columns").last.locator(".prose", has_text="t5")).to_have_count(2)
    wait_finished(page)
    page.get_by_role("button", name="Go on with the answer of fake-large").last.click()
    expect(page.get_by_text("Chosen", exact=True)).to_be_visible()
    page.reload()
    expect(page.locator(".columns")).to_have_count(2)
    expect(page.locator(".one-column.is-chosen")).to_have_count(1)

    phone = browsing.open(cleo, page.url.removeprefix(browsing.site.url), viewport={"width": 390, "height": 844})
    expect(phone.locator(".columns").first.locator(".one-column:visible")).to_have_count(1)
    phone.locator(".column-tabs").first.get_by_text("fake-large").click()
    expect(phone.locator(".columns").first.locator(".one-column:visible .column-head")).to_contain_text("fake-large")
    assert phone.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_keys_and_switches_are_obeyed(browsing: Browsing, cleo: Person) -> None:
    page = browsing.open(cleo, "/settings")
    with page.expect_response("**/settings/interface"):
        page.get_by_role("switch", name="Ctrl Enter sends").check()
    with page.expect_response("**/settings/interface"):
        page.get_by_label("Size of text").select_option("1.25")
    page.get_by_role("button", name="Choose a model: Ctrl Shift M. Change").click()
    page.keyboard.press("Control+Shift+Y")
    expect(page.get_by_role("button", name="Choose a model: Ctrl Shift Y. Change")).to_be_visible()
    browsing.allow("422")
    page.get_by_role("button", name="Search chats: Ctrl K. Change").click()
    page.keyboard.press("Control+Shift+Y")
    expect(page.locator("#keyboard .errorlist")).to_contain_text("has these keys already")

    page.goto(browsing.site.url)
    assert page.evaluate("() => getComputedStyle(document.documentElement).fontSize") == "20px"
    box = page.get_by_role("textbox", name="Message", exact=True)
    box.fill("One")
    box.press("Enter")
    box.press_sequentially("two [[n=2]]")
    expect(box).to_have_value("One\ntwo [[n=2]]")
    box.press("Control+Enter")
    expect(page.locator(".message")).to_have_count(2)
    wait_finished(page)
    page.keyboard.press("Control+Shift+Y")
    expect(page.get_by_role("dialog", name="Choose a model")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Y")
    page.keyboard.press("Escape")
    box.focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(".message.user textarea")).to_be_focused()
