"""A passkey and an authenticator app in a real browser, with Chromium's virtual authenticator."""

from __future__ import annotations

import time
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Page, expect

from owui.config.store import FRESH_FOR
from tests.browser.conftest import MARKS, PASSWORD, Browsing, Person, account, call
from tests.browser.test_accessible import DESK, PHONE, faults

pytestmark = MARKS


@pytest.fixture
def mfa(browsing: Browsing, dana: Person) -> Any:
    """The second factor is on for one story, as an administrator switches it on over REST."""
    call(browsing.site, "/api/v1/auths/admin/config", {"ENABLE_MFA": True}, dana.token)
    # The worker that did not write it reads it again after that long.
    time.sleep(2 * FRESH_FOR)
    yield
    call(browsing.site, "/api/v1/auths/admin/config", {"ENABLE_MFA": False}, dana.token)


def authenticator(page: Page) -> None:
    """A device that knows its owner, as a phone does."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def sign_out(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def sign_in(page: Page, person: Person) -> None:
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def inside(page: Page) -> None:
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()


def test_a_passkey_is_added_and_lets_in_as_second_proof_and_alone(browsing: Browsing, dana: Person, mfa: Any) -> None:
    # A passkey belongs to a name, and browsers take no number for one.
    home = browsing.site.url.replace("127.0.0.1", "localhost")
    browsing.allow("40[01]")
    juno = account(browsing.site, "Juno Passkey", by=dana)
    page = browsing.window().new_page()
    authenticator(page)
    page.goto(f"{home}/auth")
    sign_in(page, juno)
    inside(page)
    page.goto(f"{home}/settings#second-factor")
    page.get_by_label("Name of a new passkey").fill("Juno's laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#passkey-codes code")).to_have_count(10)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("Juno's laptop")).to_be_visible()
    assert faults(page) == []

    sign_out(page, "Juno Passkey")
    sign_in(page, juno)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    inside(page)

    sign_out(page, "Juno Passkey")
    page.get_by_role("button", name="Use a passkey").click()
    inside(page)

    page.goto(f"{home}/settings#second-factor")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove the passkey Juno's laptop").click()
    expect(page.get_by_text("Juno's laptop")).to_have_count(0)
    sign_out(page, "Juno Passkey")
    sign_in(page, juno)
    inside(page)


def test_an_app_is_set_up_by_keyboard_and_asked_for(browsing: Browsing, dana: Person, mfa: Any) -> None:
    browsing.allow("400")
    lee = account(browsing.site, "Lee Codes", by=dana)
    page = browsing.open(lee, "/settings#second-factor", **DESK)
    page.get_by_role("link", name="Set up an app").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="Picture for the authenticator app")).to_be_visible()
    assert faults(page) == []
    page.get_by_text("The picture cannot be scanned").click()
    secret = page.locator(".steps code").inner_text().replace(" ", "")
    page.get_by_label("Code from the app").fill(pyotp.TOTP(secret).at(time.time() - 30))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    assert faults(page) == []
    kept = page.locator(".codes code").first.inner_text()
    page.get_by_role("link", name="I have kept them").click()

    other = browsing.open(path="/auth?next=/settings", **PHONE, color_scheme="dark")
    sign_in(other, lee)
    expect(other.get_by_label("Code")).to_be_focused()
    assert faults(other) == []
    other.get_by_label("Code").fill("000000")
    other.keyboard.press("Enter")
    expect(other.locator(".errorlist").first).to_contain_text("not right")
    other.get_by_label("Code").fill(kept)
    other.keyboard.press("Enter")
    expect(other.get_by_role("heading", name="Settings", level=1)).to_be_visible()
    expect(other.get_by_text("9 left")).to_be_visible()
    assert faults(other) == []
