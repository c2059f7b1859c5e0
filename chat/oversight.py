"""Administrators who read what others wrote, while ENABLE_ADMIN_CHAT_ACCESS allows it: that they did is in the audit
log before the first word is shown."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from typing import Any

from django.db import transaction

from chat.models import Chat, Folder, SharedChat
from owui.audit.record import record
from rbac.sharing import Person

#: one look at a chat is one line: a page asks for its messages one by one, and again while they are written
ONE_LOOK = 600.0
_MOST = 10_000
_looks: OrderedDict[tuple[uuid.UUID, uuid.UUID], float] = OrderedDict()


def looked_at(chat: Chat, reader: Person) -> None:
    """Called by whatever shows a chat, or a part of it, to somebody who is not its owner. Whom a folder was shared with
    reads by that right, and no line is written."""
    if reader.role != "admin" or chat.owner_id == reader.id:
        return
    if _is_known(reader, chat.pk):
        return
    if chat.folder_id and Folder.objects.shared_with(reader).filter(pk=chat.folder_id).exists():
        return
    _note(reader, "chat.read", "chat", chat.pk)


def looked_behind(shared: SharedChat, reader: Person | None) -> None:
    """The same for a link that its owner opened to others, and not to this administrator."""
    if reader is None or reader.role != "admin" or shared.owner_id == reader.id or _is_known(reader, shared.pk):
        return
    if not SharedChat.objects.by_rights(reader, write=False).filter(pk=shared.pk).exists():
        _note(reader, "shared_chat.read", "shared_chat", shared.pk, chat=str(shared.chat_id))


def looked_into(folder: Folder, reader: Person) -> None:
    """The same for a folder, whose page shows the titles of chats: they quote what people asked."""
    if reader.role != "admin" or folder.owner_id == reader.id or _is_known(reader, folder.pk):
        return
    if not Folder.objects.shared_with(reader).filter(pk=folder.pk).exists():
        _note(reader, "folder.read", "folder", folder.pk)


def _is_known(reader: Person, key: uuid.UUID) -> bool:
    return time.monotonic() - _looks.get((reader.id, key), -ONE_LOOK) < ONE_LOOK


def _note(reader: Person, action: str, kind: str, key: uuid.UUID, **detail: str) -> None:
    actor: Any = reader
    with transaction.atomic():
        record(action, by=actor, object_type=kind, object_id=str(key), detail=detail)
    _looks[reader.id, key] = time.monotonic()
    while len(_looks) > _MOST:
        _looks.popitem(last=False)
