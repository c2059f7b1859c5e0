"""Whose things a file may take over by their name: else anybody could put his own texts before a department."""

from __future__ import annotations

import uuid

from accounts.models import Role, User
from owui.provision.parse import Path_
from owui.provision.plan import Planner


def trusted_owners(planner: Planner, named: uuid.UUID | None = None) -> set[uuid.UUID | None]:
    """Nobody, the administrators, and the owner that the file names."""
    admins = {user.pk for user in planner.world.users.values() if user.role == Role.ADMIN}
    return {None, named, *admins}


def is_known(planner: Planner, user: User, path: Path_) -> bool:
    """Whether a file may give things to whoever has this address. With open sign-up anybody can make an account with
    the address of somebody who is still to come; such a one is a problem until the operator says who it is."""
    if not user.is_address_claimed or user.pk == planner.world.primary:
        return True
    row = planner.world.owned.get(("user", user.email))
    if row is not None and row.object_id == user.pk:
        return True
    if user.email not in planner.strangers:
        planner.strangers.add(user.email)
        text = f"{user.email} signed up without anybody's word that the address is theirs. Ask them. If it is them, add"
        planner.problem(path, f"{text} --adopt {user.email} to the command; if not, delete the account.")
    return False
