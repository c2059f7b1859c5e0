"""Permission keys of many groups at once, and of the default, as the matrix of the administration sends them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from owui.lib.errors import UserError
from rbac.models import Group
from rbac.permissions import PERMISSIONS, default_permissions, is_true, nested
from rbac.services.groups import lock_tree, set_default_permissions, update_group
from rbac.sharing import Person

#: the column of the default permissions; every other column is the id of a group
DEFAULT = "default"


class MatrixConflict(UserError):
    """Somebody else changed keys of the same groups in the meantime, or removed a group.

    :param now: the keys of each column as they are stored; a column that is gone is missing
    """

    status = 409
    code = "conflict"

    def __init__(self, now: dict[str, frozenset[str]]) -> None:
        super().__init__(
            _("Somebody else changed these permissions while you were editing. What they changed is marked below, and "
              "your changes are kept. Look at both, then save again.")
        )  # fmt: skip
        self.now = now


def own_keys(tree: Any) -> frozenset[str]:
    """The keys that a permissions object says true for."""
    return frozenset(key for key in PERMISSIONS if is_true(tree, key))


def unknown_keys(tree: Any) -> list[str]:
    """What is stored for keys that this release does not know."""
    if not isinstance(tree, dict):
        return []
    names = [
        f"{section}.{name}" if isinstance(branch, dict) else section
        for section, branch in tree.items()
        for name in (branch if isinstance(branch, dict) else [section])
    ]
    return sorted(name for name in names if name not in PERMISSIONS)


def with_keys(stored: Any, keys: Set[str]) -> dict[str, Any]:
    """A permissions object with just these keys; what this release does not know stays as it is stored."""
    kept: dict[str, Any] = {}
    for section, branch in (stored if isinstance(stored, dict) else {}).items():
        if isinstance(branch, dict):
            kept[section] = {name: value for name, value in branch.items() if f"{section}.{name}" not in PERMISSIONS}
        else:
            kept[section] = branch
    for section, names in nested({key: True for key in PERMISSIONS if key in keys}).items():
        known = kept.get(section)
        kept[section] = {**(known if isinstance(known, dict) else {}), **names}
    return {section: branch for section, branch in kept.items() if branch != {}}


@transaction.atomic
def change_permissions(
    seen: Mapping[str, frozenset[str]], wanted: Mapping[str, frozenset[str]], *, by: Person
) -> list[str]:
    """Stores the keys of each column that the editor changed; all of them or none.

    :param seen: the keys of each column as the editor saw them
    :returns: the names of what was changed
    :raises MatrixConflict: 409, nothing stored: a column that was changed is no longer what the editor saw
    """
    lock_tree()
    changed = [column for column in wanted if wanted[column] != seen[column]]
    groups = {str(g.pk): g for g in Group.objects.filter(pk__in=[c for c in changed if c != DEFAULT])}
    now = {column: own_keys(group.permissions) for column, group in groups.items()}
    if DEFAULT in changed:
        now[DEFAULT] = own_keys(default_permissions())
    if any(now.get(column) != seen[column] for column in changed):
        raise MatrixConflict(now)
    for column, group in groups.items():
        update_group(group, by=by, permissions=with_keys(group.permissions, wanted[column]))
    if DEFAULT in changed:
        set_default_permissions(nested({key: key in wanted[DEFAULT] for key in PERMISSIONS}), by=by)
    return [_("the default") if column == DEFAULT else groups[column].name for column in changed]
