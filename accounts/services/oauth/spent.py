"""What counts once."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from django.utils import timezone

from accounts.models import SpentToken


def spend(kind: str, value: str, *, seconds: float) -> bool:
    """Whether a value is used for the first time; from now on it is used, on every node.

    :param seconds: how long it could be tried again at all
    """
    now = timezone.now()
    SpentToken.objects.filter(expires_at__lt=now).delete()
    digest = hashlib.sha256(f"{kind}\0{value}".encode()).hexdigest()
    # One statement: two who try at once get one True.
    _row, is_new = SpentToken.objects.get_or_create(
        digest=digest, defaults={"expires_at": now + timedelta(seconds=seconds)}
    )
    return is_new
