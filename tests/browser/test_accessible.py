"""Every page for everybody: axe finds nothing, in light and dark, on a desk and on a phone; the keyboard is enough."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, account, answer, ask, call, wait_finished
from tests.browser.test_ask import RICH
from tests.browser.test_knowledge import new_base
from tests.browser.test_rendering import FOLDS, MERMAID, PAGE, TABLE, keep_chat
from tests.browser.test_rendering import RICH as MARKED

pytestmark = MARKS

Visit = Callable[..., Page]
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def faults(page: Page) -> list[str]:
    """What axe finds, one line a fault, and whether the page is wider than its window."""
    # What fades in while axe looks has too little contrast for a moment.
    page.emulate_media(reduced_motion="reduce")
    found = Axe().run(page).response["violations"]
    lines = [f"{page.url} {v['id']}: {node['html'][:160]} {node['target']}" for v in found for node in v["nodes"]]
    # Not `evaluate(text)`: the pages refuse eval.
    if page.evaluate("() => document.documentElement.scrollWidth > innerWidth"):
        lines.append(f"{page.url} scrolls sideways")
    return lines


@pytest.fixture(scope="module")
def pages(site: Any, chromium: Any, dana: Person, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An answer with everything in it, a base with a document and a failure; made once for all looks at them."""
    directory: Path = tmp_path_factory.mktemp("documents")
    (directory / "Rota.txt").write_text("On call in week 12 is Ana Costa.")
    (directory / "Broken.pdf").write_bytes(b"%PDF-1.4 broken")
    browsing = Browsing(site, chromium)
    page = browsing.open(dana, "/workspace/knowledge/")
    new_base(page, "Rotas", [directory / "Rota.txt", directory / "Broken.pdf"])
    expect(page.get_by_text("Ready", exact=True)).to_be_visible(timeout=20_000)
    expect(page.get_by_text("Failed", exact=True)).to_be_visible(timeout=20_000)
    base = page.url.removeprefix(site.url)
    page.goto(f"{site.url}/?knowledge={base.rpartition('/')[2]}")
    ask(page, f"Who is on call in week 12? [[think=5 text=Ana Costa [1].\n\n{RICH}]]")
    wait_finished(page)
    chat = page.url.removeprefix(site.url)
    browsing.close()
    return {"base": base, "chat": chat}


@pytest.mark.parametrize(
    ("size", "look"), [(DESK, "light"), (DESK, "dark"), (PHONE, "light")], ids=["desk-light", "desk-dark", "phone"]
)
def test_axe_finds_nothing(
    browsing: Browsing, dana: Person, pages: dict[str, str], size: dict[str, Any], look: Any
) -> None:
    browsing.allow("404")
    options = {**size, "color_scheme": look, "reduced_motion": "reduce"}
    found: list[str] = []
    stranger = browsing.open(path="/auth", **options)
    found += faults(stranger)
    stranger.goto(f"{browsing.site.url}/auth/signup")
    found += faults(stranger)

    page = browsing.open(dana, **options)
    found += faults(page)
    fixed = ("/workspace/knowledge/", "/workspace/models", "/settings", "/nowhere", "/admin/")
    for path in (pages["chat"], pages["base"], *fixed):
        page.goto(browsing.site.url + path)
        found += faults(page)
    page.goto(browsing.site.url + pages["chat"])
    page.get_by_role("button", name="Source 1").first.click()
    expect(page.get_by_role("heading", name="Source 1")).to_be_visible()
    found += faults(page)
    page.goto(browsing.site.url + pages["base"])
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found += faults(page)
    assert found == []


@pytest.fixture(scope="module")
def more(site: Any, dana: Person, pages: dict[str, str]) -> dict[str, str]:
    """A folder with a chat, a chat with a page in it, and a shared one."""
    folder = call(site, "/api/v1/folders/", {"name": "Trials"}, dana.token)
    drawn = f"{RICH}\n\n{MARKED}\n\n{TABLE}\n\n{MERMAID}"
    path = keep_chat(site, dana, ("Draw", drawn), ("A page", PAGE), ("Old", FOLDS))
    call(site, f"/api/v1/chats{path.removeprefix('/c')}/folder", {"folder_id": folder["id"]}, dana.token)
    shared = call(site, f"/api/v1/chats{path.removeprefix('/c')}/share", {}, dana.token)
    archived = keep_chat(site, dana, ("Old", "Long ago"), title="Archived")
    call(site, f"/api/v1/chats{archived.removeprefix('/c')}/archive", {}, dana.token)
    return {"folder": f"/folders/{folder['id']}", "rich": path, "shared": f"/s/{shared['share_id']}"}


def opened(page: Page, button: Any) -> None:
    """What floats above the page or stands beside it, after its button."""
    button.click()
    expect(page.locator("dialog[open], [popover]:popover-open, #panel > *").first).to_be_visible()
    page.wait_for_timeout(300)  # what it asks for itself


@pytest.mark.parametrize(
    ("size", "look"),
    [(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")],
    ids=["desk-light", "desk-dark", "phone-light", "phone-dark"],
)
def test_axe_finds_nothing_in_what_opens(
    browsing: Browsing, dana: Person, more: dict[str, str], size: dict[str, Any], look: Any
) -> None:
    # The page in the answer tries what it must not; axe stumbles over the frame that it is in.
    browsing.allow("Content Security Policy|Refused to|Blocked a frame|sandboxed|preload assets")
    page = browsing.open(dana, **size, color_scheme=look, reduced_motion="reduce")
    found: list[str] = []

    def look_at(path: str, *buttons: Any) -> None:
        for button in (None, *buttons):
            page.goto(browsing.site.url + path)
            if button is not None:
                opened(page, button(page))
            found.extend(faults(page))

    def named(name: str, kind: str = "button") -> Any:
        return lambda page: page.get_by_role(kind, name=name, exact=True).first

    def place(selector: str) -> Any:
        return lambda page: page.locator(selector).first

    look_at("/", place("#models [data-model-open]"), place("[data-controls]"))
    look_at(more["rich"], named("Preview"), place("img[data-zoomable]"), place('[hx-target="#message-menu"]'))
    for path in (more["folder"], more["shared"], "/offline"):
        look_at(path)
    for address in ("/c/find", "/c/archived", "/c/import", f"{more['rich']}/share", f"{more['rich']}/tags"):
        page.goto(browsing.site.url + "/")
        page.evaluate("(url) => htmx.ajax('GET', url, '#dialogs')", address)
        expect(page.locator("dialog[open]")).to_be_visible()
        found.extend(faults(page))
    page.goto(browsing.site.url + "/settings")
    for tab in page.locator("main a[href^='/settings'], main a[href^='#']").all():
        look_at(str(tab.get_attribute("href")) if str(tab.get_attribute("href"))[0] == "/" else "/settings")
    page.goto(browsing.site.url + "/admin/")
    addresses = page.locator("main a[href^='/admin/'], #content a[href^='/admin/']").evaluate_all(
        "(links) => [...new Set(links.map((link) => link.getAttribute('href')))]"
    )
    share = [(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")].index((size, look))
    for address in addresses[share % 2 :: 2]:  # each of them in light or dark, on a desk and on a phone
        if "logout" not in address:
            look_at(address)
    assert sorted(set(found)) == []


def test_axe_finds_nothing_on_the_waiting_page(browsing: Browsing, dana: Person) -> None:
    waiting = account(browsing.site, "Pia Waiting", by=dana)
    user = call(browsing.site, f"/api/v1/users/{waiting.id}", token=dana.token)
    body = {"role": "pending", "name": user["name"], "email": user["email"], "profile_image_url": ""}
    call(browsing.site, f"/api/v1/users/{waiting.id}/update", body, dana.token)
    for look in ("light", "dark"):
        page = browsing.open(account(browsing.site, "Pia Waiting"), **PHONE, color_scheme=look)
        expect(page.get_by_role("heading", name="waits for approval")).to_be_visible()
        assert faults(page) == []


def tab_to(page: Page, name: str) -> None:
    """Presses Tab until the focus is on something of that name, as a person would."""
    for _ in range(60):
        page.keyboard.press("Tab")
        label = page.evaluate(
            "() => document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"
        )
        if re.search(name, label or ""):
            return
    raise AssertionError(f"Tab never reaches {name}")


def test_the_keyboard_is_enough(visit: Visit, dana: Person, pages: dict[str, str]) -> None:
    page = visit(dana)
    page.keyboard.type("Count [[n=300 tps=30]]")
    page.keyboard.press("Enter")
    expect(answer(page)).to_contain_text("t2 ")
    tab_to(page, "Stop the answer")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You stopped this answer.")).to_be_visible()

    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Search titles and messages")).to_be_focused()
    page.keyboard.type("Who is on call")
    expect(page.get_by_role("listbox", name="Chats found").locator(".hit")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(pages["chat"]))
    tab_to(page, "Source 1")
    expect(page.get_by_role("tooltip")).to_contain_text("Rota.txt")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Source 1")).to_be_focused()
    tab_to(page, "Close")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Source 1").first).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Source 1").first).to_be_focused()
