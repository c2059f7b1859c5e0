"""What stands beside the provider's word: the second factor here, and Microsoft's many tenants."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pyotp
import pytest
from django.test import Client

from accounts import services
from accounts.backends.oidc import presets
from accounts.models import ExternalLogin, OAuthSession, Session, User
from tests.accounts.oidc.forger import CLIENT, Forger
from tests.accounts.oidc.test_attacks import nothing_happened
from tests.accounts.oidc.world import Visit, reason

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_second_factor_is_asked_after_the_provider_unless_that_is_switched_off(
    forger: Forger, set_config: Callable[..., None]
) -> None:
    set_config("auth_mfa.enable", True)
    set_config("auth_mfa.allow_oauth_bypass", False)
    assert not reason(Visit().back()), "who has none comes in"
    nora = User.objects.get(email="nora@example.org")
    Session.objects.all().delete()
    secret, _address = services.start_app(nora)
    services.confirm_app(nora, code=pyotp.TOTP(secret).at(time.time() - 30))
    visit = Visit(query="?next=/notes")
    reply = visit.back()
    assert reply["location"] == "/auth/second-factor?next=%2Fnotes" and not Session.objects.exists()
    assert "token" not in reply.cookies and visit.client.get("/api/v1/auths/").status_code == 401
    reply = visit.client.post(reply["location"], {"code": pyotp.TOTP(secret).now(), "next": "/notes"})
    session = Session.objects.get()
    assert reply["location"] == "/notes" and session.second_factor == "totp" and session.auth_method == "oauth"
    assert session.origin["oauth_session"] in map(str, OAuthSession.objects.values_list("pk", flat=True))
    assert visit.client.get("/api/v1/auths/").status_code == 200

    set_config("auth_mfa.allow_oauth_bypass", True)
    visit = Visit(query="?next=/notes")
    reply = visit.back()
    assert reply["location"] == "/notes" and visit.client.get("/api/v1/auths/").status_code == 200
    assert Session.objects.exclude(pk=session.pk).get().second_factor == ""


# ---------------------------------------------------------------------------------------------------------- Microsoft
TENANT = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def microsoft(forger: Forger, configure: Callable[..., None]) -> Forger:
    """Microsoft's endpoint for people of any organisation: its issuer is a pattern."""
    configure(
        MICROSOFT_CLIENT_ID=CLIENT,
        MICROSOFT_CLIENT_SECRET="a-client-secret-that-is-long-enough-for-it",
        MICROSOFT_CLIENT_TENANT_ID="organizations",
        MICROSOFT_CLIENT_LOGIN_BASE_URL=forger.issuer,
        ENABLE_OAUTH_ROLE_MANAGEMENT="False",
        OAUTH_UPDATE_PICTURE_ON_LOGIN="False",
        OAUTH_PICTURE_CLAIM="",
    )
    document = {
        "issuer": f"{forger.issuer}/{{tenantid}}/v2.0",
        "authorization_endpoint": f"{forger.issuer}/authorize",
        "token_endpoint": f"{forger.issuer}/token",
        "jwks_uri": f"{forger.issuer}/jwks",
    }
    for tenant in ("organizations", TENANT):
        at = f"/{tenant}/v2.0/.well-known/openid-configuration"
        own = document if tenant == "organizations" else document | {"issuer": f"{forger.issuer}/{TENANT}/v2.0"}
        forger.answers[at] = (200, json.dumps(own).encode())
    forger.claims = {"iss": f"{forger.issuer}/{TENANT}/v2.0", "tid": TENANT, "email_verified": None}
    return forger


def test_an_issuer_for_many_tenants_is_the_one_of_the_tokens_tenant(microsoft: Forger) -> None:
    assert not reason(Visit("microsoft").back())
    assert ExternalLogin.objects.get().provider == "microsoft"
    right = microsoft.claims
    for wrong in (
        {"tid": "99999999-2222-3333-4444-555555555555"},
        {"tid": None},
        {"tid": ""},
        {"tid": "{tenantid}", "iss": f"{microsoft.issuer}/{TENANT}/v2.0"},
        {"tid": [TENANT]},
        {"iss": f"{microsoft.issuer}/{{tenantid}}/v2.0", "tid": None},
        {"iss": f"{microsoft.issuer}/{{tenantid}}/v2.0", "tid": "{tenantid}"},
        {"iss": f"{microsoft.issuer}//v2.0", "tid": ""},
        {"iss": f"{microsoft.issuer}//v2.0", "tid": None},
        {"iss": f"{microsoft.issuer}/x/../evil/v2.0", "tid": "x/../evil"},
    ):
        microsoft.claims = right | wrong
        assert reason(Visit("microsoft").back()) == "oauth_token", wrong


def test_a_provider_for_many_tenants_does_not_swallow_the_logouts_of_another(
    microsoft: Forger, configure: Callable[..., None]
) -> None:
    configure(ENABLE_OAUTH_BACKCHANNEL_LOGOUT="True")
    microsoft.claims = {}
    assert not reason(Visit("oidc").back())
    now = int(time.time())
    event = {"http://schemas.openid.net/event/backchannel-logout": {}}
    said = {"iss": microsoft.issuer, "aud": CLIENT, "sub": "sub-1", "iat": now, "exp": now + 60, "jti": "1"}
    token = microsoft.signed(said | {"events": event})
    assert Client().post("/oauth/backchannel-logout", {"logout_token": token}).status_code == 200
    assert not Session.objects.filter(revoked_at=None).exists()
    said |= {"iss": f"{microsoft.issuer}/{TENANT}/v2.0", "tid": TENANT, "jti": "2"}
    token = microsoft.signed(said | {"events": event})
    assert Client().post("/oauth/backchannel-logout", {"logout_token": token}).status_code == 200


def test_one_tenant_lets_in_nobody_of_another(microsoft: Forger, configure: Callable[..., None]) -> None:
    configure(MICROSOFT_CLIENT_TENANT_ID=TENANT)
    other = "99999999-2222-3333-4444-555555555555"
    microsoft.claims |= {"iss": f"{microsoft.issuer}/{other}/v2.0", "tid": other}
    assert reason(Visit("microsoft").back()) == "oauth_token" and nothing_happened()
    microsoft.claims |= {"iss": f"{microsoft.issuer}/{TENANT}/v2.0", "tid": TENANT}
    assert not reason(Visit("microsoft").back())


def test_microsoft_is_not_offered_without_a_tenant(microsoft: Forger, configure: Callable[..., None]) -> None:
    configure(MICROSOFT_CLIENT_TENANT_ID="")
    assert Client().get("/oauth/microsoft/login").status_code == 404 and "microsoft" not in presets.configured()


def test_a_list_of_domains_needs_microsofts_word_when_anybodys_tenant_may_come(
    microsoft: Forger, configure: Callable[..., None]
) -> None:
    """Whoever administers a tenant of their own writes any address into it; only `xms_edov` vouches for one."""
    configure(OAUTH_ALLOWED_DOMAINS="example.org")
    assert reason(Visit("microsoft").back()) == "oauth_domain" and nothing_happened()
    microsoft.claims = microsoft.claims | {"xms_edov": "1"}
    assert not reason(Visit("microsoft").back())
    configure(MICROSOFT_CLIENT_TENANT_ID=TENANT)
    microsoft.claims = {k: v for k, v in microsoft.claims.items() if k != "xms_edov"} | {"sub": "sub-2"}
    microsoft.claims["email"] = "second@example.org"
    assert not reason(Visit("microsoft").back()), "the one tenant is the organisation's own"


# ------------------------------------------------------------------------------------- which address is vouched for
def test_a_word_about_one_address_vouches_for_no_other(forger: Forger, configure: Callable[..., None]) -> None:
    """`email_verified` of the signed token is no word about what the userinfo endpoint calls the address."""
    configure(OAUTH_MERGE_ACCOUNTS_BY_EMAIL="True")
    forger.claims = {"email": "own@example.org", "email_verified": True}
    forger.profile = {"sub": "sub-1", "email": "dana@example.org"}
    assert reason(Visit().back()) == "email_taken" and nothing_happened()
    # Nor is it one about a name for signing in that is used as an address here.
    configure(OAUTH_EMAIL_CLAIM="upn")
    forger.profile = None
    forger.claims |= {"upn": "dana@example.org"}
    assert reason(Visit().back()) == "email_taken" and nothing_happened()
    forger.claims |= {"email": "dana@example.org"}
    assert not reason(Visit().back()), "the same address is the verified one"


def test_a_sign_that_becomes_a_letter_in_lower_case_leads_to_nobodys_account(
    forger: Forger, configure: Callable[..., None]
) -> None:
    configure(OAUTH_MERGE_ACCOUNTS_BY_EMAIL="True", OAUTH_ALLOWED_DOMAINS="corp-k.example")
    User.objects.filter(email="dana@example.org").update(email="kate@corp-k.example")
    for address in ("\N{KELVIN SIGN}ate@corp-k.example", "kate@corp-\N{KELVIN SIGN}.example"):
        forger.claims = {"email": address}
        assert reason(Visit().back()) in ("email_invalid", "oauth_domain", "oauth_email"), address
    assert nothing_happened()
