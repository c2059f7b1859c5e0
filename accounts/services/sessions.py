"""Sign in and out; end the sessions of others."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import tokens
from accounts.models import Session, User
from accounts.services import throttle
from accounts.services.guards import (
    guard_primary,
    note,
    tell,
)
from accounts.trusted import refuse_passwords
from owui.lib.errors import Missing, Refused, UserError
from rbac.sharing import Person


def check_password(*, email: str, password: str, ip: str | None = None) -> User:
    """The person whose password this is; the session is the caller's to begin.

    :raises UserError: 400 wrong e-mail or password (the same text for both), 403 switched off, 429 too many tries
    """
    refuse_passwords()
    if not settings.BOOT.enable_password_auth:
        raise Refused(_("Sign-in with a password is switched off. Use your organisation's sign-in."))
    with throttle.attempt(email=email, ip=ip):
        user = authenticate(None, username=email, password=password)
        if user is None:
            raise wrong_credentials()
    assert isinstance(user, User)
    return user


def wrong_credentials() -> UserError:
    """The same for an unknown address and a wrong password."""
    return UserError(_("The e-mail or password is wrong. Check both and try again."), code="credentials")


@transaction.atomic
def open_session(
    user: User,
    *,
    auth_method: str,
    user_agent: str = "",
    ip: str | None = None,
    by: User | None = None,
    second_factor: str = "",
    origin: dict[str, Any] | None = None,
) -> tuple[str, Session]:
    """A session and its token, with nothing asked any more. Ways of signing in call `begin_session` instead.

    :param by: who opened it when it was not the person, so that the log names the right one
    """
    # Held until the session stands: who is being switched off at this moment is either out before it, which is seen
    # here, or waits for it, and ends it with the others.
    rows = User.objects.select_for_update(no_key=True).filter(pk=user.pk)
    if not rows.values_list("is_active", flat=True).first():
        raise Refused(_("This account is switched off. Ask your administrator."), code="account_off")
    token, session = tokens.issue(
        user, auth_method=auth_method, user_agent=user_agent, ip=ip, second_factor=second_factor, origin=origin
    )
    detail = {"method": auth_method, "session": str(session.pk)}
    note("user.sign_in", user, by or user, detail | ({"second_factor": second_factor} if second_factor else {}))
    return token, session


@transaction.atomic
def sign_out(user: User, session: Session | None) -> None:
    """Ends this session only."""
    if session is not None:
        tokens.revoke(session)
        note("user.sign_out", user, user)
        tell(user)


@transaction.atomic
def end_session(session: Session, *, by: Person) -> None:
    """Ends one session of a person: their own, or as an administrator."""
    guard_primary(session.user, by)
    tokens.revoke(session)
    note("user.session.revoke", session.user, by, {"session": str(session.pk)})
    tell(session.user)


@transaction.atomic
def end_own_session(user: User, key: uuid.UUID) -> None:
    """One of a person's own sessions; 404 for anybody else's, and for one that is over."""
    session = Session.objects.select_related("user").filter(pk=key, user=user, revoked_at=None).first()
    if session is None:
        raise Missing(_("This session is over already."))
    end_session(session, by=user)


@transaction.atomic
def end_other_sessions(user: User, *, keep: Session) -> int:
    """Signs a person out everywhere but here. How many sessions ended."""
    count = Session.objects.filter(user=user, revoked_at=None).exclude(pk=keep.pk).count()
    tokens.revoke_all(user, keep=keep)
    if count:
        note("user.sessions.revoke", user, user, {"others": count})
        tell(user)
    return count


@transaction.atomic
def revoke_sessions(user: User, *, by: Person | None) -> None:
    """Ends every session of a person, sockets and running answers included."""
    guard_primary(user, by)
    tokens.revoke_all(user)
    note("user.sessions.revoke", user, by)
    tell(user)
