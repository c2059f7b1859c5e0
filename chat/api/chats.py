"""`/api/v1/chats`: own chats, in the field's shapes."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from chat import organising, sent, services
from chat.models import Chat, Message
from chat.oversight import looked_at
from chat.schemas import chat_json, item_json
from owui.lib.errors import Missing
from owui.lib.guards import verified

router = Router(tags=["chats"])
PAGE = 60


class ChatForm(Schema):
    """A chat as a client has it, or the fields of it that changed."""

    chat: dict[str, Any]
    folder_id: str | None = None


@router.get("/", auth=verified)
@router.get("/list", auth=verified, include_in_schema=False)
def list_chats(request: HttpRequest, page: int | None = None) -> list[dict[str, Any]]:
    chats = Chat.objects.filter(owner_id=request.user.pk, archived=False).order_by("-updated_at", "id")
    if page is not None:
        chats = chats[(max(1, page) - 1) * PAGE : max(1, page) * PAGE]
    return [item_json(c) for c in chats]


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


def _readable(request: HttpRequest, chat_id: uuid.UUID) -> Chat:
    chat = Chat.objects.readable_by(request.user).filter(pk=chat_id).first()  # type: ignore[arg-type]
    if chat is None:
        raise Missing(status=401)
    looked_at(chat, request.user)  # type: ignore[arg-type]
    return chat  # type: ignore[no-any-return]


def _json(chat: Chat, request: HttpRequest) -> dict[str, Any]:
    reader: Any = request.user
    return chat_json(chat, list(Message.objects.filter(chat=chat).order_by("created_at")), reader=reader)
