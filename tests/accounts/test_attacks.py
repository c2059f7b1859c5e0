"""The table of attacks on sessions, forms and sockets: each refused."""

from __future__ import annotations

import base64
import json
import re
import uuid
from itertools import product, zip_longest
from typing import Any

import jwt
import pytest
from asgiref.sync import sync_to_async
from django.contrib import admin
from django.test import Client
from django.urls import Resolver404, get_resolver
from django.utils import timezone

from accounts import services, tokens
from owui import env
from owui.sockets import FOREIGN_ORIGIN
from tests.access import routes
from tests.access.test_sockets import HOST, knock
from tests.conftest import Api, token_for
from tests.factories.accounts import UserFactory

ME = "/api/v1/auths/"
EVIL = "https://evil.example"


# ------------------------------------------------------------------------------------------------------ session tokens
def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged(good: str, key: str) -> dict[str, str]:
    """Tokens that somebody makes who has one, or knows everything but the key."""
    header, payload, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    later = claims | {"exp": claims["exp"] + 10_000}
    plain = {"typ": "JWT"}

    def signed(changes: dict[str, Any], with_key: str = key, **more: Any) -> str:
        kept = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(kept, with_key, algorithm=more.pop("algorithm", "HS256"), headers=more or None)

    return {
        "unsigned": f"{header}.{payload}.",
        "alg none": f"{part(plain | {'alg': 'none'})}.{payload}.",
        "alg None": f"{part(plain | {'alg': 'None'})}.{payload}.{signature}",
        "alg missing": f"{part(plain)}.{payload}.{signature}",
        "alg of another strength": signed({}, key * 2, algorithm="HS512"),
        "alg of a public key": f"{part(plain | {'alg': 'RS256'})}.{payload}.{signature}",
        "tampered payload": f"{header}.{part(later)}.{signature}",
        "tampered header": f"{part(plain | {'alg': 'HS256', 'x': 1})}.{payload}.{signature}",
        "another key": signed({}, "k" * 40),
        "an empty key": signed({}, "\0" * 32),
        "kid of a file": signed({}, "k" * 40, kid="../../../dev/null"),
        "kid of a query": signed({}, "k" * 40, kid="x' UNION SELECT 'kkkk"),
        "key brought along": signed({}, "k" * 40, jwk={"kty": "oct", "k": "a2tra2trawo"}),
        "key to be fetched": signed({}, "k" * 40, jku=f"{EVIL}/jwks.json", x5u=f"{EVIL}/cert.pem"),
        "critical extension": signed({}, crit=["b64"], b64=False),
        "expired": signed({"exp": int(timezone.now().timestamp()) - 5}),
        "not yet": signed({"nbf": int(timezone.now().timestamp()) + 3600}),
        "no jti": signed({"jti": None}),
        "jti of nobody": signed({"jti": str(uuid.uuid4())}),
        "jti that is none": signed({"jti": "1 OR 1=1"}),
        "jti of another type": signed({"jti": {"$ne": None}}),
        "no stamp": signed({"session_stamp": None}),
        "another stamp": signed({"session_stamp": str(uuid.uuid4())}),
        "no owner": signed({"id": None}),
        "another kind": signed({"typ": "challenge"}),
        "two tokens": f"{good}.{good}",
        "nothing": "..",
    }


def test_forged_tokens_are_refused_everywhere(alice: Any, dana: Any, settings: Any, client_for: Any) -> None:
    good, _session = tokens.issue(alice, auth_method="password")
    assert Api(good).get(ME).status_code == 200
    table = forged(good, settings.SECRET_KEY)
    claims = jwt.decode(good, options={"verify_signature": False})
    table["somebody else's id"] = jwt.encode(claims | {"id": str(dana.pk)}, settings.SECRET_KEY, algorithm="HS256")
    browser = client_for()
    let_in = []
    for name, token in table.items():
        browser.cookies["token"] = token
        if Api(token).get(ME).status_code != 401 or browser.get("/settings").status_code != 302:
            let_in.append(name)
    assert not let_in
    assert Api(good).get(ME).status_code == 200


def test_the_token_says_what_the_fields_clients_read_and_nothing_secret(alice: Any, settings: Any) -> None:
    token, session = tokens.issue(alice, auth_method="ldap")
    claims = jwt.decode(token, settings.SECRET_KEY, algorithms=["HS256"])
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    assert claims.keys() >= {"id", "jti", "iat", "exp", "typ", "auth_method", "auth_time", "session_stamp"}
    assert (claims["id"], claims["jti"]) == (str(alice.pk), str(session.pk))
    assert (claims["typ"], claims["auth_method"]) == ("session", "ldap")
    assert "role" not in claims and alice.email not in json.dumps(claims)
    answer = Api(token).get(ME).json()
    assert answer["expires_at"] == claims["exp"] == int(session.expires_at.timestamp())


def test_a_dead_token_takes_its_cookies_along(alice: Any, client_for: Any) -> None:
    for path in ("/settings", ME):
        browser = client_for(alice)
        browser.cookies["oauth_id_token"], browser.cookies["oauth_session_id"] = "a", "b"
        services.revoke_sessions(alice, by=alice)
        alice.refresh_from_db()
        answer = browser.get(path)
        assert answer.status_code in (302, 401)
        for name in ("token", "oauth_id_token", "oauth_session_id"):
            assert answer.cookies[name].value == "" and answer.cookies[name]["max-age"] == 0, (path, name)
    # What is good, or is no cookie, takes nothing away.
    browser = client_for(alice)
    browser.cookies["oauth_session_id"] = "b"
    assert not {"token", "oauth_session_id"} & browser.get(ME).cookies.keys()


# ------------------------------------------------------------------------------------------------------------- cookies
SIGN_IN = "/api/v1/auths/signin"


@pytest.mark.parametrize("path", ["/auth", SIGN_IN])
def test_a_session_that_was_put_into_the_browser_before_is_not_taken_over(
    alice: Any, mallory: Any, password: str, path: str
) -> None:
    """Session fixation: whatever the browser holds when somebody signs in, the session is a new one of their own."""
    planted = token_for(mallory)
    browser = Client(headers={"sec-fetch-site": "same-origin"})
    for value in (planted, "a-value-the-attacker-knows"):
        browser.cookies["token"] = value
        browser.get("/auth")
        browser.cookies["token"] = value
        body = {"email": alice.email, "password": password}
        if path == "/auth":
            # Whoever is in already is led on; signing in as somebody else goes by signing out first.
            browser.cookies.pop("token") if value == planted else None
            answer = browser.post(path, body)
        else:
            answer = browser.post(path, body, content_type="application/json")
        fresh = answer.cookies["token"].value
        assert fresh and fresh != value
        assert Api(fresh).get(ME).json()["email"] == alice.email
        csrf = answer.cookies.get("csrftoken")
        assert path != "/auth" or csrf is not None, "the page's form token is a new one too"
    assert Api(planted).get(ME).json()["email"] == mallory.email


def test_the_session_cookie_is_for_the_server_alone(alice: Any, password: str, boot: Any, settings: Any) -> None:
    def cookie(**extra: Any) -> Any:
        body = {"email": alice.email, "password": password}
        return Client().post(SIGN_IN, body, content_type="application/json", **extra).cookies["token"]

    assert cookie()["httponly"] and cookie()["samesite"] == "Lax" and not cookie()["secure"]
    assert cookie(secure=True)["secure"], "over TLS it is Secure whatever the setting"
    boot(webui_auth_cookie_secure=True)
    assert cookie()["secure"]
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    assert cookie()["samesite"] == "Strict"


def test_the_older_names_of_the_cookie_settings_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBUI_SESSION_COOKIE_SECURE", "true")
    monkeypatch.setenv("WEBUI_SESSION_COOKIE_SAME_SITE", "strict")
    boot = env.load()
    assert (boot.webui_auth_cookie_secure, boot.webui_auth_cookie_same_site) == (True, "strict")
    monkeypatch.setenv("WEBUI_AUTH_COOKIE_SECURE", "false")
    monkeypatch.setenv("WEBUI_AUTH_COOKIE_SAME_SITE", "lax")
    boot = env.load()
    assert (boot.webui_auth_cookie_secure, boot.webui_auth_cookie_same_site) == (False, "lax")


# --------------------------------------------------------------------------------------------------------------- forms
#: sent by a provider's server: it looks at no cookie, and its proof is the signature of what it sends
EXEMPT = {"/oauth/backchannel-logout"}


def every_page() -> list[str]:
    """A path for each HTML route that is mounted, Django admin's included."""
    models = [f"/admin/{m._meta.app_label}/{m._meta.model_name}/" for m in admin.site._registry]
    changes = [f"{path}{tail}" for path in models for tail in ("", "add/", f"{uuid.uuid4()}/change/", "1/delete/")]
    return sorted({_filled(path) for path in [*routes.pages(), *changes, "/admin/login/"]} - EXEMPT)


def _filled(path: str) -> str:
    """The path with something in each pair of braces that its converter takes."""
    parts = re.split(r"{\w+}", path)
    for values in product((str(uuid.UUID(int=7)), "1", "word"), repeat=len(parts) - 1):
        found = "".join(part + value for part, value in zip_longest(parts, values, fillvalue=""))
        try:
            get_resolver().resolve(found)
        except Resolver404:
            continue
        return found
    raise AssertionError(f"nothing fits {path}")


def test_every_page_refuses_a_form_without_our_token(dana: Any, client_for: Any) -> None:
    """From the URL resolver, so that a new form cannot forget it. 403 comes from the check, before any view."""
    browser = client_for(dana, csrf=True)
    wrong, tried = [], 0
    for path in every_page():
        for verb in (browser.post, browser.put, browser.delete):
            answer = verb(path)
            tried += 1
            if answer.status_code != 403 or b"another site" not in answer.content:
                wrong.append(f"{path}: {answer.status_code}")
    assert not wrong
    assert tried > 150


FROM_ELSEWHERE = ({"origin": EVIL, "sec-fetch-site": "cross-site"}, {"origin": "null"}, {"sec-fetch-site": "same-site"})


def test_every_rest_operation_refuses_a_cookie_that_another_site_sends(dana: Any, client_for: Any) -> None:
    """A bearer token does not travel by itself; a cookie does, so the request must come from our own pages."""
    wrong = []
    browser = client_for(dana)
    for method, path in sorted(routes.operations()):
        if method in ("GET", "HEAD") or "/scim/" in path:
            continue
        path = re.sub(r"{\w+}", str(uuid.uuid4()), path)
        for headers in (
            {"origin": EVIL, "sec-fetch-site": "cross-site"},
            {"origin": "null"},
            {"sec-fetch-site": "none2"},
        ):
            answer = browser.generic(method, path, "{}", content_type="application/json", headers=headers)
            if answer.status_code < 400:
                wrong.append(f"{method} {path} {headers}: {answer.status_code}")
    assert not wrong


# ------------------------------------------------------------------------------------------------------------- sockets
@pytest.mark.django_db(transaction=True)
async def test_a_socket_is_opened_by_our_pages_and_those_that_are_named(settings: Any) -> None:
    user = await sync_to_async(UserFactory)()
    cookie = (b"cookie", b"token=" + (await sync_to_async(token_for)(user)).encode())

    async def from_page(origin: str) -> int:
        return await knock("/ws/chat", cookie, (b"origin", origin.encode()))

    settings.CSRF_TRUSTED_ORIGINS = ["https://chat.example.org"]
    assert await from_page(f"http://{HOST[1].decode()}") == 0
    assert await from_page("https://chat.example.org") == 0
    for foreign in (
        EVIL, "null", "", "*", "https://chat.example.org.evil.example", "http://chat.example.org",
        "https://chat.example.org:444", "file://", f"{EVIL}/{HOST[1].decode()}",
    ):  # fmt: skip
        assert await from_page(foreign) == FOREIGN_ORIGIN, foreign


def test_a_star_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import reload

    import owui.settings

    for text, named in (("*", []), ("*; https://a.example/ ;ftp://b", ["https://a.example"])):
        monkeypatch.setenv("CORS_ALLOW_ORIGIN", text)
        assert named == reload(owui.settings).CSRF_TRUSTED_ORIGINS
    monkeypatch.delenv("CORS_ALLOW_ORIGIN")
    reload(owui.settings)
