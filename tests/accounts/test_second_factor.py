"""The second factor: asked for by every way in, set up, used once, replaced, lost."""

from __future__ import annotations

import re
import time
from typing import Any

import jwt
import pyotp
import pytest

from accounts import services
from accounts.models import Authenticator, Challenge, Session
from accounts.services import Entered, Pending
from owui.audit.models import AuditEvent
from owui.lib.errors import Refused, UserError
from tests.factories.accounts import PASSWORD

pytestmark = pytest.mark.django_db
AUTHS = "/api/v1/auths"


@pytest.fixture(autouse=True)
def mfa_on(request: pytest.FixtureRequest, db: None, set_config: Any) -> None:
    set_config("auth_mfa.enable", True)


def code(secret: str, *, steps: int = 0) -> str:
    """What the person's app shows now, or so many half minutes later."""
    return pyotp.TOTP(secret).at(time.time() + 30 * steps)


@pytest.fixture
def secret(alice: Any) -> str:
    """Alice has an app; the code of the present half minute was used to set it up."""
    text, address = services.start_app(alice)
    assert address.startswith("otpauth://totp/") and text in address
    services.confirm_app(alice, code=code(text, steps=-1))
    return text


def begin(user: Any, method: str = "password", **more: Any) -> Entered | Pending:
    return services.begin_session(user, auth_method=method, **more)


def test_who_has_no_second_factor_comes_in_with_one(alice):
    outcome = begin(alice)
    assert isinstance(outcome, Entered) and outcome.session.second_factor == ""
    assert jwt.decode(outcome.token, options={"verify_signature": False})["mfa_verified"] is False


@pytest.mark.parametrize("method", ["password", "ldap", "oauth", "trusted_header"])
def test_every_way_in_asks_for_it(alice, secret, method):
    outcome = begin(alice, method)
    assert isinstance(outcome, Pending) and outcome.step == "verify" and not Session.objects.exists()


@pytest.mark.parametrize(("method", "key"), [("oauth", "oauth"), ("trusted_header", "trusted_header")])
def test_a_way_that_has_its_own_may_be_spared(alice, secret, set_config, method, key):
    set_config(f"auth_mfa.allow_{key}_bypass", True)
    assert isinstance(begin(alice, method), Entered)
    assert isinstance(begin(alice, "password"), Pending)


def test_nobody_is_asked_while_it_is_off(alice, secret, set_config):
    set_config("auth_mfa.enable", False)
    assert isinstance(begin(alice), Entered)
    with pytest.raises(Refused):
        services.start_app(alice)


@pytest.mark.parametrize(
    ("required", "alices", "danas"),
    [("nobody", Entered, Entered), ("administrators", Entered, Pending), ("everybody", Pending, Pending)],
)
def test_an_organisation_can_ask_everybody_or_administrators(alice, dana, set_config, required, alices, danas):
    set_config("auth_mfa.required", required)
    assert isinstance(begin(alice), alices) and isinstance(begin(dana), danas)
    if danas is Pending:
        outcome = begin(dana)
        assert isinstance(outcome, Pending) and outcome.step == "enroll"


def test_the_code_opens_the_session_with_what_the_way_in_left(alice, secret):
    outcome = begin(alice, "oauth", origin={"provider_session": "abc"})
    assert isinstance(outcome, Pending)
    row = services.find_challenge(outcome.challenge)
    assert services.verify(alice, code=code(secret)) == "totp"
    done = services.finish(row, second_factor="totp", ip="127.0.0.1")
    assert done.session.origin == {"provider_session": "abc"} and done.session.auth_method == "oauth"
    assert jwt.decode(done.token, options={"verify_signature": False})["mfa_verified"] is True
    assert AuditEvent.objects.get(action="user.sign_in").detail["second_factor"] == "totp"
    with pytest.raises(UserError, match="Sign in again"):
        services.finish(row, second_factor="totp")


def test_a_challenge_is_over_after_five_minutes_and_when_all_sessions_are_ended(alice, dana, secret):
    outcome = begin(alice)
    assert isinstance(outcome, Pending) and services.find_challenge(outcome.challenge).user == alice
    row = Challenge.objects.get()
    assert (row.expires_at - row.created_at).total_seconds() == pytest.approx(300, abs=1)
    assert outcome.challenge not in row.digest
    services.revoke_sessions(alice, by=dana)
    with pytest.raises(UserError):
        services.find_challenge(outcome.challenge)
    again = begin(type(alice).objects.get(pk=alice.pk))
    assert isinstance(again, Pending)
    Challenge.objects.update(expires_at=row.created_at)
    with pytest.raises(UserError):
        services.find_challenge(again.challenge)


def test_a_code_is_good_once_and_half_a_minute_off(alice, secret):
    now = code(secret)
    assert services.verify(alice, code=f" {now[:3]} {now[3:]} ") == "totp"
    for used in (now, code(secret, steps=-1)):
        with pytest.raises(UserError, match="used already"):
            services.verify(alice, code=used)
    assert services.verify(alice, code=code(secret, steps=1)) == "totp"
    with pytest.raises(UserError):
        services.verify(alice, code=code(secret, steps=4))


def test_a_recovery_code_is_good_once_and_kept_as_its_hash(alice):
    text, _address = services.start_app(alice)
    codes = services.confirm_app(alice, code=code(text))
    assert len(set(codes)) == 10
    assert services.verify(alice, code=codes[0].upper().replace("-", " ")) == "recovery"
    with pytest.raises(UserError):
        services.verify(alice, code=codes[0])
    assert services.factors_of(alice).codes_left == 9
    fresh = services.renew_codes(alice)
    with pytest.raises(UserError):
        services.verify(alice, code=codes[1])
    assert services.verify(alice, code=fresh[0]) == "recovery"


def test_tries_are_few(alice, secret):
    for _try in range(10):
        with pytest.raises(UserError) as wrong:
            services.verify(alice, code="000000")
        assert wrong.value.status == 400
    with pytest.raises(UserError) as refused:
        services.verify(alice, code=code(secret))
    assert refused.value.status == 429
    assert AuditEvent.objects.get(action="sign_in.locked").detail["what"] == "factor"


def test_the_secret_is_encrypted_and_a_key_of_its_own_can_be_set(alice, boot):
    from owui.lib.crypto import KeyChangedError

    text, _address = services.start_app(alice)
    assert text not in Authenticator.objects.get().pending
    boot(mfa_encryption_key="a key of its own")
    services.confirm_app(alice, code=code(text))
    text, _address = services.start_app(alice)
    boot(mfa_encryption_key="")
    with pytest.raises(KeyChangedError):
        services.confirm_app(alice, code=code(text))


# --------------------------------------------------------------------------------------------------------------- pages
def sign_in(client: Any, user: Any, **more: Any) -> Any:
    return client.post("/auth", {"email": user.email, "password": PASSWORD, **more})


def test_the_page_asks_for_the_code_and_then_leads_on(client_for, alice, secret):
    client = client_for()
    answer = sign_in(client, alice, next="/c/1")
    assert answer["Location"] == "/auth/second-factor?next=%2Fc%2F1" and "token" not in answer.cookies
    assert answer.cookies["mfa_challenge"]["httponly"]
    assert client.get("/settings")["Location"].startswith("/auth?next=")
    page = client.get(answer["Location"])
    assert page.status_code == 200 and alice.email.encode() in page.content
    wrong = client.post("/auth/second-factor", {"code": "000000", "next": "/c/1"})
    assert wrong.status_code == 400 and "code" in wrong.context["form"].errors
    right = client.post("/auth/second-factor", {"code": code(secret), "next": "/c/1"})
    assert right["Location"] == "/c/1" and right.cookies["token"].value
    assert right.cookies["mfa_challenge"].value == ""
    assert client.get("/settings").status_code == 200


def test_the_step_never_leads_to_another_site(client_for, alice, secret):
    client = client_for()
    sign_in(client, alice)
    answer = client.post("/auth/second-factor", {"code": code(secret), "next": "https://evil.example"})
    assert answer["Location"] == "/"


def test_without_a_first_proof_the_step_leads_back(client_for, alice, secret):
    client = client_for()
    client.cookies["mfa_challenge"] = "made-up"
    for answer in (client.get("/auth/second-factor"), client.post("/auth/second-factor", {"code": code(secret)})):
        assert answer["Location"] == "/auth?error=challenge_over"


def test_who_must_have_one_sets_it_up_on_the_way_in(client_for, alice, set_config):
    set_config("auth_mfa.required", "everybody")
    client = client_for()
    sign_in(client, alice)
    page = client.get("/auth/second-factor")
    assert b"<svg" in page.content and b"style=" not in page.content
    text = page.context["app_secret"].replace(" ", "")
    assert client.get("/auth/second-factor").context["app_secret"].replace(" ", "") == text, "a reload shows the same"
    done = client.post("/auth/second-factor", {"code": code(text)})
    assert (
        done.status_code == 200 and len(re.findall(r"[a-z2-9]{5}-[a-z2-9]{5}-[a-z2-9]{5}", done.content.decode())) == 10
    )
    assert client.get("/settings").status_code == 200
    assert services.factors_of(alice).has_app


def test_rest_answers_a_challenge_instead_of_a_session(api_for, alice, secret):
    body = api_for().post(f"{AUTHS}/signin", {"email": alice.email, "password": PASSWORD}).json()
    assert set(body) == {"next_step", "challenge_token", "expires_in"}
    assert (body["next_step"], body["expires_in"]) == ("verify", 300)
