"""A person's browser between our site and a provider, without a real browser: Django's client here, httpx there."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
from django.test import Client

HOST = "http://testserver"
CALLBACK = f"{HOST}/oauth/oidc/callback"
CLIENT, SECRET = "ai-assistant", "ai-assistant-secret"


def variables(issuer: str) -> dict[str, str]:
    """The seed's values, unmodified but for address and client, and sign-up on."""
    return {
        "OPENID_PROVIDER_URL": f"{issuer}/.well-known/openid-configuration",
        "OAUTH_CLIENT_ID": CLIENT,
        "OAUTH_CLIENT_SECRET": SECRET,
        "OAUTH_SCOPES": "openid email profile groups",
        "OAUTH_GROUP_CLAIM": "groups",
        "ENABLE_OAUTH_GROUP_MANAGEMENT": "True",
        "ENABLE_OAUTH_GROUP_CREATION": "True",
        "ENABLE_OAUTH_ROLE_MANAGEMENT": "True",
        "ENABLE_OAUTH_SIGNUP": "True",
    }


def walk(browser: httpx.Client, url: str, stop: str) -> tuple[httpx.Response | None, str]:
    """Follows redirects until one leads to `stop`, or to the page reached instead."""
    while True:
        reply = browser.get(url)
        if not reply.is_redirect:
            return reply, ""
        url = urljoin(url, reply.headers["location"])
        if url.startswith(stop):
            return None, url


def at_provider(browser: httpx.Client, start: str, uid: str, stop: str = HOST) -> str:
    """Signs in at the real provider; gives the address that it sends the browser back to."""
    page, back = walk(browser, start, stop)
    if page is None:
        return back  # there was a session
    action = re.search(r'action="([^"]+)"', page.text)
    assert action, page.text
    reply = browser.post(urljoin(str(page.url), action[1]), data={"login": uid, "password": f"Test-{uid}-1"})
    if not reply.is_redirect:
        raise PermissionError(f"{reply.status_code}: {reply.text}")
    return walk(browser, urljoin(str(reply.url), reply.headers["location"]), stop)[1]


class Person:
    """One person's browser."""

    def __init__(self, uid: str = "", provider: str = "oidc") -> None:
        self.uid, self.provider = uid, provider
        self.here = Client(headers={"sec-fetch-site": "same-origin"})
        self.there = httpx.Client()

    def begin(self, query: str = "") -> str:
        """Where our button leads."""
        reply = self.here.get(f"/oauth/{self.provider}/login{query}")
        assert reply.status_code == 302, reply.content
        return str(reply["location"])

    def back(self, url: str) -> Any:
        """Opens the address that the provider gave."""
        parts = urlsplit(url)
        return self.here.get(f"{parts.path}?{parts.query}")

    def sign_in(self, query: str = "") -> Any:
        """All of it; the answer of our callback."""
        return self.back(at_provider(self.there, self.begin(query), self.uid))

    def close(self) -> None:
        self.there.close()


class Visit:
    """A browser that has begun a sign-in."""

    def __init__(self, provider: str = "oidc", query: str = "") -> None:
        self.client, self.provider = Client(), provider
        self.start = self.client.get(f"/oauth/{provider}/login{query}")
        self.sent = dict(parse_qsl(urlsplit(self.start["location"]).query))

    def back(self, **changes: str) -> Any:
        query = {"state": self.sent.get("state", ""), "code": f"{self.sent.get('nonce', '')}.x"} | changes
        return self.client.get(f"/oauth/{self.provider}/callback", {k: v for k, v in query.items() if v})


def reason(reply: Any) -> str:
    """The code with which a sign-in was refused; empty when it was not."""
    assert reply.status_code == 302, reply.content
    return dict(parse_qsl(urlsplit(reply["location"]).query)).get("error", "")
