"""Who is in which group, and who manages it: by the group's lists or by the person's.

Only memberships made by hand or by a file are looked at: what a directory or sign-in provider brought is its own.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable

from accounts.config import SignInConfig
from owui.provision.kinds.trust import is_known
from owui.provision.parse import Path_
from owui.provision.plan import CHANGE, CREATE, FieldChange, Planner
from owui.provision.shape import guess
from owui.provision.world import Pair


def plan_members(planner: Planner) -> None:
    """A list in the file holds: who is missing is added; who came by an earlier file and is not in the list any more is
    removed; who was added by hand stays, unless `--prune`."""
    members, whole_groups, whole_users = _wanted_members(planner)
    default = _default_group(planner)

    def is_listed(pair: Pair) -> bool:
        return pair[0] in whole_groups or (pair[1] in whole_users and pair[0] != default)

    _plan(planner, "member", members, planner.world.members, is_listed)
    managers, managed = _wanted_managers(planner)
    _plan(planner, "manager", managers, planner.world.managers, lambda p: p[0] in managed)


def _wanted_members(planner: Planner) -> tuple[set[Pair], set[uuid.UUID], set[uuid.UUID]]:
    wanted: set[Pair] = set()
    whole_groups, whole_users = set(), set()
    for index, group in enumerate(planner.shape.groups):
        if group.given("members"):
            pk = planner.world.groups[group.name].pk
            whole_groups.add(pk)
            wanted |= {(pk, user) for user in _users(planner, group.members, ("groups", index, "members"))}
    for index, person in enumerate(planner.shape.users):
        if not person.given("groups"):
            continue
        user = planner.world.users[person.email].pk
        whole_users.add(user)
        for at, name in enumerate(person.groups):
            found = planner.world.groups.get(name)
            if found is None:
                text = f"There is no group {name!r}.{guess(name, planner.world.groups)}"
                planner.problem(("users", index, "groups", at), text)
            else:
                wanted.add((found.pk, user))
    return wanted, whole_groups, whole_users


def _wanted_managers(planner: Planner) -> tuple[set[Pair], set[uuid.UUID]]:
    wanted: set[Pair] = set()
    managed = set()
    for index, group in enumerate(planner.shape.groups):
        if group.given("managers"):
            pk = planner.world.groups[group.name].pk
            managed.add(pk)
            wanted |= {(pk, user) for user in _users(planner, group.managers, ("groups", index, "managers"))}
    return wanted, managed


def _users(planner: Planner, emails: Iterable[str], path: Path_) -> set[uuid.UUID]:
    found: set[uuid.UUID] = set()
    for index, email in enumerate(emails):
        user = planner.world.users.get(email)
        if user is None:
            text = f"There is no person {email!r}.{guess(email, planner.world.users) if len(found) < 50 else ''}"
            planner.problem((*path, index), text + " List them under `users` first.")
        elif user.pk in found:
            planner.problem((*path, index), f"{email!r} is in this list twice.")
        elif is_known(planner, user, (*path, index)):
            found.add(user.pk)
    return found


def _plan(
    planner: Planner, kind: str, wanted: set[Pair], present: set[Pair], is_listed: Callable[[Pair], bool]
) -> None:
    known_groups = set(planner.world.group_names) & {group.pk for group in planner.world.groups.values()}
    owned = {pair for key in planner.owned_keys(kind) if (pair := _pair(key)) in present and pair[0] in known_groups}
    surplus = {pair for pair in present - wanted if is_listed(pair) and pair[0] in known_groups}
    removed = surplus if planner.prune else surplus & owned
    added = wanted - present
    former = {_pair(key) for key in planner.owned_keys(kind)}
    _show(planner, kind, added, removed, former)
    for pair in sorted(surplus - removed, key=str):
        group, user = _names(planner, pair)
        planner.plan.kept.append(f"group {group}: {kind} {user} was added by hand")
    if kind == "member":
        planner.plan.members_added, planner.plan.members_removed = sorted(added), sorted(removed)
        _add_to_default_group(planner, wanted | present)
    else:
        planner.plan.managers_added, planner.plan.managers_removed = sorted(added), sorted(removed)
    for pair in wanted | (owned - removed):
        planner.own(kind, f"{pair[0]}:{pair[1]}")


def _show(planner: Planner, kind: str, added: set[Pair], removed: set[Pair], former: set[Pair]) -> None:
    by_group: dict[uuid.UUID, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    by_hand = set()
    for side, pairs in enumerate((added, removed)):
        for pair in pairs:
            by_group[pair[0]][side].append(planner.world.principal("user", pair[1]))
            if side == 0 and pair in former:
                by_hand.add(pair[0])
    for pk, (plus, minus) in sorted(by_group.items(), key=lambda item: planner.world.group_names[item[0]]):
        name = planner.world.group_names[pk]
        change = planner.change("group", CHANGE, name, pk)
        change.fields.append(FieldChange(f"{kind}s", added=sorted(plus), removed=sorted(minus), by_hand=pk in by_hand))


def _add_to_default_group(planner: Planner, there: set[Pair]) -> None:
    """New accounts come into DEFAULT_GROUP_ID however they are made."""
    pk = _default_group(planner)
    if pk is None:
        return
    new = {(pk, change.pk) for change in planner.plan.of("user", CREATE) if change.pk is not None} - there
    planner.plan.members_added += sorted(new)
    if new:
        emails = sorted(planner.world.emails[user] for _group, user in new)
        planner.change("group", CHANGE, planner.world.group_names[pk], pk).fields.append(
            FieldChange("members (DEFAULT_GROUP_ID)", added=emails)
        )


def _default_group(planner: Planner) -> uuid.UUID | None:
    default = SignInConfig.load().default_group_id
    return next((g.pk for g in planner.world.groups.values() if str(g.pk) == default), None) if default else None


def _names(planner: Planner, pair: Pair) -> tuple[str, str]:
    return planner.world.group_names[pair[0]], planner.world.principal("user", pair[1])


def _pair(key: str) -> Pair:
    group, _colon, user = key.partition(":")
    return uuid.UUID(group), uuid.UUID(user)
