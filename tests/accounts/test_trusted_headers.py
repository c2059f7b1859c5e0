"""Headers of a proxy: believed from its address only, and never seen by anybody else."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import trusted
from accounts.trusted import ASSERTED, PEER, Asserted, TrustedHeaders
from owui import env

PROXY, STRANGER = ("10.0.0.5", 4000), ("10.0.0.6", 4000)


@pytest.fixture
def ask(boot):
    boot(
        webui_auth_trusted_email_header="X-Forwarded-Email",
        webui_auth_trusted_name_header="X-Forwarded-Name",
        webui_auth_trusted_groups_header="X-Forwarded-Groups",
        webui_auth_trusted_role_header="X_Role",
        trusted_proxy_cidrs="10.0.0.5/32, 2001:db8::/64",
    )

    async def send(*headers: tuple[str, str | bytes], client: Any = PROXY, **scope: Any) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
            seen.update(scope)

        raw = [(k.lower().encode(), v if isinstance(v, bytes) else v.encode()) for k, v in headers]
        inner: dict[str, Any] = {"type": "http", "client": client, "headers": [(b"host", b"x"), *raw], **scope}
        await TrustedHeaders(app)(inner, None, None)
        return seen

    return send


EMAIL = ("X-Forwarded-Email", "Ada.Marsh@Meridian.test")


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_the_proxy_says_who_is_there_and_its_headers_go_no_further(ask, kind):
    seen = await ask(EMAIL, ("X-Forwarded-Name", "Ada%20M%C3%A4rz"), ("X-Forwarded-Groups", "research, q&a,,"),
                     ("X-Role", "Admin"), type=kind)  # fmt: skip
    assert seen[ASSERTED] == Asserted("ada.marsh@meridian.test", "Ada März", ("research", "q&a"), "admin")
    assert [name for name, _value in seen["headers"]] == [b"host"]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("client", "scope"),
    [
        (STRANGER, {}),
        # uvicorn believed X-Forwarded-For: whoever opened the connection counts all the same
        (PROXY, {PEER: STRANGER}),
        (None, {}),
        (("unix:", 0), {}),
    ],
)
async def test_everybody_else_says_nothing(ask, kind, client, scope):
    seen = await ask(EMAIL, ("X-Role", "admin"), ("X-Forwarded-For", "10.0.0.5"), client=client, type=kind, **scope)
    assert ASSERTED not in seen and [name for name, _value in seen["headers"]] == [b"host", b"x-forwarded-for"]


@pytest.mark.parametrize(
    "headers",
    [
        [EMAIL, ("X-Forwarded-Email", "other@meridian.test")],
        [("X_Forwarded_Email", "other@meridian.test")],
        [EMAIL, ("X_Forwarded-Groups", "ai-admins")],
        [EMAIL, ("X-Forwarded-Groups", "a," * 40_000)],
        [("X-Forwarded-Email", " ")],
        [("X-Role", "admin")],
    ],
)
async def test_what_is_said_twice_or_in_a_look_alike_or_without_an_address_is_not_believed(ask, headers):
    seen = await ask(*headers)
    assert ASSERTED not in seen and [name for name, _value in seen["headers"]] == [b"host"]


async def test_no_groups_header_is_not_the_same_as_an_empty_one(ask):
    assert (await ask(EMAIL))[ASSERTED].groups is None
    assert (await ask(EMAIL, ("X-Forwarded-Groups", "")))[ASSERTED].groups == ()
    latin = await ask(EMAIL, ("X-Forwarded-Groups", "Qualité".encode("latin-1")))
    assert latin[ASSERTED].groups == ("Qualité",)


async def test_addresses_of_both_kinds_and_unix_sockets(ask, boot):
    assert ASSERTED in await ask(EMAIL, client=("::ffff:10.0.0.5", 1))
    assert ASSERTED in await ask(EMAIL, client=("2001:db8::7", 1))
    boot(trusted_proxy_cidrs="unix")
    assert ASSERTED in await ask(EMAIL, client=None) and ASSERTED not in await ask(EMAIL)


async def test_without_the_setting_requests_pass_as_they_are(ask, boot):
    boot(webui_auth_trusted_email_header="")
    seen = await ask(EMAIL)
    assert ASSERTED not in seen and len(seen["headers"]) == 2


def test_uvicorn_remembers_who_opened_the_connection():
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    import owui.asgi  # noqa: F401

    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)

    scope = {"type": "http", "client": STRANGER, "headers": [(b"x-forwarded-for", b"10.0.0.5")]}
    with pytest.raises(StopIteration):
        ProxyHeadersMiddleware(app, "*")(scope, None, None).send(None)  # type: ignore[arg-type]
    assert seen["client"][0] == "10.0.0.5" and seen[PEER] == STRANGER


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"WEBUI_AUTH_TRUSTED_EMAIL_HEADER": "X-Email"}, "needs TRUSTED_PROXY_CIDRS"),
        ({"TRUSTED_PROXY_CIDRS": "10.0.0.1/8"}, "TRUSTED_PROXY_CIDRS has an unusable value"),
        ({"WEBUI_AUTH_SIGNOUT_REDIRECT_URL": "javascript:x"}, "WEBUI_AUTH_SIGNOUT_REDIRECT_URL has an unusable value"),
    ],
)
def test_what_would_be_unsafe_stops_the_start(monkeypatch, variables, text):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        env.load()
    assert text in str(stopped.value)


@pytest.mark.django_db
def test_passwords_are_neither_asked_for_nor_changed_where_a_proxy_signs_in(ask, api_for, client_for, alice, password):
    assert trusted.is_on()
    signin = api_for().post("/api/v1/auths/signin", {"email": alice.email, "password": password})
    assert signin.status_code == 400 and "trusted header" in signin.json()["detail"]
    body = {"password": password, "new_password": "Other-horse-9"}
    assert api_for(alice).post("/api/v1/auths/update/password", body).status_code == 400
    new = {"name": "N", "email": "n@example.org", "password": "Other-horse-9"}
    assert api_for().post("/api/v1/auths/signup", new).status_code == 403
    page = client_for().post("/auth", {"email": alice.email, "password": password})
    assert page.status_code == 302 and page["Location"] == "/auth/header" and "token" not in page.cookies
    assert b"has not said who you are" in client_for().get("/auth/header").content
    assert api_for().get("/api/config").json()["features"]["auth_trusted_header"] is True
