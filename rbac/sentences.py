"""Access said in words: one sentence for a row of a list, and the full answer to "who can see this, and why?"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from rbac.grants import READ, WRITE
from rbac.sharing import Access, SharedResource

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class NamedGrant:
    """One grant with the names that people know. `kind` is user or group."""

    kind: str
    id: str
    name: str
    email: str
    permission: str


@dataclass(frozen=True, slots=True)
class Reach:
    """One line of "who can see this, and why"."""

    name: str
    permission: str
    reason: str


def named_grants(resources: Iterable[SharedResource]) -> dict[Any, list[NamedGrant]]:
    """The grants of a page of objects by primary key, one per principal, in two statements."""
    resources = list(resources)
    found: dict[Any, dict[tuple[str, str], NamedGrant]] = {resource.pk: {} for resource in resources}
    if not resources:
        return {}
    model = type(resources[0])
    change = f"change_{model._meta.model_name}"
    sources = (
        ("user", model.user_grant_model(), ("user_id", "user__name", "user__email")),
        ("group", model.group_grant_model(), ("group_id", "group__name", "group__description")),
    )
    for kind, table, fields in sources:
        rows = table._default_manager.filter(content_object_id__in=list(found)).values_list(
            "content_object_id", "permission__codename", *fields
        )
        for pk, codename, principal, name, email in rows:
            key = (kind, str(principal))
            permission = WRITE if codename == change else READ
            known = found[pk].get(key)
            if known is None or known.permission == READ:
                found[pk][key] = NamedGrant(kind, str(principal), name, email if kind == "user" else "", permission)
    # Groups first: they say more about who is meant than single names.
    return {pk: sorted(grants.values(), key=lambda g: (g.kind, g.name.lower())) for pk, grants in found.items()}


def access_sentences(resources: Sequence[SharedResource]) -> dict[Any, str]:
    """`{pk: "Read: Pharmacovigilance. Write: Ana Costa."}` for a page of rows, in two statements."""
    grants = named_grants(resources)
    return {resource.pk: access_sentence(resource, grants[resource.pk]) for resource in resources}


def access_sentence(resource: SharedResource, grants: Iterable[NamedGrant] | None = None) -> str:
    """Who besides the owner may read and change an object, in one line."""
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
        names[grant.permission].append(grant.name)
    if not names:
        return _("Only the owner.")
    parts = []
    if names[READ]:
        parts.append(_("Read: %(names)s.") % {"names": _joined(names[READ])})
    if names[WRITE]:
        parts.append(_("Write: %(names)s.") % {"names": _joined(names[WRITE])})
    return " ".join(parts)


def _joined(names: list[str]) -> str:
    if len(names) <= _SHOWN:
        return ", ".join(names)
    shown = ", ".join(names[: _SHOWN - 1])
    return _("%(names)s and %(count)d more") % {"names": shown, "count": len(names) - _SHOWN + 1}


def reach(resource: SharedResource) -> list[Reach]:
    """Everyone who can see an object and the reason, for the person who decides about it."""
    lines = []
    owner: Any = resource.owner
    if owner is not None:
        lines.append(Reach(owner.name, WRITE, _("owner")))
    general = {
        Access.READ: Reach(_("Everyone signed in"), READ, _("general access")),
        Access.WRITE: Reach(_("Everyone signed in"), WRITE, _("general access")),
        Access.ANYONE: Reach(_("Anyone with the link"), READ, _("general access")),
    }
    if resource.general_access in general:
        lines.append(general[Access(resource.general_access)])
    grants = named_grants([resource])[resource.pk]
    members = _members([grant.id for grant in grants if grant.kind == "group"])
    for grant in grants:
        if grant.kind == "user":
            lines.append(Reach(grant.name, grant.permission, _("a grant of their own")))
            continue
        reason = _("a grant to the group %(group)s") % {"group": grant.name}
        people = members.get(grant.id, [])
        lines += [Reach(name, grant.permission, reason) for name in people]
        if not people:
            lines.append(Reach(grant.name, grant.permission, _("a grant to this group, which has no members")))
    if settings.BYPASS_ADMIN_ACCESS_CONTROL:
        lines.append(Reach(_("Administrators"), WRITE, _("administrators see everything on this instance")))
    return lines


def _members(group_ids: list[str]) -> dict[str, list[str]]:
    """Names of the active members of groups, members of groups below them included."""
    ids: list[Any] = group_ids
    rows = (
        get_user_model()
        ._default_manager.filter(
            memberships__group__ancestry__ancestor_id__in=ids, is_active=True, role__in=("user", "admin")
        )
        .values_list("memberships__group__ancestry__ancestor_id", "name")
        .distinct()
        .order_by("name")
    )
    people: dict[str, list[str]] = defaultdict(list)
    for group_id, name in rows:
        people[str(group_id)].append(name)
    return people
