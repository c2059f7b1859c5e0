"""One's own key, look and password."""

from __future__ import annotations

import urllib.error

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MARKS, PASSWORD, Browsing, Person, account, call

pytestmark = MARKS


def test_key_theme_password_and_the_way_out(browsing: Browsing, dana: Person) -> None:
    site = browsing.site
    sam = account(site, "Sam Fields", by=dana)
    page = browsing.open(sam)
    page.get_by_role("button", name="Sam Fields").click()
    page.get_by_role("link", name="Settings").click()

    form = page.get_by_role("form", name="New API key")
    form.get_by_label("Name").fill("Weekly report")
    form.get_by_text("Limits").click()
    page.get_by_label("Only from these addresses").fill("the office")
    browsing.allow("422")
    page.get_by_role("button", name="Create key").click()
    expect(page.locator("#api-keys .errorlist")).to_contain_text("the office")
    page.get_by_label("Only from these addresses").fill("127.0.0.0/8")
    page.get_by_label("Only these models").fill("fake-small")
    page.get_by_role("button", name="Create key").click()
    key = page.locator("#api-key-value").inner_text()
    assert call(site, "/api/v1/auths/", token=key)["email"] == sam.email
    assert [model["id"] for model in call(site, "/api/models", token=key)["data"]] == ["fake-small"]
    page.locator("#api-keys").get_by_role("button", name="Copy").click()
    assert page.evaluate("() => navigator.clipboard.readText()") == key
    page.reload()
    expect(page.locator("#api-key-value")).to_have_count(0)
    row = page.get_by_role("row", name="Weekly report")
    expect(row).to_contain_text(f"sk-…{key[-4:]}")
    # The page scrolls inside the window, which does not scroll besides.
    assert page.evaluate("() => document.scrollingElement.scrollHeight <= innerHeight")
    expect(row).to_contain_text("Models: fake-small")
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    page.get_by_role("button", name="Delete the key Weekly report").click()
    expect(row).to_have_count(0)
    assert "Weekly report" in asked[0]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        call(site, "/api/v1/auths/", token=key)

    with page.expect_response("**/settings/theme"):
        page.get_by_text("Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto(site.url)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("() => matchMedia('(prefers-color-scheme: light)').matches")

    page.goto(f"{site.url}/settings")
    browsing.allow("40[0-9]")
    page.get_by_label("Current password").fill("wrong")
    page.get_by_label("New password").fill("another long password")
    page.get_by_role("button", name="Change password").click()
    expect(page.locator(".errorlist")).to_be_visible()
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill("another long password")
    page.get_by_role("button", name="Change password").click()
    expect(page.locator(".errorlist")).to_have_count(0)

    page.get_by_role("button", name="Sam Fields").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("E-mail").fill(sam.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill("another long password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()


def test_an_administrator_tries_a_model_in_the_playground(browsing: Browsing, dana: Person) -> None:
    page = browsing.open(dana)
    page.get_by_role("button", name="Dana Reyes").click()
    page.get_by_role("link", name="Playground").click()
    page.get_by_label("Model").select_option("fake-small")
    page.get_by_role("listitem").get_by_label("Text").last.fill("Say hello [[n=5]]")
    page.locator("summary", has_text="Parameters").click()
    page.get_by_role("spinbutton", name="Temperature").fill("0.3")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#playground-answer")).to_contain_text("t5")
    expect(page.locator("#playground-sent")).to_contain_text('"temperature": 0.3')
    page.get_by_role("button", name="Add to the messages").click()
    expect(page.locator("#playground-messages li")).to_have_count(4)
