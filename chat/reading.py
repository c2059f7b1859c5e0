"""What of one's chats is new: which go on just now, and which went on since one looked at them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Exists, OuterRef
from django.utils import timezone

from accounts.models import User
from chat.models import Chat, State, Turn
from chat.models.chats import UNREAD_AFTER
from chat.nodes import nodes
from owui.lib.errors import Missing
from rbac.sharing import Person

RUNNING, UNREAD, READ = "running", "unread", ""
#: told to open pages only: whether that is news depends on what each shows
ENDED = "ended"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def is_running() -> Exists:
    """For a list of chats: whether an answer is being written in each. An index look-up for each row that is shown."""
    return Exists(Turn.objects.filter(chat_id=OuterRef("pk"), state=State.RUNNING).order_by())


def unread_in(user: Person, folders: list[uuid.UUID], *, but: uuid.UUID | None = None) -> dict[uuid.UUID, int]:
    """How many of the person's own chats in each folder are new.

    :param but: the chat that is open
    """
    if not folders:
        return {}
    chats: Any = Chat.objects.of_owner(user.id).unread().filter(folder_id__in=folders, archived=False)
    chats = chats.exclude(pk=but) if but else chats
    return dict(chats.order_by().values_list("folder_id").annotate(count=Count("pk")))


def state_of(row: Mapping[str, Any]) -> str:
    """What the list shows at a chat: `running`, `unread`, or nothing.

    :param row: with `updated_at`, `read_at` and, from `is_running`, `running`
    """
    if row["running"]:
        return RUNNING
    return UNREAD if is_unread(row["read_at"], row["updated_at"]) else READ


def is_unread(seen: datetime | None, changed: datetime) -> bool:
    """What `unread()` asks of a row, for one that is at hand."""
    return seen is not None and changed > seen + UNREAD_AFTER


def mark_read(*, by: User, chat_id: uuid.UUID) -> bool:
    """Its owner has seen all of it. Writes only where there was something new; says whether it did."""
    chats = Chat.objects.writable_by(by).filter(pk=chat_id).unread()
    if not chats.update(read_at=timezone.now()):
        return False
    tell(by, chat_id, READ)
    return True


def mark_unread(*, by: User, chat_id: uuid.UUID) -> None:
    """To be looked at again. 404 for a chat of somebody else."""
    if not Chat.objects.writable_by(by).filter(pk=chat_id).update(read_at=_NEVER):
        raise Missing
    tell(by, chat_id, UNREAD)


def mark_all_read(*, by: User, folder_id: uuid.UUID | None = None) -> int:
    """All that is new, or what is new in one folder. Returns how many chats that were."""
    chats = Chat.objects.writable_by(by).unread()
    if folder_id is not None:
        chats = chats.filter(folder_id=folder_id)
    return int(chats.update(read_at=timezone.now()))


def mark_op(chat_id: uuid.UUID, state: str) -> list[Any]:
    """The operation that shows it in the lists of open pages."""
    return ["mark", "chat-list", str(chat_id), state]


def tell(person: Person, chat_id: uuid.UUID, state: str) -> None:
    """Tells the person's open pages, best effort."""
    ops = [mark_op(chat_id, state)]
    nodes.announce_sync({"kind": "chat.message", "user_ids": [str(person.id)], "chat_id": str(chat_id), "ops": ops})
