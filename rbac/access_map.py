"""The access map: what each of a page of groups may do with each of a page of objects of one type, and why.

It is drawn from the rows that the choke-point looks at, for a member who has nothing else. The number of statements
depends neither on the groups nor on the objects.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from rbac.ends import until
from rbac.grants import READ, WRITE
from rbac.models import Group, GroupAncestry
from rbac.sharing import Access, Person, SharedResource, in_force

DENIED, NONE = "denied", "none"
#: characters with which a spreadsheet begins a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Way:
    """One reason: own, above (through a group above) or everyone; `group` names the group that has the grant."""

    permission: str
    how: str
    group: str = ""
    ends: datetime | None = None
    is_denied: bool = False

    @property
    def words(self) -> str:
        if self.is_denied:
            what = _("kept out") if self.permission == READ else _("may not change")
        else:
            what = _("may change") if self.permission == WRITE else _("may read")
        how = {"own": _("own grant"), "everyone": _("everyone signed in")}.get(self.how)
        if self.is_denied and self.how == "own":
            how = _("own denial")
        text = f"{what}: {how or _('through %(group)s') % {'group': self.group}}"
        return f"{text}, {until(self.ends)}" if self.ends else text


@dataclass(frozen=True, slots=True)
class Cell:
    """What a group may do with an object: none, read, write or denied, and the way that counts."""

    level: str
    ways: tuple[Way, ...] = ()
    how: str = ""
    ends: datetime | None = None

    @property
    def words(self) -> str:
        return "; ".join(way.words for way in self.ways) or _("no access")


@dataclass(frozen=True, slots=True)
class MapLine:
    group: Group
    cells: list[Cell]


def map_lines(groups: Sequence[Group], resources: Sequence[SharedResource]) -> list[MapLine]:
    """The map of a page, in two statements."""
    if not groups or not resources:
        return [MapLine(group, []) for group in groups]
    model = type(resources[0])
    above: dict[Any, list[Any]] = defaultdict(list)
    for group_id, ancestor_id in GroupAncestry.objects.filter(group__in=groups).values_list("group", "ancestor"):
        above[group_id].append(ancestor_id)
    wanted = {ancestor for ids in above.values() for ancestor in ids}
    grants: dict[tuple[Any, Any], list[Any]] = defaultdict(list)
    for row in _rows(model, content_object__in=resources, group__in=wanted):
        grants[row[0], row[1]].append(row)
    return [
        MapLine(
            group,
            [
                _cell(resource, group, [row for a in above[group.pk] for row in grants.get((resource.pk, a), ())])
                for resource in resources
            ],
        )
        for group in groups
    ]


def _rows(model: type[SharedResource], **which: Any) -> Any:
    """(object, group, permission, is_denied, ends, name of the group) of the grants in force."""
    change = f"change_{model._meta.model_name}"
    rows = in_force(model.group_grant_model()._default_manager.filter(**which)).values_list(
        "content_object_id", "group_id", "permission__codename", "is_denied", "expires_at", "group__name"
    )
    for pk, group, codename, is_denied, ends, name in rows.order_by("group__name").iterator():
        yield pk, group, WRITE if codename == change else READ, is_denied, ends, name


def _cell(resource: SharedResource, group: Group, rows: list[Any]) -> Cell:
    ways = [
        Way(permission, "own" if group_id == group.pk else "above", name, ends, is_denied)
        for _pk, group_id, permission, is_denied, ends, name in rows
    ]
    denials = [way for way in ways if way.is_denied]
    grants = [way for way in ways if not way.is_denied]
    if resource.general_access in (Access.READ, Access.ANYONE):
        grants.append(Way(READ, "everyone"))
    elif resource.general_access == Access.WRITE:
        grants.append(Way(WRITE, "everyone"))
    grants.sort(key=_strength)
    ways = [*denials, *grants]
    if out := [way for way in denials if way.permission == READ]:
        return Cell(DENIED, tuple(ways), out[0].how, out[0].ends)
    if not grants:
        return Cell(NONE, tuple(ways))
    # A type that only administrators change (a connection) is at most used by others.
    capped = bool(denials) or getattr(resource, "administered", False)
    return Cell(READ if capped else grants[0].permission, tuple(ways), grants[0].how, grants[0].ends)


def _strength(way: Way) -> tuple[bool, bool, int]:
    """The strongest first: changing before reading, what lasts before what ends, the nearest reason."""
    return way.permission != WRITE, way.ends is not None, ("own", "above", "everyone").index(way.how)


# ------------------------------------------------------------------------------------------------------------ as a file
def as_csv(model: type[SharedResource], resources: Any, groups: Any) -> str:
    """Every reason for access of every group, one a line; groups that count because of one above them included.

    :param resources: queryset of the objects; :param groups: queryset of the groups
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["type", "object_id", "object", "group_id", "group", "access", "how", "through", "until"])
    names = {resource.pk: resource for resource in resources.iterator(chunk_size=2000)}
    for line in _facts(model, names, dict(groups.values_list("pk", "name"))):
        writer.writerow(_harmless(str(value)) for value in (model.resource_type, *line))
    return out.getvalue()


def _facts(model: type[SharedResource], objects: dict[Any, Any], groups: dict[Any, str]) -> Iterator[tuple[Any, ...]]:
    for resource in objects.values():
        access = Access(resource.general_access)
        if access != Access.PRIVATE:
            yield resource.pk, resource.label, "", "", WRITE if access == Access.WRITE else READ, "everyone", "", ""
    below: dict[Any, list[Any]] = defaultdict(list)
    for group_id, ancestor_id in GroupAncestry.objects.filter(group__in=list(groups)).values_list("group", "ancestor"):
        below[ancestor_id].append(group_id)
    for pk, holder, permission, is_denied, ends, name in _rows(model):
        if pk in objects:
            access_word = f"denied {permission}" if is_denied else permission
            for group in below.get(holder, ()):
                how, through = ("own", "") if group == holder else ("above", name)
                yield (
                    *(pk, objects[pk].label, group, groups[group], access_word, how, through),
                    ends.isoformat() if ends else "",
                )


def _harmless(text: str) -> str:
    """A name that begins like a formula is no formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def named_like(model: type[SharedResource], user: Person, query: str) -> Any:
    """The objects of a type that the administrator may see, by name."""
    rows: Any = model._default_manager.all()
    rows = rows.readable_by(user)
    field = name_field(model)
    return rows.filter(**{f"{field}__icontains": query}).order_by(field, "pk") if query else rows.order_by(field, "pk")


def name_field(model: type[SharedResource]) -> str:
    """What objects of a type are called by."""
    return "name" if any(field.name == "name" for field in model._meta.get_fields()) else "title"
