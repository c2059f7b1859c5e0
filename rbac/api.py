"""`/api/v1/groups`."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import HttpRequest
from ninja import Router

from owui.lib.errors import Missing
from owui.lib.guards import admin, verified
from rbac import services
from rbac.models import Group
from rbac.schemas import GroupForm, GroupUpdateForm, UserIdsForm

router = Router(tags=["groups"])


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


def _counted() -> Any:
    # Named, because counting drops the order of the model.
    return Group.objects.annotate(member_count=Count("memberships__user", distinct=True)).order_by("name", "pk")


def _group(group_id: str) -> Group:
    try:
        return _counted().get(pk=group_id)  # type: ignore[no-any-return]
    except (Group.DoesNotExist, ValidationError) as error:
        raise Missing from error


@router.get("/", auth=verified)
def list_groups(request: HttpRequest, share: bool | None = None) -> list[dict[str, Any]]:
    user: Any = request.user
    groups = _counted()
    if user.role != "admin":
        allowed = services.shareable_groups(user) if share else services.effective_groups(user)
        groups = groups.filter(pk__in=allowed.values("pk"))
    return [group_json(g) for g in groups]


@router.post("/create", auth=admin)
def create_group(request: HttpRequest, form: GroupForm) -> dict[str, Any]:
    group = services.create_group(
        name=form.name,
        description=form.description,
        permissions=form.permissions,
        data=form.data,
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
    row = group_json(_group(group_id))
    return {key: row[key] for key in ("id", "name", "description", "member_count")}


@router.post("/id/{group_id}/update", auth=admin)
def update_group(request: HttpRequest, group_id: str, form: GroupUpdateForm) -> dict[str, Any]:
    changes = form.dict(exclude_unset=True)
    if "parent_group_id" in changes:
        changes["parent_id"] = changes.pop("parent_group_id")
    changes = {k: v for k, v in changes.items() if v is not None or k == "parent_id"}
    services.update_group(_group(group_id), by=request.user, **changes)  # type: ignore[arg-type]
    return group_json(_group(group_id))


@router.post("/id/{group_id}/users", auth=admin)
def list_members(request: HttpRequest, group_id: str) -> list[dict[str, Any]]:
    members = _group(group_id).members.order_by("name").distinct()
    return [{"id": str(u.pk), "name": u.name, "email": u.email, "role": u.role} for u in members]


@router.post("/id/{group_id}/users/add", auth=admin)
def add_members(request: HttpRequest, group_id: str, form: UserIdsForm) -> dict[str, Any]:
    services.add_members(_group(group_id), form.user_ids, by=request.user)  # type: ignore[arg-type]
    return group_json(_group(group_id))


@router.post("/id/{group_id}/users/remove", auth=admin)
def remove_members(request: HttpRequest, group_id: str, form: UserIdsForm) -> dict[str, Any]:
    services.remove_members(_group(group_id), form.user_ids, by=request.user)  # type: ignore[arg-type]
    return group_json(_group(group_id))


@router.delete("/id/{group_id}/delete", auth=admin)
def delete_group(request: HttpRequest, group_id: str) -> bool:
    services.delete_group(_group(group_id), by=request.user)  # type: ignore[arg-type]
    return True
