"""A site for all stories, a browser, and people in it. What a page complains about fails the test."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.site import BrowserSite

HERE = Path(__file__).parent
PASSWORD = "correct horse battery"
FLAGS = (
    *("--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
expect.set_options(timeout=25_000)


# One site for all stories: `tests/plugin.py` gives them to one process of xdist.
MARKS = [pytest.mark.process, pytest.mark.browser]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The newcomer's story needs an empty site, so it comes first."""
    ours = sorted((i for i in items if HERE in i.path.parents), key=lambda item: "test_newcomer" not in item.nodeid)
    places = iter(ours)
    items[:] = [next(places) if HERE in item.path.parents else item for item in items]


@pytest.fixture(autouse=True)
def _clean_start() -> None:
    """The settings of the test process matter to nobody here."""


@contextlib.contextmanager
def launch() -> Iterator[Browser]:
    """Debian's Chromium, or the one that Playwright brought."""
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as play:
        path = shutil.which("chromium")
        chromium = play.chromium.launch(executable_path=path, args=flags)
        try:
            yield chromium
        finally:
            chromium.close()


@pytest.fixture(scope="package")
def site() -> Iterator[BrowserSite]:
    with BrowserSite() as running:
        yield running


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    # Ends with this package: Playwright's loop must not be in the way of asynchronous tests that follow.
    with launch() as browser:
        yield browser


@dataclass
class Person:
    name: str
    email: str
    token: str = ""
    id: str = ""


def call(site: BrowserSite, path: str, body: Any = None, token: str = "") -> Any:
    """One REST call: for what a story needs and is not about."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(site.url + path, data, headers), timeout=30) as response:
        return json.load(response)


def account(site: BrowserSite, name: str, *, by: Person | None = None) -> Person:
    """Signs a person in; makes the account, through the administrator, where there is none."""
    email = f"{name.split()[0].lower()}@example.org"
    try:
        found = call(site, "/api/v1/auths/signin", {"email": email, "password": PASSWORD})
    except urllib.error.HTTPError as error:
        error.close()
        body = {"name": name, "email": email, "password": PASSWORD}
        if by is None:
            found = call(site, "/api/v1/auths/signup", body)
        else:
            found = call(site, "/api/v1/auths/add", {**body, "role": "user"}, by.token)
    assert found["name"] == name, f"another story calls {email} {found['name']}: take another first name"
    return Person(name, email, found["token"], found["id"])


def open_model(site: BrowserSite, model: str, by: Person) -> None:
    """Makes a model readable for everyone."""
    everyone = [{"principal_type": "user", "principal_id": "*", "permission": "read"}]
    body = {"id": model, "name": model, "meta": {}, "params": {}, "base_model_id": None, "access_grants": everyone}
    with contextlib.suppress(urllib.error.HTTPError):
        call(site, "/api/v1/models/create", body, by.token)


@pytest.fixture(scope="package")
def dana(site: BrowserSite) -> Person:
    """The administrator."""
    person = account(site, "Dana Reyes")
    open_model(site, "fake-small", person)
    return person


@pytest.fixture(scope="package")
def alice(site: BrowserSite, dana: Person) -> Person:
    return account(site, "Alice Meyer", by=dana)


@pytest.fixture(scope="package")
def bob(site: BrowserSite, dana: Person) -> Person:
    return account(site, "Bob Lindqvist", by=dana)


@pytest.fixture(scope="package")
def mallory(site: BrowserSite, dana: Person) -> Person:
    return account(site, "Mallory Stone", by=dana)


@dataclass
class Browsing:
    """Opens windows and remembers what their pages complained about."""

    site: BrowserSite
    chromium: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=lambda: ["Service Worker registration blocked by Playwright"])

    def window(self, person: Person | None = None, **options: Any) -> BrowserContext:
        """A browser of its own, signed in as somebody."""
        options.setdefault("service_workers", "block")  # what they fetch would be seen by no story
        options.setdefault("viewport", {"width": 1280, "height": 800})
        context = self.chromium.new_context(locale="en-GB", timezone_id="Europe/Berlin", **options)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=self.site.url)
        if person is not None:
            context.add_cookies([{"name": "token", "value": person.token, "url": self.site.url, "httpOnly": True}])
        context.set_default_timeout(25_000)
        context.on("page", self._watch)
        self.contexts.append(context)
        return context

    def open(self, person: Person | None = None, path: str = "/", **options: Any) -> Page:
        page = self.window(person, **options).new_page()
        page.goto(self.site.url + path)
        return page

    def allow(self, pattern: str) -> None:
        """This story makes the browser complain on purpose."""
        self.allowed.append(pattern)

    def _watch(self, page: Page) -> None:
        page.on("console", lambda m: self.complaints.append(f"{m.type}: {m.text} ({m.location.get('url')})"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("response", lambda r: self.complaints.append(f"error: {r.status} {r.url}") if r.status >= 400 else None)

    def check(self) -> None:
        found = [c for c in self.complaints if c.startswith(("error", "warning"))]
        assert [c for c in found if not any(re.search(pattern, c) for pattern in self.allowed)] == []

    def close(self) -> None:
        for context in self.contexts:
            context.close()


@pytest.fixture
def browsing(site: BrowserSite, chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Browsing]:
    opened = Browsing(site, chromium)
    try:
        yield opened
        opened.check()
    finally:
        opened.close()


@pytest.fixture
def visit(browsing: Browsing) -> Callable[..., Page]:
    """`visit(alice, "/settings")`: a page in a window of its own; `visit()` is a stranger."""
    return browsing.open


def ask(page: Page, text: str) -> None:
    page.wait_for_load_state()  # on a busy machine the keys would else come before the script that hears them
    page.get_by_role("textbox", name="Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def choose_model(page: Page, name: str) -> None:
    """Takes another model for what is asked next."""
    page.locator("#models [data-model-open]").first.click()
    page.locator("#model-list").get_by_role("button", name=name, exact=True).click()


def answer(page: Page) -> Any:
    """The last answer's text."""
    return page.locator(".message.assistant").last.locator("> .prose")


def wait_finished(page: Page) -> None:
    expect(page.locator(".message.assistant").last).not_to_have_attribute("data-turn", re.compile("."))
    expect(page.locator("#composer .send")).to_be_visible()
