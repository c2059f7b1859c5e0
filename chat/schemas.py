"""JSON shapes of chats, as the field's clients know them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import F, QuerySet

from chat import turnlog
from chat.engine.events import Transcript
from chat.history import SUMMARY
from chat.models import Chat, Message, SharedChat, State, Turn
from chat.passages import documents_in, readable_ids, shown_sources
from chat.reading import is_running
from chat.tree import branch_to, children_of
from rbac.sharing import Person

_LISTED = ("id", "title", "updated_at", "created_at", "read_at", "archived", "pinned")


def item_json(chat: Chat, *, active: bool = False) -> dict[str, Any]:
    """A line of a list.

    :param active: whether an answer is being written in it
    """
    return _line({name: getattr(chat, name) for name in _LISTED} | {"running": active})


def items_json(chats: QuerySet[Any, Any]) -> list[dict[str, Any]]:
    """The lines of a list, read as light as they are."""
    return [_line(row) for row in chats.annotate(running=is_running()).values(*_LISTED, "running")]


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    read_at = row["read_at"]
    return {
        "id": str(row["id"]),
        "title": row["title"],
        "updated_at": int(row["updated_at"].timestamp()),
        "created_at": int(row["created_at"].timestamp()),
        "last_read_at": int(read_at.timestamp()) if read_at else None,
        "active": row["running"],
        "archived": row["archived"],
        "pinned": row["pinned"],
    }


def with_link(chats: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    """Chats that are to be shown whole: with the id of their link, without what is behind it."""
    found: QuerySet[Any, Any] = chats.annotate(link_id=F("shared__pk"))
    return found


def chat_json(chat: Chat, messages: Sequence[Message], *, reader: Person) -> dict[str, Any]:
    """A chat whole: the tree under `history`, the shown branch again as the legacy flat list. Sources quote only what
    the reader may read: one statement for all of them."""
    _fill_in(chat, messages)
    children = children_of(messages)
    readable = readable_ids(reader, documents_in([source for m in messages for source in _sources(m)]))
    nodes = {m.pk: m for m in messages}
    tree = {str(m.pk): _message_json(m, [str(c.pk) for c in children.get(m.pk, [])], readable) for m in messages}
    branch = branch_to(nodes, chat.current_id)
    flat = [tree[str(m.pk)] for m in branch]
    return item_json(chat) | {
        "user_id": str(chat.owner_id),
        "chat": {
            "title": chat.title,
            "models": chat.model_ids,
            # The owner's settings hold prompts; administrators read them to export.
            "params": chat.params if reader.id == chat.owner_id or reader.role == "admin" else {},
            "history": {"currentId": _text(chat.current_id), "messages": tree},
            "messages": flat,
        },
        # Where others read the chat, its link is still the owner's to hand out.
        "share_id": _text(_link_of(chat)) if reader.id == chat.owner_id else None,
        "meta": chat.meta or {"tags": []},
        "folder_id": _text(chat.folder_id),
        "summary": next((m.meta[SUMMARY] for m in reversed(branch) if m.meta.get(SUMMARY)), None),
    }


def _link_of(chat: Chat) -> uuid.UUID | None:
    if hasattr(chat, "link_id"):
        return chat.link_id  # type: ignore[no-any-return]
    return SharedChat.objects.filter(chat=chat).values_list("pk", flat=True).first()


def _fill_in(chat: Chat, messages: Sequence[Message]) -> None:
    """Gives answers that are being written the text they have so far; never to be saved."""
    by_id = {message.pk: message for message in messages if message.state == State.RUNNING}
    if not by_id:
        return
    running = Turn.objects.filter(chat=chat, state=State.RUNNING, message_id__in=by_id)
    for turn_id, message_id, prefix in running.values_list("pk", "message_id", "prefix_length"):
        so_far: Transcript = turnlog.transcript(turn_id)
        message = by_id[message_id]
        message.content = message.content[:prefix] + so_far.text
        message.reasoning = so_far.reasoning or message.reasoning
        message.status_history = so_far.statuses or message.status_history


def _text(value: uuid.UUID | None) -> str | None:
    return str(value) if value else None


def _sources(message: Message) -> list[dict[str, Any]]:
    return message.meta.get("sources") or []


def _message_json(message: Message, children: list[str], readable: set[str]) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": str(message.pk),
        "parentId": _text(message.parent_id),
        "childrenIds": children,
        "role": message.author,
        "content": message.content,
        "timestamp": int(message.created_at.timestamp()),
    }
    if message.files:
        out["files"] = message.files
    if message.author == "assistant":
        out |= {
            "model": message.model_id,
            "modelName": message.model_name,
            "done": message.state != State.RUNNING,
            "statusHistory": message.status_history,
            "sources": shown_sources(_sources(message), readable),
            "usage": message.usage or None,
            "output": _output(message),
        }
        if isinstance(message.meta.get("modelIdx"), int):
            out["modelIdx"] = message.meta["modelIdx"]
        told = {"followUps": "follow_ups", "annotation": "annotation", "feedbackId": "feedbackId"}
        out |= {name: message.meta[key] for name, key in told.items() if key in message.meta}
        if message.error:
            out["error"] = {"content": message.error}
    return out


def _output(message: Message) -> list[dict[str, Any]]:
    """Thoughts and answer as the items that newer clients read."""
    status = "in_progress" if message.state == State.RUNNING else "completed"
    parts = [("reasoning", message.reasoning), ("message", message.content)]
    return [
        {
            "type": kind,
            "id": f"{kind}-{message.pk}",
            "status": status,
            **({"role": "assistant"} if kind == "message" else {}),
            "content": [{"type": "output_text", "text": text}],
        }
        for kind, text in parts
        if text
    ]
