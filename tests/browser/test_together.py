"""Two windows on one chat, and two people: nothing is lost, nothing is offered that would be refused."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, account, answer, ask, call, wait_finished
from tests.browser.test_accessible import faults
from tests.browser.test_messages import more, once_more

pytestmark = MARKS
Visit = Callable[..., Page]


def test_two_windows_show_the_same_and_the_later_words_are_kept(browsing: Browsing, dana: Person) -> None:
    person = account(browsing.site, "Tova Lind", by=dana)
    page = browsing.open(person)
    second = page.context.new_page()
    second.goto(browsing.site.url)
    ask(page, "How is it cleaned? [[text=With **water**.]]")
    expect(page).to_have_url(re.compile("/c/"))
    wait_finished(page)
    # The list of the other window has it, and opens it.
    second.locator("#chat-list").get_by_role("link", name=re.compile("How is it cleaned")).click()
    expect(second.locator(".message")).to_have_count(2)
    last, seen = page.locator(".message.assistant").last, second.locator(".message.assistant").last
    once_more(page, last, "Again, more concise")
    expect(seen.get_by_role("group", name="Versions")).to_contain_text("2/2")
    wait_finished(page)
    seen.get_by_role("button", name="Previous version").click()
    expect(last.get_by_role("group", name="Versions")).to_contain_text("1/2")

    browsing.allow("409")
    question, other = page.locator(".message.user"), second.locator(".message.user")
    for where in (question, other):
        where.hover()
        where.get_by_role("button", name="Edit").click()
    question.get_by_role("textbox").fill("How is it <b>cleaned</b>, in one window?")
    question.get_by_role("button", name="Save").click()
    expect(question).to_contain_text("How is it <b>cleaned</b>, in one window?")
    other.get_by_role("textbox").fill("And in the other?")
    other.get_by_role("button", name="Save").click()
    expect(other).to_contain_text("changed in another window")
    other.get_by_text("Show the other words").click()
    expect(other).to_contain_text("in one window?")
    expect(other.get_by_role("textbox")).to_have_value("And in the other?")
    assert faults(second) == []
    other.get_by_role("button", name="Save").click()
    expect(question.locator(".prose")).to_have_text("And in the other?")

    # Each asks while the other does: the one that is refused keeps its words, and both end with the same chat.
    ask(page, "First of two [[n=60 tps=20]]")
    expect(second.locator(".message")).to_have_count(4)
    ask(second, "Second of two [[n=2]]")
    expect(second.get_by_role("list", name="Waiting to be sent")).to_contain_text("Second of two")
    expect(second.locator(".message")).to_have_count(6)
    expect(page.locator(".message")).to_have_count(6)
    wait_finished(page)
    more(second, second.locator(".message.user").last, "Delete")
    second.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".message")).to_have_count(5)


def test_a_reader_sees_a_chat_and_goes_on_in_a_copy(browsing: Browsing, dana: Person) -> None:
    owner, reader = dana, account(browsing.site, "Otto Brandt", by=dana)
    folder = call(browsing.site, "/api/v1/folders/", {"name": "Signals"}, owner.token)["id"]
    page = browsing.open(owner, f"/?folder={folder}")
    ask(page, "Is it safe? [[text=It is.]]")
    expect(page).to_have_url(re.compile("/c/"))
    wait_finished(page)
    path = page.url.removeprefix(browsing.site.url)
    grants = [{"principal_type": "user", "principal_id": reader.id, "permission": "read"}]
    call(browsing.site, f"/api/v1/folders/{folder}/access/update", {"access_grants": grants}, owner.token)

    other = browsing.open(reader, path)
    expect(other.get_by_text("This chat belongs to Dana Reyes.")).to_be_visible()
    expect(other.get_by_role("textbox", name="Message", exact=True)).to_be_hidden()
    for name in ("Edit", "Regenerate", "Continue", "Good answer", "Controls of this chat"):
        expect(other.get_by_role("button", name=name)).to_have_count(0)
    ask(page, "Slowly [[n=2000 tps=20]]")
    expect(answer(page)).to_contain_text("t1 ")
    other.reload()
    expect(answer(other)).to_contain_text("t3 ")
    assert faults(other) == []
    # The right goes while the answer is written: what came stays, and it is said that no more will.
    browsing.allow("404")
    call(browsing.site, f"/api/v1/folders/{folder}/access/update", {"access_grants": []}, owner.token)
    expect(other.get_by_text("This message does not exist")).to_be_visible()
    expect(answer(other)).to_contain_text("t3 ")
    page.get_by_role("button", name="Stop the answer").click()
    wait_finished(page)
    call(browsing.site, f"/api/v1/folders/{folder}/access/update", {"access_grants": grants}, owner.token)
    other.reload()
    other.get_by_role("button", name="Go on in a copy of your own").click()
    expect(other).not_to_have_url(re.compile(path))
    ask(other, "And then? [[n=2]]")
    wait_finished(other)
    expect(page.locator(".message")).to_have_count(4)
