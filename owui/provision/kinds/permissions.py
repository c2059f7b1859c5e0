"""Default permissions, and the permissions of groups: nested or with dots, as clients write both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from owui.config import store
from owui.config.registry import find
from owui.provision.parse import Path_
from owui.provision.plan import CHANGE, FieldChange, Planner
from owui.provision.shape import guess
from rbac.permissions import PERMISSIONS, default_permissions, environment_defaults, is_true


def plan_permissions(planner: Planner) -> None:
    """What everybody may do. Keys that the file does not name stay as they are."""
    wanted = flat(planner, planner.shape.permissions, ("permissions",))
    present = {key: is_true(default_permissions(), key) for key in PERMISSIONS}
    for key, value in wanted.items():
        row = planner.world.owned.get(("permission", key))
        if present[key] != value:
            by_hand = bool(row and row.applied.get("value") == value)
            _change(planner, key, present[key], value, by_hand)
        planner.own("permission", key, applied={"value": value})
    for key in planner.owned_keys("permission"):
        if key in wanted or key not in PERMISSIONS:
            continue
        if planner.left_the_file("permission", key, f"default permission {key}"):
            default = is_true(environment_defaults(), key)
            if present[key] != default:
                _change(planner, key, present[key], default, False)
    if planner.plan.permissions and (locked := store.origin(find("user.permissions")).locked):
        planner.problem(("permissions",), f"Default permissions cannot be changed here. {locked}", key=True)


def _change(planner: Planner, key: str, before: bool, after: bool, by_hand: bool) -> None:
    change = planner.change("permissions", CHANGE, "of everybody")
    change.fields.append(FieldChange(key, before, after, by_hand=by_hand))
    planner.plan.permissions[key] = after


def flat(planner: Planner, tree: Mapping[str, Any], path: Path_) -> dict[str, bool]:
    """Dotted keys with their values; a problem for each key that does not exist or is no truth value."""
    found: dict[str, bool] = {}
    for key, value, place in _leaves(tree, "", path):
        if key not in PERMISSIONS:
            planner.problem(place, f"There is no permission {key!r}.{guess(key, PERMISSIONS)}", key=True)
        elif not isinstance(value, bool):
            planner.problem(place, f"The permission {key} must be true or false, not {value!r}.")
        elif key in found:
            planner.problem(place, f"The permission {key} is there twice, once nested and once with a dot.", key=True)
        else:
            found[key] = value
    return found


def _leaves(tree: Mapping[str, Any], prefix: str, path: Path_) -> Iterator[tuple[str, Any, Path_]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.", (*path, name))
        else:
            yield f"{prefix}{name}", value, (*path, name)
