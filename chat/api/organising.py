"""`/api/v1/chats`: lists of one's chats, archive, pins, tags, folders, copies, import and export."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router, Schema

from accounts.models import User
from chat import copies, organising, services
from chat.exports import begin_export, exported
from chat.folders import check_folders
from chat.models import Chat, Folder
from chat.schemas import item_json, items_json
from owui.lib.errors import Missing, Refused
from owui.lib.guards import admin, refuse_pictures, verified
from owui.lib.pagination import page_of
from rbac.shortcuts import get_readable

router = Router(tags=["chats"])
PAGE = 60
Items = list[dict[str, Any]]


class TagForm(Schema):
    name: str


class TaggedForm(Schema):
    name: str
    skip: int = 0
    limit: int = PAGE


class FolderForm(Schema):
    folder_id: str | None = None


class CloneForm(Schema):
    title: str = ""


class ForkForm(Schema):
    message_id: uuid.UUID | None = None


class ImportForm(Schema):
    chats: list[Any]


# ---------------------------------------------------------------------------------------------------------------- lists
def _own(request: HttpRequest, **conditions: Any) -> Any:
    user: Any = request.user
    return Chat.objects.writable_by(user).filter(**conditions).order_by("-updated_at", "id")


def _items(chats: Any, page: int | None = None, size: int = PAGE) -> Items:
    return items_json(chats if page is None else page_of(chats, page, size))


@router.get("/pinned", auth=verified)
def list_pinned(request: HttpRequest) -> Items:
    return _items(_own(request, pinned=True, archived=False))


@router.get("/archived", auth=verified)
def list_archived(request: HttpRequest, page: int | None = None) -> Items:
    return _items(_own(request, archived=True), page)


@router.get("/archived/count", auth=verified)
def count_archived(request: HttpRequest) -> int:
    return int(_own(request, archived=True).count())


@router.get("/folder/{folder_id}", auth=verified)
def list_in_folder(request: HttpRequest, folder_id: str) -> Items:
    return _items(_own(request, folder=_folder(request, folder_id), archived=False))


@router.get("/folder/{folder_id}/list", auth=verified)
def page_of_folder(request: HttpRequest, folder_id: str, page: int = 1) -> Items:
    return _items(_own(request, folder=_folder(request, folder_id), archived=False), page, 10)


def _folder(request: HttpRequest, folder_id: str) -> Folder:
    user: Any = request.user
    check_folders(user)
    found: Folder = get_readable(Folder.objects.all(), user, folder_id)
    return found


@router.get("/list/user/{user_id}", auth=admin)
def list_of_person(request: HttpRequest, user_id: uuid.UUID, page: int | None = None) -> Items:
    """Another's chats, for administrators while that is allowed; looking is in the audit log."""
    user: Any = request.user
    if not settings.ENABLE_ADMIN_CHAT_ACCESS:
        raise Refused.for_permission(401)
    if not User.objects.filter(pk=user_id).exists():
        raise Missing
    organising.note_look(by=user, action="chat.list_of_person", object_type="user", object_id=str(user_id))
    chats = Chat.objects.readable_by(user).filter(owner_id=user_id, archived=False)
    return _items(chats.order_by("-updated_at", "id"), page)


# -------------------------------------------------------------------------------------------------------------- exports
@router.get("/all", auth=verified)
def export_all(request: HttpRequest) -> StreamingHttpResponse:
    """All of one's chats, whole. 401 without `chat.export`."""
    refuse_pictures(request)
    begin_export(_own(request), by=request.user)  # type: ignore[arg-type]
    return _export(request, _own(request))


@router.get("/all/archived", auth=verified)
def export_archived(request: HttpRequest) -> StreamingHttpResponse:
    refuse_pictures(request)
    begin_export(_own(request, archived=True), by=request.user)  # type: ignore[arg-type]
    return _export(request, _own(request, archived=True))


@router.get("/all/db", auth=admin)
def export_everybody(request: HttpRequest) -> StreamingHttpResponse:
    """Everybody's chats, for administrators while both switches allow it; in the audit log."""
    if not (settings.ENABLE_ADMIN_EXPORT and settings.ENABLE_ADMIN_CHAT_ACCESS):
        raise Refused.for_permission(401)
    refuse_pictures(request)
    user: Any = request.user
    chats: Any = Chat.objects.readable_by(user).order_by("created_at", "id")
    counts = {"chats": chats.count(), "people": chats.order_by().values("owner").distinct().count()}
    organising.note_look(by=user, action="chat.export_all", object_type="chat", object_id="*", **counts)
    return _export(request, chats)


def _export(request: HttpRequest, chats: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(exported(chats, reader=request.user), content_type="application/json")  # type: ignore[arg-type]


@router.post("/import", auth=verified)
def import_chats(request: HttpRequest, form: ImportForm) -> Items:
    return [item_json(chat) for chat in copies.import_chats(form.chats, by=request.user)]  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------------------- tags
@router.get("/all/tags", auth=verified)
def list_tags(request: HttpRequest) -> Items:
    user: Any = request.user
    return [_tag(name, user) for name, _count in organising.all_tags(user)]


@router.post("/tags", auth=verified)
def list_tagged(request: HttpRequest, form: TaggedForm) -> Items:
    start, size = max(0, form.skip), max(0, min(form.limit, 500))
    return items_json(organising.tagged(_own(request, archived=False), form.name)[start : start + size])


@router.get("/{uuid:chat_id}/tags", auth=verified)
def get_tags(request: HttpRequest, chat_id: uuid.UUID) -> Items:
    return _tags(request, services.own_chat(request.user, chat_id, lock=False))  # type: ignore[arg-type]


@router.post("/{uuid:chat_id}/tags", auth=verified)
def add_tag(request: HttpRequest, chat_id: uuid.UUID, form: TagForm) -> Items:
    return _tags(request, organising.add_tag(by=request.user, chat_id=chat_id, name=form.name))  # type: ignore[arg-type]


@router.delete("/{uuid:chat_id}/tags", auth=verified)
def remove_tag(request: HttpRequest, chat_id: uuid.UUID, form: TagForm) -> Items:
    return _tags(request, organising.remove_tag(by=request.user, chat_id=chat_id, name=form.name))  # type: ignore[arg-type]


@router.delete("/{uuid:chat_id}/tags/all", auth=verified)
def remove_tags(request: HttpRequest, chat_id: uuid.UUID) -> bool:
    organising.remove_tag(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return True


def _tags(request: HttpRequest, chat: Chat) -> Items:
    user: Any = request.user
    return [_tag(name, user) for name in organising.tags_of(chat)]


def _tag(name: str, user: User) -> dict[str, Any]:
    return {"id": name, "name": name, "user_id": str(user.pk), "meta": None}


# -------------------------------------------------------------------------------------------------------------- changes
@router.post("/archive/all", auth=verified)
def archive_all(request: HttpRequest) -> bool:
    organising.set_all_archived(by=request.user, archived=True)  # type: ignore[arg-type]
    return True


@router.post("/unarchive/all", auth=verified)
def unarchive_all(request: HttpRequest) -> bool:
    organising.set_all_archived(by=request.user, archived=False)  # type: ignore[arg-type]
    return True


@router.get("/{uuid:chat_id}/pinned", auth=verified)
def is_pinned(request: HttpRequest, chat_id: uuid.UUID) -> bool:
    return services.own_chat(request.user, chat_id, lock=False).pinned  # type: ignore[arg-type]


@router.post("/{uuid:chat_id}/pin", auth=verified)
def pin(request: HttpRequest, chat_id: uuid.UUID) -> dict[str, Any]:
    return item_json(services.toggle_pin(by=request.user, chat_id=chat_id))  # type: ignore[arg-type]


@router.post("/{uuid:chat_id}/archive", auth=verified)
def archive(request: HttpRequest, chat_id: uuid.UUID) -> dict[str, Any]:
    return item_json(organising.toggle_archived(by=request.user, chat_id=chat_id))  # type: ignore[arg-type]


@router.post("/{uuid:chat_id}/folder", auth=verified)
def move(request: HttpRequest, chat_id: uuid.UUID, form: FolderForm) -> dict[str, Any]:
    by: Any = request.user
    chat = organising.move_chat(by=by, chat_id=chat_id, folder_id=form.folder_id)
    return item_json(chat) | {"folder_id": str(chat.folder_id) if chat.folder_id else None}


@router.post("/{uuid:chat_id}/clone", auth=verified)
def clone(request: HttpRequest, chat_id: uuid.UUID, form: CloneForm) -> dict[str, Any]:
    by: Any = request.user
    return item_json(copies.clone_chat(_readable(request, chat_id), by=by, title=form.title))


@router.post("/{uuid:chat_id}/fork", auth=verified)
def fork(request: HttpRequest, chat_id: uuid.UUID, form: ForkForm) -> dict[str, Any]:
    """A new chat with the one branch that ends at a message, the shown one by default."""
    by: Any = request.user
    source = _readable(request, chat_id)
    return item_json(copies.clone_chat(source, by=by, leaf=form.message_id or source.current_id))


def _readable(request: HttpRequest, chat_id: uuid.UUID) -> Chat:
    chat = copies.readable_chat(request.user, chat_id)  # type: ignore[arg-type]
    if chat is None:
        raise Missing
    return chat
