"""How people keep their chats: in the archive, under tags, in folders. One's own chats only, each change whole."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import User
from chat import listed
from chat.exports import named_in_log
from chat.folders import place_for
from chat.models import Chat
from chat.services import own_chat
from owui.audit.record import record
from owui.lib.errors import UserError
from rbac.history import acting
from rbac.permissions import require
from rbac.services import announce

TAG_CHARS = 80
TAGS_PER_CHAT = 50
#: what the field's search calls a chat without tags
RESERVED = "none"


@transaction.atomic
def toggle_archived(*, by: User, chat_id: uuid.UUID) -> Chat:
    """Into the archive, or back. Its age stays: a list sorted by age is not turned over by tidying."""
    chat = own_chat(by, chat_id)
    chat.archived = not chat.archived
    if chat.archived:
        chat.pinned = False
    Chat.objects.filter(pk=chat.pk).update(archived=chat.archived, pinned=chat.pinned)
    (listed.tell_gone if chat.archived else listed.tell_came)(chat)
    return chat


def set_all_archived(*, by: User, archived: bool) -> int:
    """All of the person's chats into the archive, or all back. Returns how many moved."""
    chats = Chat.objects.writable_by(by).filter(archived=not archived)
    count = int(chats.update(archived=archived, **({"pinned": False} if archived else {})))
    listed.tell_anew(by.pk)
    return count


@transaction.atomic
def delete_all_chats(*, by: User) -> int:
    """Removes every chat of the person. 401 without the permission `chat.delete`: nothing is lost then."""
    require(by, "chat.delete")
    acting(by)
    chats = Chat.objects.writable_by(by)
    detail = named_in_log(chats)
    record("chat.delete_all", by=by, object_type="user", object_id=str(by.pk), detail=detail)
    chats.delete()
    listed.tell_anew(by.pk)
    return int(detail["chats"])


@transaction.atomic
def note_look(*, by: User, action: str, object_type: str, object_id: str, **detail: int) -> None:
    """An administrator reads what is others': that it was done is in the audit log before the first word is shown."""
    record(action, by=by, object_type=object_type, object_id=object_id, detail=detail)


@transaction.atomic
def move_chat(*, by: User, chat_id: uuid.UUID, folder_id: str | None) -> Chat:
    """Into a folder that the person may change, or out of all. Whoever reads a folder reads what lies in it, so a move
    is a change of access: in the audit log, and told to open pages.

    :raises UserError: 404 no such chat or folder; 403 a folder that the person may only read
    """
    acting(by)
    chat = own_chat(by, chat_id)
    folder = place_for(by, folder_id) if folder_id else None
    before, chat.folder = chat.folder_id, folder
    if before == chat.folder_id:
        return chat
    Chat.objects.filter(pk=chat.pk).update(folder=folder)
    detail = {"before": str(before) if before else None, "after": str(folder.pk) if folder else None}
    record("chat.move", by=by, object_type="chat", object_id=str(chat.pk), detail=detail)
    for place in filter(None, (before, chat.folder_id)):
        announce("folder", str(place))
    listed.tell_moved(chat, before)
    return chat


# ----------------------------------------------------------------------------------------------------------------- tags
def tag_id(name: str) -> str:
    """The field's id of a tag: lower case, `_` for spaces. 400 for what can be no tag."""
    shown = " ".join(name.replace("\x00", "").split())
    found = re.sub(r"\s+", "_", shown.lower())
    if not found:
        raise UserError(_("A tag needs a name."), code="tag_name")
    if len(found) > TAG_CHARS:
        raise UserError(_("A tag has at most %(limit)s characters.") % {"limit": TAG_CHARS}, code="tag_name")
    if found == RESERVED:
        raise UserError(_("“none” is how a search asks for chats without tags. Choose another name."), code="tag_name")
    return found


def tags_of(chat: Chat) -> list[str]:
    """The ids of a chat's tags."""
    return [str(t) for t in (chat.meta or {}).get("tags") or []]


@transaction.atomic
def add_tag(*, by: User, chat_id: uuid.UUID, name: str) -> Chat:
    """Once more does nothing. 400 when the chat has too many."""
    chat, tag = own_chat(by, chat_id), tag_id(name)
    tags = tags_of(chat)
    if tag not in tags:
        if len(tags) >= TAGS_PER_CHAT:
            raise UserError(
                _("A chat has at most %(limit)s tags. Remove one first.") % {"limit": TAGS_PER_CHAT}, code="tags"
            )
        _save_tags(chat, [*tags, tag])
    return chat


@transaction.atomic
def remove_tag(*, by: User, chat_id: uuid.UUID, name: str | None = None) -> Chat:
    """Removes one tag, all of them without a name. One that the chat does not have is no fault."""
    chat = own_chat(by, chat_id)
    _save_tags(chat, [] if name is None else [t for t in tags_of(chat) if t != tag_id(name)])
    return chat


def _save_tags(chat: Chat, tags: list[str]) -> None:
    chat.meta = {**(chat.meta or {}), "tags": tags}
    Chat.objects.filter(pk=chat.pk).update(meta=chat.meta)
    listed.tell_tags(chat, tags)


def all_tags(user: User) -> list[tuple[str, int]]:
    """The person's tags and how many chats have each, by name. One statement."""
    used: Iterable[Any] = (
        Chat.objects.writable_by(user).filter(meta__has_key="tags").values_list("meta__tags", flat=True)
    )
    return sorted(Counter(str(tag) for tags in used for tag in tags or []).items())


def recent_tags(user: User, most: int) -> list[str]:
    """The tags of the person's newest chats, the most used first: to choose from. One short statement."""
    newest: Any = (
        Chat.objects.writable_by(user).order_by("-updated_at", "id").values_list("meta__tags", flat=True)[:500]
    )
    used = Counter(str(tag) for tags in newest for tag in tags or [])
    return [name for name, _count in used.most_common(most)]


def tagged(chats: QuerySet[Any, Any], name: str) -> QuerySet[Any, Any]:
    """Those of the chats that have a tag; `none`: those without any."""
    shown = re.sub(r"\s+", "_", " ".join(name.split()).lower())
    if shown == RESERVED:
        return chats.exclude(meta__tags__0__isnull=False)
    return chats.filter(meta__tags__contains=[shown])
