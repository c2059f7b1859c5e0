"""The permission matrix: what each key is for each of a page of groups, and where it comes from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from rbac.models import Group, GroupAncestry
from rbac.permissions import PERMISSIONS, PermissionKey, default_permissions
from rbac.services.matrix import DEFAULT, own_keys, unknown_keys


@dataclass(frozen=True, slots=True)
class Column:
    """The default, or a group."""

    id: str
    name: str
    own: frozenset[str]
    #: keys that the groups above give, each with the name of one that does
    above: Mapping[str, str]
    everyone: frozenset[str]
    unknown: Sequence[str] = ()

    @property
    def saw(self) -> str:
        return ",".join(sorted(self.own))

    def has(self, key: str) -> bool:
        return key in self.own or key in self.above or key in self.everyone


@dataclass(frozen=True, slots=True)
class Cell:
    """One key of one column. `how` says in words where the key comes from, `lacks` what it needs to count."""

    column: Column
    ticked: bool
    how: str
    lacks: str = ""
    is_on: bool = False
    changed: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    row: PermissionKey
    cells: list[Cell]

    @property
    def is_child(self) -> bool:
        return bool(self.row.parent)


@dataclass(frozen=True, slots=True)
class SectionLines:
    name: str
    title: str
    lines: list[Line]


def columns_of(groups: Iterable[Group]) -> list[Column]:
    """The default, then the groups: one statement for all that stands above them."""
    groups = list(groups)
    everyone = own_keys(default_permissions())
    rows = GroupAncestry.objects.filter(group__in=groups).select_related("ancestor").order_by("ancestor__name")
    above: dict[Any, dict[str, str]] = defaultdict(dict)
    for row in rows:
        if row.ancestor_id != row.group_id:
            for key in own_keys(row.ancestor.permissions):
                above[row.group_id].setdefault(key, row.ancestor.name)
    found = [Column(DEFAULT, _("Everyone (default)"), everyone, {}, frozenset())]
    for group in groups:
        own, unknown = own_keys(group.permissions), unknown_keys(group.permissions)
        found.append(Column(str(group.pk), group.name, own, above[group.pk], everyone, unknown))
    return found


def sections_of(
    columns: Sequence[Column],
    ticked: Mapping[str, frozenset[str]] | None = None,
    seen: Mapping[str, frozenset[str]] | None = None,
) -> list[SectionLines]:
    """The lines of the matrix.

    :param ticked: what the editor wants, where that is not what is stored
    :param seen: what the editor saw before somebody else changed it
    """
    titles = {
        "workspace": _("Workspace"),
        "sharing": _("Sharing"),
        "access_grants": _("Whom one may share with"),
        "chat": _("Chat"),
        "features": _("Features"),
        "settings": _("Settings"),
    }
    sections: dict[str, SectionLines] = {}
    for row in PERMISSIONS.values():
        cells = [_cell(column, row, ticked or {}, seen or {}) for column in columns]
        section = sections.setdefault(row.section, SectionLines(row.section, titles.get(row.section, row.section), []))
        section.lines.append(Line(row, cells))
    return list(sections.values())


def _cell(
    column: Column, row: PermissionKey, ticked: Mapping[str, frozenset[str]], seen: Mapping[str, frozenset[str]]
) -> Cell:
    key = row.key
    if key in column.everyone:
        how = _("by default")
    elif key in column.above:
        how = _("from %(group)s") % {"group": column.above[key]}
    else:
        how = ""
    lacks = ""
    if column.has(key) and row.needs and not column.has(row.needs):
        lacks = _("needs “%(label)s”") % {"label": PERMISSIONS[row.needs].label}
    changed = ""
    if (key in seen.get(column.id, column.own)) != (key in column.own):
        changed = _("now on") if key in column.own else _("now off")
    is_ticked = key in ticked.get(column.id, column.own)
    return Cell(column, is_ticked, how, lacks, column.has(key) and not lacks, changed)
