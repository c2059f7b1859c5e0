"""Password sign-in."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from threading import BoundedSemaphore
from typing import Any, TypeVar

from django.contrib.auth.hashers import make_password, verify_password
from django.db import connection
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.hashers import as_ours
from accounts.models import User
from owui.lib.errors import UserError

T = TypeVar("T")

#: hashing megabytes would keep a thread busy for anybody who asks; ours have 1,024 characters at most
LONGEST = 4096
#: a hash takes 64 MB and a tenth of a second on purpose; that many at once in a process, the others wait their turn
AT_ONCE = 2
_hashing = BoundedSemaphore(AT_ONCE)
PATIENCE = 20.0
#: how much these threads stand back where others want the processor: running answers come first
NICE = 5


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


def _stand_back() -> None:
    with suppress(OSError, AttributeError):  # only Linux knows the priority of a thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hashing", initializer=_stand_back)


def _aside(work: Callable[..., T], *arguments: Any) -> T:
    """Does it in a thread of low priority, in turn. The work only computes: it must not touch the database."""
    with _turn():
        return _threads().submit(work, *arguments).result()


def hash_password(password: str | None) -> str:
    """The hash to store; None gives one that no password fits."""
    return make_password(None) if password is None else _aside(make_password, password)


def fits(password: str, encoded: str | None) -> tuple[bool, bool]:
    """Whether the password is right, and whether its hash should be renewed. No hash at all costs the same time."""
    if not password or len(password) > LONGEST:
        return False, False
    return _aside(verify_password, password, as_ours(encoded or ""))


class PasswordBackend:
    """E-mail and password. An unknown address costs the same time as a wrong password."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        email = (username or kwargs.get("email") or "").strip().lower()
        if not email or not password or len(password) > LONGEST:
            return None
        user = User.objects.filter(email=email).first()
        is_right, is_old = fits(password, user.password if user else None)
        if user is None or not is_right or not user.is_active:
            return None
        if is_old:
            renewed = hash_password(password)
            # Only while it is still the one that was checked: a change of the same moment wins.
            if User.objects.filter(pk=user.pk, password=user.password).update(password=renewed):
                user.password = renewed
            else:
                # Renewed by another sign-in of this moment, or changed: only the former still lets this one in.
                user.password = User.objects.filter(pk=user.pk).values_list("password", flat=True).first() or ""
                return user if fits(password, user.password)[0] else None
        return user

    def get_user(self, user_id: Any) -> User | None:
        return User.objects.filter(pk=user_id).first()
