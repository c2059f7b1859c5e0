"""The second factor: an authenticator app, codes on paper, passkeys; set up, shown, taken away."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.backends import totp
from accounts.backends.password import fits
from accounts.config import MfaConfig
from accounts.models import Authenticator, Challenge, Passkey, RecoveryCode, Session, User
from accounts.services import throttle
from accounts.services.guards import guard_primary, note
from owui.lib.crypto import decrypt, derived_keys, encrypt
from owui.lib.errors import Missing, Refused, UserError

_PURPOSE, _FIRST = "second-factor", "first-second-factor"
#: how long a secret that was shown waits for its first code
_SETTING_UP = timedelta(minutes=15)
#: how long a proof counts as recent
FRESH = timedelta(minutes=15)
CODES = 10
#: no letters that look like another
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Factors:
    """What a person has."""

    has_app: bool
    passkeys: tuple[Passkey, ...]
    codes_left: int

    @property
    def any(self) -> bool:
        return self.has_app or bool(self.passkeys)


def factors_of(user: User) -> Factors:
    """What a person has besides the password."""
    return Factors(
        Authenticator.objects.filter(user=user).exclude(confirmed_at=None).exists(),
        tuple(user.passkeys.all()),
        user.recovery_codes.count(),
    )


def has_factor(user: User) -> bool:
    """Whether sign-in asks this person for a second factor."""
    return factors_of(user).any


def check_enabled() -> None:
    """403 while the organisation has the second factor switched off."""
    if not MfaConfig.load().enable:
        raise Refused(_("The second factor is switched off here."), code="mfa_off")


def check_fresh(session: Session | None) -> None:
    """403 unless the person proved who they are a moment ago: an open window must not be enough to change factors."""
    if not is_fresh(session):
        raise Refused(_("Confirm first that it is you: enter your password or a current code."), code="not_fresh")


def is_fresh(session: Session | None) -> bool:
    return session is not None and timezone.now() - session.proven_at < FRESH


def prove(user: User, session: Session | None, *, proof: str, ip: str | None = None) -> None:
    """Marks the session as recently proven, by the password or a code.

    :raises UserError: 400 wrong, 429 too many tries
    """
    with throttle.attempt(email=user.email, ip=ip, kind="own"):
        # Codes first: they are cheap to check, and a password may look like one.
        good = bool(_use_code(user, proof)) or (user.has_usable_password() and fits(proof, user.password)[0])
        if not good:
            raise UserError(_("This is neither your password nor a current code."), code="proof")
    if session is not None:
        session.proven_at = timezone.now()
        Session.objects.filter(pk=session.pk).update(proven_at=session.proven_at)


# ------------------------------------------------------------------------------------------------------------ the app
@transaction.atomic
def start_app(user: User) -> tuple[str, str]:
    """A new secret, shown until its first code comes back; what the person had before stays good until then.

    :returns: the secret and the address that the picture says
    """
    check_enabled()
    secret = totp.new_secret()
    Authenticator.objects.update_or_create(user=user, defaults={"pending": _seal(secret), "pending_at": timezone.now()})
    return secret, totp.address(secret, account=user.email, issuer=settings.BOOT.webui_name)


def first_app(challenge: Challenge) -> tuple[str, str]:
    """The secret of whoever has to set up a second factor to come in: of this one sign-in alone, and stored nowhere.

    Else whoever knows the password could open the page first, be shown what the owner is shown later, and have the
    owner's codes from then on.

    :returns: the secret and the address that the picture says
    """
    assert challenge.user is not None
    key = derived_keys(_FIRST)[0]
    secret = base64.b32encode(hmac.digest(key, challenge.digest.encode(), "sha256")[:20]).decode()
    return secret, totp.address(secret, account=challenge.user.email, issuer=settings.BOOT.webui_name)


def confirm_first_app(challenge: Challenge, *, code: str, ip: str | None = None) -> list[str]:
    """The first right code of `first_app` makes it the person's second factor. Recovery codes, shown this once.

    :raises UserError: 400 wrong code; 401 the person has a second factor meanwhile; 429 too many tries
    """
    check_enabled()
    assert challenge.user is not None
    with throttle.attempt(email=challenge.user.email, ip=ip, kind="factor"), transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=challenge.user.pk)
        if has_factor(user):
            text = _("A second factor was set up meanwhile. Sign in again.")
            raise UserError(text, status=401, code="challenge_over")
        secret = first_app(challenge)[0]
        step = _matching_step(secret, code)
        values = {"secret": _seal(secret), "pending": "", "pending_at": None, "confirmed_at": timezone.now()}
        Authenticator.objects.update_or_create(user=user, defaults=values | {"last_step": step})
        note("user.mfa.enroll", user, user, {"factor": "totp"})
        return ensure_codes(user)


def _matching_step(secret: str, code: str) -> int:
    step = totp.matching_step(secret, code, after=0)
    if step is None:
        raise UserError(_("This code is not right. Wait for the next one and enter it."), code="code")
    return step


def pending_app(user: User) -> tuple[str, str] | None:
    """The secret that waits for its first code, so that the page can be shown again."""
    row = Authenticator.objects.filter(user=user, pending_at__gt=timezone.now() - _SETTING_UP).first()
    if row is None or not row.pending:
        return None
    secret = _open(row.pending)
    return secret, totp.address(secret, account=user.email, issuer=settings.BOOT.webui_name)


def confirm_app(user: User, *, code: str, ip: str | None = None) -> list[str]:
    """The first right code makes the app the person's second factor.

    :returns: recovery codes, shown this once, when these are the person's first; else nothing
    :raises UserError: 400 wrong code, or nothing waits for one; 429 too many tries
    """
    check_enabled()
    with throttle.attempt(email=user.email, ip=ip, kind="own"):
        return _confirm_app(user, code)


@transaction.atomic
def _confirm_app(user: User, code: str) -> list[str]:
    row = Authenticator.objects.select_for_update().filter(user=user).first()
    if row is None or not row.pending or row.pending_at is None or timezone.now() - row.pending_at > _SETTING_UP:
        raise UserError(_("This took too long. Begin again."), code="enroll_over")
    step = _matching_step(_open(row.pending), code)
    was_there = row.confirmed_at is not None
    row.secret, row.pending, row.pending_at = row.pending, "", None
    row.confirmed_at, row.last_step = timezone.now(), step
    row.save()
    note("user.mfa.replace" if was_there else "user.mfa.enroll", user, user, {"factor": "totp"})
    return ensure_codes(user)


# -------------------------------------------------------------------------------------------------------------- codes
def verify(user: User, *, code: str, ip: str | None = None) -> str:
    """Checks a code of the app or a recovery code, each once.

    :returns: which it was: `totp` or `recovery`
    :raises UserError: 400 wrong or used; 429 too many tries
    """
    with throttle.attempt(email=user.email, ip=ip, kind="factor"):
        if kind := _use_code(user, code):
            return kind
        raise UserError(
            _("This code is not right, or was used already. Wait for the next one and enter it."), code="code"
        )


@transaction.atomic
def _use_code(user: User, code: str) -> str:
    row = Authenticator.objects.select_for_update().filter(user=user).exclude(confirmed_at=None).first()
    if row is not None and (step := totp.matching_step(_open(row.secret), code, after=row.last_step)):
        row.last_step = step
        row.save(update_fields=["last_step"])
        return "totp"
    deleted, _rows = RecoveryCode.objects.filter(user=user, digest=_code_digest(code)).delete()
    if deleted:
        note("user.mfa.recover", user, user, {"left": user.recovery_codes.count()})
    return "recovery" if deleted else ""


@transaction.atomic
def renew_codes(user: User) -> list[str]:
    """New recovery codes; the former ones are worth nothing from now on."""
    check_enabled()
    if not has_factor(user):
        raise UserError(_("Add an authenticator app or a passkey first."), code="no_factor")
    note("user.mfa.codes", user, user)
    return _new_codes(user)


def ensure_codes(user: User) -> list[str]:
    """Recovery codes for whoever has none; nothing when there are some."""
    return [] if user.recovery_codes.exists() else _new_codes(user)


def _new_codes(user: User) -> list[str]:
    codes = ["-".join("".join(secrets.choice(_LETTERS) for _i in range(5)) for _j in range(3)) for _k in range(CODES)]
    RecoveryCode.objects.filter(user=user).delete()
    RecoveryCode.objects.bulk_create([RecoveryCode(user=user, digest=_code_digest(code)) for code in codes])
    return codes


def _code_digest(code: str) -> str:
    # 74 random bits: a plain hash is enough, as for API keys.
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()


# ----------------------------------------------------------------------------------------------------------- taken away
@transaction.atomic
def remove_app(user: User) -> None:
    """The app is no second factor any more; without another one the codes on paper go too."""
    deleted, _rows = Authenticator.objects.filter(user=user).delete()
    if deleted:
        note("user.mfa.remove", user, user, {"factor": "totp"})
    _drop_lonely_codes(user)


@transaction.atomic
def remove_passkey(user: User, *, pk: int) -> None:
    """One passkey of one's own. 404 when there is none of this number."""
    passkey = user.passkeys.filter(pk=pk).first()
    if passkey is None:
        raise Missing(_("This passkey does not exist any more."))
    note("user.mfa.remove", user, user, {"factor": "passkey", "name": passkey.name})
    passkey.delete()
    _drop_lonely_codes(user)


def _drop_lonely_codes(user: User) -> None:
    if not has_factor(user):
        RecoveryCode.objects.filter(user=user).delete()


@transaction.atomic
def reset_factors(user: User, *, by: User | None) -> None:
    """For somebody who lost everything: the next sign-in asks for none, or to set one up. By an administrator."""
    guard_primary(user, by)
    had = factors_of(user)
    Authenticator.objects.filter(user=user).delete()
    Passkey.objects.filter(user=user).delete()
    RecoveryCode.objects.filter(user=user).delete()
    note("user.mfa.reset", user, by, {"app": had.has_app, "passkeys": len(had.passkeys)})


def _seal(secret: str) -> str:
    return encrypt(secret, _PURPOSE, secret=settings.BOOT.mfa_encryption_key)


def _open(token: str) -> str:
    return decrypt(token, _PURPOSE, secret=settings.BOOT.mfa_encryption_key)
