"""`/api/v1/chats`: sharing a chat by link."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest
from ninja import Router

from chat import copies, links
from chat.models import SharedChat
from chat.schemas import item_json
from owui.lib.guards import verified
from owui.lib.pagination import page_of
from rbac.schemas import AccessForm, access_fields
from rbac.shortcuts import get_writable

router = Router(tags=["chats"])
PAGE = 60


@router.get("/shared", auth=verified)
def list_shared(request: HttpRequest, page: int = 1) -> list[dict[str, Any]]:
    """One's own links."""
    user: Any = request.user
    found = (
        SharedChat.objects.readable_by(user)
        .filter(owner_id=user.pk)
        .select_related("chat")
        .order_by("-updated_at", "pk")
    )
    return [item_json(row.chat) | {"share_id": str(row.pk)} for row in page_of(found, page, PAGE)]


@router.delete("/share/all", auth=verified)
def unshare_all(request: HttpRequest) -> bool:
    links.unshare_all(by=request.user)  # type: ignore[arg-type]
    return True


@router.get("/share/{uuid:share_id}", auth=None)
def get_shared(request: HttpRequest, share_id: uuid.UUID) -> dict[str, Any]:
    """For whoever may open the link, signed in or not; 401 for all others."""
    user: Any = request.user if request.user.is_authenticated else None
    shared = links.readable_link(user, share_id, missing=401)
    return {
        **item_json(shared.chat),
        "id": str(shared.pk),
        "title": shared.title,
        "user_id": f"shared-{shared.chat_id}",
        "chat": links.snapshot_json(shared, user),
        "share_id": str(shared.pk),
        "meta": {},
        "folder_id": None,
        "pinned": False,
        "archived": False,
        "created_at": int(shared.created_at.timestamp()),
        "updated_at": int(shared.updated_at.timestamp()),
    }


@router.get("/shared/{uuid:share_id}/access", auth=verified)
def get_access(request: HttpRequest, share_id: uuid.UUID) -> dict[str, Any]:
    return _access(request, _own(request, share_id))


@router.post("/shared/{uuid:share_id}/access/update", auth=verified)
def update_access(request: HttpRequest, share_id: uuid.UUID, form: AccessForm) -> dict[str, Any]:
    shared = _own(request, share_id)
    form.update(shared, by=request.user)  # type: ignore[arg-type]
    return _access(request, shared)


def _own(request: HttpRequest, share_id: uuid.UUID) -> SharedChat:
    user: Any = request.user
    found: SharedChat = get_writable(SharedChat.objects.all(), user, share_id, denied=404)
    return found


def _access(request: HttpRequest, shared: SharedChat) -> dict[str, Any]:
    user: Any = request.user
    return {"id": str(shared.pk), "chat_id": str(shared.chat_id), **access_fields([shared], user)[shared.pk]}


@router.post("/{uuid:chat_id}/share", auth=verified)
def share(request: HttpRequest, chat_id: uuid.UUID) -> dict[str, Any]:
    shared = links.share_chat(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return item_json(shared.chat) | {"share_id": str(shared.pk)}


@router.delete("/{uuid:chat_id}/share", auth=verified)
def unshare(request: HttpRequest, chat_id: uuid.UUID) -> bool:
    links.unshare_chat(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return True


@router.post("/{uuid:share_id}/clone/shared", auth=verified)
def clone_shared(request: HttpRequest, share_id: uuid.UUID) -> dict[str, Any]:
    """One's own copy of what is behind a link."""
    user: Any = request.user
    return item_json(copies.clone_snapshot(links.readable_link(user, share_id), by=user))
