"""`/api/v1/chats`: own chats, in the field's shapes."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest
from ninja import Body, Router, Schema

from chat import controls, organising, reading, search, sent, services
from chat.models import Chat, Message
from chat.oversight import looked_at
from chat.schemas import chat_json, items_json, with_link
from owui.lib.errors import Missing
from owui.lib.guards import verified

router = Router(tags=["chats"])
PAGE = 60
#: of a search: who wants more than the newest 3,000 narrows it down
MOST_PAGES = 50


class ChatForm(Schema):
    """A chat as a client has it, or the fields of it that changed."""

    chat: dict[str, Any]
    folder_id: str | None = None


class ReadForm(Schema):
    """Which chats were read; all of them without a list."""

    chat_ids: list[uuid.UUID] | None = None


@router.get("/", auth=verified)
@router.get("/list", auth=verified, include_in_schema=False)
def list_chats(
    request: HttpRequest,
    page: int | None = None,
    include_pinned: bool = True,
    include_folders: bool = True,
    sort_by: str = "",
    sort_dir: str = "",
) -> list[dict[str, Any]]:
    """One's own, the newest first; with `page` 60 at a time."""
    chats = Chat.objects.filter(owner_id=request.user.pk, archived=False)
    if not include_pinned:
        chats = chats.filter(pinned=False)
    if not include_folders:
        chats = chats.filter(folder__isnull=True)
    field = sort_by if sort_by in ("title", "created_at", "updated_at") else "updated_at"
    chats = chats.order_by(field if sort_dir == "asc" else f"-{field}", "id")
    if page is not None:
        chats = chats[(max(1, page) - 1) * PAGE : max(1, page) * PAGE]
    return items_json(chats)


@router.get("/search", auth=verified)
def search_chats(request: HttpRequest, text: str = "", page: int = 1) -> list[dict[str, Any]]:
    """Words and `tag: folder: pinned: archived: shared:`, as the page's search takes them; the newest first."""
    user: Any = request.user
    asked, last = search.parse(text), max(1, min(page, MOST_PAGES)) * PAGE
    hits = search.search_chats(user, asked, most=last).hits[last - PAGE :]
    lines = {
        line["id"]: line for line in items_json(Chat.objects.of_owner(user.pk).filter(pk__in=[h.id for h in hits]))
    }
    found = ((lines.get(str(hit.id)), "".join(part for part, _is_hit in hit.pieces)) for hit in hits)
    return [line | {"snippet": snippet or None} for line, snippet in found if line]


@router.post("/read", auth=verified)
def mark_read(request: HttpRequest, form: ReadForm) -> bool:
    user: Any = request.user
    if form.chat_ids is None:
        reading.mark_all_read(by=user)
    for chat_id in (form.chat_ids or [])[:1000]:
        reading.mark_read(by=user, chat_id=chat_id)
    return True


@router.delete("/", auth=verified)
def delete_all(request: HttpRequest) -> bool:
    organising.delete_all_chats(by=request.user)  # type: ignore[arg-type]
    return True


@router.post("/new", auth=verified)
def create_chat(request: HttpRequest, form: ChatForm) -> dict[str, Any]:
    """What older clients send before the first answer; its message ids are the client's."""
    user: Any = request.user
    return _json(sent.create_sent(by=user, sent=form.chat, folder_id=form.folder_id), request)


@router.get("/{chat_id}", auth=verified)
def get_chat(request: HttpRequest, chat_id: uuid.UUID) -> dict[str, Any]:
    return _json(_readable(request, chat_id), request)


@router.post("/{chat_id}", auth=verified)
def update_chat(request: HttpRequest, chat_id: uuid.UUID, form: ChatForm) -> dict[str, Any]:
    """What older clients send when something changed in their copy of a chat."""
    user: Any = request.user
    return _json(sent.merge_sent(by=user, chat_id=chat_id, sent=form.chat), request)


@router.delete("/{chat_id}", auth=verified)
def delete_chat(request: HttpRequest, chat_id: uuid.UUID) -> bool:
    services.delete_chat(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return True


@router.post("/{uuid:chat_id}/unread", auth=verified)
def mark_unread(request: HttpRequest, chat_id: uuid.UUID) -> bool:
    reading.mark_unread(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return True


@router.patch("/{uuid:chat_id}/params", auth=verified)
def update_params(request: HttpRequest, chat_id: uuid.UUID, form: Body[dict[str, Any]]) -> dict[str, Any]:
    """Parameters that are sent stand in the place of the former; null takes one away. What the caller may not set is
    left out, as in any request of theirs."""
    user: Any = request.user
    sent_values = form.get("params") if isinstance(form.get("params"), dict) else form
    return _json(controls.merge_params(by=user, chat_id=chat_id, sent=sent_values), request)  # type: ignore[arg-type]


def _readable(request: HttpRequest, chat_id: uuid.UUID) -> Chat:
    chat = with_link(Chat.objects.readable_by(request.user).filter(pk=chat_id)).first()  # type: ignore[arg-type]
    if chat is None:
        raise Missing(status=401)
    looked_at(chat, request.user)  # type: ignore[arg-type]
    return chat  # type: ignore[no-any-return]


def _json(chat: Chat, request: HttpRequest) -> dict[str, Any]:
    reader: Any = request.user
    return chat_json(chat, list(Message.objects.filter(chat=chat).order_by("created_at")), reader=reader)
