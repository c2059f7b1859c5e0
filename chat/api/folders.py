"""`/api/v1/folders`: own folders, and those of others that one reaches by a grant on them or above."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from accounts.schemas import shown_info
from chat import folders
from chat.models import Chat, Folder
from chat.oversight import looked_into
from chat.reading import mark_all_read, unread_in
from chat.schemas import item_json
from owui.lib.guards import verified
from owui.lib.pagination import page_of
from rbac.schemas import AccessForm, access_fields
from rbac.shortcuts import get_readable, get_writable

router = Router(tags=["folders"])
CHATS_SHOWN = 60


class FolderForm(Schema):
    name: str
    parent_id: str | None = None
    data: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


class FolderUpdateForm(Schema):
    name: str | None = None
    data: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


class ParentForm(Schema):
    parent_id: str | None = None


class ExpandedForm(Schema):
    is_expanded: bool


@router.get("/", auth=verified)
def list_folders(request: HttpRequest) -> list[dict[str, Any]]:
    user: Any = request.user
    folders.check_folders(user)
    rows = list(Folder.objects.readable_by(user).filter(owner_id=user.pk).order_by("name", "pk"))
    unread = unread_in(user, [row.pk for row in rows])
    return [_line(row) | {"unread_count": unread.get(row.pk, 0)} for row in rows]


@router.post("/", auth=verified)
def create_folder(request: HttpRequest, form: FolderForm) -> dict[str, Any]:
    by: Any = request.user
    return _whole(folders.create_folder(by=by, **form.dict()), request)


@router.get("/shared", auth=verified)
def list_shared_folders(request: HttpRequest) -> list[dict[str, Any]]:
    user: Any = request.user
    folders.check_folders(user)
    shared = Folder.objects.readable_by(user).shared_with(user)
    rows: list[Any] = list(shared.select_related("owner").order_by("name", "pk"))
    access = access_fields(rows, user)
    return [
        _line(row) | {"user": shown_info(row.owner, to=user), "write_access": access[row.pk]["write_access"]}
        for row in rows
    ]


@router.get("/{folder_id}", auth=verified)
def get_folder(request: HttpRequest, folder_id: str) -> dict[str, Any]:
    return _whole(_readable(request, folder_id), request)


@router.get("/{folder_id}/shared/chats", auth=verified)
def list_shared_chats(request: HttpRequest, folder_id: str, page: int = 1) -> list[dict[str, Any]]:
    """Every chat in the folder that the caller may read, whoever's it is."""
    folder = _readable(request, folder_id)
    user: Any = request.user
    chats: Any = Chat.objects.readable_by(user)
    chats = chats.filter(folder=folder, archived=False).select_related("owner").order_by("-updated_at", "id")
    return [item_json(c) | {"user": shown_info(c.owner, to=user)} for c in page_of(chats, page, CHATS_SHOWN)]


@router.post("/{folder_id}/read", auth=verified)
def mark_read(request: HttpRequest, folder_id: str) -> bool:
    """The caller's own chats in it."""
    mark_all_read(by=request.user, folder_id=_readable(request, folder_id).pk)  # type: ignore[arg-type]
    return True


@router.post("/{folder_id}/update", auth=verified)
def update_folder(request: HttpRequest, folder_id: str, form: FolderUpdateForm) -> dict[str, Any]:
    by: Any = request.user
    changes = form.dict(exclude_none=True)
    return _whole(folders.update_folder(_writable(request, folder_id), by=by, **changes), request)


@router.post("/{folder_id}/update/parent", auth=verified)
def move_folder(request: HttpRequest, folder_id: str, form: ParentForm) -> dict[str, Any]:
    by: Any = request.user
    return _whole(folders.move_folder(_writable(request, folder_id), by=by, parent_id=form.parent_id), request)


@router.post("/{folder_id}/update/expanded", auth=verified)
def expand_folder(request: HttpRequest, folder_id: str, form: ExpandedForm) -> dict[str, Any]:
    by: Any = request.user
    return _whole(folders.update_folder(_writable(request, folder_id), by=by, is_expanded=form.is_expanded), request)


@router.post("/{folder_id}/access/update", auth=verified)
def update_access(request: HttpRequest, folder_id: str, form: AccessForm) -> dict[str, Any]:
    folder = _writable(request, folder_id)
    form.update(folder, by=request.user)  # type: ignore[arg-type]
    return _whole(folder, request)


@router.delete("/{folder_id}", auth=verified)
def delete_folder(request: HttpRequest, folder_id: str, delete_contents: bool = True) -> bool:
    by: Any = request.user
    folders.delete_folder(_writable(request, folder_id), by=by, delete_contents=delete_contents)
    return True


def _readable(request: HttpRequest, folder_id: str) -> Folder:
    user: Any = request.user
    folders.check_folders(user)
    found: Folder = get_readable(Folder.objects.all(), user, folder_id)
    looked_into(found, user)
    return found


def _writable(request: HttpRequest, folder_id: str) -> Folder:
    user: Any = request.user
    folders.check_folders(user)
    found: Folder = get_writable(Folder.objects.all(), user, folder_id)
    looked_into(found, user)
    return found


def _line(row: Folder) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "parent_id": str(row.parent_id) if row.parent_id else None,
        "meta": row.meta or None,
        "is_expanded": row.is_expanded,
        "created_at": int(row.created_at.timestamp()),
        "updated_at": int(row.updated_at.timestamp()),
    }


def _whole(folder: Folder, request: HttpRequest) -> dict[str, Any]:
    user: Any = request.user
    folder.refresh_from_db()
    chats: Any = Chat.objects.readable_by(user).filter(folder=folder, archived=False).order_by("-updated_at", "id")
    chats = chats.only("title", "updated_at")[:CHATS_SHOWN]
    items = [{"id": str(c.pk), "title": c.title, "updated_at": int(c.updated_at.timestamp())} for c in chats]
    return {
        **_line(folder),
        "user_id": str(folder.owner_id) if folder.owner_id else "",
        "data": folder.data or None,
        "items": {"chats": items, "files": (folder.data or {}).get("files") or []},
        **access_fields([folder], user)[folder.pk],
    }
