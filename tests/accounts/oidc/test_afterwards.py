"""What follows a sign-in by a provider: its tokens, signing out on either side, exchange, settings, claims."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ExternalLogin, OAuthSession, Session, User
from accounts.services.oauth import fresh_access_token
from accounts.services.oauth.sessions import tokens_of
from owui.audit.models import AuditEvent
from tests.accounts.oidc.forger import CLIENT, Forger
from tests.accounts.oidc.world import Person, Visit, reason
from tests.real.servers import needs

pytestmark = pytest.mark.django_db(transaction=True)
Make = Callable[..., Person]
EXCHANGE = "/api/v1/auths/oauth/oidc/token/exchange"
EVENT = {"http://schemas.openid.net/event/backchannel-logout": {}}


def age(**left: int) -> None:
    """The tokens were given a while ago and end soon."""
    now = timezone.now()
    OAuthSession.objects.update(expires_at=now + timedelta(**left), updated_at=now - timedelta(minutes=10))


def fresh(user: User, **options: Any) -> str | None:
    return asyncio.run(fresh_access_token(user, **options))


# ------------------------------------------------------------------------------------------------ with the real server
@pytest.mark.process
@needs("oidc")
def test_tokens_are_renewed_in_time_once_for_all_who_ask_and_end_with_the_person(
    sso: Any, browser: Make, dana: User
) -> None:
    browser("tbecker").sign_in()
    row = OAuthSession.objects.select_related("user").get()
    before = tokens_of(row)
    age(minutes=4)
    sso.http.delete("log")

    async def all_at_once() -> list[str | None]:
        return list(await asyncio.gather(*(fresh_access_token(row.user) for _ in range(4))))

    found = asyncio.run(all_at_once())
    assert len(set(found)) == 1 and found[0] not in (None, before["access_token"])
    asked = [entry for entry in sso.http.get("log").json() if entry.get("path") == "/token"]
    assert len(asked) == 1, "one asks, the others wait"
    row = OAuthSession.objects.select_related("user").get()
    assert row.renewing_until is None and tokens_of(row)["refresh_token"]
    # The provider away: what is still good is given, and nothing ends.
    age(minutes=4)
    sso.faults(token={"status": 503})
    assert fresh(row.user) == found[0] and OAuthSession.objects.exists()
    sso.faults()
    sso.person("tbecker", disabled=True)
    OAuthSession.objects.update(expires_at=timezone.now())
    assert fresh(row.user) is None and not OAuthSession.objects.exists(), "who is gone there lends no token here"
    assert Session.objects.get(user=row.user).revoked_at is None, "the session here goes on"
    assert AuditEvent.objects.filter(action="user.oauth_session.lost").exists()


@pytest.mark.process
@needs("oidc")
def test_signing_out_here_leads_on_to_signing_out_there(sso: Any, browser: Make, dana: User) -> None:
    person = browser("tbecker")
    person.sign_in()
    reply = person.here.post("/auth/signout")
    # A page that goes on by itself: form-action lets a form's redirect lead nowhere else.
    assert reply.status_code == 200 and reply["Refresh"].startswith(f"0; url={sso.issuer}/session/end?")
    query = parse_qs(urlsplit(reply["Refresh"].partition("url=")[2]).query)
    assert query["post_logout_redirect_uri"] == ["http://testserver/auth"] and query["id_token_hint"][0].count(".") == 2
    assert not OAuthSession.objects.exists() and reply.cookies["oauth_session_id"].value == ""
    assert person.here.get("/api/v1/auths/").status_code == 401
    person.sign_in()
    answer = person.here.post("/api/v1/auths/signout").json()
    assert answer["status"] is True and answer["redirect_url"].startswith(f"{sso.issuer}/session/end?")


@pytest.mark.process
@needs("oidc")
def test_a_program_exchanges_a_token_for_a_session_of_somebody_we_know(
    sso: Any, browser: Make, dana: User, configure: Callable[..., None]
) -> None:
    def exchange(token: str, **extra: Any) -> Any:
        return Client().post(EXCHANGE, {"token": token}, content_type="application/json", **extra)

    browser("tbecker").sign_in()
    token = tokens_of(OAuthSession.objects.get())["access_token"]
    assert exchange(token).status_code == 403, "off"
    configure(ENABLE_OAUTH_TOKEN_EXCHANGE="True")
    reply = exchange(token)
    assert reply.status_code == 200 and reply.json()["email"] == "tom.becker@meridian.test", reply.content
    assert reply.json()["token_type"] == "Bearer" and reply.json()["expires_at"]
    assert exchange("nonsense").status_code == 400 and exchange("").status_code == 400
    assert Client().post(EXCHANGE.replace("oidc", "nobody"), {"token": "x"}, "application/json").status_code == 404
    # A token that another program got from the person.
    configure(OAUTH_CLIENT_ID="ai-assistant-public", OAUTH_CLIENT_SECRET="")
    stranger = browser("yliu")
    stranger.sign_in()
    other = tokens_of(OAuthSession.objects.get(user__email="yan.liu@meridian.test"))["access_token"]
    configure(OAUTH_CLIENT_ID="ai-assistant", OAUTH_CLIENT_SECRET="ai-assistant-secret")
    assert exchange(other).status_code == 403
    configure(OAUTH_TOKEN_EXCHANGE_TRUSTED_CLIENT_IDS="x, ai-assistant-public")
    assert exchange(other).status_code == 200
    User.objects.filter(email="yan.liu@meridian.test").delete()
    assert exchange(other).status_code == 403, "no account is made"
    configure(OAUTH_TOKEN_EXCHANGE_RATE_LIMIT="1")
    assert exchange(token).status_code == 429
    assert not User.objects.filter(email="yan.liu@meridian.test").exists()


# ------------------------------------------------------------------------------------------------ back-channel logout
@pytest.fixture
def signed_in(forger: Forger, configure: Callable[..., None]) -> Client:
    configure(ENABLE_OAUTH_BACKCHANNEL_LOGOUT="True")
    forger.claims = {"sid": "there-1", "roles": ["user"]}
    visit = Visit()
    assert not reason(visit.back())
    return visit.client


def logout_token(forger: Forger, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {"iss": forger.issuer, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": f"j{time.monotonic_ns()}",
             "sub": "sub-1", "sid": "there-1", "events": EVENT}  # fmt: skip
    return {name: value for name, value in (whole | changes).items() if value is not None}


def told(token: str) -> Any:
    return Client(enforce_csrf_checks=True).post("/oauth/backchannel-logout", {"logout_token": token})


def test_a_logout_told_by_the_provider_ends_everything_until_the_next_sign_in(
    forger: Forger, signed_in: Client, set_config: Callable[..., None], configure: Callable[..., None]
) -> None:
    from accounts import tokens

    configure(ENABLE_API_KEYS="True", USER_PERMISSIONS_FEATURES_API_KEYS="True")
    user = User.objects.get(email="nora@example.org")
    key = tokens.new_api_key(user)
    program = Client(headers={"authorization": f"Bearer {key}"})
    assert program.get("/api/v1/users/user/settings").status_code == 200
    token = forger.signed(logout_token(forger))
    reply = told(token)
    assert (reply.status_code, reply.json(), reply["cache-control"].count("no-store")) == (200, {}, 1)
    assert signed_in.get("/api/v1/auths/").status_code == 401 and not OAuthSession.objects.exists()
    assert program.get("/api/v1/users/user/settings").status_code == 401, "keys rest"
    assert told(token).status_code == 400, "a token counts once"
    forger.claims["sid"] = "the-next-session"
    visit = Visit()
    visit.back()
    assert visit.client.get("/api/v1/auths/").status_code == 200
    assert program.get("/api/v1/users/user/settings").status_code == 200, "signing in wakes the keys"
    # A session the person has ended here comes back as news from there: keys go on.
    visit.client.post("/auth/signout")
    assert told(forger.signed(logout_token(forger, sid="the-next-session"))).status_code == 200
    assert program.get("/api/v1/users/user/settings").status_code == 200


def test_a_logout_token_that_is_not_as_it_must_be_ends_nothing(forger: Forger, signed_in: Client) -> None:
    wrong: list[dict[str, Any]] = [
        {"aud": "other"}, {"iss": "https://evil.example.org"}, {"events": None}, {"events": {"x": {}}},
        {"events": [EVENT]}, {"nonce": "n"}, {"sub": None, "sid": None}, {"jti": None}, {"iat": 1_600_000_000},
        {"iat": None}, {"exp": 1_600_000_000},
    ]  # fmt: skip
    for changes in wrong:
        reply = told(forger.signed(logout_token(forger, **changes)))
        assert reply.status_code == 400 and set(reply.json()) == {"error", "error_description"}, changes
    assert signed_in.get("/api/v1/auths/").status_code == 200


def test_a_logout_token_by_somebody_else_ends_nothing(
    forger: Forger, signed_in: Client, configure: Callable[..., None]
) -> None:
    claims = logout_token(forger)
    without_key = jwt.encode(claims, "x" * 40, algorithm="HS256")
    seals = (forger.unsigned, forger.by_a_stranger, forger.by_public_key, forger.by_secret, forger.of_an_unknown_key)
    for token in [*(seal(claims) for seal in seals), without_key, "", "x.y.z", "ÿ"]:
        assert told(token).status_code == 400
    assert signed_in.get("/api/v1/auths/").status_code == 200
    assert told(forger.signed(logout_token(forger, sub="nobody", sid=None))).json() == {}, "unknown people are no error"
    configure(ENABLE_OAUTH_BACKCHANNEL_LOGOUT="False")
    assert told(forger.signed(logout_token(forger))).status_code == 404
    assert signed_in.get("/api/v1/auths/").status_code == 200


# -------------------------------------------------------------------------------------------- sessions, settings, page
def test_provider_sessions_are_few_listed_without_tokens_and_ended_by_their_owner(
    forger: Forger, configure: Callable[..., None], api_for: Any
) -> None:
    configure(OAUTH_MAX_SESSIONS_PER_USER="2")
    forger.claims = {"roles": ["user"]}
    for _ in range(3):
        assert not reason(Visit().back())
    user = User.objects.get(email="nora@example.org")
    listed = api_for(User.objects.get(email="dana@example.org")).get(f"/api/v1/users/{user.pk}/oauth/sessions").json()
    assert len(listed) == 2 and set(listed[0]) == {
        "id", "user_id", "provider", "expires_at", "created_at", "updated_at"
    }  # fmt: skip
    assert api_for(user).delete("/api/v1/auths/oauth/sessions/oidc").status_code == 200
    assert not OAuthSession.objects.exists() and fresh(user) is None


def test_tokens_of_a_lost_key_are_no_tokens(forger: Forger, boot: Callable[..., None]) -> None:
    boot(oauth_session_token_encryption_key="one-key")
    assert not reason(Visit().back())
    row = OAuthSession.objects.get()
    assert fresh(row.user) == "at"
    boot(oauth_session_token_encryption_key="another-key")
    assert tokens_of(row) == {} and not fresh(row.user)


def test_the_sign_in_page_and_the_public_configuration_name_the_providers(
    forger: Forger, configure: Callable[..., None]
) -> None:
    configure(OAUTH_PROVIDER_NAME="Meridian", GITHUB_CLIENT_ID="x", GITHUB_CLIENT_SECRET="y")
    assert Client().get("/api/config").json()["oauth"]["providers"] == {"github": "GitHub", "oidc": "Meridian"}
    page = Client().get("/auth?next=/notes").content.decode()
    assert "Continue with Meridian" in page and "/oauth/oidc/login?next=%2Fnotes" in page
    configure(OAUTH_AUTO_REDIRECT="True", ENABLE_LOGIN_FORM="False", GITHUB_CLIENT_ID="")
    assert Client().get("/auth?next=/notes")["location"] == "/oauth/oidc/login?next=%2Fnotes"
    for query in ("?form=true", "?error=oauth_role", "?signed_out=1"):
        assert Client().get(f"/auth{query}").status_code == 200, query


def test_settings_of_providers_have_their_page_and_the_environment_rules(
    forger: Forger, configure: Callable[..., None], api_for: Any
) -> None:
    api = api_for(User.objects.get(email="dana@example.org"))
    page = api.get("/api/v1/auths/admin/config/oauth").json()
    assert page["OAUTH_CLIENT_ID"] == CLIENT and "long-enough" not in json.dumps(page)
    assert page["OAUTH_GROUPS_CLAIM"] == "groups" and "OAUTH_ROLES_SEPARATOR" not in page
    assert api.post("/api/v1/auths/admin/config/oauth", {"OAUTH_CLIENT_ID": "other"}).status_code == 400
    assert api.post("/api/v1/auths/admin/config/oauth", {"OAUTH_PROVIDER_NAME": "Ours"}).status_code == 200
    configure(ENABLE_OAUTH_PERSISTENT_CONFIG="True", OAUTH_GROUPS_CLAIM="teams", OAUTH_GROUP_CLAIM="groups")
    assert (
        api.post("/api/v1/auths/admin/config/oauth", {"OAUTH_CLIENT_ID": "other"}).json()["OAUTH_CLIENT_ID"] == "other"
    )
    assert api.get("/api/v1/auths/admin/config/oauth").json()["OAUTH_GROUPS_CLAIM"] == "teams", "the plural wins"


def test_the_page_of_claims_says_what_a_sign_in_would_give_and_writes_nothing(
    forger: Forger, client_for: Any, configure: Callable[..., None]
) -> None:
    configure(ENABLE_OAUTH_GROUP_CREATION="True", OAUTH_BLOCKED_GROUPS="secret*")
    admin = client_for(User.objects.get(email="dana@example.org"))

    def shown(token: Any) -> str:
        text = token if isinstance(token, str) else json.dumps(token)
        return admin.post("/admin/claims/", {"provider": "oidc", "token": text}).content.decode()

    claims = {"sub": "x", "email": "new@example.org", "roles": "admin", "groups": ["Safety", "secret-1"]}
    for page in (shown(claims), shown(jwt.encode(claims, "k" * 32, algorithm="HS256"))):
        assert "a new one is made" in page and "<td>admin</td>" in page and "Safety" in page and "Blocked" in page
    assert "The sign-in is refused." in shown(claims | {"roles": ["guest"]})
    assert "not taken over" in shown(claims | {"email": "dana@example.org"})
    assert "every membership stays" in shown({"sub": "x", "email": "new@example.org"})
    assert "neither a JSON object" in shown("rubbish") and "&lt;b&gt;" in shown(claims | {"name": "<b>"})
    assert User.objects.count() == 1 and not ExternalLogin.objects.exists()


def test_an_operator_is_warned_of_what_surprises(forger: Forger, configure: Callable[..., None], caplog: Any) -> None:
    from accounts.oauth_warnings import tell, warnings
    from owui.security.registry import Status, run_checks

    configure(ENABLE_OAUTH_SIGNUP="False", WEBUI_URL="https://ai.example.org",
              OPENID_REDIRECT_URI="https://other.example.org/oauth/oidc/callback",
              OPENID_PROVIDER_URL="http://sso.internal/x")  # fmt: skip
    found = warnings()
    people, addresses = " ".join(found["people"]), " ".join(found["addresses"])
    assert "ENABLE_OAUTH_SIGNUP" in people and "OAUTH_ROLE_PENDING_FIRST" in people
    assert "without TLS" in addresses and "not at WEBUI_URL" in addresses
    tell()
    assert "ENABLE_OAUTH_SIGNUP is off" in caplog.text
    assert {r.status for r in run_checks({"6.2.v", "6.2.y", "6.2.z"})} == {Status.WARN}
    configure(ENABLE_OAUTH_SIGNUP="True", OAUTH_ROLE_PENDING_FIRST="True", OPENID_REDIRECT_URI="",
              OPENID_PROVIDER_URL="https://sso.example.org", ENABLE_OAUTH_BACKCHANNEL_LOGOUT="True")  # fmt: skip
    assert warnings() == {"people": [], "addresses": []}
    assert {r.status for r in run_checks({"6.2.v", "6.2.y", "6.2.z"})} == {Status.OK}
