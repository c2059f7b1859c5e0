"""The history of access in words: who could do what, from when until when, and by whom."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from rbac.access_map import name_field
from rbac.ends import until
from rbac.models import AccessChange, Group, MembershipSource
from rbac.permissions import PERMISSIONS, is_true
from rbac.services.matrix import own_keys
from rbac.sharing import Access, Person, resource_types

KINDS = {
    "grant": gettext_lazy("Grants and denials"),
    "resource": gettext_lazy("Owner and general access"),
    "member": gettext_lazy("Memberships"),
    "manager": gettext_lazy("Group managers"),
    "group": gettext_lazy("Groups and their permissions"),
    "role": gettext_lazy("Roles"),
    "defaults": gettext_lazy("Default permissions"),
}
#: how many people, groups and objects of a type a search by name takes in
_FOUND = 200


@dataclass(frozen=True, slots=True)
class Search:
    """What the page asks for; empty is everything."""

    text: str = ""
    of: uuid.UUID | None = None
    kind: str = ""
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One state in words."""

    subject: str
    state: str
    object: str
    change: AccessChange
    by: str
    ended_by: str


def found(search: Search, viewer: Person) -> QuerySet[AccessChange]:
    """The states that match, newest first."""
    rows = AccessChange.objects.order_by("-valid_from", "-pk")
    if search.kind:
        rows = rows.filter(kind=search.kind)
    if search.moment:
        held = Q(valid_until=None) | Q(valid_until__gt=search.moment)
        rows = rows.filter(held, valid_from__lte=search.moment)
    if search.of:
        rows = rows.filter(_about([search.of]))
    if search.text:
        rows = rows.filter(_about(_named(search.text, viewer)))
    return rows


def _about(ids: Sequence[uuid.UUID]) -> Q:
    """States of an object, or of a principal. With its type named an object is found through the index."""
    types = [*resource_types(), "group", "user"]
    return Q(object_type__in=types, object_id__in=ids) | Q(principal_id__in=ids) | Q(changed_by__in=ids)


def _named(text: str, viewer: Person) -> list[uuid.UUID]:
    """Ids of people, groups and objects whose name holds the text; or the id that the text is."""
    try:
        return [uuid.UUID(text)]
    except ValueError:
        pass
    users = get_user_model()._default_manager.filter(Q(name__icontains=text) | Q(email__icontains=text))
    ids = [*users.values_list("pk", flat=True)[:_FOUND]]
    ids += Group.objects.filter(name__icontains=text).values_list("pk", flat=True)[:_FOUND]
    for model in resource_types().values():
        objects = model.objects.readable_by(viewer).filter(**{f"{name_field(model)}__icontains": text})
        ids += objects.order_by().values_list("pk", flat=True)[:_FOUND]
    return ids


def moment_of(text: str) -> datetime | None:
    """The moment in the field of the page (`2027-01-31T18:00`), in the time zone of the server."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment


# ------------------------------------------------------------------------------------------------------------ in words
def in_words(rows: Iterable[AccessChange], viewer: Person) -> list[Entry]:
    """A page of states in words: one statement for the people, one for the groups, one for each type among them."""
    rows = list(rows)
    names = _Names(rows, viewer)
    return [
        Entry(
            subject=_subject(row, names),
            state=_state(row, names),
            object=_object(row, names),
            change=row,
            by=names.person(row.changed_by),
            ended_by=names.person(row.ended_by),
        )
        for row in rows
    ]


class _Names:
    """The names of all that a page speaks of, as they are today."""

    def __init__(self, rows: list[AccessChange], viewer: Person) -> None:
        people: set[Any] = {pk for row in rows for pk in (row.changed_by, row.ended_by)}
        groups: set[Any] = set()
        objects: dict[str, set[Any]] = defaultdict(set)
        for row in rows:
            (people if row.principal_type == "user" else groups).add(row.principal_id)
            if row.kind == "role":
                people.add(row.object_id)
            elif row.object_type == "group":
                groups.add(row.object_id)
                groups.add(row.value.get("parent"))
            elif row.object_type in resource_types():
                objects[row.object_type].add(row.object_id)
            if row.kind == "resource":
                people.add(row.value.get("owner"))
        users = get_user_model()._default_manager.filter(pk__in=people - {None}).values_list("pk", "name")
        self._people = {str(pk): name for pk, name in users}
        self._groups = {
            str(pk): name for pk, name in Group.objects.filter(pk__in=groups - {None}).values_list("pk", "name")
        }
        self._objects = {
            str(pk): name
            for kind, ids in objects.items()
            for pk, name in resource_types()[kind]
            .objects.readable_by(viewer)
            .filter(pk__in=ids)
            .order_by()
            .values_list("pk", name_field(resource_types()[kind]))
        }

    def person(self, pk: Any) -> str:
        return self._people.get(str(pk), _gone(pk)) if pk else ""

    def group(self, pk: Any) -> str:
        return self._groups.get(str(pk), _gone(pk)) if pk else ""

    def object(self, pk: Any) -> str:
        return str(self._objects.get(str(pk), _gone(pk)))


def _gone(pk: Any) -> str:
    """What has no name any more, or none that the viewer may know."""
    return _("%(id)s… (removed, or not yours to see)") % {"id": str(pk)[:8]}


def _subject(row: AccessChange, names: _Names) -> str:
    if row.kind == "role":
        return names.person(row.object_id)
    if row.kind == "group":
        return str(row.value.get("name") or names.group(row.object_id))
    if row.kind == "resource":
        return names.object(row.object_id)
    if row.kind == "defaults":
        return _("Everyone (default)")
    return names.person(row.principal_id) if row.principal_type == "user" else names.group(row.principal_id)


def _object(row: AccessChange, names: _Names) -> str:
    """What it is about: “Labels” (knowledge base); nothing where the subject says it all."""
    if row.kind in ("member", "manager"):
        return names.group(row.object_id)
    if row.kind == "grant":
        model = resource_types().get(row.object_type)
        label = model._meta.verbose_name if model else row.object_type
        return f"{names.object(row.object_id)} ({label})"
    return ""


def _state(row: AccessChange, names: _Names) -> str:
    value = row.value
    if row.kind == "grant":
        return _grant(value)
    if row.kind == "member":
        return _("is a member (%(source)s)") % {"source": _source(value["source"])}
    if row.kind == "manager":
        return _("may add and remove members")
    if row.kind == "role":
        text = _("has the role %(role)s") % {"role": value["role"]}
        return text if value["is_active"] else f"{text}, {_('switched off')}"
    if row.kind == "resource":
        rule = Access(value["general_access"]).label if value["general_access"] in Access.values else ""
        owner = names.person(value["owner"]) or _("nobody")
        return _("belongs to %(owner)s. In general: %(rule)s") % {"owner": owner, "rule": rule}
    if row.kind == "group":
        keys = ", ".join(sorted(own_keys(value["permissions"]))) or _("none")
        text = _("gives: %(keys)s") % {"keys": keys}
        parent = names.group(value["parent"])
        return f"{_('below %(group)s') % {'group': parent}}; {text}" if parent else text
    return _("everyone has: %(keys)s") % {"keys": _flat(value)}


def _grant(value: dict[str, Any]) -> str:
    if value["is_denied"]:
        text = _("is kept out of") if value["permission"] == "read" else _("may not change")
    else:
        text = _("may change") if value["permission"] == "write" else _("may read")
    ends = parse_datetime(value["expires_at"]) if value["expires_at"] else None
    return f"{text} ({until(ends)})" if ends else text


def _source(source: str) -> str:
    return str(MembershipSource(source).label) if source in MembershipSource.values else source


def _flat(value: Any) -> str:
    """The keys of the stored default."""
    return ", ".join(sorted(key for key in PERMISSIONS if is_true(value, key))) or _("no permission")
