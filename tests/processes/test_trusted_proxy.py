"""A real nginx signs people in and says who they are; nobody else is believed."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from tests.ports import free_ports
from tests.processes.server import Site
from tests.real.servers import Real, RealServer, needs

pytestmark = [pytest.mark.process, needs("nginx")]
SPOOFED = {
    "x-forwarded-email": "ada.marsh@meridian.test", "x-forwarded-name": "Ada", "x-forwarded-user": "aadmin",
    "x-forwarded-for": "127.0.0.1",
}  # fmt: skip


@dataclass
class Proxied:
    site: Site
    nginx: RealServer
    trusted_port: int

    def client(self, uid: str = "", *, port: int = 0, **headers: str) -> httpx.Client:
        """A browser at the authenticating proxy, or at its plain port."""
        port = port or self.trusted_port
        csrf, url = "c" * 32, f"https://localhost:{port}"
        return httpx.Client(
            base_url=url,
            verify=ssl.create_default_context(cafile=str(self.nginx.ca)),
            auth=(uid, f"Test-{uid}-1") if uid else None,
            cookies={"csrftoken": csrf},
            headers={"origin": url, "sec-fetch-site": "same-origin", "x-csrftoken": csrf, **headers},
            timeout=60,
        )

    def direct(self, address: str, **headers: str) -> httpx.Client:
        """Past the proxy, from an address of this machine."""
        transport = httpx.HTTPTransport(local_address=address)
        return httpx.Client(base_url=self.site.url, transport=transport, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def proxied() -> Iterator[Proxied]:
    site = Site(
        env={
            "WEBUI_AUTH_TRUSTED_EMAIL_HEADER": "X-Forwarded-Email",
            "WEBUI_AUTH_TRUSTED_NAME_HEADER": "X-Forwarded-Name",
            "WEBUI_AUTH_TRUSTED_GROUPS_HEADER": "X-Forwarded-Groups",
            "WEBUI_AUTH_TRUSTED_ROLE_HEADER": "X-Proxy-Role",
            "TRUSTED_PROXY_CIDRS": "127.0.0.1/32",
            "WEBUI_AUTH_SIGNOUT_REDIRECT_URL": "https://sso.meridian.test/bye",
            # The field's default, with which X-Forwarded-For is believed of everybody.
            "FORWARDED_ALLOW_IPS": "*",
            "DEFAULT_USER_ROLE": "user",
        }
    )
    try:
        with Real() as real:
            port = free_ports(1)
            nginx = real.start(
                "nginx", site.port, env={"TRUSTED_PORT": str(port), "SIGNIN_RATE": "600r/m", "SIGNIN_BURST": "50"}
            )
            yield Proxied(site, nginx, port)
    finally:
        site.stop()


def open_page(client: httpx.Client, path: str = "/") -> httpx.Response:
    return client.get(path, follow_redirects=True, headers={"accept": "text/html"})


def test_opening_a_page_signs_in_whom_the_proxy_names(proxied):
    with proxied.client("aadmin") as browser:
        page = open_page(browser, "/settings")
        assert page.status_code == 200 and page.url.path == "/settings" and "Ada Marsh" in page.text
        body = browser.get("/api/v1/auths/").json()
        assert body["email"] == "ada.marsh@meridian.test" and body["role"] == "admin", "the first one"
        assert browser.cookies["token"]
    with proxied.client("slindqvist") as other:
        body = other.post("/api/v1/auths/signin", json={"email": "", "password": ""}).json()
        assert body["name"] == "Zoë Ångström-Lindqvist" and body["role"] == "user"
        assert body["email"] == "zoe.lindqvist@meridian.test"
    rows = proxied.site.rows("SELECT DISTINCT auth_method FROM accounts_session")
    assert rows == [("trusted_header",)]


def test_groups_come_from_the_proxy_and_are_never_made(proxied):
    with proxied.client("aadmin") as browser:
        browser.post("/api/v1/auths/signin", json={"email": "", "password": ""})
        assert browser.post("/api/v1/groups/create", json={"name": "research"}).status_code == 200
    with proxied.client("yliu") as browser:
        browser.post("/api/v1/auths/signin", json={"email": "", "password": ""})
        names = [group["name"] for group in browser.get("/api/v1/users/groups").json()]
    assert names == ["research"]
    assert proxied.site.rows("SELECT source FROM rbac_membership") == [("header",)]
    assert proxied.site.rows("SELECT count(*) FROM rbac_group") == [(1,)]


def test_a_client_cannot_say_who_it_is(proxied):
    with proxied.client(port=proxied.nginx.port, **SPOOFED) as browser:  # the proxy's plain port drops the headers
        refused = browser.post("/api/v1/auths/signin", json={"email": "", "password": ""})
        assert refused.status_code == 400 and "trusted header" in refused.json()["detail"]
        page = open_page(browser)
        assert "has not said who you are" in page.text and "token" not in browser.cookies
    with proxied.client("tbecker", **SPOOFED) as browser:  # the trusted port overwrites them
        body = browser.post("/api/v1/auths/signin", json={"email": "", "password": ""}).json()
        assert body["email"] == "tom.becker@meridian.test" and body["role"] == "user"


@pytest.mark.parametrize(("address", "status"), [("127.0.0.2", 400), ("127.0.0.1", 200)])
def test_past_the_proxy_only_its_own_address_is_believed(proxied, address, status):
    with proxied.direct(address, **SPOOFED) as program:
        answer = program.post("/api/v1/auths/signin", json={"email": "", "password": ""})
        assert answer.status_code == status, answer.text
        if status == 400:
            page = open_page(program)
            assert "has not said who you are" in page.text and "token" not in program.cookies


def test_the_role_that_the_proxy_says_holds_from_the_next_sign_in_on(proxied):
    for role, expected in (("pending", "pending"), ("admin", "admin"), ("king", "admin"), ("user", "user")):
        headers = {"x-forwarded-email": "kenji.watanabe@meridian.test", "x-proxy-role": role}
        with proxied.direct("127.0.0.1", **headers) as program:
            body = program.post("/api/v1/auths/signin", json={"email": "", "password": ""}).json()
        assert body["role"] == expected


def test_a_session_is_worth_nothing_to_whom_the_proxy_calls_somebody_else(proxied):
    with proxied.client("rpatel") as browser:
        browser.post("/api/v1/auths/signin", json={"email": "", "password": ""})
        cookie = browser.cookies["token"]
        assert browser.get("/api/v1/auths/").json()["email"] == "raj.patel@meridian.test"
    with proxied.client("tbecker") as other:
        other.cookies.set("token", cookie, domain="localhost.local")
        for headers in ({"cookie": f"token={cookie}"}, {"authorization": f"Bearer {cookie}"}):
            with proxied.direct("127.0.0.1", **headers, **{"x-forwarded-email": "tom.becker@meridian.test"}) as program:
                answer = program.get("/api/v1/auths/")
                assert answer.status_code == 401 and "User mismatch" in answer.text
        page = open_page(other, "/settings")
        assert "Tom Becker" in page.text and "Raj Patel" not in page.text


async def test_sockets_work_through_the_proxy_and_follow_the_same_rule(proxied):
    with proxied.client("akoch") as browser:
        browser.post("/api/v1/auths/signin", json={"email": "", "password": ""})
        token = browser.cookies["token"]
    trust = ssl.create_default_context(cafile=str(proxied.nginx.ca))

    async def attach(uid: str) -> Any:
        import base64

        basic = base64.b64encode(f"{uid}:Test-{uid}-1".encode()).decode()
        url = f"wss://localhost:{proxied.trusted_port}/ws/chat"
        headers = {"authorization": f"Basic {basic}", "cookie": f"token={token}"}
        origin: Any = f"https://localhost:{proxied.trusted_port}"
        async with websockets.connect(url, ssl=trust, additional_headers=headers, origin=origin) as socket:
            try:
                await socket.send(json.dumps({"type": "ping"}))
                await socket.recv()
            except ConnectionClosed as closed:
                assert closed.rcvd is not None
                return closed.rcvd.code
            return 0

    assert await attach("akoch") == 0
    assert await attach("tbecker") == 4401


def test_signing_out_leads_to_the_organisations_page(proxied):
    with proxied.client("akoch") as browser:
        browser.post("/api/v1/auths/signin", json={"email": "", "password": ""})
        page = browser.post("/auth/signout", headers={"referer": f"{browser.base_url}/"})
        assert page.status_code == 302 and page.headers["location"] == "https://sso.meridian.test/bye"
        assert "form-action 'self' https://sso.meridian.test" in page.headers["content-security-policy"]
        browser.post("/api/v1/auths/signin", json={"email": "", "password": ""})
        assert browser.post("/api/v1/auths/signout").json() == {
            "status": True, "redirect_url": "https://sso.meridian.test/bye",
        }  # fmt: skip
        assert "Continue as Anneliese Koch" in browser.get("/auth/header?signed_out=1").text


@pytest.mark.browser
def test_in_a_browser_the_proxys_sign_in_is_the_only_one(proxied):
    from playwright.sync_api import expect

    from tests.browser.conftest import launch

    with launch() as chromium:
        context = chromium.new_context(
            ignore_https_errors=True, http_credentials={"username": "cdubois", "password": "Test-cdubois-1"}
        )
        context.route("https://sso.meridian.test/**", lambda route: route.fulfill(body="Goodbye"))
        page = context.new_page()
        page.goto(f"https://localhost:{proxied.trusted_port}/settings")
        expect(page.locator("input[name=name]")).to_have_value("Claire Dubois")
        # The form's answer leads to another site, which the page's own policy must allow.
        page.locator('form[action="/auth/signout"]').first.evaluate("form => form.requestSubmit()")
        expect(page.locator("body")).to_have_text("Goodbye")
        page.goto(f"https://localhost:{proxied.trusted_port}/auth/header?signed_out=1")
        page.get_by_role("link", name="Continue as Claire Dubois").click()
        page.wait_for_url(f"https://localhost:{proxied.trusted_port}/")
        context.close()
