"""Chats as a file: the field's JSON, written piece by piece, whatever their number."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import orjson
from django.db.models import QuerySet

from chat.models import Chat, Message
from chat.schemas import chat_json
from owui.lib.aio import in_thread
from rbac.sharing import Person

AT_ONCE = 50


async def exported(chats: QuerySet[Any, Any], *, reader: Person) -> AsyncIterator[bytes]:
    """A JSON list of whole chats. A few statements for each 50; no more than those are in memory. What the reader loses
    the right to meanwhile does not come any more."""
    keys: list[UUID] = await in_thread(lambda: list(chats.values_list("pk", flat=True)))()
    yield b"["
    first = True
    for start in range(0, len(keys), AT_ONCE):
        for whole in await in_thread(_some)(keys[start : start + AT_ONCE], reader):
            yield whole if first else b"," + whole
            first = False
    yield b"]"


def _some(keys: Sequence[UUID], reader: Person) -> list[bytes]:
    found: dict[UUID, Chat] = {c.pk: c for c in Chat.objects.readable_by(reader).filter(pk__in=keys)}
    messages: dict[UUID, list[Message]] = {pk: [] for pk in found}
    for message in Message.objects.filter(chat__in=list(found)).order_by("created_at"):
        messages[message.chat_id].append(message)
    whole = (chat_json(found[pk], messages[pk], reader=reader) for pk in keys if pk in found)
    return [orjson.dumps(chat, default=str) for chat in whole]
