"""Sign-in with a real OpenID provider through a real browser; out there, out here."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.browser.conftest import MARKS, Browsing, Person, ask, call, open_model
from tests.ports import free_ports
from tests.processes.server import Site, until
from tests.real.servers import Real, needs

pytestmark = [*MARKS, needs("oidc")]


class OidcSite(Site):
    """A site of its own, set up for a provider of its own."""

    control: httpx.Client

    def __enter__(self) -> OidcSite:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


@pytest.fixture(scope="module")
def site() -> Iterator[OidcSite]:
    port = free_ports(1)
    issuer = f"http://127.0.0.1:{port}"
    env = {
        "OPENID_PROVIDER_URL": f"{issuer}/.well-known/openid-configuration",
        "OAUTH_CLIENT_ID": "ai-assistant",
        "OAUTH_CLIENT_SECRET": "ai-assistant-secret",
        "OAUTH_SCOPES": "openid email profile groups",
        "OAUTH_GROUP_CLAIM": "groups",
        "OAUTH_PROVIDER_NAME": "Meridian",
        "ENABLE_OAUTH_GROUP_MANAGEMENT": "True",
        "ENABLE_OAUTH_GROUP_CREATION": "True",
        "ENABLE_OAUTH_ROLE_MANAGEMENT": "True",
        "ENABLE_OAUTH_SIGNUP": "True",
        "ENABLE_OAUTH_BACKCHANNEL_LOGOUT": "True",
        "ENABLE_API_KEYS": "True",
        "USER_PERMISSIONS_FEATURES_API_KEYS": "True",
    }
    with Real() as real, OidcSite(workers=2, env=env) as running:
        real.start(
            "oidc", "--redirect", f"{running.url}/oauth/oidc/callback", "--post-logout", f"{running.url}/auth",
            "--backchannel", f"{running.url}/oauth/backchannel-logout", port=port,
        )  # fmt: skip
        with httpx.Client(base_url=f"{issuer}/control/", timeout=20) as control:
            running.control = control
            yield running


@pytest.fixture(scope="module")
def dana(site: OidcSite) -> Person:
    person = Person("Dana Reyes", "dana@example.org", site.token)
    open_model(site, "fake-small", person)  # type: ignore[arg-type]
    return person


def sign_in(page: Any, uid: str) -> None:
    page.get_by_role("link", name="Continue with Meridian").click()
    page.get_by_label("User name or e-mail").fill(uid)
    page.get_by_label("Password").fill(f"Test-{uid}-1")
    page.get_by_role("button", name="Sign in").click()


def test_a_person_comes_in_by_the_provider_and_is_out_everywhere_when_it_says_so(
    browsing: Browsing, site: OidcSite, dana: Person
) -> None:
    browsing.allow("40[0-9]|WebSocket")
    page = browsing.open(path="/settings")
    sign_in(page, "tbecker")
    page.wait_for_url(f"{site.url}/settings")  # the page that was wanted
    page.goto(site.url)
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()
    found = call(site, "/api/v1/users/?query=tom.becker", token=dana.token)["users"][0]  # type: ignore[arg-type]
    groups = call(site, f"/api/v1/users/{found['id']}/groups", token=dana.token)  # type: ignore[arg-type]
    assert (found["role"], [group["name"] for group in groups]) == ("user", ["research"])

    token = next(c["value"] for c in page.context.cookies() if c["name"] == "token")
    key = call(site, "/api/v1/auths/api_key", {}, token)["api_key"]  # type: ignore[arg-type]
    ask(page, "go [[n=3000 tps=30]]")
    expect(page.locator(".message.assistant").last).to_contain_text("t5")
    headers = {"cookie": f"token={token}"}
    with connect(site.socket_url, additional_headers=headers, origin=site.url, proxy=None) as socket:  # type: ignore[arg-type]
        told = site.control.post("sign-out/tbecker").json()
        began = time.monotonic()
        assert [entry["ok"] for entry in told] == [True]
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket.recv(timeout=20)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
        waited = time.monotonic() - began
        print(f"the socket closed {waited:.2f} s after the provider's call")
        assert waited < 10, "within a second on a machine with nothing else to do"
    for bearer in (token, key):
        with site.program(bearer) as program:
            assert program.get("/api/v1/users/user/settings").status_code == 401
    until(lambda: not site.rows("SELECT 1 FROM chat_turn WHERE state = 'running'"), 20, "the end of the answer")
    page.goto(f"{site.url}/settings")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_signing_out_here_signs_out_there_and_a_transfer_counts_at_the_next_sign_in(
    browsing: Browsing, site: OidcSite, dana: Person
) -> None:
    browsing.allow("40[0-9]")
    page = browsing.open()
    sign_in(page, "yliu")
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()
    page.get_by_role("button", name=re.compile("Liu")).click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile(f"{site.url}/auth"))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    site.control.patch("people/yliu", json={"groups": ["quality"]}).raise_for_status()
    sign_in(page, "yliu")  # the provider asks again: its session is over, too
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()
    found = call(site, "/api/v1/users/?query=liu", token=dana.token)["users"][0]  # type: ignore[arg-type]
    groups = call(site, f"/api/v1/users/{found['id']}/groups", token=dana.token)  # type: ignore[arg-type]
    assert [group["name"] for group in groups] == ["quality"]

    site.control.patch("people/cdubois", json={"disabled": True}).raise_for_status()
    other = browsing.open()
    sign_in(other, "cdubois")
    expect(other.get_by_role("alert")).to_contain_text("disabled")
