"""What programs and other windows do to chats and folders is seen in every open page, without a reload."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, account, call
from tests.browser.test_accessible import faults
from tests.browser.test_sidebar import chat, choose, line, link

pytestmark = MARKS


def test_pages_learn_what_a_program_does(browsing: Browsing, dana: Person) -> None:
    person = account(browsing.site, "Liva Holm", by=dana)

    def rest(path: str, body: Any) -> Any:
        return call(browsing.site, f"/api/v1{path}", body, person.token)

    rest("/chats/import", {"chats": [chat(number) for number in range(4)]})
    ids = {row["title"]: row["id"] for row in rest("/chats/", None)}
    folder = rest("/folders/", {"name": "Batch 7"})["id"]
    rest(f"/folders/{folder}/update/expanded", {"is_expanded": True})
    listing = browsing.open(person, f"/c/{ids['Chat 000']}")
    room = browsing.open(person, f"/folders/{folder}")
    expect(room.get_by_text("No chat in this folder yet.")).to_be_visible()
    for page in (listing, room):
        page.wait_for_load_state()

    rest(f"/chats/{ids['Chat 001']}/folder", {"folder_id": folder})
    expect(listing.locator(".folder-item").get_by_role("link", name="Chat 001")).to_be_visible()
    expect(listing.locator(".side-loose").get_by_role("link", name="Chat 001")).to_have_count(0)
    expect(room.get_by_role("main").get_by_role("link", name="Chat 001")).to_be_visible()
    rest(f"/chats/{ids['Chat 001']}", {"chat": {"title": "Stability at 40 °C"}})
    for place in (listing.locator(".folder-item"), room.get_by_role("main")):
        expect(place.get_by_role("link", name="Stability at 40 °C")).to_be_visible()

    rest(f"/chats/{ids['Chat 002']}/pin", {})
    pinned = listing.get_by_role("list", name="Pinned")
    expect(pinned.get_by_role("link", name="Chat 002")).to_be_visible()
    rest(f"/chats/{ids['Chat 002']}/pin", {})
    expect(pinned).to_have_count(0)
    expect(link(listing, "Chat 002")).to_be_visible()
    rest(f"/chats/{ids['Chat 002']}/archive", {})
    for page in (listing, room):
        expect(link(page, "Chat 002")).to_have_count(0)
    # Two at once, of which one window has done the one itself.
    choose(room, "Chat 003", "Pin")
    rest(f"/chats/{ids['Chat 002']}/archive", {})
    expect(pinned.get_by_role("link", name="Chat 003")).to_be_visible()
    for page in (listing, room):
        expect(line(page, "Chat 002")).to_have_count(1)

    rest(f"/folders/{folder}/update", {"name": "Batch 8", "meta": {"colour": "teal"}})
    expect(room.get_by_role("heading", name="Batch 8", level=1)).to_be_visible()
    expect(link(listing, "Batch 8")).to_be_visible()
    expect(listing.locator("#chat-list .tint-teal")).to_have_count(1)
    rest(f"/chats/{ids['Chat 001']}/folder", {"folder_id": None})
    expect(room.get_by_text("No chat in this folder yet.")).to_be_visible()
    expect(listing.locator(".side-loose").get_by_role("link", name="Stability at 40 °C")).to_be_visible()
    assert faults(room) == []

    tags_of(listing, "Chat 000")
    listing.get_by_role("combobox", name="New tag").fill("not sent y")
    rest(f"/chats/{ids['Chat 000']}/tags", {"name": "Urgent"})
    expect(listing.get_by_role("button", name="Remove the tag urgent")).to_be_visible()
    listing.keyboard.type("et")  # what somebody writes meanwhile stays
    expect(listing.get_by_role("combobox", name="New tag")).to_have_value("not sent yet")


def test_two_windows_tidy(browsing: Browsing, dana: Person) -> None:
    person = account(browsing.site, "Mira Sand", by=dana)
    call(browsing.site, "/api/v1/chats/import", {"chats": [chat(number) for number in range(3)]}, person.token)
    page = browsing.open(person)
    other = page.context.new_page()
    other.goto(browsing.site.url)
    other.wait_for_load_state()
    page.get_by_role("button", name="New folder", exact=True).click()
    page.get_by_role("textbox", name="Name").fill("Signals")
    page.keyboard.press("Enter")
    expect(link(other, "Signals")).to_be_visible()
    page.get_by_role("button", name="What is in Signals").click()
    link(page, "Chat 001").drag_to(link(page, "Signals"))
    inside = re.compile("Chat 001")
    expect(page.locator(".folder-item").get_by_role("link", name=inside)).to_be_visible()
    expect(other.locator(".folder-item").get_by_role("link", name=inside)).to_be_visible()
    choose(page, "Chat 002", "Archive")
    expect(link(other, "Chat 002")).to_have_count(0)


def tags_of(page: Page, title: str) -> None:
    choose(page, title, "Tags")
    expect(page.get_by_role("dialog", name="Tags")).to_be_visible()
