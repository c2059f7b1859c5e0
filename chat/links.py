"""Shared chats: a snapshot behind a link, and who may open it. What is said later stays out until it is shared anew."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import User
from chat.models import Chat, Citation, Message, SharedChat, State
from chat.oversight import looked_behind
from chat.passages import documents_in, open_sources, readable_ids
from chat.schemas import chat_json
from chat.services import check_stored, own_chat
from chat.tree import branch_to
from owui.audit.record import record
from owui.lib.errors import Missing, UserError
from rbac.history import acting
from rbac.permissions import require
from rbac.services import announce
from rbac.sharing import Person

#: what of a message whoever opens a link sees
_SAID = ("id", "parentId", "childrenIds", "role", "content", "timestamp", "modelName", "done", "error")
_CITED = ("number", "ordinal", "document_name", "page_position", "page_number", "page_label", "start_index", "text")


@transaction.atomic
def share_chat(*, by: User, chat_id: uuid.UUID) -> SharedChat:
    """The chat as it is now behind a link; the same link with a new snapshot when there is one. Nobody but its owner
    opens it until access is given. 401 without `chat.share`.

    :raises UserError: 404 no such chat; 409 while an answer is being written: half a sentence is not what one shares
    """
    require(by, "chat.share")
    check_stored(by)
    acting(by)
    chat = own_chat(by, chat_id)
    messages = list(chat.messages.order_by("created_at"))
    if any(m.state == State.RUNNING for m in messages):
        raise UserError(
            _("Wait for the answer, or stop it, before you share the chat."), status=409, code="still_answering"
        )
    snapshot = chat_json(chat, messages, reader=by)["chat"] | {"cited": _cited(messages)}
    shared, is_new = SharedChat.objects.update_or_create(
        chat=chat, defaults={"title": chat.title, "snapshot": snapshot, "owner": by}
    )
    record(
        f"shared_chat.{'created' if is_new else 'updated'}",
        by=by,
        object_type="shared_chat",
        object_id=str(shared.pk),
        detail={"chat": str(chat.pk), "messages": len(messages)},
    )
    return shared


def _cited(messages: Sequence[Message]) -> dict[str, list[dict[str, Any]]]:
    """The citations by message: what the page shows under an answer. Never sent as they are."""
    out: dict[str, list[dict[str, Any]]] = {}
    for citation in Citation.objects.filter(message__in=messages).order_by("message_id", "number", "ordinal"):
        row = {name: getattr(citation, name) for name in _CITED} | {"document_id": str(citation.document_id or "")}
        out.setdefault(str(citation.message_id), []).append(row)
    return out


def link_of(owner: User, chat_id: uuid.UUID) -> SharedChat | None:
    """The link of one's own chat. 401 without `chat.share`, 404 for another's chat."""
    require(owner, "chat.share")
    return SharedChat.objects.filter(chat=own_chat(owner, chat_id, lock=False)).first()


def own_links(owner: User) -> QuerySet[Any, Any]:
    """The links to the person's chats, without what is behind them."""
    return SharedChat.objects.filter(chat__in=Chat.objects.writable_by(owner)).defer("snapshot")


@transaction.atomic
def unshare_chat(*, by: User, chat_id: uuid.UUID) -> None:
    """Takes the link away, with all access that was given to it. 404 where there is none."""
    acting(by)
    shared = SharedChat.objects.filter(chat=own_chat(by, chat_id)).first()
    if shared is None:
        raise Missing(_("This chat is not shared."))
    _remove(shared, by)


@transaction.atomic
def unshare_all(*, by: User) -> int:
    """Takes away every link of the person. Returns how many there were."""
    acting(by)
    found = list(own_links(by))
    for shared in found:
        _remove(shared, by)
    return len(found)


def _remove(shared: SharedChat, by: User) -> None:
    record(
        "shared_chat.deleted",
        by=by,
        object_type="shared_chat",
        object_id=str(shared.pk),
        detail={"chat": str(shared.chat_id)},
    )
    announce("shared_chat", str(shared.pk))
    shared.delete()


def readable_link(reader: Person | None, share_id: uuid.UUID, *, missing: int = 404) -> SharedChat:
    """The snapshot, for those who may open it; for all others it is not there."""
    shared = SharedChat.objects.readable_by(reader).filter(pk=share_id).select_related("owner", "chat").first()
    if shared is None:
        raise Missing(_("This link leads nowhere, or it is not shared with you."), status=missing)
    looked_behind(shared, reader)
    return shared  # type: ignore[no-any-return]


def snapshot_json(shared: SharedChat, reader: Person | None) -> dict[str, Any]:
    """The snapshot in the field's form: what was said, and by which model. Sources have their names and passages for
    whom may read them now, and only their place for all others; files, thoughts and the owner's settings stay out.

    As on the page, the shown branch alone: what its owner asked anew in other words is not what they wanted to show."""
    history = shared.snapshot.get("history") or {}
    everything: dict[str, Any] = history.get("messages") or {}
    keys = [m["id"] for m in shared.snapshot.get("messages") or [] if m.get("id") in everything]
    tree = {key: everything[key] | {"childrenIds": [below]} for key, below in zip(keys, [*keys[1:], ""], strict=False)}
    if keys:
        tree[keys[-1]]["childrenIds"] = []
    readable = _readable(reader, [source for m in tree.values() for source in m.get("sources") or []])
    shown = {key: _shown(m, readable) for key, m in tree.items()}
    return {
        "title": shared.title,
        "models": [],
        "params": {},
        "history": {"currentId": history.get("currentId"), "messages": shown},
        "messages": list(shown.values()),
    }


def _shown(said: Mapping[str, Any], readable: set[str]) -> dict[str, Any]:
    out = {name: said[name] for name in _SAID if name in said}
    if said.get("role") == "assistant":
        out |= {"model": said.get("modelName") or "", "sources": open_sources(said.get("sources") or [], readable)}
        out["output"] = [item for item in said.get("output") or [] if item.get("type") == "message"]
    return out


def _readable(reader: Person | None, sources: Sequence[dict[str, Any]]) -> set[str]:
    return readable_ids(reader, documents_in(sources)) if reader is not None else set()


def shown_branch(shared: SharedChat, reader: Person | None) -> tuple[list[Message], list[Citation]]:
    """The branch that was shown when the chat was shared, as messages and citations that are not stored. Two statements
    at most. Citations that the reader may not read have a number and nothing else."""
    tree = (shared.snapshot.get("history") or {}).get("messages") or {}
    nodes = {m.pk: m for m in (_message(m, shared) for m in tree.values())}
    current = (shared.snapshot.get("history") or {}).get("currentId")
    branch = branch_to(nodes, uuid.UUID(current) if current else None)
    cited = shared.snapshot.get("cited") or {}
    rows = [(m.pk, row) for m in branch for row in cited.get(str(m.pk)) or []]
    readable = readable_ids(reader, {row["document_id"] for _pk, row in rows}) if reader is not None else set()
    citations = []
    for pk, row in rows:
        citation = Citation(message_id=pk, **{name: row.get(name) for name in _CITED})
        if row["document_id"] not in readable:
            citation = Citation(message_id=pk, number=row["number"], ordinal=row["ordinal"])
        citations.append(citation)
    return branch, citations


def _message(said: dict[str, Any], shared: SharedChat) -> Message:
    parent = said.get("parentId")
    error = said.get("error") or {}
    return Message(
        pk=uuid.UUID(said["id"]),
        chat_id=shared.chat_id,
        parent_id=uuid.UUID(parent) if parent else None,
        author=said["role"],
        content=said.get("content") or "",
        model_name=said.get("modelName") or "",
        state=State.FAILED if error else State.DONE,
        error=error.get("content") or "",
    )
