"""What a provider, a stranger or a link may try: a reason that the page knows, and nothing in the database.

Forged tokens come from a provider of our own over a real socket; the nonce travels in the code, as `nonce.code`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.test import Client

from accounts.backends.oidc import discovery, presets
from accounts.models import ExternalLogin, OAuthSession, Session, SpentToken, User
from owui.audit.models import AuditEvent
from tests.accounts.oidc.forger import CLIENT, Forger, forging
from tests.accounts.oidc.world import Visit, reason

pytestmark = pytest.mark.django_db(transaction=True)


def nothing_happened() -> bool:
    rows = (ExternalLogin, OAuthSession, Session)
    return not any(model.objects.exists() for model in rows) and User.objects.count() == 1


def test_the_provider_of_these_tests_lets_an_honest_person_in(forger: Forger) -> None:
    visit = Visit()
    assert visit.sent["code_challenge_method"] == "S256" and len(visit.sent["code_challenge"]) == 43
    assert not reason(visit.back()) and User.objects.get(email="nora@example.org").role == "pending"
    assert forger.forms[0]["code_verifier"] and "client_secret" not in forger.forms[0], "basic is the default"


FORGED: dict[str, Callable[[Forger], Any]] = {
    "for another client": lambda f: f.claims.update(aud="somebody-else"),
    "for two, made for the other": lambda f: f.claims.update(aud=[CLIENT, "other"], azp="other"),
    "for two, made for nobody in particular": lambda f: f.claims.update(aud=[CLIENT, "other"]),
    "of another issuer": lambda f: f.claims.update(iss="https://evil.example.org"),
    "over since long": lambda f: f.claims.update(exp=1_600_000_000),
    "of the future": lambda f: f.claims.update(iat=4_000_000_000, exp=4_000_000_300),
    "without an end": lambda f: f.claims.update(exp=None),
    "with another nonce": lambda f: f.claims.update(nonce="of-another-sign-in"),
    "without a nonce": lambda f: f.claims.update(nonce=None),
    "about nobody": lambda f: f.claims.update(sub=None),
    "with a subject that is a list": lambda f: f.claims.update(sub=["*"]),
    "for another access token": lambda f: f.claims.update(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "unsigned": lambda f: setattr(f, "seal", f.unsigned),
    "signed by a stranger": lambda f: setattr(f, "seal", f.by_a_stranger),
    "HS256 with the public key": lambda f: setattr(f, "seal", f.by_public_key),
    "HS256 with the client's secret": lambda f: setattr(f, "seal", f.by_secret),
    "of a key nobody has": lambda f: setattr(f, "seal", f.of_an_unknown_key),
    "no token at all": lambda f: setattr(f, "seal", lambda claims: "x.y"),
    "userinfo about somebody else": lambda f: setattr(f, "profile", {"sub": "sub-2", "email": "dana@example.org"}),
}


def test_a_forged_token_is_refused(forger: Forger, caplog: Any) -> None:
    for what, forge in FORGED.items():
        caplog.clear()
        forger.begin_anew()
        forge(forger)
        assert reason(Visit().back()) == "oauth_token", what
        assert nothing_happened(), what
        assert "sign-in by oidc refused (oauth_token): " in caplog.text, "the log says more than the page"


def test_a_state_counts_once_and_only_in_its_own_browser(forger: Forger) -> None:
    visit, other = Visit(), Visit()
    assert reason(visit.back(state=other.sent["state"])) == "oauth_state", "changed"
    assert reason(visit.back(state="")) == "oauth_state", "left out"
    # Login CSRF: the address of somebody else's sign-in, opened in the victim's browser.
    assert (
        reason(other.client.get("/oauth/oidc/callback", {"state": visit.sent["state"], "code": "x"})) == "oauth_state"
    )
    assert nothing_happened() and not forger.forms, "no code went to the provider"
    kept = dict(visit.client.cookies)
    assert not reason(visit.back())
    assert SpentToken.objects.count() == 1
    for name, morsel in kept.items():
        visit.client.cookies[name] = morsel.value  # a browser that brings its cookie again
    assert reason(visit.back()) == "oauth_state", "used"
    assert Session.objects.count() == 1 and len(forger.forms) == 1


def test_a_begun_sign_in_ends_after_ten_minutes(forger: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    from accounts.backends.oidc import flow

    visit = Visit()
    monkeypatch.setattr(flow, "ATTEMPT_SECONDS", -1)
    assert reason(visit.back()) == "oauth_state" and nothing_happened()


def test_an_attempt_for_one_provider_is_not_another_ones(forger: Forger, configure: Callable[..., None]) -> None:
    configure(GITHUB_CLIENT_ID="x", GITHUB_CLIENT_SECRET="y")
    visit = Visit()
    visit.provider = "github"
    assert reason(visit.back()) == "oauth_state" and nothing_happened()


def test_an_answer_of_another_issuer_is_refused_before_the_code_is_sent(forger: Forger) -> None:
    assert reason(Visit().back(iss="https://evil.example.org")) == "oauth_state"
    assert not forger.forms and nothing_happened()


def test_the_page_to_come_back_to_is_one_of_ours(forger: Forger) -> None:
    for target in ("//evil.example.org", "https://evil.example.org/", "/\\evil.example.org", "javascript:x"):
        assert Visit(query=f"?next={quote(target, safe='')}").back()["location"] == "/", target


def test_a_session_is_made_by_us_and_never_taken_over(forger: Forger) -> None:
    visit = Visit()
    visit.client.cookies["token"] = "planted"
    visit.client.cookies["oauth_session_id"] = "planted"
    reply = visit.back()
    assert reply.cookies["token"].value not in ("", "planted")
    assert reply.cookies["oauth_session_id"].value == str(OAuthSession.objects.get().pk)
    again = Visit()
    assert again.back().cookies["token"].value != reply.cookies["token"].value


def test_signs_with_a_meaning_elsewhere_are_letters_here(forger: Forger) -> None:
    ExternalLogin.objects.create(user=User.objects.get(), provider="oidc", subject="sub-dana")
    for subject in ("*", "%", "sub-%", "sub-dana ", "SUB-DANA", "sub-dana)(uid=*"):
        forger.claims = {"sub": subject, "email": f"p{abs(hash(subject))}@example.org", "roles": ["*"], "groups": ["*"]}
        assert reason(Visit().back()) == "oauth_role", subject
        forger.claims["roles"] = ["user"]
        assert not reason(Visit().back()), subject
    assert ExternalLogin.objects.filter(user__email="dana@example.org").count() == 1
    assert ExternalLogin.objects.count() == 7


def test_an_unverified_address_neither_merges_nor_passes_a_list_of_domains(
    forger: Forger, configure: Callable[..., None]
) -> None:
    configure(OAUTH_MERGE_ACCOUNTS_BY_EMAIL="True")
    forger.claims = {"email": "dana@example.org", "email_verified": None}
    assert reason(Visit().back()) == "email_taken", "not said is not verified"
    configure(OAUTH_ALLOWED_DOMAINS="example.org, corp.example.org")
    forger.claims = {"email": "new@example.org", "email_verified": False}
    assert reason(Visit().back()) == "oauth_domain"
    for address in ("new@evil.org", "new@sub.example.org", "new@example.org.evil.org", "example.org@evil.org"):
        forger.claims = {"email": address}
        assert reason(Visit().back()) == "oauth_domain", address
    assert nothing_happened()
    forger.claims = {"email": "New@Example.ORG"}
    assert not reason(Visit().back())


def test_one_address_over_two_providers_is_two_people_until_somebody_merges(
    forger: Forger, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "GOOGLE", f"{forger.issuer}/.well-known/openid-configuration")
    configure(GOOGLE_CLIENT_ID=CLIENT, GOOGLE_CLIENT_SECRET="y")
    assert not reason(Visit().back())
    assert reason(Visit("google").back()) == "email_taken" and User.objects.count() == 2
    configure(OAUTH_MERGE_ACCOUNTS_BY_EMAIL="True")
    assert not reason(Visit("google").back()) and User.objects.count() == 2
    assert set(ExternalLogin.objects.values_list("provider", flat=True)) == {"oidc", "google"}


CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "no address": ({"email": None}, "oauth_email"),
    "an address that is a list": ({"email": ["a@example.org"]}, "oauth_email"),
    "an address that is none": ({"email": "nobody"}, "oauth_email"),
    "an address nobody can have": ({"email": "a b@example .org"}, "email_invalid"),
    "an endless address": ({"email": "x" * 300 + "@example.org"}, "oauth_email"),
    "an endless id": ({"sub": "s" * 300}, "oauth_claims"),
    "a role that is an object": ({"roles": {"admin": True}}, "oauth_role"),
    "a role nobody knows": ({"roles": "visitor"}, "oauth_role"),
}


def test_claims_that_say_too_little_leave_no_half_made_account(forger: Forger) -> None:
    for what, (claims, code) in CLAIMS.items():
        forger.claims = claims
        reply = Visit().back()
        assert reason(reply) == code and nothing_happened(), what
        page = Client().get(reply["location"]).content.decode()
        assert "errorlist" in page or 'role="alert"' in page, "there is a text for the person"


def test_a_group_claim_of_a_wrong_type_counts_as_absent_and_is_noted(forger: Forger, caplog: Any) -> None:
    from rbac.models import Membership
    from rbac.services import add_members, create_group
    from tests.factories.accounts import a_system_admin

    assert not reason(Visit().back())
    user = User.objects.get(email="nora@example.org")
    add_members(create_group(name="Safety", by=a_system_admin()), [user.pk], by=a_system_admin())
    for groups in ({"a": 1}, 7, True, [{"x": 1}, None]):
        caplog.clear()
        forger.claims = {"groups": groups, "name": ["odd"], "picture": 5}
        assert not reason(Visit().back())
        assert Membership.objects.filter(user=user).count() == 1 and "claim 'groups'" in caplog.text, groups


ANSWERS = {
    "not there": ("/token", 404, b"{}", "oauth_token"),
    "broken": ("/token", 500, b"Traceback", "oauth_provider"),
    "our secret is wrong": ("/token", 401, b'{"error": "invalid_client"}', "oauth_provider"),
    "the code was used": ("/token", 400, b'{"error": "invalid_grant"}', "oauth_token"),
    "no JSON": ("/token", 200, b"<html>", "oauth_provider"),
    "a JSON list": ("/token", 200, b"[]", "oauth_provider"),
    "nothing in it": ("/token", 200, b"{}", "oauth_token"),
    "keys are broken": ("/jwks", 503, b"", "oauth_provider"),
    "keys are no list": ("/jwks", 200, b'{"keys": 1}', "oauth_provider"),
    "userinfo is broken": ("/userinfo", 500, b"", "oauth_provider"),
    "userinfo is endless": ("/userinfo", 200, b" " * (4 * 1024 * 1024 + 1), "oauth_provider"),
    "a redirect": ("/userinfo", 302, b"", "oauth_token"),
}


def test_whatever_the_provider_answers_there_is_a_text_and_a_fuller_log(forger: Forger, caplog: Any) -> None:
    for what, (path, status, body, code) in ANSWERS.items():
        caplog.clear()
        discovery.forget()
        forger.begin_anew()
        forger.answers[path] = (status, body)
        assert reason(Visit().back()) == code and nothing_happened(), what
        assert f"{forger.issuer}{path}" in caplog.text and "Traceback" not in caplog.text, what


def test_a_configuration_that_is_none_is_told_at_the_start(forger: Forger) -> None:
    for body in (b"<html>", b"{}", b'{"issuer": 5}'):
        forger.answers["/.well-known/openid-configuration"] = (200, body)
        assert reason(Visit().start) == "oauth_provider"


def test_unknown_key_ids_make_us_ask_only_so_often(forger: Forger) -> None:
    forger.seal = forger.of_an_unknown_key
    for _ in range(10):
        assert reason(Visit().back()) == "oauth_token"
    assert forger.asked.count("/jwks") <= 7


def test_cancelling_there_and_trouble_there_are_told_apart(forger: Forger) -> None:
    assert reason(Visit().back(code="", error="access_denied")) == "oauth_denied"
    reply = Visit().back(code="", error="<script>alert(1)</script>")
    assert reason(reply) == "oauth_provider" and "script" not in reply["location"]


def test_switched_off_means_off(forger: Forger, configure: Callable[..., None]) -> None:
    visit = Visit()
    configure(ENABLE_OAUTH="False")
    assert visit.back().status_code == 404 and Client().get("/oauth/oidc/login").status_code == 404
    assert Client().get("/oauth/nobody/login").status_code == 404 and nothing_happened()
    assert not AuditEvent.objects.filter(action="user.admit").exists()


# ------------------------------------------------------------------------------------------------------------- GitHub
@pytest.fixture
def github(forger: Forger, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Forger:
    at = f"{forger.issuer}/github"
    here = presets.Endpoints(f"{at}/authorize", f"{at}/token", f"{at}/user", f"{at}/user/emails")
    monkeypatch.setattr(presets, "GITHUB", here)
    configure(GITHUB_CLIENT_ID="gh", GITHUB_CLIENT_SECRET="gh-secret", ENABLE_OAUTH_ROLE_MANAGEMENT="False")
    forger.profile = {"id": 583231, "login": "octo", "name": "Octo Cat", "email": "typed@by.her"}
    forger.emails = [
        {"email": "old@example.org", "primary": False, "verified": True},
        {"email": "octo@example.org", "primary": True, "verified": True},
    ]
    return forger


def test_github_people_come_by_their_number_and_their_primary_address(github: Forger) -> None:
    visit = Visit("github")
    assert "nonce" not in visit.sent and visit.sent["scope"] == "user:email" and visit.sent["code_challenge"]
    assert not reason(visit.back())
    login = ExternalLogin.objects.get()
    assert (login.provider, login.subject, login.user.email) == ("github", "583231", "octo@example.org")
    assert github.forms[0]["client_secret"] == "gh-secret"
    assert reason(Visit("github").back()) == "oauth_token", "a code is good once"


def test_an_unverified_primary_address_at_github_merges_with_nobody(
    github: Forger, configure: Callable[..., None]
) -> None:
    configure(OAUTH_MERGE_ACCOUNTS_BY_EMAIL="True")
    github.emails = [{"email": "dana@example.org", "primary": True, "verified": False}]
    assert reason(Visit("github").back()) == "email_taken"
    github.emails = []
    assert reason(Visit("github").back(code="other")) == "oauth_email" and nothing_happened()
    configure(ENABLE_OAUTH_EMAIL_FALLBACK="True")
    assert not reason(Visit("github").back(code="third"))
    assert User.objects.filter(email="github@583231.local").exists()


def test_what_is_sent_along_never_replaces_what_is_ours(forger: Forger, configure: Callable[..., None]) -> None:
    configure(OAUTH_AUTHORIZE_PARAMS='{"prompt": "login", "state": "mine", "redirect_uri": "https://evil.example"}',
              OAUTH_AUDIENCE="api://x")  # fmt: skip
    sent = parse_qs(urlsplit(Visit().start["location"]).query)
    assert sent["prompt"] == ["login"] and sent["audience"] == ["api://x"]
    assert sent["redirect_uri"] == ["http://testserver/oauth/oidc/callback"] and sent["state"] != ["mine"]


def test_a_provider_that_is_away_slow_or_not_itself_is_told_and_leaves_nothing(
    forger: Forger, configure: Callable[..., None], caplog: Any
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: refused at once
        configure(OPENID_PROVIDER_URL=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        assert reason(Visit().start) == "oauth_provider" and "no connection could be made" in caplog.text
    configure(OPENID_PROVIDER_URL=forger.issuer, OAUTH_TIMEOUT="0.3")
    forger.delay = {"/token": 4.0}
    began = time.monotonic()
    assert reason(Visit().back()) == "oauth_provider" and "silent for too long" in caplog.text
    assert time.monotonic() - began < 3.9, "nobody waits longer than OAUTH_TIMEOUT"
    with forging(with_tls=True) as stranger:
        configure(OPENID_PROVIDER_URL=stranger.issuer, OAUTH_TIMEOUT="5")
        assert reason(Visit().start) == "oauth_provider" and "certificate was not accepted" in caplog.text
    assert nothing_happened()
