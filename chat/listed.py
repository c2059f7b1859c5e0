"""What open pages learn of chats and folders that came, went, or were renamed, moved, pinned, tagged, put away.

Told by the services, so that it is the same whether another tab did it or a program, and only after the change is
there. Each news says by which mark a page knows that it has it already: who did it draws nothing again.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction

from chat.models import Chat, Folder
from chat.news import KIND
from chat.nodes import nodes

Op = list[Any]
#: what no page has: it is drawn anew in any case
NOWHERE = "#none"


def tell(people: Iterable[uuid.UUID | None], *ops: Op) -> None:
    """To the open pages of some people, best effort, once what is being written is there."""
    user_ids = sorted({str(person) for person in people if person})
    if user_ids and ops:
        message = {"kind": KIND, "user_ids": user_ids, "ops": list(ops)}
        transaction.on_commit(lambda: nodes.announce_sync(message))


def list_op(mark: str = NOWHERE) -> Op:
    return ["stale", "chat-list", "/c/search", mark, ""]


def came_op(chat_id: uuid.UUID) -> Op:
    return list_op(f'#chat-list a[href="/c/{chat_id}"]')


def gone_op(chat_id: uuid.UUID) -> Op:
    return list_op(f'#chat-list:not(:has(a[href="/c/{chat_id}"]))')


def title_op(chat: Chat) -> Op:
    return ["title", "chat-list", chat.title, str(chat.pk)]


# ---------------------------------------------------------------------------------------------------------------- chats
def tell_came(chat: Chat) -> None:
    """A chat was made, or is back from the archive."""
    tell([chat.owner_id], came_op(chat.pk), *_page_ops(chat.folder_id, f'a[href="/c/{chat.pk}"]'))


def tell_gone(chat: Chat) -> None:
    """It was deleted, or put into the archive."""
    tell([chat.owner_id], gone_op(chat.pk), *_page_ops(chat.folder_id, f'a[href="/c/{chat.pk}"]', is_gone=True))


def tell_renamed(chat: Chat) -> None:
    tell([chat.owner_id], title_op(chat))


def tell_pinned(chat: Chat) -> None:
    state = "pinned" if chat.pinned else "loose"
    tell([chat.owner_id], list_op(f'#chat-more-{chat.pk}[data-state="{state}"]'))


def tell_tags(chat: Chat, tags: Sequence[str]) -> None:
    """Where the dialog with a chat's tags is open."""
    mark = f'#tags-{chat.pk} [data-tags="{tags_mark(tags)}"]'
    tell([chat.owner_id], ["stale", f"tags-{chat.pk}", f"/c/{chat.pk}/tags?part=1", mark, ""])


def tags_mark(tags: Sequence[str]) -> str:
    """Stands for some tags in a selector, whatever signs are in them."""
    return hashlib.blake2s("\n".join(tags).encode(), digest_size=6).hexdigest()


def tell_moved(chat: Chat, before: uuid.UUID | None) -> None:
    """Into a folder, or out of one: the lists, and the pages of both."""
    link, ops = f'a[href="/c/{chat.pk}"]', list[Op]()
    if not chat.archived and not chat.pinned:  # these stand where they stood
        ops.append(list_op(_place_mark(chat)))
    ops += _page_ops(before, link, is_gone=True)
    ops += _page_ops(chat.folder_id, link)
    tell([chat.owner_id, chat.folder.owner_id if chat.folder else None], *ops)


def _place_mark(chat: Chat) -> str:
    """The chat in its folder, or nowhere while that is closed."""
    item, folder = f"#chat-item-{chat.pk}", f"#folder-item-{chat.folder_id}"
    if chat.folder_id is None:
        return f".side-loose {item}"
    return f"{folder} > .inside > {item}, #chat-list:not(:has({item})) {folder}:not(:has(> .inside))"


def tell_anew(person: uuid.UUID) -> None:
    """Many of a person's chats at once."""
    tell([person], list_op())


# -------------------------------------------------------------------------------------------------------------- folders
def tell_folder(folder: Folder, by: uuid.UUID, *beside: uuid.UUID | None) -> None:
    """A folder was made, or is otherwise than before: the lists, its own page, and those it lies in.

    :param beside: where it lay before
    """
    at = f'[data-at="{at_of(folder)}"]'
    own = ["stale", f"folder-{folder.pk}", f"/folders/{folder.pk}?part=1", f"#folder-{folder.pk} h1{at}", ""]
    around = [op for place in {folder.parent_id, *beside} for op in _page_ops(place, "")]
    tell([folder.owner_id, by], list_op(f"#folder-item-{folder.pk}{at}"), own, *around)


def tell_folder_gone(folder: Folder, by: uuid.UUID) -> None:
    op = list_op(f"#chat-list:not(:has(#folder-item-{folder.pk}))")
    link = f'a[href="/folders/{folder.pk}"]'
    tell([folder.owner_id, by], op, *_page_ops(folder.parent_id, link, is_gone=True))


def at_of(folder: Folder) -> str:
    """When it was changed last, as the page has it."""
    return f"{int(folder.updated_at.timestamp())}.{folder.updated_at.microsecond:06d}"


def _page_ops(folder_id: uuid.UUID | None, inner: str, *, is_gone: bool = False) -> list[Op]:
    """For the page of a folder, with a link that is in it now, or is not any more; always drawn anew without one."""
    if folder_id is None:
        return []
    name = f"folder-{folder_id}"
    mark = (f"#{name}:not(:has({inner}))" if is_gone else f"#{name} {inner}") if inner else NOWHERE
    return [["stale", name, f"/folders/{folder_id}?part=1", mark, ""]]
