"""Who is in a group, for what reason, and who besides administrators may decide it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from owui.audit.record import record
from owui.lib.errors import ACCESS_PROHIBITED, Missing, Refused, UserError
from rbac.history import acting
from rbac.models import Group, GroupManager, Membership, MembershipSource
from rbac.services.announce import announce
from rbac.sharing import Person, is_verified

#: a search for people to add: letters it needs, people it shows
SHORTEST_QUERY, FOUND = 2, 8


@transaction.atomic
def add_members(
    group: Group, user_ids: Iterable[Any], *, by: Person, source: str = MembershipSource.MANUAL
) -> list[uuid.UUID]:
    """Adds people to a group; those who are in it for the same reason stay as they are. Unknown ids are an error."""
    new = _people(user_ids)
    have = set(Membership.objects.filter(group=group, source=source).values_list("user_id", flat=True))
    new = [u for u in new if u.pk not in have]
    if new:
        acting(by)
        Membership.objects.bulk_create(
            (Membership(user=u, group=group, source=source, created_by_id=by.id) for u in new), ignore_conflicts=True
        )
        _record_members("group.members.add", group, new, by, source)
    return [u.pk for u in new]


@transaction.atomic
def remove_members(group: Group, user_ids: Iterable[Any], *, by: Person, source: str | None = None) -> None:
    """Takes people out of a group; `source=None` removes whatever reason they were in it for."""
    rows = Membership.objects.filter(group=group, user_id__in=[pk for i in user_ids if (pk := as_uuid(i))])
    rows = rows.filter(source=source) if source else rows
    users = list({row.user_id: row.user for row in rows.select_related("user")}.values())
    if users:
        acting(by)
        rows.delete()
        _record_members("group.members.remove", group, users, by, source or "any")


@transaction.atomic
def change_members(group: Group, *, by: Person, add: Iterable[Any] = (), remove: Iterable[Any] = ()) -> None:
    """What administrators and the group's managers do: adds and removes people by hand.

    A manager changes the groups that are his, nobody else's, and never his own membership: he would raise his own
    rights. Memberships that a directory or sign-in provider brought are not his to end.

    :raises Refused: 401 for everybody else, with the text of the field's administrator guard
    """
    if by.role == "admin":
        add_members(group, add, by=by)
        remove_members(group, remove, by=by)
        return
    if not is_verified(by) or not GroupManager.objects.filter(group=group, user_id=by.id).exists():
        raise Refused(ACCESS_PROHIBITED, status=401)
    add, remove = [as_uuid(i) or i for i in add], [as_uuid(i) or i for i in remove]
    if by.id in (*add, *remove):
        raise Refused(_("You manage this group, so somebody else has to decide whether you are in it."), code="self")
    synced = Membership.objects.filter(group=group, user_id__in=[i for i in remove if as_uuid(i)])
    if synced.exclude(source=MembershipSource.MANUAL).exists():
        raise Refused(
            _("Some of these people come from the directory or the sign-in provider. They can only be removed there."),
            code="synced",
        )
    add_members(group, add, by=by)
    remove_members(group, remove, by=by, source=MembershipSource.MANUAL)


@transaction.atomic
def set_managers(group: Group, user_ids: Iterable[Any], *, by: Person) -> None:
    """Replaces who may add and remove the group's members besides administrators; administrators only."""
    if by.role != "admin":
        raise Refused(ACCESS_PROHIBITED, status=401)
    Group.objects.select_for_update().get(pk=group.pk)
    wanted = {u.pk: u for u in _people(user_ids)}
    present = {m.user_id: m for m in GroupManager.objects.filter(group=group).select_related("user")}
    if wanted.keys() == present.keys():
        return
    acting(by)
    GroupManager.objects.filter(group=group).exclude(user_id__in=wanted).delete()
    GroupManager.objects.bulk_create(
        GroupManager(group=group, user=u, created_by_id=by.id) for pk, u in wanted.items() if pk not in present
    )
    record(
        "group.managers.set",
        by=by,
        object_type="group",
        object_id=str(group.pk),
        object_label=group.name,
        detail={
            "before": sorted(m.user.email for m in present.values()),
            "after": sorted(u.email for u in wanted.values()),
        },
    )
    announce("group", str(group.pk), [*wanted.keys() | present.keys()])


def managed_groups(user: Person) -> Any:
    """The groups whose members the person may change: his own to manage, all for administrators."""
    if user.role == "admin" and user.is_active:
        return Group.objects.all()
    return Group.objects.filter(managers__user_id=user.id) if is_verified(user) else Group.objects.none()


def manages_groups(user: Person) -> bool:
    """Whether the person was made a group's manager; administrators need no such thing. Who signed in by a session was
    looked up with it."""
    known = getattr(user, "is_group_manager", None)
    if known is not None:
        return bool(known)
    return GroupManager.objects.filter(user_id=user.id).exists()


def managed_group(user: Person, pk: Any) -> Group:
    """One of them; 404 for any other, so that nobody learns which groups there are."""
    found: Group | None = managed_groups(user).filter(pk=pk).first()
    if found is None:
        raise Missing(_("This group does not exist, or you do not manage it."))
    return found


def members_of(group: Group, query: str = "") -> Any:
    """The people who are in a group themselves, by name."""
    people = get_user_model()._default_manager.filter(pk__in=Membership.objects.filter(group=group).values("user_id"))
    return _matching(people, query).order_by("name", "pk")


def people_to_add(group: Group, query: str, *, by: Person) -> list[Any]:
    """A few people who could join a group, for at least two letters of a name or an e-mail address.

    Nobody can read the list of all people here: shorter questions find nothing, longer ones eight at most.
    """
    query = " ".join(query.replace("\x00", "").split())
    if len(query) < SHORTEST_QUERY:
        return []
    people = get_user_model()._default_manager.filter(is_active=True).exclude(pk=by.id)
    people = people.exclude(pk__in=Membership.objects.filter(group=group).values("user_id"))
    return list(_matching(people, query).order_by("name", "pk").only("name", "email")[:FOUND])


def _matching(people: Any, query: str) -> Any:
    return people.filter(Q(name__icontains=query) | Q(email__icontains=query)) if query else people


def as_uuid(value: Any) -> uuid.UUID | None:
    """The id a text stands for, None for one that is none."""
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None


def _people(user_ids: Iterable[Any]) -> list[Any]:
    ids = list(dict.fromkeys(as_uuid(u) or str(u) for u in user_ids))
    users = {u.pk: u for u in get_user_model().objects.filter(pk__in=[i for i in ids if isinstance(i, uuid.UUID)])}
    if missing := [str(i) for i in ids if i not in users]:
        raise UserError(_("These people do not exist: %(ids)s") % {"ids": ", ".join(missing[:5])})
    return list(users.values())


def _record_members(action: str, group: Group, users: list[Any], by: Person, source: str) -> None:
    record(
        action,
        by=by,
        object_type="group",
        object_id=str(group.pk),
        object_label=group.name,
        detail={"source": source, "users": [{"id": str(u.pk), "email": u.email} for u in users]},
    )
    announce("group", str(group.pk), [u.pk for u in users])
