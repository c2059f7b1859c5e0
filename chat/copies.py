"""Chats made from others: clones, forks, and what comes out of a file of ours or of another product."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from chat import listed
from chat.controls import params_reader
from chat.engine.prompt import text_of
from chat.links import snapshot_json
from chat.models import Chat, Citation, Folder, Message, SharedChat, State
from chat.organising import TAGS_PER_CHAT, tag_id
from chat.pictures import kept_pictures
from chat.services import check_stored, title_of
from chat.tree import branch_to
from owui.audit.record import record
from owui.lib.errors import Missing, UserError
from rbac.permissions import require
from rbac.services import announce

MOST_CHATS, MOST_MESSAGES = 1_000, 20_000
_LONGEST_TITLE = 500
_ROLES = ("user", "assistant", "system")


# --------------------------------------------------------------------------------------------------------------- copies
def readable_chat(reader: User, chat_id: uuid.UUID) -> Chat | None:
    """A chat that the person may read, and so copy."""
    found: Chat | None = Chat.objects.readable_by(reader).filter(pk=chat_id).first()
    return found


@transaction.atomic
def clone_chat(source: Chat, *, by: User, title: str = "", leaf: uuid.UUID | None = None) -> Chat:
    """The person's own copy of a chat that they may read: whole, or with `leaf` the one branch that ends there.

    Answers that are being written come as they are now. Files and knowledge stay attached by name: whoever may not read
    them gets nothing from them, as anywhere. 403 without `chat.import`.
    """
    require(by, "chat.import", status=403)
    check_stored(by)
    everything = list(source.messages.order_by("created_at"))
    if leaf is not None:
        everything = branch_to({m.pk: m for m in everything}, leaf)
        if not everything or everything[-1].pk != leaf:
            raise Missing(_("This message does not exist."))
    ids = {m.pk: uuid.uuid4() for m in everything}
    default = _title_of_copy(source, is_fork=leaf is not None)
    copy = Chat.objects.create(
        owner=by,
        title=(" ".join(title.replace("\x00", "").split()) or default)[:_LONGEST_TITLE],
        model_ids=source.model_ids,
        params=source.params if source.owner_id == by.pk else {},
        folder=source.folder if source.owner_id == by.pk else None,
        meta={"tags": list((source.meta or {}).get("tags") or [])} if source.owner_id == by.pk else {},
    )
    _insert_copies(copy, everything, ids)
    current = ids.get(leaf or source.current_id) if (leaf or source.current_id) else None
    Chat.objects.filter(pk=copy.pk).update(current=current)
    copy.current_id = current
    listed.tell_came(copy)
    record("chat.clone", by=by, object_type="chat", object_id=str(copy.pk), detail={"from": str(source.pk)})
    return copy


def _title_of_copy(source: Chat, *, is_fork: bool) -> str:
    """In the language of who copies. Of a long title the end goes, not what tells the two apart."""
    pattern = _("%(title)s (fork)") if is_fork else _("Clone of %(title)s")
    return pattern % {"title": source.title[: _LONGEST_TITLE - len(pattern % {"title": ""})]}


def _insert_copies(copy: Chat, everything: Sequence[Message], ids: Mapping[uuid.UUID, uuid.UUID]) -> None:
    fields = ("author", "content", "reasoning", "model_id", "model_name", "error", "files", "status_history", "meta")
    rows = []
    for message in everything:
        row = Message(
            pk=ids[message.pk], chat=copy, parent_id=ids.get(message.parent_id) if message.parent_id else None
        )
        for name in fields:
            setattr(row, name, getattr(message, name))
        row.usage = message.usage
        row.state = State.INTERRUPTED if message.state == State.RUNNING else message.state
        rows.append(row)
    in_order(rows, [m.created_at for m in everything])
    citations = list(Citation.objects.filter(message__in=everything))
    for citation in citations:
        citation.pk, citation.message_id = None, ids[citation.message_id]
    Citation.objects.bulk_create(citations)


def in_order(rows: Sequence[Message], times: Sequence[datetime]) -> None:
    """Inserts and gives the rows their own times: by them a tree is ordered, and `auto_now_add` knows but now."""
    Message.objects.bulk_create(rows)
    for row, moment in zip(rows, times, strict=True):
        row.created_at = moment
    Message.objects.bulk_update(rows, ["created_at"], batch_size=1000)


# -------------------------------------------------------------------------------------------------------------- imports
@dataclass(slots=True)
class Node:
    """One message of a file or of a request, whatever product wrote it."""

    id: str
    parent: str | None
    author: str
    content: str
    at: datetime | None = None
    model: str = ""
    more: dict[str, Any] = field(default_factory=dict)


@transaction.atomic
def clone_snapshot(shared: SharedChat, *, by: User) -> Chat:
    """The person's own copy of a shared chat that they may open: its words, without the documents behind them."""
    require(by, "chat.import", status=403)
    check_stored(by)
    title = _("Clone of %(title)s") % {"title": shared.title}
    copy = _import_one({"chat": snapshot_json(shared, by), "title": title}, 1, by)
    listed.tell_came(copy)
    record("chat.clone", by=by, object_type="chat", object_id=str(copy.pk), detail={"from_shared": str(shared.pk)})
    return copy


@transaction.atomic
def import_chats(entries: Sequence[Any], *, by: User) -> list[Chat]:
    """New chats of the person from the field's export or ChatGPT's. All or none: a fault names the entry.

    Ids are new, so that a file can be read in twice and nobody's message is ever touched. What a file says about
    rights, people and links is not believed.

    :raises UserError: 403 without `chat.import`; 400 not understood; 413 too much at once
    """
    require(by, "chat.import", status=403)
    check_stored(by)
    if len(entries) > MOST_CHATS:
        text = _("This file has %(have)s chats; %(most)s can be imported at once. Split the file.")
        raise UserError(text % {"have": len(entries), "most": MOST_CHATS}, status=413, code="too_many")
    own = Folder.objects.filter(owner=by).values_list("pk", flat=True)
    allowed = _Allowed(params_reader(by), {str(pk): pk for pk in own})
    made = [_import_one(entry, number, by, allowed) for number, entry in enumerate(entries, start=1)]
    detail: dict[str, Any] = {"chats": len(made), "ids": [str(chat.pk) for chat in made]}
    # Whoever reads a folder reads what comes to lie in it.
    if placed := sorted({str(chat.folder_id) for chat in made if chat.folder_id}):
        detail["folders"] = placed
    record("chat.import", by=by, object_type="user", object_id=str(by.pk), detail=detail)
    for folder in placed:
        announce("folder", folder)
    listed.tell_anew(by.pk)
    return made


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What of a file's words about its chats may come true: read once for all of them."""

    params: Callable[[Any], dict[str, Any]] = lambda sent: {}
    #: the person's own by their ids: whoever reads a folder reads what lies in it
    folders: Mapping[str, uuid.UUID] = field(default_factory=dict)


def _import_one(entry: Any, number: int, by: User, allowed: _Allowed = _Allowed()) -> Chat:
    try:
        nodes, leaf, about = _read(entry)
        nodes = parents_first(nodes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = _(
            "Chat %(number)s of this file is not in a form that is known: an export of this product, of ChatGPT or of "
            "Claude."
        )
        raise UserError(text % {"number": number}, code="import_form") from error
    if len(nodes) > MOST_MESSAGES:
        text = _("Chat %(number)s of this file has more than %(most)s messages.")
        raise UserError(text % {"number": number, "most": MOST_MESSAGES}, status=413, code="too_many")
    ids = {node.id: uuid.uuid4() for node in nodes}
    first = next((n.content for n in nodes if n.author == "user"), "")
    chat = Chat.objects.create(
        owner=by,
        title=" ".join(plain(about.get("title")).split())[:500] or title_of(first) or _("New Chat"),
        model_ids=[m for m in about.get("models") or [] if isinstance(m, str)][:20],
        pinned=bool(about.get("pinned")),
        archived=bool(about.get("archived")),
        meta={"tags": tags_in(about.get("tags"))},
        params=allowed.params(about.get("params")),
        folder_id=allowed.folders.get(str(about.get("folder_id"))),
    )
    now, rows, times = datetime.now(UTC), [], []
    for place, node in enumerate(nodes):
        rows.append(
            Message(
                pk=ids[node.id],
                chat=chat,
                parent_id=ids.get(node.parent) if node.parent else None,
                author=node.author,
                content=node.content,
                model_id=node.model[:255],
                model_name=node.model[:255],
                **node.more,
            )
        )
        times.append(node.at or now.replace(microsecond=min(place, 999_999)))
    in_order(rows, times)
    created, updated = _time(about.get("created_at")), _time(about.get("updated_at"))
    changes = {"current_id": ids.get(leaf) or (rows[-1].pk if rows else None)}
    Chat.objects.filter(pk=chat.pk).update(
        **changes, created_at=created or chat.created_at, updated_at=updated or created or chat.updated_at
    )
    chat.refresh_from_db()
    return chat


def _read(entry: Any) -> tuple[list[Node], str, dict[str, Any]]:
    if "mapping" in entry:
        return _chatgpt(entry)
    return _claude(entry) if "chat_messages" in entry else nodes_of(entry)


def nodes_of(entry: Any) -> tuple[list[Node], str, dict[str, Any]]:
    """The field's form: `{chat: {title, models, history: {messages, currentId}}, meta, pinned}` or its inside."""
    inner = entry.get("chat") or entry
    history = inner.get("history") or {}
    found = history.get("messages")
    messages: Iterable[Any] = found.values() if isinstance(found, dict) else inner.get("messages") or []
    nodes, before = [], None
    for message in messages:
        node_id = str(message.get("id") or uuid.uuid4())
        parent = message.get("parentId") if isinstance(found, dict) else before
        before = node_id
        nodes.append(
            Node(
                node_id,
                str(parent) if parent else None,
                message["role"],
                plain(text_of(message)),
                _time(message.get("timestamp")),
                plain(message.get("model")),
                _kept(message),
            )
        )
    about = {
        **inner,
        **{k: entry[k] for k in ("pinned", "archived", "created_at", "updated_at", "title") if k in entry},
    }
    about["tags"] = (entry.get("meta") or {}).get("tags") or inner.get("tags")
    about["params"], about["folder_id"] = inner.get("params"), entry.get("folder_id")
    return [n for n in nodes if n.author in _ROLES], str(history.get("currentId") or ""), about


def _kept(message: Mapping[str, Any]) -> dict[str, Any]:
    """What else of a message is worth keeping; sources are words that anybody could have written, so they come as data
    without documents behind them."""
    out: dict[str, Any] = {}
    if isinstance(message.get("usage"), dict):
        out["usage"] = _storable(message["usage"])
    thoughts = [
        plain(part.get("text"))
        for item in message.get("output") or []
        if isinstance(item, dict) and item.get("type") == "reasoning"
        for part in item.get("content") or []
        if isinstance(part, dict)
    ]
    if any(thoughts):
        out["reasoning"] = "".join(thoughts)
    if message.get("role") == "user" and (pictures := kept_pictures(message.get("files"))):
        out["files"] = pictures
    follow_ups = message.get("followUps")
    if isinstance(follow_ups, list):
        out["meta"] = {"follow_ups": [plain(text)[:300] for text in follow_ups if plain(text).strip()][:5]}
    error = message.get("error")
    if error:
        out |= {"state": State.FAILED, "error": plain(error.get("content") if isinstance(error, dict) else error)}
    return out


def _chatgpt(entry: Any) -> tuple[list[Node], str, dict[str, Any]]:
    """ChatGPT's `conversations.json`: `mapping` of nodes, some of them without a message; those are bridged."""
    mapping = entry["mapping"]
    shown: dict[str, Node] = {}
    for node_id, node in mapping.items():
        message = node.get("message") or {}
        author = (message.get("author") or {}).get("role")
        parts = (message.get("content") or {}).get("parts") or []
        text = "\n".join(p for p in parts if isinstance(p, str)).strip()
        if author in ("user", "assistant") and text:
            model = plain((message.get("metadata") or {}).get("model_slug"))
            shown[node_id] = Node(node_id, None, author, plain(text), _time(message.get("create_time")), model)

    def above(node_id: str | None) -> str | None:
        seen: set[str] = set()
        while node_id and node_id not in shown and node_id not in seen:
            seen.add(node_id)
            node_id = (mapping.get(node_id) or {}).get("parent")
        return node_id if node_id in shown else None

    for node_id, node in shown.items():
        node.parent = above(mapping[node_id].get("parent"))
    models = list(dict.fromkeys(n.model for n in shown.values() if n.model))
    about = {"title": entry.get("title"), "models": models, "created_at": entry.get("create_time")}
    about["updated_at"] = entry.get("update_time")
    return list(shown.values()), above(entry.get("current_node")) or "", about


def _claude(entry: Any) -> tuple[list[Node], str, dict[str, Any]]:
    """Claude's `conversations.json`: one line of messages, with times as text."""
    nodes: list[Node] = []
    for message in entry["chat_messages"]:
        author = {"human": "user", "assistant": "assistant"}.get(message.get("sender"), "")
        text = message.get("text") or "\n".join(
            plain(part.get("text")) for part in message.get("content") or [] if isinstance(part, dict)
        )
        if author and plain(text).strip():
            before = nodes[-1].id if nodes else None
            at = _moment(message.get("created_at"))
            nodes.append(Node(str(uuid.uuid4()), before, author, plain(text), at))
    about = {"title": entry.get("name"), "created_at": _moment(entry.get("created_at"))}
    about["updated_at"] = _moment(entry.get("updated_at"))
    return nodes, nodes[-1].id if nodes else "", about


def _moment(value: Any) -> datetime | None:
    """A time as text."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def parents_first(nodes: Sequence[Node], beyond: Collection[str] = ()) -> list[Node]:
    """Every message after the one it follows; one whose parent is missing begins anew.

    :param beyond: the ids of other messages that may be followed
    :raises ValueError: for a loop, and an id that two messages have
    """
    known = {node.id for node in nodes}
    if len(known) < len(nodes):
        raise ValueError("an id twice")
    children: dict[str | None, list[Node]] = {}
    for node in nodes:
        if node.parent == node.id or (node.parent not in known and node.parent not in beyond):
            node.parent = None
        children.setdefault(node.parent if node.parent in known else None, []).append(node)
    out, waiting, placed = [], list(reversed(children.get(None, []))), set()
    while waiting:
        node = waiting.pop()
        placed.add(node.id)
        out.append(node)
        waiting += reversed(children.get(node.id, []))
    for node in nodes:
        if node.id not in placed:
            raise ValueError("a loop of messages")
    return out


def _storable(value: Any) -> Any:
    """JSON as the database takes it: its texts have no NUL, its numbers an end."""
    if isinstance(value, dict):
        return {plain(key): _storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return plain(value) if isinstance(value, str) else value


def plain(value: Any) -> str:
    """Text as it can be stored; empty for anything else."""
    return value.replace("\x00", "") if isinstance(value, str) else ""


def _time(value: Any) -> datetime | None:
    """Seconds (or milliseconds) since 1970, as files have them."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1e14:
        return None
    return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)


def tags_in(value: Any) -> list[str]:
    """The ids of the tags in a list; what can be no tag is left out."""
    found: list[str] = []
    for name in value if isinstance(value, list) else []:
        if isinstance(name, str):
            try:
                found.append(tag_id(name))
            except UserError:
                continue
    return list(dict.fromkeys(found))[:TAGS_PER_CHAT]
