"""Groups: fields, hierarchy, permissions. Who is in them is planned by `members`."""

from __future__ import annotations

import uuid
from typing import Any

from owui.provision.kinds.permissions import flat
from owui.provision.parse import Path_
from owui.provision.plan import CREATE, REMOVE, FieldChange, Planner
from owui.provision.shape import GroupEntry, guess
from rbac.models import Group
from rbac.permissions import PERMISSIONS, is_true, nested

#: words of the file to the field's values
SHARE: dict[str, Any] = {"anyone": True, "members": "members", "nobody": False}


def plan_groups(planner: Planner) -> None:
    """Adds new groups, changed ones, and those that left the file."""
    entries = planner.shape.groups
    planner.once(("groups",), "name", [entry.name for entry in entries], "group")
    listed = {entry.name for entry in entries}
    before = dict(planner.world.groups)
    for entry in entries:
        if entry.name not in planner.world.groups:
            # A new group has its id now, so that what follows can refer to it.
            group = Group(pk=uuid.uuid4(), name=entry.name, data={"config": {"share": "members"}})
            planner.world.groups[entry.name] = group
            planner.world.group_names[group.pk] = entry.name
    for name in planner.owned_keys("group"):
        former = before.get(name)
        if name not in listed and former is not None and planner.left_the_file("group", name, f"group {name}"):
            planner.change("group", REMOVE, name, former.pk)
            del planner.world.groups[name]
    for index, entry in enumerate(entries):
        _plan_one(planner, entry, ("groups", index), is_new=entry.name not in before)
    _check_loops(planner)


def _plan_one(planner: Planner, entry: GroupEntry, path: Path_, *, is_new: bool) -> None:
    group = planner.world.groups[entry.name]
    columns: dict[str, tuple[Any, Any, dict[str, Any]]] = {}
    if entry.given("description"):
        columns["description"] = (group.description, entry.description, {"description": entry.description})
    if entry.given("parent"):
        columns["parent"] = _parent(planner, entry, group, path)
    if entry.given("permissions"):
        columns["permissions"] = _permissions(planner, entry, group, path)
    columns |= _data(entry, group)
    applied = {name: after for name, (_before, after, _values) in columns.items()}
    if is_new:
        change = planner.change("group", CREATE, entry.name, group.pk)
        change.fields = [FieldChange(n, None, after) for n, (_b, after, _v) in columns.items() if after]
        for _before, _after, values in columns.values():
            change.values |= values
    else:
        planner.compare("group", entry.name, entry.name, group.pk, columns)
    planner.own("group", entry.name, group.pk, applied)


def _parent(planner: Planner, entry: GroupEntry, group: Group, path: Path_) -> tuple[Any, Any, dict[str, Any]]:
    before = planner.world.group_names.get(group.parent_id) if group.parent_id else None
    if entry.parent is None:
        return before, None, {"parent_id": None}
    parent = planner.world.groups.get(entry.parent)
    if parent is None:
        text = f"There is no group {entry.parent!r}, the parent of {entry.name!r}."
        planner.problem((*path, "parent"), text + guess(entry.parent, planner.world.groups))
        return before, before, {}
    return before, entry.parent, {"parent_id": parent.pk}


def _permissions(planner: Planner, entry: GroupEntry, group: Group, path: Path_) -> tuple[Any, Any, dict[str, Any]]:
    """The whole set of what the group adds: a key that is not named is not given."""
    wanted = flat(planner, entry.permissions, (*path, "permissions"))
    before = sorted(key for key in PERMISSIONS if is_true(group.permissions, key))
    return before, sorted(key for key, value in wanted.items() if value), {"permissions": nested(wanted)}


def _data(entry: GroupEntry, group: Group) -> dict[str, tuple[Any, Any, dict[str, Any]]]:
    """What lives inside the group's `data.config`; other entries there stay. Both fields write the same column, so
    both hold the same dict."""
    data = dict(group.data or {})
    config = dict(data.get("config") or {})
    columns: dict[str, tuple[Any, Any, dict[str, Any]]] = {}
    if entry.given("share"):
        before, config["share"] = share_word(config.get("share")), SHARE[entry.share]
        columns["share"] = (before, entry.share, {"data": data | {"config": config}})
    if entry.given("default_models"):
        models = list(config.get("default_models") or [])
        config["default_models"] = entry.default_models or None
        columns["default_models"] = (models, entry.default_models, {"data": data | {"config": config}})
    return columns


def share_word(value: Any) -> str:
    """What the file calls a stored value; missing means anyone, as in the field."""
    if value == "members":
        return "members"
    return "nobody" if value is False else "anyone"


def _check_loops(planner: Planner) -> None:
    """No group above itself, with the parents as they would be."""
    parents: dict[str, str | None] = {
        name: planner.world.group_names.get(group.parent_id) if group.parent_id else None
        for name, group in planner.world.groups.items()
    }
    places: dict[str, Path_] = {}
    for index, entry in enumerate(planner.shape.groups):
        if entry.given("parent"):
            parents[entry.name] = entry.parent
            places[entry.name] = ("groups", index, "parent")
    told: set[str] = set()
    for name in places:
        chain = [name]
        above = parents.get(name)
        while above is not None and above not in chain:
            chain.append(above)
            above = parents.get(above)
        if above is not None and not told & set(chain):
            loop = chain[chain.index(above) :]
            told |= set(loop)
            place = places[next(member for member in loop if member in places)]
            planner.problem(
                place, "These groups stand above one another in a loop: " + " > ".join([*loop, above]) + "."
            )
