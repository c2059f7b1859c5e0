"""Sign in and out; end the sessions of others."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import tokens
from accounts.models import Session, SignInFailure, User
from accounts.services.guards import (
    guard_primary,
    note,
    tell,
)
from owui.lib.errors import Refused, UserError

TRIES, WINDOW = 15, timedelta(minutes=3)


def sign_in(*, email: str, password: str, user_agent: str = "", ip: str | None = None) -> tuple[User, str, Session]:
    """Checks a password and opens a session.

    :returns: the person, the token, the session
    :raises UserError: 400 wrong e-mail or password (the same text for both), 403 switched off, 429 too many tries
    """
    if not settings.BOOT.enable_password_auth:
        raise Refused(_("Sign-in with a password is switched off. Use your organisation's sign-in."))
    email = email.strip().lower()[:254]
    since = timezone.now() - WINDOW
    if SignInFailure.objects.filter(email=email, at__gte=since).count() >= TRIES:
        raise UserError(_("Too many failed sign-ins for this address. Wait three minutes and try again."), status=429)
    user = authenticate(None, username=email, password=password)
    if user is None:
        SignInFailure.objects.filter(at__lt=since).delete()
        SignInFailure.objects.create(email=email)
        raise UserError(_("The e-mail or password is wrong. Check both and try again."), code="credentials")
    assert isinstance(user, User)
    token, session = open_session(user, auth_method="password", user_agent=user_agent, ip=ip)
    return user, token, session


@transaction.atomic
def open_session(
    user: User, *, auth_method: str, user_agent: str = "", ip: str | None = None, by: User | None = None
) -> tuple[str, Session]:
    """A session for a person whose proof was accepted; every sign-in way ends here.

    :param by: who opened it when it was not the person, so that the log names the right one
    """
    token, session = tokens.issue(user, auth_method=auth_method, user_agent=user_agent, ip=ip)
    note("user.sign_in", user, by or user, {"method": auth_method, "session": str(session.pk)})
    return token, session


@transaction.atomic
def sign_out(user: User, session: Session | None) -> None:
    """Ends this session only."""
    if session is not None:
        tokens.revoke(session)
        note("user.sign_out", user, user)
        tell(user)


@transaction.atomic
def end_session(session: Session, *, by: User) -> None:
    """Ends one session of a person, as an administrator."""
    guard_primary(session.user, by)
    tokens.revoke(session)
    note("user.session.revoke", session.user, by, {"session": str(session.pk)})
    tell(session.user)


@transaction.atomic
def revoke_sessions(user: User, *, by: User) -> None:
    """Ends every session of a person, sockets included."""
    guard_primary(user, by)
    tokens.revoke_all(user)
    note("user.sessions.revoke", user, by)
    tell(user)
