"""Whose things a file may take over by their name: else anybody could put his own texts before a department."""

from __future__ import annotations

import uuid

from accounts.models import Role
from owui.provision.plan import Planner


def trusted_owners(planner: Planner, named: uuid.UUID | None = None) -> set[uuid.UUID | None]:
    """Nobody, the administrators, and the owner that the file names."""
    admins = {user.pk for user in planner.world.users.values() if user.role == Role.ADMIN}
    return {None, named, *admins}
