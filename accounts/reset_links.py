"""The one-time link by which a forgotten password is replaced.

Nothing is stored: the link is signed, and bound to the hash and the session stamp of the moment. Using it changes both,
as does any other change of the password, so it is good once; every node can check it.
"""

from __future__ import annotations

import uuid

from django.core import signing
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.http import urlencode

from accounts.models import User
from owui.config.sections import UiConfig

_SALT = "owui.password-reset"
LIFETIME = 3600


def token_for(user: User) -> str:
    return signing.dumps([str(user.pk), _fingerprint(user)], salt=_SALT)


def user_of(token: str) -> User | None:
    """Whose link it is; None when it is altered, too old, used, or of an account that may not use it."""
    try:
        pk, fingerprint = signing.loads(token, salt=_SALT, max_age=LIFETIME)
        user = User.objects.filter(pk=uuid.UUID(pk)).first()
    except (signing.BadSignature, ValueError, TypeError):
        return None
    if user is None or not constant_time_compare(fingerprint, _fingerprint(user)) or not may_reset(user):
        return None
    return user


def may_reset(user: User) -> bool:
    """People of a directory or provider have no password here, and a mail must not give them one."""
    return user.is_active and user.has_usable_password()


def address(token: str) -> str:
    """The page of the link, at the configured address: never at the one a request claims to have come to."""
    return f"{UiConfig.load().url.rstrip('/')}{reverse('accounts:reset')}?{urlencode({'token': token})}"


def _fingerprint(user: User) -> str:
    state = f"{user.pk}:{user.password}:{user.session_stamp}:{user.email}"
    return salted_hmac(_SALT, state, algorithm="sha256").hexdigest()
