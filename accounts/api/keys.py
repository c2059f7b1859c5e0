"""`/api/v1/auths/api_keys`: one's named keys. The field's one key is `/api/v1/auths/api_key`, in `auths.py`.

People only: a key that could make keys would outlive its end and its limits.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Router, Schema

from accounts import services
from accounts.key_limits import KeyLimits
from accounts.models import ApiKey, User
from owui.lib.errors import UserError
from owui.lib.guards import human

router = Router(tags=["auths"])


class KeyForm(Schema):
    """`expires_at` in seconds since 1970, null for never; an empty list limits nothing."""

    name: str
    expires_at: int | None = None
    allowed_paths: list[str] = []
    allowed_models: list[str] = []
    allowed_addresses: list[str] = []

    def values(self) -> dict[str, Any]:
        try:
            end = None if self.expires_at is None else datetime.fromtimestamp(self.expires_at, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise UserError(_("expires_at must be a time in seconds since 1970."), code="expires_at") from error
        limits = KeyLimits.checked(
            paths=self.allowed_paths, models=self.allowed_models, addresses=self.allowed_addresses
        )
        return {"name": self.name, "expires_at": end, "limits": limits}


@router.get("", auth=human)
def list_keys(request: HttpRequest) -> list[dict[str, Any]]:
    return [key_json(key) for key in services.keys_of(_me(request))]


@router.post("", auth=human)
def create_key(request: HttpRequest, form: KeyForm) -> dict[str, Any]:
    """The key's text is in this answer and never again."""
    key, text = services.create_named_key(_me(request), **form.values())
    return key_json(key) | {"api_key": text}


@router.post("/{uuid:key_id}", auth=human)
def update_key(request: HttpRequest, key_id: uuid.UUID, form: KeyForm) -> dict[str, Any]:
    return key_json(services.update_key(services.get_key(_me(request), key_id), **form.values()))


@router.delete("/{uuid:key_id}", auth=human)
def delete_key(request: HttpRequest, key_id: uuid.UUID) -> bool:
    user = _me(request)
    services.delete_key(services.get_key(user, key_id), by=user)
    return True


def key_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": str(key.pk),
        "name": key.name,
        "last_four": key.last_four,
        "is_classic": key.is_classic,
        "created_at": int(key.created_at.timestamp()),
        "expires_at": int(key.expires_at.timestamp()) if key.expires_at else None,
        "last_used_at": int(key.last_used_at.timestamp()) if key.last_used_at else None,
        "last_used_ip": key.last_used_ip,
        "allowed_paths": key.allowed_paths,
        "allowed_models": key.allowed_models,
        "allowed_addresses": key.allowed_addresses,
    }


def _me(request: HttpRequest) -> User:
    user: Any = request.user
    return user  # type: ignore[no-any-return]
