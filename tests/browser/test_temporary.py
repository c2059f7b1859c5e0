"""Temporary chats: answered, marked, nowhere stored; kept when one wants; and the only ones where it is so ordered."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, account, answer, ask, call, wait_finished

pytestmark = MARKS
Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def tess(site: object, dana: Person) -> Person:
    return account(site, "Tess Gray", by=dana)  # type: ignore[arg-type]


def test_nothing_is_stored_until_it_is_saved(browsing: Browsing, tess: Person) -> None:
    site = browsing.site
    page = browsing.open(tess)
    page.get_by_role("link", name="New temporary chat").click()
    expect(page.get_by_text("nothing of it is stored")).to_be_visible()
    ask(page, "Between us [[n=6]]")
    wait_finished(page)
    expect(answer(page)).to_contain_text("t6")
    expect(page).to_have_url(re.compile("temporary-chat=true"))
    ask(page, "Slowly [[n=200 tps=20]]")
    expect(page.locator(".message")).to_have_count(4)
    expect(answer(page)).to_contain_text("t3 ")
    page.get_by_role("button", name="Stop the answer").click()
    expect(page.get_by_text("You stopped this answer.")).to_be_visible()
    expect(page.locator("#composer .send")).to_be_visible()
    assert call(site, "/api/v1/chats/", token=tess.token) == []
    expect(page.get_by_role("button", name="Regenerate")).to_have_count(0)

    page.get_by_role("button", name="Save this chat").click()
    expect(page).to_have_url(re.compile("/c/[0-9a-f-]{36}$"))
    expect(page.locator(".message")).to_have_count(4)
    expect(answer(page)).to_contain_text("t3 ")  # what had come of the stopped one
    assert len(call(site, "/api/v1/chats/", token=tess.token)) == 1
    ask(page, "And on [[n=2]]")
    expect(page.locator(".message")).to_have_count(6)
    wait_finished(page)


def test_refusals_of_a_temporary_chat_are_toasts_and_the_text_stays(browsing: Browsing, tess: Person) -> None:
    page = browsing.open(tess, "/?temporary-chat=true")
    ask(page, "[[err=429 msg=Rate limit reached]]")
    expect(page.locator(".message.assistant .note.bad")).to_be_visible()
    expect(page.locator("#composer .send")).to_be_visible()
