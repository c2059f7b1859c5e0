"""Administrators who read what others wrote, while ENABLE_ADMIN_CHAT_ACCESS allows it: that they did is in the audit
log before the first word is shown."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from typing import Any

from django.db import transaction

from chat.models import Chat, Folder
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
    key, now = (reader.id, chat.pk), time.monotonic()
    if now - _looks.get(key, -ONE_LOOK) < ONE_LOOK:
        return
    if chat.folder_id and Folder.objects.shared_with(reader).filter(pk=chat.folder_id).exists():
        return
    actor: Any = reader
    with transaction.atomic():
        record("chat.read", by=actor, object_type="chat", object_id=str(chat.pk))
    _looks[key] = now
    while len(_looks) > _MOST:
        _looks.popitem(last=False)
