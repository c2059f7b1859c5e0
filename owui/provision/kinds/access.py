"""Who may use each model and knowledge base of the file: grants, end dates, denials."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings

from inference.models import AIModel
from knowledge.models import KnowledgeBase
from owui.provision.kinds.bases import base_key
from owui.provision.kinds.trust import is_known
from owui.provision.parse import Path_
from owui.provision.plan import CHANGE, FieldChange, GrantChanges, Planner
from owui.provision.shape import Access as AccessShape
from owui.provision.shape import GrantEntry, guess
from owui.provision.world import SERVERS, GrantKey, GrantRow, grant_rows
from rbac.grants import READ, WRITE
from rbac.sharing import Access, SharedResource

#: word of the file to the general rule
EVERYONE = {"none": Access.PRIVATE, "read": Access.READ, "write": Access.WRITE}
#: what has access in a file
RESOURCES: dict[str, type[SharedResource]] = {
    "knowledge": KnowledgeBase,
    "model": AIModel,
    **{kind: table for kind, (_section, table) in SERVERS.items()},
}
#: the rows that a file asks for, with their ends
Wanted = dict[GrantKey, datetime | None]


def plan_access(planner: Planner) -> None:
    """A list in the file holds as with memberships: what an earlier file gave and this one does not is withdrawn, what
    somebody granted by hand stays and is told, unless `--prune`."""
    for kind, model in RESOURCES.items():
        listed = list(_listed(planner, kind))
        present = grant_rows(model, [resource.pk for _key, resource, _access, _path in listed])
        changes = planner.plan.grants.setdefault(kind, GrantChanges())
        done = set()
        owned = _owned(planner, kind)
        for key, resource, access, path in listed:
            done.add(resource.pk)
            one = _One(planner, kind, key, resource, changes, owned.get(resource.pk, set()), path)
            one.everyone(access)
            one.grants(_wanted(planner, access, path), present.get(resource.pk, {}))
        there = _known(planner, kind)
        for pk, keys in owned.items():
            if pk not in done and pk in there:
                for grant in keys:
                    planner.keep_owned("grant", _text(kind, pk, grant))


def _listed(planner: Planner, kind: str) -> Iterator[tuple[str, SharedResource, AccessShape, Path_]]:
    if kind == "model":
        for index, model in enumerate(planner.shape.models):
            if model.given("access"):
                yield model.id, planner.world.models[model.id], model.access, ("models", index, "access")
        return
    if kind in SERVERS:
        yield from _servers(planner, kind)
        return
    for index, base in enumerate(planner.shape.knowledge_bases):
        owned = planner.plan.owned.get(("knowledge", base_key(base)))
        if base.given("access") and owned is not None and owned.object_id in planner.world.bases:
            path = ("knowledge_bases", index, "access")
            yield base_key(base), planner.world.bases[owned.object_id], base.access, path


def _servers(planner: Planner, kind: str) -> Iterator[tuple[str, SharedResource, AccessShape, Path_]]:
    """Connections are made on their page, where their keys are; a file only says who may use one."""
    section, _table = SERVERS[kind]
    entries = getattr(planner.shape, section)
    planner.once((section,), "id", [entry.id for entry in entries], "id")
    for index, entry in enumerate(entries):
        row = planner.world.servers[kind].get(entry.id)
        if row is None:
            near = guess(entry.id, planner.world.servers[kind])
            text = f"No connection has the id {entry.id!r}.{near} Connect the server first."
            planner.problem((section, index, "id"), text)
            continue
        planner.own(kind, entry.id, row.pk)
        if entry.given("access"):
            yield entry.id, row, entry.access, (section, index, "access")


def _known(planner: Planner, kind: str) -> set[uuid.UUID]:
    if kind == "knowledge":
        return set(planner.world.bases)
    rows = planner.world.models if kind == "model" else planner.world.servers[kind]
    return {row.pk for row in rows.values()}


def _wanted(planner: Planner, access: AccessShape, path: Path_) -> Wanted:
    """The rows that the file asks for; a problem for each name that does not exist."""
    wanted: Wanted = {}

    def add(kind: str, name: str, entry: GrantEntry, is_denied: bool, place: Path_) -> None:
        pk = _principal(planner, kind, name, place)
        if pk is None:
            return
        key = (kind, pk, entry.permission, is_denied)
        if key in wanted:
            planner.problem(place, f"{name!r} is there twice with the permission {entry.permission}.", key=True)
        elif entry.until is not None and entry.until <= planner.now:
            planner.plan.notes.append(
                f"Line {planner.source.root.where(place)[0]}: the access of {name} has ended; drop it."
            )
        else:
            wanted[key] = entry.until

    for kind, names in (("group", access.groups), ("user", access.users)):
        for name, entries in names.items():
            for entry in entries:
                add(kind, name, entry, False, (*path, f"{kind}s", name))
    for index, denial in enumerate(access.deny):
        place: Path_ = (*path, "deny", index)
        if (denial.group is None) == (denial.user is None):
            planner.problem(place, "A denial names either a `group` or a `user`.")
        elif denial.group is not None:
            add("group", denial.group, denial, True, place)
        elif denial.user is not None:
            add("user", denial.user, denial, True, place)
    return wanted


def _principal(planner: Planner, kind: str, name: str, path: Path_) -> uuid.UUID | None:
    known: dict[str, Any] = planner.world.groups if kind == "group" else planner.world.users
    found = known.get(name if kind == "group" else name.strip().lower())
    if found is None:
        near = guess(name, known) if len(planner.problems) < 50 else ""
        planner.problem(path, f"There is no {'group' if kind == 'group' else 'person'} {name!r}.{near}", key=True)
        return None
    if kind == "user" and not is_known(planner, found, path):
        return None
    pk: uuid.UUID = found.pk
    return pk


class _One:
    """The access of one object."""

    def __init__(
        self,
        planner: Planner,
        kind: str,
        key: str,
        resource: SharedResource,
        changes: GrantChanges,
        owned: set[GrantKey],
        path: Path_,
    ) -> None:
        self.planner, self.kind, self.key, self.resource = planner, kind, key, resource
        self.changes, self.owned, self.path = changes, owned, path
        row = planner.world.owned.get((kind, key))
        self.before: dict[str, Any] = row.applied if row else {}

    def everyone(self, access: AccessShape) -> None:
        present = Access(self.resource.general_access)
        wanted, was = present, self.before.get("everyone")
        if access.everyone is not None:
            wanted = EVERYONE[access.everyone]
            self.planner.plan.owned[(self.kind, self.key)].applied["everyone"] = access.everyone
        elif present != Access.PRIVATE:
            if self.planner.prune or (was and EVERYONE[was] == present):
                wanted = Access.PRIVATE
            else:
                self._keep(f"everyone: {present.value}")
        if wanted != present:
            by_hand = access.everyone is not None and was == access.everyone
            change = self._change()
            change.fields.append(FieldChange("everyone", present.value, wanted.value, by_hand=by_hand))
            change.values["general_access"] = wanted

    def grants(self, wanted: Wanted, present: dict[GrantKey, GrantRow]) -> None:
        added, removed, by_hand = [], [], False
        remaining = dict(present)
        for key, row in present.items():
            if key in wanted or self._has_ended(row):
                continue
            if self._is_covered(key, row, wanted):
                self._own(key, row.until)
            elif self.planner.prune or key in self.owned:
                self.changes.remove.append((key[0], row.pk))
                del remaining[key]
                removed.append(self._words(key, row.until))
            else:
                beats = key[3] and any(name[:2] == key[:2] and not name[3] for name in wanted)
                self._keep(self._words(key, row.until), ", and beats what the file grants" if beats else "")
        for key, until in wanted.items():
            known = remaining.get(key)
            is_drift = self._is_drift(key, until)
            self._own(key, until)
            if known.until == until if known else self._outlasts(remaining, wanted, key, until):
                continue
            if key[3] and not settings.ENABLE_DENY_GRANTS:
                text = "Denying access is switched off on this instance. Set ENABLE_DENY_GRANTS=True to use it."
                self.planner.problem((*self.path, "deny"), text, key=True)
            by_hand |= is_drift
            added.append(self._words(key, until))
            if known is None:
                self.changes.add.append((self.resource.pk, key, until))
            else:
                self.changes.update.append((key[0], known.pk, until))
                removed.append(self._words(key, known.until))
        if added or removed:
            field = FieldChange("access", added=sorted(added), removed=sorted(removed), by_hand=by_hand)
            self._change().fields.append(field)

    def _change(self) -> Any:
        return self.planner.change(self.kind, CHANGE, self.resource.label, self.resource.pk, self.key)

    def _keep(self, what: str, more: str = "") -> None:
        self.planner.plan.kept.append(f"{self.kind} {self.resource.label}: {what} was given by hand{more}")

    def _own(self, key: GrantKey, until: datetime | None) -> None:
        self.planner.own("grant", _text(self.kind, self.resource.pk, key), applied=_state(until))

    def _has_ended(self, row: GrantRow) -> bool:
        return row.until is not None and row.until <= self.planner.now

    def _is_covered(self, key: GrantKey, row: GrantRow, wanted: Wanted) -> bool:
        """Clients write read and write as two rows; who asks for write has asked for both."""
        write = (key[0], key[1], WRITE, False)
        if key[3] or key[2] != READ or write not in wanted:
            return False
        until = wanted[write]
        return until is None or (row.until is not None and row.until <= until)

    def _outlasts(
        self, present: dict[GrantKey, GrantRow], wanted: Wanted, key: GrantKey, until: datetime | None
    ) -> bool:
        """Whether a write grant that somebody gave by hand does already what a read grant would."""
        write = (key[0], key[1], WRITE, False)
        row = present.get(write) if key[2:] == (READ, False) and write not in wanted else None
        if row is None:
            return False
        return row.until is None or (until is not None and row.until >= until)

    def _is_drift(self, key: GrantKey, until: datetime | None) -> bool:
        row = self.planner.world.owned.get(("grant", _text(self.kind, self.resource.pk, key)))
        return row is not None and row.applied == _state(until)

    def _words(self, key: GrantKey, until: datetime | None) -> str:
        name = self.planner.world.principal(key[0], key[1])
        ends = f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
        return f"{'deny ' if key[3] else ''}{key[0]} {name}: {key[2]}{ends}"


def _state(until: datetime | None) -> dict[str, Any]:
    return {"until": until.isoformat() if until else None}


def _text(kind: str, pk: uuid.UUID, key: GrantKey) -> str:
    return f"{kind}:{pk}:{key[0]}:{key[1]}:{key[2]}" + (":deny" if key[3] else "")


def _owned(planner: Planner, kind: str) -> dict[uuid.UUID, set[GrantKey]]:
    """The grants of earlier files, by object."""
    found: dict[uuid.UUID, set[GrantKey]] = {}
    for text in planner.owned_keys("grant"):
        of, pk, principal_kind, principal, permission, *denied = text.split(":")
        if of == kind:
            found.setdefault(uuid.UUID(pk), set()).add((principal_kind, uuid.UUID(principal), permission, bool(denied)))
    return found
