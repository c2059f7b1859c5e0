"""Passkeys: added to an account, and shown at sign-in as the second proof or as the only one."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.backends import passkeys
from accounts.backends.passkeys import BadPasskey, Place
from accounts.config import MfaConfig
from accounts.models import Challenge, Passkey, User
from accounts.services import throttle
from accounts.services.entering import Entered, Pending, begin_session, find_challenge, finish, new_challenge
from accounts.services.factors import check_enabled, ensure_codes
from accounts.services.guards import note
from accounts.trusted import is_on
from owui.lib.errors import UserError

log = logging.getLogger(__name__)
MOST = 20


def offered() -> bool:
    """Whether the sign-in page shows a passkey as a way in of its own: it stands for a password, where those count."""
    counts = settings.BOOT.enable_password_auth and not is_on()
    return counts and MfaConfig.load().enable and Passkey.objects.exists()


def ask_new(user: User, place: Place) -> dict[str, Any]:
    """What the browser of a signed-in person is asked to make a passkey from."""
    check_enabled()
    if user.passkeys.count() >= MOST:
        raise UserError(_("You have %d passkeys already. Remove one first.") % MOST, code="too_many")
    nonce = passkeys.nonce()
    challenge = new_challenge("register", user=user, nonce=nonce)
    options = passkeys.registration(user, place, site_name=settings.BOOT.webui_name, challenge=nonce)
    return {"challenge_token": challenge, "options": options}


def add(user: User, place: Place, *, challenge: str, answer: Any, name: str) -> list[str]:
    """Keeps a new passkey.

    :returns: recovery codes, shown this once, when these are the person's first; else nothing
    """
    check_enabled()
    row = _take(challenge, "register")
    if row.user != user:
        raise _refusal()
    try:
        key_id, public_key, count = passkeys.read_registration(answer, place, challenge=row.nonce)
        with transaction.atomic():
            passkey = Passkey.objects.create(
                user=user,
                name=name.strip()[:80] or _("Passkey"),
                credential_id=key_id,
                public_key=public_key,
                sign_count=count,
                host=place.host,
            )
            note("user.mfa.enroll", user, user, {"factor": "passkey", "name": passkey.name})
            return ensure_codes(user)
    except (BadPasskey, IntegrityError) as error:
        log.warning("a new passkey of %s was refused: %s", user.pk, error)
        raise _refusal() from error


def ask(place: Place, *, pending: str = "") -> dict[str, Any]:
    """What a browser is asked at sign-in.

    :param pending: the challenge of a sign-in that waits for its second factor; empty: the passkey is the whole proof
    """
    nonce = passkeys.nonce()
    if pending:
        user = find_challenge(pending).user
        assert user is not None
        known = list(user.passkeys.all())
        challenge = new_challenge("passkey", user=user, nonce=nonce)
    elif offered():
        known, challenge = [], new_challenge("passkey", nonce=nonce)
    else:
        raise _refusal()
    options = passkeys.question(place, known, challenge=nonce, alone=not pending)
    return {"challenge_token": challenge, "options": options}


def enter(
    place: Place, *, challenge: str, answer: Any, pending: str = "", user_agent: str = "", ip: str | None = None
) -> Entered | Pending:
    """Signs in with a passkey, alone or as the second proof of the sign-in that `pending` names.

    :raises UserError: 400 the answer does not hold, 401 it came too late, 429 too many tries
    """
    row = _take(challenge, "passkey")
    waiting = find_challenge(pending) if pending else None
    user = waiting.user if waiting else None
    # As the second proof only the person's own; alone, only of people who also could come with a password.
    if (row.user is None) != (user is None) or (user is not None and row.user != user):
        raise _refusal()
    with throttle.attempt(email=user.email if user else "", ip=ip, kind="factor" if user else "passkey"):
        passkey = _check(row, answer, place, user)
    if waiting is not None:
        return finish(waiting, second_factor="passkey", user_agent=user_agent, ip=ip)
    return begin_session(passkey.user, auth_method="passkey", user_agent=user_agent, ip=ip)


@transaction.atomic
def _check(row: Challenge, answer: Any, place: Place, user: User | None) -> Passkey:
    try:
        key_id = passkeys.credential_id(answer)
        passkey = (
            Passkey.objects.select_for_update(of=("self",)).select_related("user").filter(credential_id=key_id).first()
        )
        if passkey is None or (user is not None and passkey.user_id != user.pk):
            raise BadPasskey("not known")
        if user is None and not (offered() and passkey.user.is_active and passkey.user.has_usable_password()):
            raise BadPasskey("may not come in by a passkey alone")
        passkey.sign_count = passkeys.check(answer, passkey, place, challenge=row.nonce, alone=user is None)
    except BadPasskey as error:
        log.warning("a passkey was refused: %s", error)
        raise _refusal() from error
    passkey.last_used_at = timezone.now()
    passkey.save(update_fields=["sign_count", "last_used_at"])
    return passkey


def _take(challenge: str, kind: str) -> Challenge:
    """The row of a question, which is good for one answer, right or wrong."""
    row = find_challenge(challenge, kind)
    deleted, _rows = Challenge.objects.filter(pk=row.pk).delete()
    if not deleted:
        raise _refusal()
    return row


def _refusal() -> UserError:
    return UserError(_("This passkey was not accepted. Try again, or use another way."), code="passkey")
