"""Preview access: what a person or a group reaches, and by which path.

What is reached is asked of the choke-point (`readable_by`, `writable_by`); the paths are read from the rows that the
choke-point itself looks at. The number of statements depends on neither the objects nor the grants that exist.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count

from owui.lib.pagination import page_of
from rbac.grants import READ, WRITE
from rbac.history import reachable_at
from rbac.models import Group, Membership
from rbac.permissions import PERMISSIONS, PermissionKey, Tree, default_permissions, holds, is_true, nested
from rbac.sharing import (
    Access,
    NewMember,
    Person,
    SharedResource,
    bypasses_access,
    groups_for,
    is_verified,
    resource_types,
)

#: the sections of a preview, in their order, by resource type: names of the field, and ours for the rest
SECTIONS = {
    "model": "models",
    "knowledge": "knowledge",
    "tool": "tools",
    "prompt": "prompts",
    "skill": "skills",
    "tool_server": "tool_servers",
    "terminal_server": "terminal_servers",
    "note": "notes",
    "folder": "folders",
    "shared_chat": "shared_chats",
}
#: what may be listed: what is read, what is also changed, what a denial keeps away
READS, WRITES, DENIED = "reads", "writes", "denied"
#: by what clients name an object, where it is not the primary key
_CLIENT_IDS = {
    **{"model": "model_id", "tool": "tool_id", "skill": "skill_id"},
    **{"tool_server": "server_id", "terminal_server": "server_id"},
}


@dataclass(frozen=True, slots=True)
class Via:
    """A membership that makes somebody count as a member of a group, perhaps of one above it."""

    group_id: uuid.UUID
    group: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Path:
    """One way to an object, or one row that bars it.

    :param kind: `owner`, `user` (a row of their own), `group`, `general` (the object's general access), `above` (what
        holds on a folder above it), `administrator`, `switch` (a switch opens the whole kind to everybody)
    """

    kind: str
    permission: str
    group_id: uuid.UUID | None = None
    group: str = ""
    via: tuple[Via, ...] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One object in a preview. `name` is empty where the one who looks may not read it himself.

    :param is_usable: False for a model that is readable, but switched off or based on one that is not
    """

    pk: uuid.UUID
    id: str
    name: str
    reads: bool
    writes: bool
    paths: tuple[Path, ...] = ()
    denials: tuple[Path, ...] = ()
    is_usable: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    entries: list[Entry] = field(default_factory=list)
    total: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """One permission key, and who gives it: names of groups, an empty one for the default."""

    row: PermissionKey
    is_held: bool
    sources: tuple[str, ...]


def sections() -> dict[str, type[SharedResource]]:
    """Every shared type by the name of its section; a type that is not named above comes last."""
    types = resource_types()
    order = [*(name for name in SECTIONS if name in types), *sorted(types.keys() - SECTIONS.keys())]
    return {SECTIONS.get(name, name): types[name] for name in order}


class Preview:
    """What one person, or a new member of a group, reaches.

    :param who: the person; `NewMember(group.pk)` for a group
    :param viewer: who looks at it: names are shown of what the viewer may read too
    """

    def __init__(self, who: Person, viewer: Person) -> None:
        self.who, self.viewer = who, viewer

    # -------------------------------------------------------------------------------------------------------- objects
    def objects(self, model: type[SharedResource], show: str = READS) -> Any:
        """The objects as a queryset: the choke-point's answer."""
        if show == WRITES:
            return model.objects.writable_by(self.who)
        if show == READS:
            return model.objects.readable_by(self.who)
        if not is_verified(self.who) or model.bypass_applies(self.who):
            return model.objects.none()
        return model.objects.filter(model.denied_to(self.who, write=False))

    def page(self, model: type[SharedResource], *, show: str = READS, query: str = "", page: int = 1) -> Page:
        """Thirty objects by name, each with every path to it."""
        name = _name_of(model)
        rows = self.objects(model, show)
        if query:
            # Whoever may not see a name does not find out about it letter by letter either.
            known = model.objects.readable_by(self.viewer).order_by().values("pk")
            rows = rows.filter(pk__in=known, **{f"{name}__icontains": query})
        return Page(self.explain(model, page_of(rows.order_by(name, "pk"), page)), rows.count())

    def explain(self, model: type[SharedResource], rows: Iterable[SharedResource]) -> list[Entry]:
        """Any objects of a type, reached or not, with what opens and what bars them. At most ten statements."""
        rows = list(rows)
        if not rows:
            return []
        found: Any = model.objects.filter(pk__in=[row.pk for row in rows])
        reads, writes, known = (
            set(found.readable_by(self.who).values_list("pk", flat=True)),
            set(found.writable_by(self.who).values_list("pk", flat=True)),
            set(found.readable_by(self.viewer).values_list("pk", flat=True)),
        )
        usable = set(found.usable_by(self.who).values_list("pk", flat=True)) if hasattr(found, "usable_by") else reads
        entries = []
        opening, barring = self._rows(model, found, is_denied=False), self._rows(model, found, is_denied=True)
        barred = self._barred(model, found)
        for row in rows:
            entry = Entry(
                pk=row.pk,
                id=str(getattr(row, _CLIENT_IDS.get(model.resource_type, "pk"))) if row.pk in known else str(row.pk),
                name=row.label if row.pk in known else "",
                reads=row.pk in reads,
                writes=row.pk in writes,
                paths=(*self._own_paths(row), *opening[row.pk]),
                denials=tuple(barring[row.pk]),
                is_usable=row.pk in usable,
            )
            entries.append(_with_above(entry, barred.get(row.pk)))
        return entries

    def _is_subject_to(self, model: type[SharedResource]) -> bool:
        """Whether grants and denials decide at all: not for those who reach nothing, nor for those who reach all."""
        return is_verified(self.who) and self._bypass(model) != "administrator"

    def _bypass(self, model: type[SharedResource]) -> str:
        """What lets the person past grants: `administrator`, a `switch` that lets everybody read and changes nothing
        about writing, or nothing."""
        if not model.bypass_applies(self.who):
            return ""
        by_role = self.who.role == "admin" and (bypasses_access(self.who) or not _has_switch(model))
        return "administrator" if by_role else "switch"

    def _own_paths(self, row: SharedResource) -> list[Path]:
        """The paths that stand on the object itself, and the one beside all rules."""
        access = Access(row.general_access)
        general = Path("general", WRITE if access == Access.WRITE else READ)
        if not is_verified(self.who):
            return [general] if access == Access.ANYONE and row.allows_anyone else []
        found = []
        if bypass := self._bypass(type(row)):
            found.append(Path(bypass, WRITE if bypass == "administrator" else READ))
        if row.owner_id == self.who.id:
            found.append(Path("owner", WRITE))
        return [*found, general] if access != Access.PRIVATE else found

    def _rows(self, model: type[SharedResource], found: Any, *, is_denied: bool) -> dict[uuid.UUID, list[Path]]:
        """The grants or denials in force of some objects, as paths."""
        paths: dict[uuid.UUID, list[Path]] = defaultdict(list)
        if not is_verified(self.who) or (is_denied and not self._is_subject_to(model)):
            return paths
        change = f"change_{model._meta.model_name}"
        # Where a switch lets everybody read, what is denied is the rest.
        only_writing = is_denied and bool(self._bypass(model))
        columns = ("content_object_id", "permission__codename", "expires_at")
        own, of_groups = model.grants_for(self.who, is_denied=is_denied)
        keys = found.order_by().values("pk")
        for pk, codename, ends in own.filter(content_object_id__in=keys).values_list(*columns):
            paths[pk].append(Path("user", WRITE if codename == change or only_writing else READ, expires_at=ends))
        rows = of_groups.filter(content_object_id__in=keys).order_by("group__name", "pk")
        for pk, codename, ends, group_id, group in rows.values_list(*columns, "group_id", "group__name"):
            permission = WRITE if codename == change or only_writing else READ
            paths[pk].append(Path("group", permission, group_id, group, tuple(self.via[group_id]), ends))
        return paths

    def _barred(self, model: type[SharedResource], found: Any) -> dict[uuid.UUID, str]:
        """What is denied of each object, where that need not stand on the object: for types in which it goes down."""
        if not self._is_subject_to(model) or not goes_down(model):
            return {}
        barred: dict[uuid.UUID, str] = {}
        for permission in (WRITE, READ):
            rows = found.filter(model.denied_to(self.who, write=permission == WRITE))
            barred |= dict.fromkeys(rows.values_list("pk", flat=True), permission)
        return barred

    # --------------------------------------------------------------------------------------------------------- groups
    @cached_property
    def groups(self) -> list[Group]:
        """The groups that count, those above included, by name; `depth` is how many stand above each, and itself."""
        rows = Group.objects.filter(pk__in=groups_for(self.who)).annotate(depth=Count("ancestry"))
        return list(rows.order_by("name", "pk"))

    @cached_property
    def via(self) -> dict[uuid.UUID, list[Via]]:
        """By group: the memberships that make the person count as its member, by name."""
        found: dict[uuid.UUID, list[Via]] = defaultdict(list)
        if isinstance(self.who, NewMember):
            return found
        rows = Membership.objects.filter(user_id=self.who.id).order_by("group__name", "group_id", "source")
        columns = rows.values_list("group__ancestry__ancestor_id", "group_id", "group__name", "source")
        for above, group_id, name, source in columns:
            known = found[above]
            if known and known[-1].group_id == group_id:
                known[-1] = replace(known[-1], sources=(*known[-1].sources, source))
            else:
                known.append(Via(group_id, name, (source,)))
        return found

    def default_models(self) -> tuple[list[str] | None, uuid.UUID | None]:
        """The models that a new chat begins with, as the groups say, and which group says it.

        The deepest group wins, of those equally deep the oldest. None when no group says anything.
        """
        saying = [group for group in self.groups if local_default_models(group) is not None]
        if not saying:
            return None, None
        chosen = min(saying, key=lambda g: (-g.depth, g.created_at, g.pk))  # type: ignore[attr-defined]
        return local_default_models(chosen), chosen.pk

    # ---------------------------------------------------------------------------------------------------- permissions
    def permissions(self) -> list[Held]:
        """Every permission key with who gives it. Administrators hold all, whoever gives them."""
        trees: list[tuple[str, Any]] = [("", default_permissions()), *((g.name, g.permissions) for g in self.groups)]
        given = {key: tuple(name for name, tree in trees if is_true(tree, key)) for key in PERMISSIONS}
        merged = nested({key: bool(names) for key, names in given.items()})
        is_admin = is_verified(self.who) and self.who.role == "admin"
        return [
            Held(row, is_admin or (is_verified(self.who) and holds(merged, key)), given[key])
            for key, row in PERMISSIONS.items()
        ]


def goes_down(model: type[SharedResource]) -> bool:
    """Whether objects of the type lie in one another, and what holds on one holds on those below it (folders)."""
    return model.denied_to.__func__ is not SharedResource.denied_to.__func__  # type: ignore[attr-defined]


def _has_switch(model: type[SharedResource]) -> bool:
    """Whether the type is opened to everybody by a switch of its own: somebody without any role would pass."""
    return model.bypass_applies(NewMember(uuid.uuid4()))


def _with_above(entry: Entry, barred: str | None) -> Entry:
    """Adds what only the objects above can explain: a right, or a denial, that nothing on the object itself gives."""
    right = WRITE if entry.writes else READ if entry.reads else None
    if right and not any(path.permission in (WRITE, right) for path in entry.paths):
        entry = replace(entry, paths=(*entry.paths, Path("above", right)))
    # The other way round: who may not read may not write.
    if barred and not any(denial.permission in (READ, barred) for denial in entry.denials):
        entry = replace(entry, denials=(*entry.denials, Path("above", barred)))
    return entry


def _name_of(model: type[SharedResource]) -> str:
    return "title" if any(f.name == "title" for f in model._meta.get_fields()) else "name"


def local_default_models(group: Group) -> list[str] | None:
    """The default models that a group itself names."""
    config = (group.data or {}).get("config")
    models = config.get("default_models") if isinstance(config, dict) else None
    return [str(model) for model in models] if isinstance(models, list) and models else None


def inherited_permissions(group: Group) -> Tree:
    """What the groups above a group give, over all keys."""
    above = Group.objects.filter(descent__group=group).exclude(pk=group.pk).values_list("permissions", flat=True)
    trees = list(above)
    return nested({key: any(is_true(tree, key) for tree in trees) for key in PERMISSIONS})


# -------------------------------------------------------------------------------------------------------- looking back
@dataclass(frozen=True, slots=True)
class PastPage:
    """What was reached at a moment. `gone` counts objects that have been deleted since."""

    entries: list[Entry]
    total: int
    gone: int


def past_page(
    user_id: uuid.UUID,
    model: type[SharedResource],
    moment: datetime,
    viewer: Person,
    *,
    show: str = READS,
    query: str = "",
    page: int = 1,
) -> PastPage:
    """Thirty of the objects that somebody could read (or change) at a past moment, by their names of today."""
    read = reachable_at(user_id, model.resource_type, moment, write=show == WRITES)
    written = read if show == WRITES else reachable_at(user_id, model.resource_type, moment, write=True)
    there: Any = model.objects.filter(pk__in=read)
    gone = len(read) - there.count()
    known = model.objects.readable_by(viewer)
    name = _name_of(model)
    rows = there.filter(pk__in=known.order_by().values("pk"), **{f"{name}__icontains": query}) if query else there
    shown = list(page_of(rows.order_by(name, "pk"), page))
    visible = set(known.filter(pk__in=[row.pk for row in shown]).values_list("pk", flat=True))
    entries = [
        Entry(row.pk, str(row.pk), row.label if row.pk in visible else "", reads=True, writes=row.pk in written)
        for row in shown
    ]
    return PastPage(entries, rows.count(), gone)


def person(user_id: str) -> Any:
    """The account with an id as text; None when there is none."""
    return _one(get_user_model()._default_manager, user_id)


def group(group_id: str) -> Any:
    """The group with an id as text; None when there is none."""
    return _one(Group.objects, group_id)


def _one(rows: Any, key: str) -> Any:
    try:
        return rows.filter(pk=uuid.UUID(key)).first()
    except ValueError:
        return None
