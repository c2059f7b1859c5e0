"""Password sign-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import connection
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.models import User
from owui.lib.errors import UserError

#: hashing megabytes would keep a thread busy for anybody who asks; ours have 1,024 characters at most
LONGEST = 4096
#: Argon2 takes 100 MB and a tenth of a second on purpose; that many at once in a process, the others wait their turn
AT_ONCE = 4
_hashing = BoundedSemaphore(AT_ONCE)
PATIENCE = 10.0


@contextmanager
def _turn() -> Iterator[None]:
    """A place among the few that hash at once. No database connection is held meanwhile: sign-ins of strangers must not
    take the pool away from everybody."""
    if not connection.in_atomic_block:
        connection.close()
    if not _hashing.acquire(timeout=PATIENCE):
        raise UserError(_("Too many people are signing in at this moment. Try again in a minute."), status=503)
    try:
        yield
    finally:
        _hashing.release()


def hash_password(password: str | None) -> str:
    """The hash to store; None gives one that no password fits."""
    if password is None:
        return make_password(None)
    with _turn():
        return make_password(password)


class PasswordBackend:
    """E-mail and password. An unknown address costs the same time as a wrong password."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        email = (username or kwargs.get("email") or "").strip().lower()
        if not email or not password or len(password) > LONGEST:
            return None
        user = User.objects.filter(email=email).first()
        with _turn():
            if user is None:
                make_password(password)
                return None
            is_right = user.check_password(password)
        return user if is_right and user.is_active else None

    def get_user(self, user_id: Any) -> User | None:
        return User.objects.filter(pk=user_id).first()
