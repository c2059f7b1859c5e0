"""`/api/v1/users`: people and permissions, for administrators and for sharing pickers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Body, Router

from accounts import preferences, services
from accounts.models import OAuthSession, User
from accounts.presence import is_here
from accounts.schemas import UserUpdateForm, public_info, shown_info, user_info, user_json
from owui.config.sections import UiConfig
from owui.lib.guards import admin, refuse_keys, verified
from owui.lib.pagination import page_of
from owui.lib.pictures import image_response
from rbac import services as rbac_services
from rbac.api import groups_json
from rbac.models import Membership
from rbac.permissions import default_permissions, effective_permissions, environment_defaults, may
from rbac.schemas import PermissionTree

router = Router(tags=["users"])
SHARING = "access_grants.allow_users"
ORDERS = ("name", "email", "role", "created_at", "last_active_at", "updated_at")


# ------------------------------------------------------------------------------------------------------------ listings
@router.get("/", auth=admin)
def list_users(
    request: HttpRequest, query: str = "", order_by: str = "created_at", direction: str = "desc", page: int = 1
) -> dict[str, Any]:
    field = order_by if order_by in ORDERS else "created_at"
    users = services.search_users(query).order_by(("-" if direction == "desc" else "") + field, "pk")
    rows = list(page_of(services.with_logins(users), page))
    groups: dict[Any, set[str]] = {user.pk: set() for user in rows}
    for user_id, group_id in Membership.objects.filter(user__in=list(groups)).values_list("user_id", "group_id"):
        groups[user_id].add(str(group_id))
    items = [user_json(user) | {"group_ids": sorted(groups[user.pk])} for user in rows]
    return {"users": items, "total": users.count()}


@router.get("/all", auth=admin)
def list_all_users(request: HttpRequest) -> dict[str, Any]:
    users = [user_info(u) for u in User.objects.order_by("name", "pk")]
    return {"users": users, "total": len(users)}


@router.get("/search", auth=verified)
def search_users(request: HttpRequest, query: str = "", page: int = 1) -> dict[str, Any]:
    """For sharing pickers: people whom the caller may share with, and of them only what tells them apart."""
    by: Any = request.user
    if not may(by, SHARING):
        return {"users": [], "total": 0}
    users = services.search_users(query).filter(role__in=("user", "admin"), is_active=True)
    rows = page_of(users, page)
    shown = [user_info(u) if by.role == "admin" else public_info(u, with_email=True) for u in rows]
    return {"users": shown, "total": users.count()}


@router.get("/groups", auth=verified)
def own_groups(request: HttpRequest) -> list[dict[str, Any]]:
    return groups_json(rbac_services.effective_groups(request.user))  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------- permissions
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
def set_default_permissions(request: HttpRequest, form: Body[PermissionTree]) -> dict[str, Any]:
    """Keys of other releases are ignored, as in the field."""
    return rbac_services.set_default_permissions(form, by=request.user)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------- oneself
@router.get("/user/info", auth=verified)
def get_own_info(request: HttpRequest) -> dict[str, Any]:
    return services.get_user(request.user.pk).info or {}


@router.post("/user/info/update", auth=verified)
def update_own_info(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    return preferences.save_info(request.user, form)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------- one person
@router.get("/{user_id}", auth=admin)
def get_user(request: HttpRequest, user_id: str) -> dict[str, Any]:
    user = services.get_user(user_id)
    groups = [{"id": str(g.pk), "name": g.name} for g in rbac_services.effective_groups(user).order_by("name", "pk")]
    return user_json(user) | {"groups": groups, "is_active": is_here(user)}


@router.get("/{user_id}/info", auth=verified)
def get_user_info(request: HttpRequest, user_id: str) -> dict[str, Any] | None:
    return shown_info(services.get_user(user_id), to=request.user)  # type: ignore[arg-type]


@router.get("/{user_id}/profile/image", auth=verified)
def get_profile_image(request: HttpRequest, user_id: str) -> HttpResponseBase:
    return image_response(services.get_user(user_id).profile_image_url)


@router.get("/{user_id}/active", auth=verified)
def get_presence(request: HttpRequest, user_id: str) -> dict[str, bool]:
    by: Any = request.user
    is_shown = by.role == "admin" or UiConfig.load().enable_user_status
    return {"active": is_shown and is_here(services.get_user(user_id))}


@router.get("/{user_id}/oauth/sessions", auth=admin)
def list_oauth_sessions(request: HttpRequest, user_id: str) -> list[dict[str, Any]]:
    """What we keep of sign-in providers for a person; never the tokens."""
    rows = OAuthSession.objects.filter(user=services.get_user(user_id))
    return [
        {
            "id": str(row.pk),
            "user_id": str(row.user_id),
            "provider": row.provider,
            "expires_at": int(row.expires_at.timestamp()) if row.expires_at else None,
            "created_at": int(row.created_at.timestamp()),
            "updated_at": int(row.updated_at.timestamp()),
        }
        for row in rows.order_by("-created_at", "pk")
    ]


@router.get("/{user_id}/groups", auth=admin)
def groups_of_user(request: HttpRequest, user_id: str) -> list[dict[str, Any]]:
    return groups_json(rbac_services.effective_groups(services.get_user(user_id)))


@router.post("/{user_id}/update", auth=admin)
def update_user(request: HttpRequest, user_id: str, form: UserUpdateForm) -> dict[str, Any]:
    changes = form.dict(exclude_none=True)
    if changes.get("password"):
        # Whoever holds a key would outlive it by the password of its owner, or of another administrator.
        refuse_keys(request)
    return user_json(services.update_user(services.get_user(user_id), by=request.user, **changes))  # type: ignore[arg-type]


@router.post("/{user_id}/sessions/revoke", auth=admin)
def revoke_sessions(request: HttpRequest, user_id: str) -> bool:
    services.revoke_sessions(services.get_user(user_id), by=request.user)  # type: ignore[arg-type]
    return True


@router.delete("/{user_id}", auth=admin)
def delete_user(request: HttpRequest, user_id: str) -> bool:
    services.delete_user(services.get_user(user_id), by=request.user)  # type: ignore[arg-type]
    return True
