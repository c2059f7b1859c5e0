"""Chats as a file: the field's JSON, written piece by piece, whatever their number; one chat as text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from chat.models import Chat, Folder, Message
from chat.schemas import chat_json, with_link
from chat.selectors import branch_of
from owui.audit.record import record
from owui.lib.aio import in_thread
from rbac.permissions import require
from rbac.sharing import Person

AT_ONCE = 50
#: a line of the audit log names no more than these: it is read by people and kept for ever
MOST_NAMED = 1_000


def named_in_log(chats: QuerySet[Any, Any]) -> dict[str, Any]:
    """How many chats left or went, and which: what an auditor asks first. Of very many the newest are named."""
    named = [str(pk) for pk in chats.order_by("-updated_at", "id").values_list("pk", flat=True)[: MOST_NAMED + 1]]
    count = len(named) if len(named) <= MOST_NAMED else chats.count()
    return {"chats": count, "ids": named[:MOST_NAMED]}


@transaction.atomic
def begin_export(chats: QuerySet[Any, Any], *, by: User, form: str = "json", folder: Folder | None = None) -> None:
    """Whoever takes chats out of the product needs `chat.export` (401 without), and the audit log says which."""
    require(by, "chat.export")
    messages = Message.objects.filter(chat__in=chats.order_by().values("pk")).count()
    detail: dict[str, Any] = {**named_in_log(chats), "messages": messages, "form": form}
    if folder is not None:
        detail["folder"] = str(folder.pk)
    record("chat.export", by=by, object_type="user", object_id=str(by.pk), detail=detail)


def as_text(chat: Chat) -> str:
    """The visible path, one block a message."""
    blocks = (f"### {m.author.upper()}\n{m.content}" for m in branch_of(chat.pk, chat.current_id))
    return "\n\n".join(blocks) + "\n"


async def exported(chats: QuerySet[Any, Any], *, reader: Person) -> AsyncIterator[bytes]:
    """A JSON list of whole chats. A few statements for each 50; no more than those are in memory. What the reader loses
    the right to meanwhile does not come any more."""
    async for piece in as_list(chats, lambda keys: _some(keys, reader)):
        yield piece


async def as_list(
    rows: QuerySet[Any, Any], some: Callable[[Sequence[UUID]], list[bytes]], at_once: int = AT_ONCE
) -> AsyncIterator[bytes]:
    """A JSON list of any length in pieces.

    :param some: gives the rows with these keys as JSON; called in a thread
    """
    keys: list[UUID] = await in_thread(lambda: list(rows.values_list("pk", flat=True)))()
    yield b"["
    first = True
    for start in range(0, len(keys), at_once):
        for whole in await in_thread(some)(keys[start : start + at_once]):
            yield whole if first else b"," + whole
            first = False
    yield b"]"


def _some(keys: Sequence[UUID], reader: Person) -> list[bytes]:
    found: dict[UUID, Chat] = {c.pk: c for c in with_link(Chat.objects.readable_by(reader).filter(pk__in=keys))}
    messages: dict[UUID, list[Message]] = {pk: [] for pk in found}
    for message in Message.objects.filter(chat__in=list(found)).order_by("created_at"):
        messages[message.chat_id].append(message)
    whole = (chat_json(found[pk], messages[pk], reader=reader) for pk in keys if pk in found)
    return [orjson.dumps(chat, default=str) for chat in whole]
