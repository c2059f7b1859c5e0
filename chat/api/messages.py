"""`/api/v1/chats/{id}/messages`: single messages of one's own, and summaries for the model."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from accounts.models import User
from chat import compaction, told, versions
from chat.api.upstream import Upstream
from chat.engine.events import Outcome
from chat.models import Chat, Message
from chat.nodes import nodes
from chat.schemas import chat_json
from inference.catalogue import resolve_for
from inference.providers.errors import ProviderError
from owui.lib.aio import in_thread
from owui.lib.errors import Missing
from owui.lib.guards import averified, verified

router = Router(tags=["chats"])
_ONE = "/{uuid:chat_id}/messages/{uuid:message_id}"


class TextForm(Schema):
    content: str


class EventForm(Schema):
    type: str
    data: dict[str, Any] = {}


class CompactForm(Schema):
    model: str = ""


@router.post(_ONE, auth=verified)
def update_message(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID, form: TextForm) -> dict[str, Any]:
    """Other words in the same place."""
    user: Any = request.user
    _in_chat(user, chat_id, message_id)
    return _json(versions.save_text(by=user, message_id=message_id, text=form.content).chat, user)


@router.delete(_ONE, auth=verified)
def delete_message(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> dict[str, Any]:
    """One message; what followed it follows what it followed."""
    user: Any = request.user
    _in_chat(user, chat_id, message_id)
    return _json(versions.delete_message(by=user, message_id=message_id), user)


@router.post(f"{_ONE}/event", auth=verified)
def add_event(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID, form: EventForm) -> bool:
    """More of a message, the state of some work, or a notice; open pages show it."""
    user: Any = request.user
    op = told.add_event(by=user, chat_id=chat_id, message_id=message_id, kind=form.type, data=form.data)
    news = {"kind": "chat.message", "user_ids": [str(user.pk)], "chat_id": str(chat_id), "ops": [op]}
    nodes.announce_sync(news)
    return True


@router.post("/{uuid:chat_id}/compact", auth=averified)
async def compact(request: HttpRequest, chat_id: uuid.UUID, form: CompactForm) -> dict[str, Any]:
    """Has the chat summarised for the model; what was said stays."""
    user: User = request.auth  # type: ignore[attr-defined]
    long = await in_thread(compaction.long_branch)(user, chat_id)
    resolved = await resolve_for(user, form.model or long.leaf.model_id)
    try:
        chat = await compaction.compact(user, resolved, long)
    except ProviderError as error:
        raise Upstream(Outcome("failed", error.message, error.status, error.body, error.retry_after)) from error
    return await in_thread(_json)(chat, user)


def _in_chat(user: Any, chat_id: uuid.UUID, message_id: uuid.UUID) -> None:
    if not Message.objects.writable_by(user).filter(pk=message_id, chat_id=chat_id).exists():
        raise Missing


def _json(chat: Chat, reader: Any) -> dict[str, Any]:
    return chat_json(
        chat, list(Message.objects.readable_by(reader).filter(chat=chat).order_by("created_at")), reader=reader
    )
