"""A day of tidying: folders, tags, search, archive, files in and out, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Person, account, ask, call
from tests.browser.site import BrowserSite


@pytest.fixture
def tidy(site: BrowserSite, dana: Person) -> Person:
    """Somebody with a hundred chats of their own."""
    person = account(site, "Tessa Lund", by=dana)
    call(site, "/api/v1/chats/import", {"chats": [chat(number) for number in range(100)]}, person.token)
    return person


def chat(number: int) -> dict[str, Any]:
    text = "The chamber was opened at noon; the zelorix probe said 7.5." if number == 90 else f"Note {number}"
    message = {"id": "a", "parentId": None, "role": "user", "content": text}
    return {
        "chat": {"title": f"Chat {number:03}", "history": {"messages": {"a": message}, "currentId": "a"}},
        "updated_at": 1_760_000_000 - 7200 * number,
    }


def link(page: Page, name: str) -> Any:
    return page.locator("#chat-list").get_by_role("link", name=name, exact=True)


def line(page: Page, name: str) -> Any:
    """A chat of the list, with its marks and its menu."""
    return page.locator("#chat-list .chat-item", has=page.get_by_role("link", name=name, exact=True))


def choose(page: Page, title: str, action: str) -> None:
    link(page, title).hover()
    page.get_by_role("button", name=f"Actions for {title}", exact=True).click()
    page.locator("#chat-menu").get_by_role("button", name=action, exact=True).click()


def make_folder(page: Page, name: str) -> None:
    page.get_by_role("button", name="New folder", exact=True).click()
    page.get_by_role("textbox", name="Name").fill(name)
    page.keyboard.press("Enter")
    expect(link(page, name)).to_be_visible()


def test_tidying(site: BrowserSite, tidy: Person, visit: Callable[..., Page], browsing: Any, tmp_path: Path) -> None:
    page = visit(tidy)
    page.wait_for_load_state()

    # The list goes on while one scrolls, to its end.
    expect(link(page, "Chat 000")).to_be_visible()
    assert page.locator("#chat-list .chat-item").count() < 60
    for _step in range(12):
        page.locator("#chat-list").evaluate("list => list.scrollTo(0, list.scrollHeight)")
        page.wait_for_timeout(150)
    expect(page.locator("#chat-list .chat-item")).to_have_count(100)
    page.locator("#chat-list").evaluate("list => list.scrollTo(0, 0)")

    # Search by the keyboard: a word somebody said, far back.
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Search titles and messages").fill("ZELORIX")
    hit = page.get_by_role("option", name=re.compile("Chat 090"))
    expect(hit.locator("mark")).to_have_text("zelorix")
    expect(hit).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Chat 090", level=1)).to_be_visible()

    # A folder, and a chat in it by the mouse; by the keyboard it is a dialog.
    make_folder(page, "Stability")
    link(page, "Chat 001").drag_to(link(page, "Stability"))
    expect(link(page, "Chat 001")).to_have_count(0)
    page.get_by_role("button", name="What is in Stability").click()
    expect(link(page, "Chat 001")).to_be_visible()
    expect(page.get_by_role("button", name="What is in Stability")).to_be_focused()
    choose(page, "Chat 002", "Move to…")
    page.get_by_role("radio", name="Stability").check()
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.locator(".folder-item").get_by_role("link", name="Chat 002")).to_be_visible()

    # A folder goes into another, and not into itself.
    make_folder(page, "Inner")
    link(page, "Inner").drag_to(link(page, "Stability"))
    expect(page.locator(".folder-item .folder-item").get_by_role("link", name="Inner")).to_be_visible()
    link(page, "Stability").hover()
    page.get_by_role("button", name="Actions for the folder Stability").click()
    page.locator("#folder-menu").get_by_role("button", name="Move to…").click()
    browsing.allow("400")
    page.get_by_role("radio", name="Inner").check()
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_text("A folder cannot be inside itself. Choose another place.")).to_be_visible()
    page.keyboard.press("Escape")

    # Its look, and what its chats inherit.
    link(page, "Stability").click()
    page.get_by_role("main").get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="Teal").check(force=True)
    page.get_by_role("textbox", name="Prompt").fill("Answer in one sentence.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Answer in one sentence.")).to_be_visible()
    page.get_by_role("link", name="New chat here").click()
    expect(page.locator("#composer [name=folder]")).to_have_count(1)
    expect(page.locator("#chat-list .tint-teal")).to_have_count(1)

    # To be looked at again, until it is.
    choose(page, "Chat 007", "Mark as unread")
    dot = line(page, "Chat 007").get_by_role("img", name="New since you looked")
    expect(dot).to_have_count(1)
    link(page, "Chat 007").click()
    expect(page.get_by_role("heading", name="Chat 007", level=1)).to_be_visible()
    expect(dot).to_have_count(0)

    # Words to the clipboard.
    choose(page, "Chat 007", "Copy as text")
    expect(page.locator("#announcer")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").strip() == "### USER\nNote 7"

    # Tags: there, found, gone.
    choose(page, "Chat 003", "Tags")
    page.get_by_role("combobox", name="New tag").fill("Big ideas")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove the tag big_ideas")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.get_by_role("button", name="tag:big_ideas").click()
    expect(page.locator("#search-results .hit")).to_have_count(1)
    page.keyboard.press("Escape")

    # Pin; the archive and back.
    choose(page, "Chat 005", "Pin")
    expect(page.get_by_text("Pinned", exact=True)).to_be_visible()
    choose(page, "Chat 004", "Archive")
    expect(link(page, "Chat 004")).to_have_count(0)
    page.get_by_role("button", name="Tessa Lund").click()
    page.get_by_role("button", name="Archived chats").click()
    page.get_by_role("button", name="Unarchive Chat 004").click()
    expect(page.get_by_text("The archive is empty.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(link(page, "Chat 004")).to_be_visible()

    # A file out, and into the list again by dropping it.
    with page.expect_download() as waiting:
        choose(page, "Chat 006", "Download as JSON")
    assert json.loads(waiting.value.path().read_bytes())[0]["title"] == "Chat 006"
    drop(page, waiting.value.path().read_text())
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("1 chat imported.")).to_be_visible()
    expect(link(page, "Chat 006")).to_have_count(2)

    # Gone at once with Shift, without a question.
    link(page, "Chat 008").hover()
    page.get_by_role("button", name="Actions for Chat 008", exact=True).click()
    page.locator("#chat-menu").get_by_role("button", name="Delete", exact=True).click(modifiers=["Shift"])
    expect(link(page, "Chat 008")).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)

    # Two hundred megabytes are not even sent; broken JSON is told of.
    big = tmp_path / "big.json"
    with big.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    page.get_by_role("button", name="Tessa Lund").click()
    page.get_by_role("button", name="Import chats").click()
    page.locator("#import-file").set_input_files(big)
    assert page.locator("#import-file").evaluate("field => field.validationMessage").startswith("This file is larger")
    browsing.allow("422")
    page.locator("#import-file").set_input_files({"name": "x.json", "mimeType": "application/json", "buffer": b"{no"})
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("dialog", name="Import chats").get_by_role("alert")).to_contain_text("not JSON")
    page.keyboard.press("Escape")

    # Deleting the folder keeps what is in it.
    link(page, "Stability").hover()
    page.get_by_role("button", name="Actions for the folder Stability").click()
    page.locator("#folder-menu").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete folder").click()
    expect(link(page, "Stability")).to_have_count(0)
    expect(link(page, "Chat 001")).to_be_visible()


def test_the_list_tells_what_happens_in_other_chats(
    site: BrowserSite, dana: Person, visit: Callable[..., Page], browsing: Any
) -> None:
    """A ring while it is answered, a dot when that ended unseen; in a window that shows another chat."""
    person = account(site, "Ruben Falk", by=dana)
    call(site, "/api/v1/chats/import", {"chats": [chat(1), chat(2)]}, person.token)
    page = visit(person)
    link(page, "Chat 001").click()
    expect(page.get_by_role("heading", name="Chat 001", level=1)).to_be_visible()
    ask(page, "Count [[n=60 tps=20]]")
    item = line(page, "Chat 001")
    expect(item.get_by_role("img", name="Being answered")).to_have_count(1)
    link(page, "Chat 002").click()
    expect(page.get_by_role("heading", name="Chat 002", level=1)).to_be_visible()
    expect(item.get_by_role("img", name="Being answered")).to_have_count(1)
    expect(item.get_by_role("img", name="New since you looked")).to_have_count(1)
    link(page, "Chat 001").click()
    expect(page.get_by_role("heading", name="Chat 001", level=1)).to_be_visible()
    expect(item.get_by_role("img")).to_have_count(0)

    # What ends before one's eyes is read, also for the next page.
    ask(page, "Again [[n=2]]")
    with page.expect_response(re.compile(r"/c/[0-9a-f-]{36}/read$")):
        pass
    page.reload()
    link(page, "Chat 002").click()
    expect(page.get_by_role("heading", name="Chat 002", level=1)).to_be_visible()
    expect(item.get_by_role("img")).to_have_count(0)


def drop(page: Page, text: str) -> None:
    """A file dropped on the sidebar."""
    data = page.evaluate_handle(
        """text => {
            const data = new DataTransfer();
            data.items.add(new File([text], "chats.json", { type: "application/json" }));
            return data;
        }""",
        text,
    )
    for kind in ("dragover", "drop"):
        page.dispatch_event("#chat-list", kind, {"dataTransfer": data})
