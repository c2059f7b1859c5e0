"""Every write about groups and grants. Keyword-only, atomic, each with its audit entry in the same transaction."""

from rbac.services.announce import announce
from rbac.services.grants import NOT_SHAREABLE, Conflict, allowed_audiences, set_grants
from rbac.services.groups import create_group, delete_group, rebuild_ancestry, set_default_permissions, update_group
from rbac.services.members import add_members, change_members, managed_groups, remove_members, set_managers
from rbac.services.principals import effective_groups, search_principals, shareable_groups

__all__ = [
    "NOT_SHAREABLE",
    "Conflict",
    "add_members",
    "allowed_audiences",
    "announce",
    "change_members",
    "create_group",
    "delete_group",
    "effective_groups",
    "managed_groups",
    "rebuild_ancestry",
    "remove_members",
    "search_principals",
    "set_default_permissions",
    "set_grants",
    "set_managers",
    "shareable_groups",
    "update_group",
]
