"""Who is here now, as far as requests tell."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from accounts.models import User

#: the field's measure: seen within three minutes
RECENT = timedelta(minutes=3)


def is_here(user: User) -> bool:
    """Whether the person was seen lately. The time of the last request is written at most once in an interval."""
    interval = timedelta(seconds=settings.BOOT.database_user_active_status_update_interval)
    return user.last_active_at is not None and timezone.now() - user.last_active_at < max(RECENT, interval)
