"""The folders of the sidebar: one's own as a tree, those of others that one reaches, and the chats of the open ones."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import Count, F, OuterRef, Subquery, Window
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, RowNumber
from django.utils.translation import gettext_lazy as _

from chat.folders import BACKGROUND
from chat.models import Chat, Folder
from chat.reading import UNREAD, is_running, state_of
from rbac.permissions import is_offered, may
from rbac.sharing import Person

#: what a sidebar can hold; the folder's page has the rest
MOST_FOLDERS, MOST_CHATS, DEEPEST = 500, 20, 12
#: of folders, as the stylesheet has them
COLOURS = {
    "": _("None"),
    "red": _("Red"),
    "orange": _("Orange"),
    "green": _("Green"),
    "teal": _("Teal"),
    "blue": _("Blue"),
    "violet": _("Violet"),
    "pink": _("Pink"),
}
Line = dict[str, Any]


def may_use_folders(user: Person) -> bool:
    """Whether the person has folders at all; the services ask again with `check_folders`."""
    return is_offered("features.folders") and may(user, "features.folders")


def look_of(meta: Any) -> Line:
    """Colour and sign of a folder, from what programs may have put there."""
    found = meta if isinstance(meta, dict) else {}
    colour, sign = found.get("colour"), found.get("icon")
    return {
        "colour": colour if isinstance(colour, str) and colour in COLOURS else "",
        "sign": sign[:8] if isinstance(sign, str) else "",
    }


def has_background(meta: Any) -> bool:
    """Whether a picture stands behind a folder's page. Addresses that lead elsewhere are not followed."""
    url = meta.get(BACKGROUND) if isinstance(meta, dict) else None
    return isinstance(url, str) and url.startswith("data:image/")


def places(user: Person) -> list[Line]:
    """Where a chat or a folder can be put: the person's folders from the top down, each followed by those in it, with
    its `depth`; then those of others that they may change. Two statements."""
    own = list(_walk(_tree(_lines(_own(user), user))))
    shared = Folder.objects.writable_by(user).shared_with(user).order_by("name", "pk")
    return own + [{**row, "depth": 0, "is_shared": True} for row in shared.values("id", "name")[:MOST_FOLDERS]]


def folder_tree(user: Person, *, chat: uuid.UUID | None = None, folder: uuid.UUID | None = None) -> list[Line]:
    """The top folders, each with its `children`, how many of one's chats in it are new, and, where it is open, its
    newest chats. Two statements: this is part of every page."""
    shared = Folder.objects.readable_by(user).shared_with(user)
    counted = {"unread_count": _unread(user, chat)}
    tree = _tree(_lines(_own(user, **counted).union(_first(shared, **counted), all=True), user))
    shown = list(_walk(tree))
    chats = _chats(user, [line["id"] for line in shown if line["is_open"]], chat)
    for line in shown:
        inside = chats.get(line["id"], [])
        line["chats"], line["has_more"] = inside[:MOST_CHATS], len(inside) > MOST_CHATS
        line["active"] = line["id"] == folder
    return tree


def _unread(user: Person, but: uuid.UUID | None) -> Coalesce:
    """How many of the person's own chats in a folder are new. An index holds little more than these."""
    chats: Any = Chat.objects.of_owner(user.id).unread().filter(folder_id=OuterRef("pk"), archived=False)
    chats = chats.exclude(pk=but) if but else chats
    return Coalesce(Subquery(chats.order_by().values("folder_id").annotate(count=Count("pk")).values("count")), 0)


def _own(user: Person, **more: Any) -> Any:
    return _first(Folder.objects.readable_by(user).filter(owner_id=user.id), **more)


def _first(folders: Any, **more: Any) -> Any:
    # As text: two statements that are joined must not differ in how their columns are read.
    look = {"colour": KeyTextTransform("colour", "meta"), "icon": KeyTextTransform("icon", "meta")}
    rows = folders.order_by("name", "pk").values(
        "id", "name", "parent_id", "owner_id", "updated_at", **look, is_open=F("is_expanded"), **more
    )
    return rows[:MOST_FOLDERS]


def _lines(rows: Any, user: Person) -> list[Line]:
    """Whether one of somebody else's is open is theirs to say: here it is a way to its page."""
    lines = []
    for row in rows:
        shared = row.pop("owner_id") != user.id
        lines.append({**row, **look_of(row), "is_shared": shared, "is_open": row["is_open"] and not shared})
        lines[-1]["children"] = []
    return sorted(lines, key=lambda line: line["is_shared"])


def _tree(rows: Iterable[Line]) -> list[Line]:
    by_id = {row["id"]: row for row in rows}
    top: list[Line] = []
    for row in by_id.values():
        above = by_id.get(row["parent_id"])
        (above["children"] if above else top).append(row)
    return top


def _walk(tree: list[Line]) -> Iterable[Line]:
    """Everything that can be shown, from the top down; what is deeper than that is reached by the pages of folders."""
    waiting = [(line, 0) for line in reversed(tree)]
    while waiting:
        line, line["depth"] = waiting.pop()
        if line["depth"] >= DEEPEST:
            line["children"] = []
        yield line
        waiting += [(child, line["depth"] + 1) for child in reversed(line["children"])]


def _chats(user: Person, folder_ids: list[uuid.UUID], current: uuid.UUID | None) -> dict[uuid.UUID, list[Line]]:
    """The newest chats of each folder, whoever's they are, and one more where there are more."""
    out: dict[uuid.UUID, list[Line]] = {}
    if not folder_ids:
        return out
    place = Window(RowNumber(), partition_by="folder_id", order_by=("-updated_at", "id"))
    chats = Chat.objects.readable_by(user).filter(folder_id__in=folder_ids, archived=False)
    chats = chats.exclude(pinned=True, owner_id=user.id)  # those stand on top already
    newest = chats.annotate(place=place).filter(place__lte=MOST_CHATS + 1).order_by().values("pk")
    # Whether each is answered is asked of these alone, and not of all that lie in the folders.
    rows = Chat.objects.filter(pk__in=newest).annotate(running=is_running()).order_by("-updated_at", "id")
    fields = ("id", "title", "pinned", "folder_id", "owner_id", "updated_at", "read_at", "running")
    for row in rows.values(*fields):
        line = {**row, "active": row["id"] == current, "is_foreign": row["owner_id"] != user.id}
        state = state_of(row)
        # What is open is being read; whether others' chats are news is their owners' to know.
        line["state"] = "" if state == UNREAD and (line["active"] or line["is_foreign"]) else state
        out.setdefault(row["folder_id"], []).append(line)
    return out
