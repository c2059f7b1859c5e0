"""Choosing models: search, tags, pins, the choice of new chats, several at once, and a model that is lost."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, account, ask, call, open_model, wait_finished
from tests.browser.test_accessible import faults

pytestmark = MARKS
Visit = Callable[..., Page]
EVERYONE = [{"principal_type": "user", "principal_id": "*", "permission": "read"}]


@pytest.fixture(scope="module")
def kim(site: object, dana: Person) -> Person:
    """Somebody with a few models to choose from."""
    open_model(site, "fake-large", dana)  # type: ignore[arg-type]
    body = {
        "id": "house-writer",
        "name": "House writer",
        "base_model_id": "fake-small",
        "meta": {"description": "Knows the style guide of the house.", "tags": [{"name": "Writing"}]},
        "params": {},
        "access_grants": EVERYONE,
    }
    call(site, "/api/v1/models/create", body, dana.token)  # type: ignore[arg-type]
    call(site, "/api/v1/models/create", {**body, "id": "secret", "name": "Out of sight", "meta": {"hidden": True}},
         dana.token)  # type: ignore[arg-type]  # fmt: skip
    return account(site, "Kim Novak", by=dana)  # type: ignore[arg-type]


def test_search_tags_pins_and_the_choice_of_new_chats(visit: Visit, kim: Person) -> None:
    page = visit(kim)
    opener = page.locator("#models [data-model-open]").first
    page.get_by_role("textbox", name="Message", exact=True).press("Control+Shift+M")
    menu = page.get_by_role("dialog", name="Choose a model")
    expect(menu.get_by_role("searchbox")).to_be_focused()
    expect(menu).to_contain_text("Knows the style guide of the house.")
    expect(menu).not_to_contain_text("Out of sight")
    page.keyboard.type("style")
    expect(menu.locator(".model-row:visible")).to_have_count(1)
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    menu.get_by_role("button", name="Writing", exact=True).click()
    expect(menu.locator(".model-row:visible")).to_have_count(1)
    menu.get_by_role("button", name="Pin House writer on top").click()
    expect(menu.get_by_role("button", name="Unpin House writer")).to_be_focused()
    menu.get_by_role("button", name="Writing", exact=True).click()
    expect(menu.locator(".model-choice").first).to_contain_text("House writer")
    menu.get_by_role("searchbox").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(menu).to_be_hidden()
    expect(opener).to_contain_text("House writer")
    opener.click()
    with page.expect_response("**/c/models/default"):
        menu.get_by_role("button", name="Begin new chats with this choice").click()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    page.reload()
    expect(opener).to_contain_text("House writer")


def test_pinned_models_stand_in_the_sidebar_and_begin_chats(browsing: Browsing, kim: Person, dana: Person) -> None:
    person = account(browsing.site, "Runa Berg", by=dana)
    open_model(browsing.site, "fake-large", dana)
    page = browsing.open(person)
    other = page.context.new_page()
    other.goto(f"{browsing.site.url}/workspace/knowledge/")
    pinned, there = (one.get_by_role("navigation", name="Pinned models") for one in (page, other))
    expect(pinned).to_have_count(0)
    for one in (page, other):
        one.wait_for_load_state()
    page.locator("#models [data-model-open]").first.click()
    menu = page.get_by_role("dialog", name="Choose a model")
    for name in ("House writer", "fake-large"):
        menu.get_by_role("button", name=f"Pin {name} on top").click()
        expect(menu.get_by_role("button", name=f"Unpin {name}")).to_be_visible()
    expect(pinned.get_by_role("link")).to_have_text(["House writer", "fake-large"])
    expect(there.get_by_role("link")).to_have_text(["House writer", "fake-large"])
    other.reload()
    there.get_by_role("link", name="House writer").click()
    expect(other.locator("#models [data-model-open]").first).to_contain_text("House writer")
    assert faults(other) == []
    call(browsing.site, "/api/v1/models/model/access/update", {"id": "house-writer", "access_grants": []}, dana.token)
    other.goto(f"{browsing.site.url}/settings")
    expect(there.get_by_role("link")).to_have_text(["fake-large"])
    page.keyboard.press("Escape")
    page.locator("#models [data-model-open]").first.click()
    menu.get_by_role("button", name="Unpin fake-large").click()
    expect(there).to_have_count(0)
    expect(pinned).to_have_count(0)
    grant = {"id": "house-writer", "access_grants": EVERYONE}
    call(browsing.site, "/api/v1/models/model/access/update", grant, dana.token)


def test_a_lost_model_is_said_and_the_text_stays(browsing: Browsing, kim: Person, dana: Person) -> None:
    open_model(browsing.site, "fake-large", dana)
    page = browsing.open(kim, "/?model=fake-large")
    ask(page, "Hello [[n=3]]")
    wait_finished(page)
    call(browsing.site, "/api/v1/models/model/access/update", {"id": "fake-large", "access_grants": []}, dana.token)
    browsing.allow("404")
    ask(page, "And more [[n=3]]")
    expect(page.get_by_role("button", name="Choose another model")).to_be_visible()
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_have_value("And more [[n=3]]")
    page.reload()
    expect(page.get_by_text("The model “fake-large” is not available to you any more.")).to_be_visible()
    page.get_by_role("button", name="Choose another model").click()
    page.get_by_role("dialog", name="Choose a model").get_by_role("button", name=re.compile("^fake-small")).click()
    page.keyboard.press("Enter")
    expect(page.locator(".message")).to_have_count(4)
    wait_finished(page)
    call(browsing.site, "/api/v1/models/model/access/update", {"id": "fake-large", "access_grants": EVERYONE},
         dana.token)  # fmt: skip
