"""`user.has_perm` for Django admin and third parties: the same answer as the querysets, never another rule."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from rbac.sharing import Person, SharedResource


class GrantBackend:
    """Object permissions come from the choke-point; model-wide permissions belong to administrators."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        return None

    def get_user(self, user_id: Any) -> None:
        return None

    def has_perm(self, user: Person, perm: str, obj: Any = None) -> bool:
        if obj is None:
            return user.is_active and user.role == "admin"
        if not isinstance(obj, SharedResource):
            return False
        app, _dot, codename = perm.partition(".")
        name = obj._meta.model_name
        if app != obj._meta.app_label:
            return False
        objects = type(obj)._default_manager
        if codename == f"view_{name}":
            return objects.readable_by(user).filter(pk=obj.pk).exists()
        if codename == f"change_{name}":
            return objects.writable_by(user).filter(pk=obj.pk).exists()
        return False

    def has_module_perms(self, user: Person, app_label: str) -> bool:
        return user.is_active and user.role == "admin"
