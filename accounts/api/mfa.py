"""`/api/v1/auths/mfa`: the second factor for programs. At sign-in the challenge stands for the person, later the
session; what changes factors asks for a code or the password again."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from accounts import services
from accounts.api.auths import sign_in_answer
from accounts.backends import totp
from accounts.config import MfaConfig
from accounts.middleware import identity_of
from accounts.models import Challenge, User
from accounts.schemas import pending_answer
from accounts.web import CHALLENGE, client_of
from owui.lib.errors import UserError
from owui.lib.guards import current, current_human, refuse_cross_site

router = Router(tags=["auths"])


class ChallengeForm(Schema):
    challenge_token: str = ""


class CodeForm(ChallengeForm):
    code: str


class ProofForm(Schema):
    """A current code, a recovery code or the password."""

    code: str = ""


class RecoverForm(ChallengeForm):
    recovery_code: str = ""
    code: str = ""


@router.get("/status", auth=current)
def get_status(request: HttpRequest) -> dict[str, Any]:
    user = _me(request)
    found = services.factors_of(user)
    return {
        "enabled": MfaConfig.load().enable,
        "required": services.must_have_factor(user),
        "enrolled": found.any,
        "methods": ["totp"] * found.has_app + ["passkey"] * bool(found.passkeys),
        "recovery_codes_remaining": found.codes_left,
    }


@router.post("/challenge", auth=None)
def get_challenge(request: HttpRequest) -> dict[str, Any]:
    """For a page that a provider led back to: the sign-in of this browser that waits for its second factor."""
    refuse_cross_site(request)
    name = request.COOKIES.get(CHALLENGE, "")
    return pending_answer(services.find_challenge(name).step, name)


@router.post("/enroll/start", auth=None)
def start_enrolment(request: HttpRequest, form: ChallengeForm) -> dict[str, Any]:
    """Before the session, when the organisation asks for a second factor; or after it, shortly after a proof."""
    refuse_cross_site(request)
    user, challenge = _person(request, form, "enroll")
    if challenge is None:
        services.check_fresh(_session(request))
        return _shown(*services.start_app(user))
    services.check_enabled()
    return _shown(*services.first_app(challenge))


@router.post("/enroll/confirm", auth=None)
def confirm_enrolment(request: HttpRequest, form: CodeForm, response: HttpResponse) -> dict[str, Any]:
    """With a challenge the session answer as well."""
    refuse_cross_site(request)
    user, challenge = _person(request, form, "enroll")
    client = client_of(request)
    if challenge is None:
        services.check_fresh(_session(request))
        codes = services.confirm_app(user, code=form.code, ip=client["ip"])
        return {"status": True, "recovery_codes": codes}
    codes = services.confirm_first_app(challenge, code=form.code, ip=client["ip"])
    done = services.finish(challenge, second_factor="totp", **client)
    return {"status": True, "recovery_codes": codes} | sign_in_answer(request, response, done)


@router.post("/verify", auth=None)
def verify(request: HttpRequest, form: CodeForm, response: HttpResponse) -> dict[str, Any]:
    return _finish(request, response, form.challenge_token, form.code)


@router.post("/recover", auth=None)
def recover(request: HttpRequest, form: RecoverForm, response: HttpResponse) -> dict[str, Any]:
    """A recovery code instead of the app's."""
    return _finish(request, response, form.challenge_token, form.recovery_code or form.code)


@router.post("/replace", auth=current_human)
def replace(request: HttpRequest, form: ProofForm) -> dict[str, Any]:
    """Another app: its secret, to be ended by `enroll/confirm`. The former one stays good until then."""
    _prove(request, form)
    return _shown(*services.start_app(_me(request)))


@router.post("/recovery/codes", auth=current_human)
def renew_codes(request: HttpRequest, form: ProofForm) -> dict[str, Any]:
    _prove(request, form)
    return {"recovery_codes": services.renew_codes(_me(request))}


def _finish(request: HttpRequest, response: HttpResponse, name: str, code: str) -> dict[str, Any]:
    refuse_cross_site(request)
    challenge, client = services.find_challenge(name), client_of(request)
    if challenge.step != "verify" or challenge.user is None:
        raise UserError("Set up a second factor first.", code="enroll_first")
    kind = services.verify(challenge.user, code=code, ip=client["ip"])
    return sign_in_answer(request, response, services.finish(challenge, second_factor=kind, **client))


def _person(request: HttpRequest, form: ChallengeForm, step: str) -> tuple[User, Challenge | None]:
    """Whom a challenge stands for, else who is signed in."""
    if not form.challenge_token:
        user: Any = current_human(request)
        return user, None
    challenge = services.find_challenge(form.challenge_token)
    if challenge.step != step or challenge.user is None:
        # Else a stolen password would be enough to put another app in the place of the owner's.
        raise UserError("Enter a code of the second factor that you have.", status=403, code="verify_first")
    return challenge.user, challenge


def _prove(request: HttpRequest, form: ProofForm) -> None:
    services.check_enabled()
    if form.code:
        services.prove(_me(request), _session(request), proof=form.code, ip=client_of(request)["ip"])
    services.check_fresh(_session(request))


def _shown(secret: str, address: str) -> dict[str, Any]:
    return {"secret": secret, "otpauth_uri": address, "qr_svg": totp.picture(address)}


def _session(request: HttpRequest) -> Any:
    identity = identity_of(request)
    return identity.session if identity else None


def _me(request: HttpRequest) -> User:
    identity = identity_of(request)
    assert identity is not None
    return identity.user
