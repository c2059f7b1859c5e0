"""What one tab did, told to the person's other ones. Each news says by which mark a page knows that it has it already,
so that the tab that did it, and one that was loaded since, draw nothing again."""

from __future__ import annotations

import uuid
from typing import Any

from chat.listed import came_op
from chat.models import Chat, Message
from chat.nodes import Message as News


def branch_news(user: Any, chat: Chat, *, mark: str = "") -> News:
    """Another branch of a chat is shown now, or the shown one has changed.

    :param mark: CSS selector of what an up to date page has; by default the end of the branch
    """
    shown = mark or (f"#message-{chat.current_id}" if chat.current_id else "#messages:empty")
    return _news(user, ["stale", "messages", f"/c/{chat.pk}/messages", shown, str(chat.pk)], chat.pk)


def list_news(user: Any, chat_id: uuid.UUID) -> News:
    """A chat came to the list of chats."""
    return _news(user, came_op(chat_id), chat_id)


def message_news(user: Any, message: Message, html: str) -> News:
    """One message looks different."""
    return _news(user, ["outer", f"message-{message.pk}", html], message.chat_id)


def _news(user: Any, op: list[Any], chat_id: uuid.UUID) -> News:
    return {"kind": "chat.message", "user_ids": [str(user.pk)], "chat_id": str(chat_id), "ops": [op]}
