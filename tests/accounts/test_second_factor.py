"""The second factor: asked for by every way in, set up, used once, replaced, lost."""

from __future__ import annotations

import re
import time
from typing import Any

import jwt
import pyotp
import pytest

from accounts import services
from accounts.models import Authenticator, Challenge, Passkey, Session
from accounts.services import Entered, Pending
from accounts.services.factors import FRESH
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
        done.status_code == 200
        and len(re.findall(r"\b[a-z2-9]{5}-[a-z2-9]{5}-[a-z2-9]{5}\b", done.content.decode())) == 10
    )
    assert client.get("/settings").status_code == 200
    assert services.factors_of(alice).has_app


def test_rest_answers_a_challenge_instead_of_a_session(api_for, alice, secret):
    body = api_for().post(f"{AUTHS}/signin", {"email": alice.email, "password": PASSWORD}).json()
    assert set(body) == {"next_step", "challenge_token", "expires_in"}
    assert (body["next_step"], body["expires_in"]) == ("verify", 300)


def challenge_of(api: Any, user: Any) -> dict[str, Any]:
    body: dict[str, Any] = api.post(f"{AUTHS}/signin", {"email": user.email, "password": PASSWORD}).json()
    return body


def test_rest_verifies_and_opens_the_session(api_for, alice, secret):
    api = api_for()
    name = challenge_of(api, alice)["challenge_token"]
    assert api.post(f"{AUTHS}/mfa/challenge").json()["challenge_token"] == name, "from the cookie, for a page"
    evil = api.post(f"{AUTHS}/mfa/challenge", headers={"origin": "https://evil.example"})
    assert evil.status_code == 403
    assert api.post(f"{AUTHS}/mfa/verify", {"challenge_token": name, "code": "000000"}).status_code == 400
    body = api.post(f"{AUTHS}/mfa/verify", {"challenge_token": name, "code": code(secret)}).json()
    assert body["token_type"] == "Bearer" and body["email"] == alice.email and body["permissions"]
    again = api.post(f"{AUTHS}/mfa/verify", {"challenge_token": name, "code": code(secret, steps=1)})
    assert again.status_code == 401


def test_rest_sets_up_on_the_way_in(api_for, alice, set_config):
    set_config("auth_mfa.required", "everybody")
    api = api_for()
    asked = challenge_of(api, alice)
    assert asked["next_step"] == "enroll"
    other = challenge_of(api, alice)["challenge_token"]
    name = {"challenge_token": asked["challenge_token"]}
    shown = api.post(f"{AUTHS}/mfa/enroll/start", name).json()
    assert set(shown) == {"secret", "otpauth_uri", "qr_svg"} and shown["qr_svg"].startswith("<svg")
    assert api.post(f"{AUTHS}/mfa/verify", name | {"code": code(shown["secret"])}).status_code == 400
    done = api.post(f"{AUTHS}/mfa/enroll/confirm", name | {"code": code(shown["secret"])}).json()
    assert done["token"] and len(done["recovery_codes"]) == 10
    late = api.post(f"{AUTHS}/mfa/enroll/start", {"challenge_token": other})
    assert late.status_code == 401, "who has a second factor by now is asked for it, by whatever question was open"


def test_a_stolen_password_cannot_put_another_app_in_the_place_of_the_owners(api_for, alice, secret):
    api = api_for()
    name = {"challenge_token": challenge_of(api, alice)["challenge_token"]}
    assert api.post(f"{AUTHS}/mfa/enroll/start", name).status_code == 403
    assert api.post(f"{AUTHS}/mfa/enroll/confirm", name | {"code": "123456"}).status_code == 403
    assert not Authenticator.objects.get(user=alice).pending


def test_rest_recovers_with_a_code_on_paper(api_for, alice, secret):
    codes, api = services.renew_codes(alice), api_for()
    name = challenge_of(api, alice)["challenge_token"]
    body = api.post(f"{AUTHS}/mfa/recover", {"challenge_token": name, "recovery_code": codes[0]}).json()
    assert jwt.decode(body["token"], options={"verify_signature": False})["mfa_verified"] is True
    status = api_for(alice).get(f"{AUTHS}/mfa/status").json()
    assert status == {
        "enabled": True, "required": False, "enrolled": True, "methods": ["totp"], "recovery_codes_remaining": 9,
    }  # fmt: skip


def test_rest_replaces_the_app_and_renews_codes_only_after_a_proof(api_for, alice, secret):
    api = api_for(alice)
    Session.objects.update(proven_at=Authenticator.objects.get().confirmed_at - FRESH)
    for path in ("replace", "recovery/codes", "enroll/start"):
        assert api.post(f"{AUTHS}/mfa/{path}").status_code == 403, path
    assert api.post(f"{AUTHS}/mfa/replace", {"code": "wrong"}).status_code == 400
    new = api.post(f"{AUTHS}/mfa/replace", {"code": code(secret)}).json()["secret"]
    assert services.verify(alice, code=code(secret, steps=1)) == "totp", "the former one is good until the new one is"
    assert api.post(f"{AUTHS}/mfa/enroll/confirm", {"code": code(new)}).json()["recovery_codes"] == []
    with pytest.raises(UserError):
        services.verify(alice, code=code(secret, steps=1))
    renewed = api.post(f"{AUTHS}/mfa/recovery/codes", {"code": PASSWORD}).json()["recovery_codes"]
    assert services.verify(alice, code=renewed[3]) == "recovery"


def test_a_key_for_programs_is_not_asked_and_changes_no_factor(alice, secret, set_config):
    from tests.conftest import Api

    set_config("auth_api_key.enable", True)
    set_config("user.permissions", {"features": {"api_keys": True}})
    set_config("auth_mfa.required", "everybody")
    api = Api(services.create_api_key(alice))
    assert api.get(f"{AUTHS}/").status_code == 200
    assert api.post(f"{AUTHS}/mfa/replace", {"code": ""}).status_code == 403


# ------------------------------------------------------------------------------------------------------------ one's own
def test_the_settings_page_sets_up_shows_and_removes(client_for, alice):
    client = client_for(alice)
    assert b"second-factor" in client.get("/settings").content
    text = client.get("/settings/app").context["app_secret"].replace(" ", "")
    assert client.post("/settings/app", {"code": "000000"}).status_code == 400
    shown = client.post("/settings/app", {"code": code(text)})
    assert len(shown.context["code_list"]) == 10
    page = client.get("/settings").content.decode()
    assert "Use another app" in page and "10 left" in page
    assert len(client.post("/settings/recovery-codes").context["code_list"]) == 10
    assert client.post("/settings/app/remove")["Location"] == "/settings#second-factor"
    assert services.factors_of(alice) == services.Factors(False, (), 0)
    actions = list(
        AuditEvent.objects.filter(action__startswith="user.mfa").order_by("pk").values_list("action", flat=True)
    )
    assert actions == ["user.mfa.enroll", "user.mfa.codes", "user.mfa.remove"]


def test_an_open_window_is_not_enough_to_change_factors(client_for, alice, secret):
    client = client_for(alice)
    Session.objects.update(proven_at=Authenticator.objects.get().confirmed_at - FRESH)
    page = client.get("/settings").content.decode()
    assert "confirm first that it is you" in page and "Use another app" not in page
    for path in ("app", "app/remove", "recovery-codes", "passkeys/options", "passkeys", "passkeys/1/remove"):
        assert client.post(f"/settings/{path}").status_code == 403, path
    wrong = client.post("/settings/confirm", {"proof": "wrong"})
    assert wrong.status_code == 400 and b"neither your password" in wrong.content
    assert client.post("/settings/confirm", {"proof": PASSWORD})["Location"] == "/settings#second-factor"
    assert client.post("/settings/app/remove").status_code == 302 and not services.has_factor(alice)


def test_an_administrator_resets_what_somebody_lost(client_for, dana, alice, secret):
    client = client_for(dana)
    chosen = {"action": "reset_factors", "_selected_action": [str(alice.pk)]}
    client.post("/admin/accounts/user/", chosen)
    assert isinstance(begin(alice), Entered) and not alice.recovery_codes.exists()
    event = AuditEvent.objects.get(action="user.mfa.reset")
    assert event.actor_id == dana.pk and event.object_id == str(alice.pk)


def test_nobody_resets_the_first_administrators(client_for, dana, alice, set_config):
    text, _address = services.start_app(dana)
    services.confirm_app(dana, code=code(text))
    services.update_user(alice, by=dana, role="admin")
    chosen = {"action": "reset_factors", "_selected_action": [str(dana.pk)]}
    client_for(alice).post("/admin/accounts/user/", chosen)
    assert services.has_factor(dana)


# ------------------------------------------------------------------------------------------------------------ passkeys
def test_a_passkeys_question_is_bound_to_the_person_and_good_once(client_for, alice, bob, set_config):
    """The whole way is a story in tests/browser; here is what must not work."""
    made = Passkey.objects.create(user=alice, name="k", credential_id=b"k1", public_key=b"", host="testserver")
    client = client_for()
    asked = client.post("/auth/passkey/question").json()
    assert asked["options"]["userVerification"] == "required" and asked["options"]["allowCredentials"] == []
    answer = {"challenge_token": asked["challenge_token"], "credential": {"id": "azE", "response": {}}}
    wrong = client.post("/auth/passkey", answer, content_type="application/json")
    assert wrong.status_code == 400 and "not accepted" in wrong.json()["detail"]
    again = client.post("/auth/passkey", answer, content_type="application/json")
    assert again.status_code == 401, "a question is used up by a wrong answer too"

    sign_in(client, alice)
    known = client.post("/auth/passkey/question").json()["options"]["allowCredentials"]
    assert [entry["id"] for entry in known] == ["azE"], "only the person's own, as the second proof"
    made.delete()
    other = client_for().post("/auth/passkey/question")
    assert other.status_code == 400, "nobody has one"


def test_a_passkey_is_no_way_in_for_people_without_a_password(client_for, alice, boot):
    Passkey.objects.create(user=alice, name="k", credential_id=b"k1", public_key=b"", host="testserver")
    assert b"Use a passkey" in client_for().get("/auth").content
    boot(enable_password_auth=False)
    assert b"Use a passkey" not in client_for().get("/auth").content
    assert client_for().post("/auth/passkey/question").status_code == 400


def test_a_body_that_is_no_object_is_a_bad_request(client_for, alice):
    for body in ("[]", "x", "1"):
        assert client_for().post("/auth/passkey", body, content_type="application/json").status_code == 400
