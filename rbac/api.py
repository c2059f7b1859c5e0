"""`/api/v1/groups`."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import HttpRequest
from ninja import Router

from owui.lib.errors import ACCESS_PROHIBITED, Missing, Refused, UserError
from owui.lib.guards import admin, verified
from owui.lib.pagination import page_of
from rbac import services
from rbac.models import Group, GroupManager, Membership
from rbac.schemas import GroupForm, GroupUpdateForm, UserIdsForm

router = Router(tags=["groups"])
MEMBERSHIPS = ("direct", "inherited", "effective")


def group_json(group: Group) -> dict[str, Any]:
    count = getattr(group, "member_count", None)
    return {
        "id": str(group.pk),
        "user_id": str(group.created_by_id) if group.created_by_id else None,
        "name": group.name,
        "description": group.description,
        "parent_group_id": str(group.parent_id) if group.parent_id else None,
        "permissions": group.permissions or None,
        "data": group.data or None,
        "meta": group.meta or None,
        "created_at": int(group.created_at.timestamp()),
        "updated_at": int(group.updated_at.timestamp()),
        "member_count": count if count is not None else group.memberships.values("user").distinct().count(),
    }


def groups_json(groups: Any) -> list[dict[str, Any]]:
    """A list of groups with their counts, in three statements at most."""
    found = list(groups.order_by("name", "pk"))
    counts = _member_counts(groups)
    for group in found:
        group.member_count = counts.get(group.pk, 0)
    return [group_json(group) for group in found]


def _member_counts(groups: Any) -> dict[Any, int]:
    """How many people are in each group itself. One row is one person, except where a group has members from several
    sources: only those are told apart, for that takes ten times as long."""
    rows = Membership.objects.filter(group__in=groups.order_by().values("pk")).order_by().values("group_id", "source")
    counts: dict[Any, int] = {}
    mixed = set()
    for pk, count in rows.annotate(n=Count("*")).values_list("group_id", "n"):
        if pk in counts:
            mixed.add(pk)
        counts[pk] = count
    if mixed:
        people = Membership.objects.filter(group__in=mixed).order_by().values("group_id")
        counts |= dict(people.annotate(n=Count("user_id", distinct=True)).values_list("group_id", "n"))
    return counts


def _find(groups: Any, group_id: str) -> Group | None:
    try:
        return groups.filter(pk=group_id).first()  # type: ignore[no-any-return]
    except ValidationError:
        return None


def _group(group_id: str) -> Group:
    group = _find(Group.objects.all(), group_id)
    if group is None:
        raise Missing
    return group


def _managed(request: HttpRequest, group_id: str) -> Group:
    """A group whose members the person may see and change. Others hear what the administrators' guard says, whether
    the group exists or not."""
    user: Any = request.user
    group = _find(services.managed_groups(user), group_id)
    if group is not None:
        return group
    if user.role == "admin":
        raise Missing
    raise Refused(ACCESS_PROHIBITED, status=401)


@router.get("/", auth=verified)
def list_groups(request: HttpRequest, share: bool | None = None) -> list[dict[str, Any]]:
    user: Any = request.user
    if user.role == "admin":
        return groups_json(Group.objects.all())
    own = services.effective_groups(user).order_by().values("pk")
    if not share:
        return groups_json(Group.objects.filter(pk__in=own))
    mine = set(own.values_list("pk", flat=True))
    shown = groups_json(Group.objects.filter(pk__in=services.shareable_groups(user).order_by().values("pk")))
    # Of the others a picker needs no more than what `/info` tells.
    return [row if uuid.UUID(row["id"]) in mine else _info(row) for row in shown]


@router.post("/create", auth=admin)
def create_group(request: HttpRequest, form: GroupForm) -> dict[str, Any]:
    group = services.create_group(
        name=form.name,
        description=form.description,
        permissions=form.known_permissions(),
        data=form.checked_data(),
        meta=form.meta,
        parent_id=form.parent_group_id,
        by=request.user,  # type: ignore[arg-type]
    )
    return group_json(group)


@router.get("/id/{group_id}", auth=admin)
def get_group(request: HttpRequest, group_id: str) -> dict[str, Any]:
    return group_json(_group(group_id))


@router.get("/id/{group_id}/info", auth=verified)
def get_group_info(request: HttpRequest, group_id: str) -> dict[str, Any]:
    """For people who may know of the group: who are in it, manage it, or may pick it as a target. To others it is not
    there."""
    user: Any = request.user
    known = (services.effective_groups(user), services.managed_groups(user), services.shareable_groups(user))
    visible = Q()
    for groups in known:
        visible |= Q(pk__in=groups.order_by().values("pk"))
    group = _find(Group.objects.filter(visible), group_id)
    if group is None:
        raise Missing
    return _info(group_json(group))


def _info(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("id", "name", "description", "member_count")}


@router.get("/id/{group_id}/export", auth=admin)
def export_group(request: HttpRequest, group_id: str) -> dict[str, Any]:
    group = _group(group_id)
    ids = Membership.objects.filter(group=group).order_by("user_id").values_list("user_id", flat=True).distinct()
    return group_json(group) | {"user_ids": [str(pk) for pk in ids]}


@router.post("/id/{group_id}/update", auth=admin)
def update_group(request: HttpRequest, group_id: str, form: GroupUpdateForm) -> dict[str, Any]:
    changes = form.dict(exclude_unset=True)
    if "parent_group_id" in changes:
        changes["parent_id"] = changes.pop("parent_group_id")
    changes = {k: v for k, v in changes.items() if v is not None or k == "parent_id"}
    if "permissions" in changes:
        changes["permissions"] = form.known_permissions()
    if "data" in changes:
        changes["data"] = form.checked_data()
    services.update_group(_group(group_id), by=request.user, **changes)  # type: ignore[arg-type]
    return group_json(_group(group_id))


@router.delete("/id/{group_id}/delete", auth=admin)
def delete_group(request: HttpRequest, group_id: str) -> bool:
    services.delete_group(_group(group_id), by=request.user)  # type: ignore[arg-type]
    return True


# ------------------------------------------------------------------------------------------------------------- members
@router.post("/id/{group_id}/users", auth=verified)
def list_members(request: HttpRequest, group_id: str) -> list[dict[str, Any]]:
    return _people(_managed(request, group_id), "direct")


@router.get("/id/{group_id}/members", auth=verified)
def list_members_paged(
    request: HttpRequest, group_id: str, membership: str = "direct", query: str = "", page: int = 1
) -> dict[str, Any]:
    """Members of the group itself, of groups below it, or both; each with the reasons they are in it."""
    group = _managed(request, group_id)
    if membership not in MEMBERSHIPS:
        raise UserError(f"membership must be one of {', '.join(MEMBERSHIPS)}.")
    people = _members(group, membership)
    if query:
        people = people.filter(Q(name__icontains=query) | Q(email__icontains=query))
    return {"users": _people_json(page_of(people, page), group), "total": people.count()}


@router.post("/id/{group_id}/users/add", auth=verified)
def add_members(request: HttpRequest, group_id: str, form: UserIdsForm) -> dict[str, Any]:
    group = _managed(request, group_id)
    services.change_members(group, add=form.user_ids, by=request.user)  # type: ignore[arg-type]
    return group_json(_group(group_id))


@router.post("/id/{group_id}/users/remove", auth=verified)
def remove_members(request: HttpRequest, group_id: str, form: UserIdsForm) -> dict[str, Any]:
    group = _managed(request, group_id)
    services.change_members(group, remove=form.user_ids, by=request.user)  # type: ignore[arg-type]
    return group_json(_group(group_id))


@router.get("/id/{group_id}/managers", auth=admin)
def list_managers(request: HttpRequest, group_id: str) -> list[dict[str, Any]]:
    return _managers(_group(group_id))


@router.post("/id/{group_id}/managers", auth=admin)
def set_managers(request: HttpRequest, group_id: str, form: UserIdsForm) -> list[dict[str, Any]]:
    group = _group(group_id)
    services.set_managers(group, form.user_ids, by=request.user)  # type: ignore[arg-type]
    return _managers(group)


def _managers(group: Group) -> list[dict[str, Any]]:
    rows = GroupManager.objects.filter(group=group).select_related("user").order_by("user__name", "user_id")
    return [{"id": str(row.user_id), "name": row.user.name, "email": row.user.email} for row in rows]


def _members(group: Group, membership: str) -> Any:
    direct = Membership.objects.filter(group=group).values("user_id")
    everyone = Membership.objects.filter(group__ancestry__ancestor=group).values("user_id")
    people = get_user_model()._default_manager.filter(pk__in=direct if membership == "direct" else everyone)
    if membership == "inherited":
        people = people.exclude(pk__in=direct)
    return people.order_by("name", "pk")


def _people(group: Group, membership: str) -> list[dict[str, Any]]:
    return _people_json(_members(group, membership), group)


def _people_json(people: Any, group: Group) -> list[dict[str, Any]]:
    people = list(people)
    sources: dict[Any, list[str]] = {}
    rows = Membership.objects.filter(group=group, user__in=[user.pk for user in people]).order_by("source")
    for user_id, source in rows.values_list("user_id", "source"):
        sources.setdefault(user_id, []).append(source)
    return [
        {"id": str(u.pk), "name": u.name, "email": u.email, "role": u.role, "sources": sources.get(u.pk, [])}
        for u in people
    ]
