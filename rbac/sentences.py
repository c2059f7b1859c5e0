"""Access said in words: one sentence for a row of a list, and the full answer to "who can see this, and why?"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from rbac.ends import day_of, hour_of, until
from rbac.grants import READ, WRITE, Grant, access_of
from rbac.models import Group
from rbac.sharing import Access, SharedResource, in_force

_SHOWN = 3
#: what a line of "who can see this" says besides read and write
OUT, NO_WRITE = "out", "no_write"


@dataclass(frozen=True, slots=True)
class NamedGrant:
    """One grant, or one denial, with the names that people know. `kind` is user or group."""

    kind: str
    id: str
    name: str
    email: str
    permission: str
    ends: datetime | None = None
    is_denied: bool = False

    @property
    def day(self) -> str:
        return day_of(self.ends)

    @property
    def hour(self) -> str:
        return hour_of(self.ends)

    @property
    def words(self) -> str:
        """ "may change, until 31 Jan 2027"."""
        if self.is_denied:
            text = _("kept out") if self.permission == READ else _("may not change")
        else:
            text = _("may change") if self.permission == WRITE else _("may read")
        return f"{text}, {until(self.ends)}" if self.ends else text


@dataclass(frozen=True, slots=True)
class Reach:
    """One line of "who can see this, and why"; `permission` is read, write, out or no_write."""

    name: str
    permission: str
    reason: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of two versions beside each other."""

    name: str
    theirs: str
    yours: str

    @property
    def differs(self) -> bool:
        return self.theirs != self.yours


def named_grants(resources: Iterable[SharedResource]) -> dict[Any, list[NamedGrant]]:
    """The grants and denials of a page of objects by primary key, in two statements; what has ended is not there."""
    resources = list(resources)
    found: dict[Any, list[NamedGrant]] = {resource.pk: [] for resource in resources}
    if not resources:
        return {}
    model = type(resources[0])
    change = f"change_{model._meta.model_name}"
    sources = (
        ("user", model.user_grant_model(), ("user_id", "user__name", "user__email")),
        ("group", model.group_grant_model(), ("group_id", "group__name", "group__description")),
    )
    for kind, table, fields in sources:
        rows = in_force(table._default_manager.filter(content_object_id__in=list(found))).values_list(
            "content_object_id", "permission__codename", "expires_at", "is_denied", *fields
        )
        for pk, codename, ends, is_denied, principal, name, email in rows:
            permission, email = WRITE if codename == change else READ, email if kind == "user" else ""
            found[pk].append(NamedGrant(kind, str(principal), name, email, permission, ends, is_denied))
    return {pk: _collapsed(grants) for pk, grants in found.items()}


def with_names(grants: Iterable[Grant], *, is_denied: bool = False) -> list[NamedGrant]:
    """A grant list with names, for people and groups that exist; wildcards are no names."""
    grants = [g for g in grants if g.principal_id != "*"]
    names: dict[tuple[str, str], tuple[str, str]] = {}
    ids = {kind: [g.principal_id for g in grants if g.principal_type == kind] for kind in ("user", "group")}
    if ids["user"]:
        people = get_user_model()._default_manager.filter(pk__in=ids["user"]).values_list("pk", "name", "email")
        names |= {("user", str(pk)): (name, email) for pk, name, email in people}
    if ids["group"]:
        groups = Group.objects.filter(pk__in=ids["group"]).values_list("pk", "name")
        names |= {("group", str(pk)): (name, "") for pk, name in groups}
    return _collapsed(
        NamedGrant(g.principal_type, g.principal_id, *names[key], g.permission, g.expires_at, is_denied)
        for g in grants
        if (key := (g.principal_type, g.principal_id)) in names
    )


def _collapsed(grants: Iterable[NamedGrant]) -> list[NamedGrant]:
    """One line per principal: reading is not said beside a right to change that lasts as long, nor "may not change"
    beside being kept out."""
    rows: dict[tuple[bool, str, str], dict[str, NamedGrant]] = defaultdict(dict)
    for grant in grants:
        rows[grant.is_denied, grant.kind, grant.id][grant.permission] = grant
    shown: list[NamedGrant] = []
    for (is_denied, _kind, _id), found in rows.items():
        strong, weak = (READ, WRITE) if is_denied else (WRITE, READ)
        if len(found) == 2 and _lasts(found[strong].ends, found[weak].ends):
            del found[weak]
        shown += found.values()
    # Groups first: they say more about who is meant than single names.
    return sorted(shown, key=lambda g: (g.is_denied, g.kind, g.name.lower(), g.id, g.permission))


def _lasts(one: datetime | None, other: datetime | None) -> bool:
    """Whether one end is not before the other."""
    return one is None or (other is not None and one >= other)


def access_sentences(resources: Sequence[SharedResource]) -> dict[Any, str]:
    """`{pk: "Read: Pharmacovigilance. Write: Ana Costa."}` for a page of rows, in two statements."""
    grants = named_grants(resources)
    return {resource.pk: access_sentence(resource, grants[resource.pk]) for resource in resources}


def access_sentence(resource: SharedResource, grants: Iterable[NamedGrant] | None = None) -> str:
    """Who besides the owner may read and change an object, until when, and who is kept out; in one line."""
    if grants is None:
        grants = named_grants([resource])[resource.pk]
    names: dict[str, list[str]] = defaultdict(list)
    access = Access(resource.general_access)
    if access == Access.ANYONE:
        names[READ].append(_("anyone with the link"))
    elif access == Access.READ:
        names[READ].append(_("everyone signed in"))
    elif access == Access.WRITE:
        names[WRITE].append(_("everyone signed in"))
    for grant in grants:
        part = grant.permission if not grant.is_denied else OUT if grant.permission == READ else NO_WRITE
        names[part].append(f"{grant.name} ({until(grant.ends)})" if grant.ends else grant.name)
    parts = [] if names[READ] or names[WRITE] else [_("Only the owner.")]
    if names[READ]:
        parts.append(_("Read: %(names)s.") % {"names": _joined(names[READ])})
    if names[WRITE]:
        parts.append(_("Write: %(names)s.") % {"names": _joined(names[WRITE])})
    if names[OUT]:
        parts.append(_("Kept out: %(names)s.") % {"names": _joined(names[OUT])})
    if names[NO_WRITE]:
        parts.append(_("Not changed by: %(names)s.") % {"names": _joined(names[NO_WRITE])})
    return " ".join(parts)


def _joined(names: list[str]) -> str:
    if len(names) <= _SHOWN:
        return ", ".join(names)
    shown = ", ".join(names[: _SHOWN - 1])
    return _("%(names)s and %(count)d more") % {"names": shown, "count": len(names) - _SHOWN + 1}


def compare(theirs: tuple[list[Grant], list[Grant]], yours: tuple[list[Grant], list[Grant]]) -> list[Difference]:
    """Two versions of who may do what, line by line: the general rule, then everybody who stands in either."""
    sides: list[dict[tuple[str, str], list[str]]] = []
    names: dict[tuple[str, str], str] = {}
    for grants, denials in (theirs, yours):
        side: dict[tuple[str, str], list[str]] = defaultdict(list)
        for named in [*with_names(grants), *with_names(denials, is_denied=True)]:
            names[named.kind, named.id] = named.name
            side[named.kind, named.id].append(named.words)
        sides.append(side)
    lines = [
        Difference(_("In general"), str(access_of(theirs[0]).label), str(access_of(yours[0]).label)),
    ]
    nothing = [_("not on the list")]
    for key in sorted(names, key=lambda key: (key[0], names[key].lower(), key[1])):
        lines.append(Difference(names[key], *("; ".join(side.get(key, nothing)) for side in sides)))
    return lines


def reach(resource: SharedResource) -> list[Reach]:
    """Everyone who can see an object and the reason, for the person who decides about it; then who is kept out."""
    grants = named_grants([resource])[resource.pk]
    members = _members([grant.id for grant in grants if grant.kind == "group"])
    denied = _denied(grants, members)
    lines: list[Reach] = []

    def add(user_id: Any, name: str, permission: str, reason: str) -> None:
        if user_id in denied[OUT]:
            return
        lines.append(Reach(name, READ if user_id in denied[NO_WRITE] else permission, reason))

    owner: Any = resource.owner
    if owner is not None:
        add(str(owner.pk), owner.name, WRITE, _("owner"))
    general = {
        Access.READ: Reach(_("Everyone signed in"), READ, _("general access")),
        Access.WRITE: Reach(_("Everyone signed in"), WRITE, _("general access")),
        Access.ANYONE: Reach(_("Anyone with the link"), READ, _("general access")),
    }
    if resource.general_access in general:
        lines.append(general[Access(resource.general_access)])
    for grant in grants:
        if grant.is_denied:
            continue
        if grant.kind == "user":
            add(grant.id, grant.name, grant.permission, _ending(_("a grant of their own"), grant))
            continue
        reason = _ending(_("a grant to the group %(group)s") % {"group": grant.name}, grant)
        people = members.get(grant.id, [])
        for user_id, name in people:
            add(user_id, name, grant.permission, reason)
        if not people:
            reason = _ending(_("a grant to this group, which has no members"), grant)
            lines.append(Reach(grant.name, grant.permission, reason))
    lines += [
        Reach(
            grant.name,
            OUT if grant.permission == READ else NO_WRITE,
            _ending(_("a denial, which beats every grant and general access"), grant),
        )
        for grant in grants
        if grant.is_denied
    ]
    if settings.BYPASS_ADMIN_ACCESS_CONTROL:
        lines.append(Reach(_("Administrators"), WRITE, _("administrators see everything on this instance")))
    return lines


def _ending(reason: str, grant: NamedGrant) -> str:
    return f"{reason}, {until(grant.ends)}" if grant.ends else reason


def _denied(grants: list[NamedGrant], members: dict[str, list[tuple[str, str]]]) -> dict[str, set[str]]:
    """Ids of the people whom a denial keeps from seeing, and from changing."""
    found: dict[str, set[str]] = {OUT: set(), NO_WRITE: set()}
    for grant in grants:
        if grant.is_denied:
            ids = [grant.id] if grant.kind == "user" else [user_id for user_id, _name in members.get(grant.id, [])]
            found[OUT if grant.permission == READ else NO_WRITE].update(ids)
    return found


def _members(group_ids: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Ids and names of the active members of groups, members of groups below them included."""
    ids: list[Any] = group_ids
    rows = (
        get_user_model()
        ._default_manager.filter(
            memberships__group__ancestry__ancestor_id__in=ids, is_active=True, role__in=("user", "admin")
        )
        .values_list("memberships__group__ancestry__ancestor_id", "pk", "name")
        .distinct()
        .order_by("name")
    )
    people: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for group_id, user_id, name in rows:
        people[str(group_id)].append((str(user_id), name))
    return people
