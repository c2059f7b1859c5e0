"""Chats that older clients keep themselves and send whole: made from what they send, and brought up to date by it.

What a client sends is a copy that may be old, so nothing stored is lost by it: messages that it does not have stay,
answers that are being written are not touched, and neither is what the server alone knows (sources, usage, thoughts).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from chat import listed
from chat.attaching import attachable
from chat.copies import MOST_MESSAGES, Node, in_order, nodes_of, parents_first, plain, tags_in
from chat.folders import check_folders
from chat.models import Chat, Folder, Message, State
from chat.pictures import is_picture
from chat.services import check_stored, check_text, own_chat, title_of
from chat.versions import write_over
from inference.permitted import permitted_for, trimmed_params
from owui.audit.record import record
from owui.lib.errors import Missing, UserError
from rbac.permissions import require


@transaction.atomic
def create_sent(*, by: User, sent: Mapping[str, Any], folder_id: str | None = None) -> Chat:
    """A new chat with the messages that came with it, under the ids that the client gave them.

    :raises UserError: 400 a form that is not known, or an id that is in use; 403 answers that the client brings,
        without `chat.import`; 404 no such folder, or knowledge that is not shared
    """
    check_stored(by)
    nodes, leaf = _read(sent)
    first = next((node.content for node in nodes if node.author == "user"), "")
    chat = Chat.objects.create(
        owner=by,
        title=_title(sent) or title_of(first) or _("New Chat"),
        folder=_folder(by, folder_id),
        model_ids=_models(sent),
        params=_params(by, sent),
        meta={"tags": tags_in(sent.get("tags"))},
    )
    rows = _add(chat, nodes, by, _files(sent))
    chat.current_id = leaf if leaf in {row.pk for row in rows} else rows[-1].pk if rows else None
    Chat.objects.filter(pk=chat.pk).update(current=chat.current_id)
    listed.tell_came(chat)
    return chat


@transaction.atomic
def merge_sent(*, by: User, chat_id: uuid.UUID, sent: Mapping[str, Any]) -> Chat:
    """The person's chat with what a client changed in its copy; fields that are not sent stay.

    :raises UserError: 401 no such chat, or words of a message changed without `chat.edit`; else as `create_sent`
    """
    check_stored(by)
    try:
        chat = own_chat(by, chat_id)
    except Missing as error:
        raise Missing(status=401) from error
    known = {message.pk: message for message in chat.messages.all()}
    history = sent.get("history")
    # Flat lists have no ids that last, and would be added each time.
    is_tree = isinstance(history, Mapping) and isinstance(history.get("messages"), Mapping)
    nodes, leaf = _read(sent, known) if is_tree else ([], None)
    for node in nodes:
        if uuid.UUID(node.id) in known:
            _change(known[uuid.UUID(node.id)], node.content, by)
    new = [node for node in nodes if uuid.UUID(node.id) not in known]
    _check_rephrased(new, known.values(), by)
    rows = _add(chat, new, by, _files(sent) if new else {})
    if leaf in known or leaf in {row.pk for row in rows}:
        chat.current_id = leaf
    former, chat.title = chat.title, _title(sent) or chat.title
    if "models" in sent:
        chat.model_ids = _models(sent)
    if "params" in sent:
        chat.params = _params(by, sent)
    if "tags" in sent:
        chat.meta = {**(chat.meta or {}), "tags": tags_in(sent["tags"])}
    chat.save(update_fields=["current", "title", "model_ids", "params", "meta", "updated_at"])
    if chat.title != former:
        listed.tell_renamed(chat)
    if "tags" in sent:
        listed.tell_tags(chat, chat.meta["tags"])
    return chat


def _read(sent: Mapping[str, Any], known: Mapping[uuid.UUID, Message] | None = None) -> tuple[list[Node], Any]:
    """The messages that were sent, parents first, with canonical ids, and the one whose branch is shown."""
    try:
        nodes, leaf, _about = nodes_of({"chat": sent})
        for node in nodes:
            node.id = str(uuid.UUID(node.id))
            node.parent = str(uuid.UUID(node.parent)) if node.parent else None
        nodes = parents_first(nodes, [str(pk) for pk in known or ()])
        shown = uuid.UUID(leaf) if leaf else None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = _("The messages of this chat are not in a form that is known: each needs a role, and a UUID as id.")
        raise UserError(text, code="chat_form") from error
    if len(nodes) + len(known or ()) > MOST_MESSAGES:
        text = _("A chat has at most %(most)s messages.")
        raise UserError(text % {"most": MOST_MESSAGES}, status=413, code="too_many")
    return nodes, shown


def _change(message: Message, content: str, by: User) -> None:
    """Other words in a stored message. An older copy of it (nothing, or the beginning of an answer) changes nothing."""
    if content == message.content or message.state == State.RUNNING:
        return
    if message.content.startswith(content):
        return
    if message.content:
        require(by, "chat.edit")
    elif message.author == "assistant":
        _note_brought(message.chat_id, 1, by)
    if message.author == "user":
        content = check_text(content)
    # Not what is being written: an answer that is continued this moment.
    stored = Message.objects.select_for_update(of=("self",)).filter(pk=message.pk).exclude(state=State.RUNNING).first()
    if stored is None:
        return
    if stored.content:
        write_over(stored, content, by=by)
    else:
        stored.content = content
        stored.save(update_fields=["content", "updated_at"])


def _check_rephrased(new: Sequence[Node], known: Any, by: User) -> None:
    """A question beside another one is the same place in other words."""
    asked = {str(m.parent_id) if m.parent_id else None for m in known if m.author == "user"}
    if any(node.author == "user" and node.parent in asked for node in new):
        require(by, "chat.edit")


def _add(chat: Chat, nodes: Sequence[Node], by: User, files: Mapping[str, list[Any]]) -> list[Message]:
    if not nodes:
        return []
    if brought := sum(1 for node in nodes if node.author != "user" and node.content):
        _note_brought(chat.pk, brought, by)
    now, rows, times = datetime.now(UTC), [], []
    for place, node in enumerate(nodes):
        is_question = node.author == "user"
        rows.append(
            Message(
                pk=uuid.UUID(node.id),
                chat=chat,
                parent_id=uuid.UUID(node.parent) if node.parent else None,
                author=node.author,
                content=check_text(node.content) if is_question and node.content else node.content,
                model_id=node.model[:255],
                model_name=node.model[:255],
                **node.more | {"files": _attached(by, files.get(node.id, [])) if is_question else []},
            )
        )
        times.append(node.at or now.replace(microsecond=min(place, 999_999)))
    try:
        with transaction.atomic():
            in_order(rows, times)
    except IntegrityError as error:  # whoever's they are
        text = _("A message id of this request cannot be used here. Send new ids.")
        raise UserError(text, code="message_id") from error
    return rows


def _note_brought(chat_id: uuid.UUID, count: int, by: User) -> None:
    """Answers that no turn of ours wrote are an import. 403 without `chat.import`."""
    require(by, "chat.import", status=403)
    record("chat.import", by=by, object_type="chat", object_id=str(chat_id), detail={"answers": count})


def _attached(by: User, files: Sequence[Any]) -> list[dict[str, Any]]:
    """Knowledge that the person may read, and pictures as data."""
    items = [item for item in files if isinstance(item, Mapping)]
    ids = {kind: [str(item.get("id", "")) for item in items if item.get("type") == kind] for kind in _KINDS}
    pictures = [{"type": "image", "url": plain(item.get("url"))} for item in items if is_picture(item)]
    return [
        *attachable(by, ids["collection"], ids["file"]),
        *(picture for picture in pictures if picture["url"].startswith("data:image/")),
    ]


_KINDS = ("collection", "file")


def _files(sent: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What is attached to the messages that were sent (and could be read), by their canonical ids."""
    found = (sent.get("history") or {}).get("messages")
    messages = found.values() if isinstance(found, Mapping) else sent.get("messages") or []
    with_files = [m for m in messages if m.get("id") and isinstance(m.get("files"), list)]
    return {str(uuid.UUID(str(m["id"]))): m["files"] for m in with_files}


def _folder(by: User, folder_id: str | None) -> Folder | None:
    if not folder_id:
        return None
    check_folders(by)
    try:
        folder: Folder | None = Folder.objects.writable_by(by).filter(pk=uuid.UUID(folder_id)).first()
    except ValueError:
        folder = None
    if folder is None:
        raise Missing
    return folder


def _title(sent: Mapping[str, Any]) -> str:
    return " ".join(plain(sent.get("title")).split())[:500]


def _models(sent: Mapping[str, Any]) -> list[str]:
    given = sent.get("models")
    return [plain(m)[:255] for m in given if isinstance(m, str)][:20] if isinstance(given, list) else []


def _params(by: User, sent: Mapping[str, Any]) -> dict[str, Any]:
    given = sent.get("params")
    return trimmed_params(given, permitted_for(by)) if isinstance(given, Mapping) else {}
