"""What would change: the file against the database, thing by thing, before anything is written."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from owui.provision.parse import BadFile, Path_, Problem, Source
from owui.provision.shape import FileShape
from owui.provision.world import GrantKey, World

CREATE, CHANGE, REMOVE = "create", "change", "remove"


@dataclass(slots=True)
class FieldChange:
    """One field, or (with `added` and `removed`) one list of people."""

    name: str
    before: Any = None
    after: Any = None
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    #: the file says the same as at its last apply: somebody changed the database since
    by_hand: bool = False


@dataclass(slots=True)
class Change:
    """One thing that is created, changed or removed; `values` are the columns to write."""

    kind: str
    verb: str
    label: str
    pk: uuid.UUID | None = None
    fields: list[FieldChange] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class GrantChanges:
    """The rows of one type's grants: new ones by object and key, others by the principal's kind and their own key.

    What is updated is the end alone: who was let in and is to be kept out loses one row and gets another.
    """

    add: list[tuple[uuid.UUID, GrantKey, datetime | None]] = field(default_factory=list)
    update: list[tuple[str, int, datetime | None]] = field(default_factory=list)
    remove: list[tuple[str, int]] = field(default_factory=list)


@dataclass(slots=True)
class Owned:
    object_id: uuid.UUID | None
    applied: dict[str, Any]


@dataclass(slots=True)
class Plan:
    """Changes in the order they are shown, and what the writer needs besides."""

    changes: dict[tuple[str, str], Change] = field(default_factory=dict)
    #: there, but neither in the file nor made by one: left alone
    kept: list[str] = field(default_factory=list)
    #: made by an earlier file, not in this one: `--prune` removes them
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    owned: dict[tuple[str, str], Owned] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    resets: list[str] = field(default_factory=list)
    permissions: dict[str, bool] = field(default_factory=dict)
    members_added: list[tuple[uuid.UUID, uuid.UUID]] = field(default_factory=list)
    members_removed: list[tuple[uuid.UUID, uuid.UUID]] = field(default_factory=list)
    managers_added: list[tuple[uuid.UUID, uuid.UUID]] = field(default_factory=list)
    managers_removed: list[tuple[uuid.UUID, uuid.UUID]] = field(default_factory=list)
    grants: dict[str, GrantChanges] = field(default_factory=dict)

    def of(self, kind: str, verb: str) -> list[Change]:
        return [change for change in self.changes.values() if change.kind == kind and change.verb == verb]

    @property
    def count(self) -> int:
        return len(self.changes)


class Planner:
    """One planning: what the parts of it share."""

    def __init__(self, source: Source, shape: FileShape, world: World, *, prune: bool) -> None:
        self.source, self.shape, self.world, self.prune = source, shape, world, prune
        self.plan = Plan()
        self.problems: list[Problem] = []
        #: addresses of people whom nobody vouches for, told already
        self.strangers: set[str] = set()
        self.now = timezone.now()

    # ------------------------------------------------------------------------------------------------------- telling
    def problem(self, path: Path_, text: str, *, key: bool = False) -> None:
        line, column = self.source.root.where(path, key=key)
        self.problems.append(Problem(line, column, text))

    def check(self) -> None:
        if self.problems:
            raise BadFile(self.source.name, self.problems)

    def once(self, section: Path_, field_name: str, keys: Iterable[Any], what: str) -> None:
        """A problem for every key that stands there a second time."""
        first: dict[Any, int] = {}
        for index, key in enumerate(keys):
            if key in first:
                line, _column = self.source.root.where((*section, first[key], field_name))
                text = f"The {what} {key!r} is there twice; the first is in line {line}."
                self.problem((*section, index, field_name), text)
            else:
                first[key] = index

    # ------------------------------------------------------------------------------------------------------ ownership
    def owns(self, kind: str, key: str) -> bool:
        return (kind, key) in self.world.owned

    def own(
        self, kind: str, key: str, object_id: uuid.UUID | None = None, applied: dict[str, Any] | None = None
    ) -> None:
        self.plan.owned[(kind, key)] = Owned(object_id, applied or {})

    def keep_owned(self, kind: str, key: str) -> None:
        """What an earlier file gave stays its own."""
        row = self.world.owned[(kind, key)]
        self.plan.owned.setdefault((kind, key), Owned(row.object_id, row.applied))

    def owned_keys(self, kind: str) -> list[str]:
        return [key for (owned_kind, key) in self.world.owned if owned_kind == kind]

    # --------------------------------------------------------------------------------------------------------- changes
    def change(self, kind: str, verb: str, label: str, pk: uuid.UUID | None = None, key: str = "") -> Change:
        """The change of a thing; a later part of the plan adds its fields to the same one."""
        found = self.plan.changes.get((kind, key or label))
        if found is None:
            found = self.plan.changes[(kind, key or label)] = Change(kind, verb, label, pk)
        return found

    def compare(
        self, kind: str, key: str, label: str, pk: uuid.UUID | None, columns: dict[str, tuple[Any, Any, Any]]
    ) -> None:
        """Takes up what differs of a thing that exists.

        :param columns: field of the file to (value shown before, value shown after, column values to write)
        """
        row = self.world.owned.get((kind, key))
        applied = row.applied if row else {}
        for name, (before, after, values) in columns.items():
            if before != after:
                change = self.change(kind, CHANGE, label, pk, key)
                by_hand = name in applied and applied[name] == after
                change.fields.append(FieldChange(name, before, after, by_hand=by_hand))
                change.values |= values

    def left_the_file(self, kind: str, key: str, text: str) -> bool:
        """Whether a thing of an earlier file is to be removed now; without `--prune` it is only told."""
        if self.prune:
            return True
        self.plan.left.append(text)
        self.keep_owned(kind, key)
        return False


def make(source: Source, shape: FileShape, problems: list[Problem], world: World, *, prune: bool = False) -> Plan:
    """The whole plan; BadFile with all problems, those of form included, when there is one."""
    from owui.provision.kinds import KINDS

    planner = Planner(source, shape, world, prune=prune)
    planner.problems += problems
    for kind in KINDS:
        kind(planner)
    planner.check()
    return planner.plan
