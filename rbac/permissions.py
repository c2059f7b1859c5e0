"""The one question: may this person use this feature?

Permissions are additive: no key denies. The keys themselves stand in `rbac/permission_table.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from owui import env
from owui.config.sections import UiConfig
from owui.lib.errors import Refused
from owui.lib.written import Written
from rbac.models import Group
from rbac.permission_table import FEATURES_OF_TYPES, PERMISSIONS, SWITCHES, PermissionKey
from rbac.sharing import Person, groups_of, is_verified

Tree = dict[str, dict[str, bool]]


@lru_cache(maxsize=1)
def environment_defaults() -> Tree:
    """The defaults as the environment sets them, in the field's nested form."""
    return nested({row.key: env.truth(env.raw(row.env), row.default) for row in PERMISSIONS.values()})


def nested(flat: dict[str, bool]) -> Tree:
    """`{"chat.delete": True}` as `{"chat": {"delete": True}}`."""
    tree: Tree = {}
    for key, value in flat.items():
        section, _dot, name = key.partition(".")
        tree.setdefault(section, {})[name] = value
    return tree


def is_true(tree: Any, key: str) -> bool:
    """Whether a nested permissions object says true for a key; a missing branch counts as false."""
    section, _dot, name = key.partition(".")
    branch = tree.get(section) if isinstance(tree, dict) else None
    return isinstance(branch, dict) and branch.get(name) is True


def default_permissions() -> Tree:
    """The stored defaults, filled up from the environment where a key is missing."""
    from rbac.config import UserConfig

    stored = UserConfig.load().permissions
    base = environment_defaults()
    return {
        section: {
            name: bool(stored.get(section, {}).get(name, value)) if isinstance(stored.get(section), dict) else value
            for name, value in names.items()
        }
        for section, names in base.items()
    }


def effective_permissions(user: Person) -> Tree:
    """Defaults OR any of the person's groups (ancestors included), nested. Two statements at most, once a request:
    the answer is kept on the user object, which lives as long as the request."""
    cached = getattr(user, "_effective_permissions", None)
    if cached is not None:
        return cached  # type: ignore[no-any-return]
    trees: list[Any] = [default_permissions(), *_permissions_of_groups(user_id=user.id)]
    answer = _merged(orjson.dumps(trees))
    user._effective_permissions = answer  # type: ignore[attr-defined]
    return answer


@lru_cache(maxsize=256)
def _merged(trees: bytes) -> Tree:
    """What several give together; thousands of people have the same few. Nobody changes it.

    :param trees: as JSON
    """
    found = orjson.loads(trees)
    return nested({key: any(is_true(tree, key) for tree in found) for key in PERMISSIONS})


_permissions_of_groups = Written(
    lambda user_id: (
        Group.objects.filter(pk__in=groups_of(user_id))
        .exclude(permissions={})
        .order_by()
        .values_list("permissions", flat=True)
    ),
    user_id=UUID,
)


def holds(tree: Any, key: str) -> bool:
    """Whether an effective object gives a key: the key is true, and so is each parent above it that it needs.

    The object itself is shown to clients as it was merged; a child without its parent stays in it and opens nothing.
    """
    row = PERMISSIONS[key]
    return is_true(tree, key) and (not row.needs or holds(tree, row.needs))


def may(user: Person | None, key: str) -> bool:
    """Whether the person may use the feature behind a permission key; a key counts only together with its parent.

    Administrators always may; pending and anonymous people never. An unknown key is a bug and raises KeyError.
    """
    PERMISSIONS[key]
    if not is_verified(user):
        return False
    assert user is not None
    return user.role == "admin" or holds(effective_permissions(user), key)


def is_bound(user: Person, key: str) -> bool:
    """Whether a key that limits (`chat.temporary_enforced`) holds for the person; never for administrators."""
    PERMISSIONS[key]
    return is_verified(user) and user.role != "admin" and holds(effective_permissions(user), key)


def is_offered(key: str) -> bool:
    """Whether the administrator's own switch beside a key is on (ENABLE_NOTES and the like); true where there is none.
    It holds for administrators too."""
    PERMISSIONS[key]
    return key not in SWITCHES or bool(getattr(UiConfig.load(), SWITCHES[key]))


def require(user: Person | None, key: str, *, status: int = 401) -> None:
    """Raises the spec's refusal when the person may not; `status` is the reference's code for the route."""
    if not may(user, key):
        raise Refused.for_permission(status)


def require_feature(user: Person | None, key: str, *, status: int = 403) -> None:
    """Raises when a feature is switched off for everybody (403), or when the person may not use it (`status`)."""
    if not is_offered(key):
        raise Refused.for_permission(403)
    require(user, key, status=status)


def with_flat_keys(tree: Tree) -> dict[str, Any]:
    """The nested object plus the same values under dotted keys (DECISIONS 3: clients know both forms)."""
    flat = {f"{section}.{name}": value for section, names in tree.items() for name, value in names.items()}
    return {**tree, **flat}


__all__ = [
    "FEATURES_OF_TYPES",
    "PERMISSIONS",
    "PermissionKey",
    "Tree",
    "default_permissions",
    "effective_permissions",
    "environment_defaults",
    "holds",
    "is_bound",
    "is_offered",
    "is_true",
    "may",
    "nested",
    "require",
    "require_feature",
    "with_flat_keys",
]
