"""`/api/v1/users`: people and permissions, for administrators and for sharing pickers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Body, Router

from accounts import services
from accounts.models import User
from accounts.schemas import UserUpdateForm, user_info, user_json
from owui.lib.guards import admin, verified
from owui.lib.pagination import page_of
from rbac import services as rbac_services
from rbac.api import group_json
from rbac.permissions import default_permissions, effective_permissions, environment_defaults

router = Router(tags=["users"])


@router.get("/", auth=admin)
def list_users(
    request: HttpRequest, query: str = "", order_by: str = "created_at", direction: str = "desc", page: int = 1
) -> dict[str, Any]:
    field = (
        order_by
        if order_by in ("name", "email", "role", "created_at", "last_active_at", "updated_at")
        else "created_at"
    )
    users = services.search_users(query).order_by(("-" if direction == "desc" else "") + field, "pk")
    rows = list(page_of(users, page).prefetch_related("memberships"))
    items = [user_json(u) | {"group_ids": sorted({str(m.group_id) for m in u.memberships.all()})} for u in rows]
    return {"users": items, "total": users.count()}


@router.get("/all", auth=admin)
def list_all_users(request: HttpRequest) -> dict[str, Any]:
    users = [user_info(u) for u in User.objects.order_by("name", "pk")]
    return {"users": users, "total": len(users)}


@router.get("/search", auth=verified)
def search_users(request: HttpRequest, query: str = "", page: int = 1) -> dict[str, Any]:
    users = services.search_users(query).exclude(role="pending")
    return {"users": [user_info(u) for u in page_of(users, page)], "total": users.count()}


@router.get("/groups", auth=verified)
def own_groups(request: HttpRequest) -> list[dict[str, Any]]:
    return [group_json(g) for g in rbac_services.effective_groups(request.user)]  # type: ignore[arg-type]


@router.get("/permissions", auth=verified)
def own_permissions(request: HttpRequest) -> dict[str, Any]:
    return effective_permissions(request.user)  # type: ignore[arg-type]


@router.get("/default/permissions", auth=admin)
def get_default_permissions(request: HttpRequest) -> dict[str, Any]:
    return default_permissions()


@router.get("/default/permissions/defaults", auth=admin)
def get_environment_permissions(request: HttpRequest) -> dict[str, Any]:
    return environment_defaults()


@router.post("/default/permissions", auth=admin)
def set_default_permissions(request: HttpRequest, form: Body[dict[str, dict[str, bool]]]) -> dict[str, Any]:
    return rbac_services.set_default_permissions(form, by=request.user)  # type: ignore[arg-type]


@router.get("/{user_id}", auth=admin)
def get_user(request: HttpRequest, user_id: str) -> dict[str, Any]:
    return user_json(services.get_user(user_id))


@router.get("/{user_id}/groups", auth=admin)
def groups_of_user(request: HttpRequest, user_id: str) -> list[dict[str, Any]]:
    return [group_json(g) for g in rbac_services.effective_groups(services.get_user(user_id))]


@router.post("/{user_id}/update", auth=admin)
def update_user(request: HttpRequest, user_id: str, form: UserUpdateForm) -> dict[str, Any]:
    changes = form.dict(exclude_none=True)
    return user_json(services.update_user(services.get_user(user_id), by=request.user, **changes))  # type: ignore[arg-type]


@router.post("/{user_id}/sessions/revoke", auth=admin)
def revoke_sessions(request: HttpRequest, user_id: str) -> bool:
    services.revoke_sessions(services.get_user(user_id), by=request.user)  # type: ignore[arg-type]
    return True


@router.delete("/{user_id}", auth=admin)
def delete_user(request: HttpRequest, user_id: str) -> bool:
    services.delete_user(services.get_user(user_id), by=request.user)  # type: ignore[arg-type]
    return True
