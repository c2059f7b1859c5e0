"""Every write about groups and grants. Keyword-only, atomic, each with its audit entry in the same transaction."""

from rbac.services.announce import announce
from rbac.services.grants import NOT_SHAREABLE, Conflict, allowed_audiences, set_grants
from rbac.services.groups import create_group, delete_group, rebuild_ancestry, set_default_permissions, update_group
from rbac.services.members import (
    SHORTEST_QUERY,
    add_members,
    change_members,
    managed_group,
    managed_groups,
    manages_groups,
    members_of,
    people_to_add,
    remove_members,
    set_managers,
)
from rbac.services.principals import effective_groups, search_principals, shareable_groups
from rbac.services.sync import SyncPlan, apply_sync, plan_sync

__all__ = [
    "NOT_SHAREABLE",
    "SHORTEST_QUERY",
    "Conflict",
    "SyncPlan",
    "add_members",
    "allowed_audiences",
    "announce",
    "apply_sync",
    "change_members",
    "create_group",
    "delete_group",
    "effective_groups",
    "managed_group",
    "managed_groups",
    "manages_groups",
    "members_of",
    "people_to_add",
    "plan_sync",
    "rebuild_ancestry",
    "remove_members",
    "search_principals",
    "set_default_permissions",
    "set_grants",
    "set_managers",
    "shareable_groups",
    "update_group",
]
