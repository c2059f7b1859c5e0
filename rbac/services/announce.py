"""Telling long-lived readers that rights changed."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db import transaction

from rbac.sharing import SharedResource
from rbac.signals import access_changed


def announce(resource_type: str, resource_id: str, user_ids: Iterable[uuid.UUID] = ()) -> None:
    """Tells sockets and running turns to ask again, after the change is really there. Nobody named means everybody."""
    users = [str(u) for u in user_ids]
    transaction.on_commit(
        lambda: access_changed.send(
            sender=SharedResource, resource_type=resource_type, resource_id=resource_id, user_ids=users
        )
    )
