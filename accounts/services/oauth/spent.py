"""What counts once."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils import timezone

from accounts.models import SpentToken

#: a sign-in that is on its way does not take longer
ENDED_KEPT = timedelta(minutes=30)


def _digest(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}\0{value}".encode()).hexdigest()


def lock_sid(provider: str, sid: str) -> None:
    """Until this transaction ends, a provider's session is either begun here or ended, one after the other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"sid:{_digest(provider, sid)}"])


def mark_ended(provider: str, sid: str, at: float) -> None:
    """The provider ended a session of its own; `at` by its own clock, as ID tokens have it."""
    until = datetime.fromtimestamp(at, UTC) + ENDED_KEPT
    SpentToken.objects.update_or_create(digest=_digest(f"ended:{provider}", sid), defaults={"expires_at": until})


def was_ended_since(provider: str, sid: str, at: float) -> bool:
    """Whether the session was ended when, or after, its provider spoke of it last."""
    until = datetime.fromtimestamp(at, UTC) + ENDED_KEPT
    return SpentToken.objects.filter(digest=_digest(f"ended:{provider}", sid), expires_at__gte=until).exists()


def spend(kind: str, value: str, *, seconds: float) -> bool:
    """Whether a value is used for the first time; from now on it is used, on every node.

    :param seconds: how long it could be tried again at all
    """
    now = timezone.now()
    SpentToken.objects.filter(expires_at__lt=now).delete()
    # One statement: two who try at once get one True.
    _row, is_new = SpentToken.objects.get_or_create(
        digest=_digest(kind, value), defaults={"expires_at": now + timedelta(seconds=seconds)}
    )
    return is_new
