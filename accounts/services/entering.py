"""From an accepted proof to a session: every way of signing in ends in `begin_session`.

It opens the session, or asks for the second factor and gives a challenge instead. The way of signing in need not know
which: `accounts.web.let_in` makes the right answer of both.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.config import MfaConfig
from accounts.models import Challenge, Role, Session, User
from accounts.services.factors import has_factor
from accounts.services.sessions import check_password, open_session, wrong_credentials
from owui.lib.errors import UserError

#: how long a second factor may take
PATIENCE = timedelta(seconds=300)
#: ways whose own second factor counts, by the setting that says so
_BYPASSES = {"oauth": "allow_oauth_bypass", "trusted_header": "allow_trusted_header_bypass"}


@dataclass(frozen=True, slots=True)
class Entered:
    """The person is in."""

    user: User
    token: str
    session: Session


@dataclass(frozen=True, slots=True)
class Pending:
    """The first proof was accepted; the second is still to come.

    :param step: `verify`, or `enroll` when the person has no second factor yet and must have one
    :param challenge: what only this person's browser knows; good once, for `PATIENCE`
    """

    user: User
    step: str
    challenge: str


@transaction.atomic
def begin_session(
    user: User,
    *,
    auth_method: str,
    user_agent: str = "",
    ip: str | None = None,
    origin: dict[str, Any] | None = None,
) -> Entered | Pending:
    """A session for a person whose proof was accepted, or the question for the second factor.

    :param auth_method: `password`, `ldap`, `oauth`, `trusted_header`, `passkey`
    :param origin: kept with the session as `Session.origin`, also when it opens only after the second factor: what the
        way of signing in wants to find again, such as the id of the provider's session; never a secret
    """
    if auth_method == "password":
        _check_unchanged(user)
    step = _step(user, auth_method)
    if not step:
        token, session = open_session(user, auth_method=auth_method, user_agent=user_agent, ip=ip, origin=origin)
        return Entered(user, token, session)
    return Pending(user, step, new_challenge("sign_in", user=user, step=step, auth_method=auth_method, origin=origin))


def sign_in(*, email: str, password: str, user_agent: str = "", ip: str | None = None) -> Entered | Pending:
    """Checks a password and begins a session; raises what `check_password` raises."""
    user = check_password(email=email, password=password, ip=ip)
    return begin_session(user, auth_method="password", user_agent=user_agent, ip=ip)


def _check_unchanged(user: User) -> None:
    """A password that was changed while it was checked opens nothing: that change has ended what was open, and what it
    did not see must not begin after it."""
    stored = User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("password", flat=True).first()
    if stored != user.password:
        raise wrong_credentials()


def _step(user: User, auth_method: str) -> str:
    config = MfaConfig.load()
    if not config.enable or auth_method == "passkey":
        # A passkey that unlocked itself with a finger or a number is two factors already.
        return ""
    bypass = _BYPASSES.get(auth_method)
    if bypass and getattr(config, bypass):
        return ""
    if has_factor(user):
        return "verify"
    return "enroll" if must_have_factor(user) else ""


def must_have_factor(user: User) -> bool:
    """Whether the organisation wants this person to have a second factor."""
    config = MfaConfig.load()
    if not config.enable:
        return False
    return config.required == "everybody" or (config.required == "administrators" and user.role == Role.ADMIN)


def _digest(challenge: str) -> str:
    return hashlib.sha256(challenge.encode()).hexdigest()


def new_challenge(kind: str, *, user: User | None = None, **fields: Any) -> str:
    """A row that waits for the next proof; gives the only copy of its name."""
    now = timezone.now()
    # Those that somebody else is taking away at this moment are left to them.
    old = Challenge.objects.filter(expires_at__lt=now).select_for_update(skip_locked=True).values_list("pk", flat=True)
    with transaction.atomic():
        Challenge.objects.filter(pk__in=list(old[:500])).delete()
    challenge = secrets.token_urlsafe(32)
    fields["origin"] = fields.get("origin") or {}
    stamp = user.session_stamp if user else None
    Challenge.objects.create(
        digest=_digest(challenge), kind=kind, user=user, session_stamp=stamp, expires_at=now + PATIENCE, **fields
    )
    return challenge


def find_challenge(challenge: str, kind: str = "sign_in") -> Challenge:
    """The row that a browser or a program names. 401 when it is over, used, or was never there."""
    rows = Challenge.objects.select_related("user").filter(kind=kind, expires_at__gt=timezone.now())
    row = rows.filter(digest=_digest(challenge)).first() if challenge else None
    user = row.user if row else None
    if row is None or (user is not None and (not user.is_active or user.session_stamp != row.session_stamp)):
        raise _over()
    if row.step == "enroll" and user is not None and has_factor(user):
        # Set up meanwhile, elsewhere. Else a stolen password could put another app in the place of the owner's.
        raise _over()
    return row


@transaction.atomic
def finish(row: Challenge, *, second_factor: str, user_agent: str = "", ip: str | None = None) -> Entered:
    """Opens the session that a challenge stood for; once."""
    deleted, _rows = Challenge.objects.filter(pk=row.pk).delete()
    if not deleted or row.user is None:
        raise _over()
    token, session = open_session(
        row.user,
        auth_method=row.auth_method,
        user_agent=user_agent,
        ip=ip,
        second_factor=second_factor,
        origin=row.origin,
    )
    return Entered(row.user, token, session)


def _over() -> UserError:
    return UserError(_("This took too long, or was done already. Sign in again."), status=401, code="challenge_over")
