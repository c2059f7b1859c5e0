"""Searching one's own chats: titles and what was said in them, with filters, newest first.

All words must stand in the title, or all in one message, in small or capital letters. A frequent word is found fastest
by walking from the newest chat on, a rare one by the trigram index (`0007_search_texts`): the newest few hundred tell
which it is. The rows are the same either way.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import OuterRef, Q, QuerySet, Subquery

from chat.models import Chat, Message
from chat.organising import tagged
from rbac.sharing import Person

SHOWN = 20
#: how far back is looked word for word: the first step, and the last
NEAR, FAR = 250, 2_000
QUERY_CHARS, MOST_WORDS = 200, 8
_PART = re.compile(r'(tag|folder|pinned|archived|shared):(?:"([^"]*)"|(\S+))|"([^"]+)"|(\S+)', re.IGNORECASE)
#: what the index can look up whatever the database's locale
_INDEXED = re.compile(r"[A-Za-z0-9]{3}")
_BEFORE, _AFTER = 60, 140


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody typed: words and filters. `archived` is False unless it is asked for."""

    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    pinned: bool | None = None
    archived: bool = False
    shared: bool | None = None

    @property
    def is_filtered(self) -> bool:
        return bool(self.tags or self.folders or self.archived) or self.pinned is not None or self.shared is not None


@dataclass(slots=True)
class Hit:
    """A chat that was found. `pieces` are parts of its text with whether each is a word that was looked for."""

    id: uuid.UUID
    title: list[tuple[str, bool]]
    moment: Any
    pieces: list[tuple[str, bool]] = field(default_factory=list)
    folder: str = ""


@dataclass(slots=True)
class Found:
    hits: list[Hit]
    has_more: bool = False
    #: texts were looked through no further back than FAR chats: the words are too short for the index
    is_partial: bool = False


def parse(query: str) -> Asked:
    """`tag:ideas folder:"My project" pinned:true a word "two words"`. An unknown filter is a word like any other."""
    words: list[str] = []
    named: dict[str, list[str]] = {}
    for name, quoted, bare, phrase, word in _PART.findall(query.replace("\x00", "")[:QUERY_CHARS]):
        if name:
            named.setdefault(name.lower(), []).append(quoted or bare)
        else:
            words.append(phrase or word)
    last = {name: values[-1].lower() not in ("false", "no", "0") for name, values in named.items()}
    return Asked(
        tuple(dict.fromkeys(words))[:MOST_WORDS],
        tuple(named.get("tag", ())),
        tuple(named.get("folder", ())),
        pinned=last.get("pinned"),
        archived=last.get("archived", False),
        shared=last.get("shared"),
    )


def search_chats(user: Person, asked: Asked, *, most: int = SHOWN) -> Found:
    """The person's own chats that match, newest first; a handful of statements however many chats there are."""
    chats = _filtered(Chat.objects.writable_by(user), asked).order_by("-updated_at", "id")
    keys, is_partial = _matching(chats, asked.words, most + 1)
    return Found(_hits(keys[:most], asked.words), len(keys) > most, is_partial)


def _filtered(chats: QuerySet[Any, Any], asked: Asked) -> QuerySet[Any, Any]:
    chats = chats.filter(archived=asked.archived)
    for tag in asked.tags:
        chats = tagged(chats, tag)
    for name in asked.folders:
        is_none = name.lower() == "none"
        chats = chats.filter(folder__isnull=True) if is_none else chats.filter(folder__name__iexact=name)
    if asked.pinned is not None:
        chats = chats.filter(pinned=asked.pinned)
    if asked.shared is not None:
        chats = chats.filter(shared__isnull=not asked.shared)
    return chats


def _matching(chats: QuerySet[Any, Any], words: tuple[str, ...], most: int) -> tuple[list[uuid.UUID], bool]:
    """The ids of the newest chats that match, and whether older ones may have been missed."""
    if not words:
        return list(chats.values_list("pk", flat=True)[:most]), False
    is_indexed = any(_INDEXED.search(word) for word in words)
    near, far = _border(chats, NEAR), None
    found = _walked(chats, words, most, since=near)
    if len(found) >= most or near is None:
        return found, False
    # A word of some frequency fills the page sooner from the newest on than through all that the index knows of it.
    if not is_indexed or len(found) * FAR >= most * NEAR:
        far = _border(chats, FAR)
        found += _walked(chats, words, most - len(found), since=far, before=near)
        if len(found) >= most or far is None:
            return found, False
    rest = chats.filter(updated_at__lt=far or near)
    titled = rest.filter(_all("title", words)).values_list("updated_at", "pk")[:most]
    rows = {*titled, *(_by_index(rest, words, most) if is_indexed else ())}
    newest = sorted(rows, key=lambda row: (-row[0].timestamp(), row[1]))
    return [*found, *(pk for _moment, pk in newest)][:most], not is_indexed


def _border(chats: QuerySet[Any, Any], count: int) -> Any:
    """The age of the last of the newest `count` chats; None if there are no more than these."""
    ages = list(chats.values_list("updated_at", flat=True)[count - 1 : count + 1])
    return ages[0] if len(ages) > 1 else None


def _walked(
    chats: QuerySet[Any, Any], words: tuple[str, ...], most: int, *, since: Any = None, before: Any = None
) -> list[uuid.UUID]:
    """From the newest on, chat by chat, until there are enough."""
    # A subquery that gives a row, not EXISTS: that one the planner may answer for all chats at once.
    said = Message.objects.filter(_all("content", words), chat_id=OuterRef("pk")).order_by().values("pk")[:1]
    chats = chats.alias(said=Subquery(said)).filter(_all("title", words) | Q(said__isnull=False))
    chats = chats.filter(updated_at__gte=since) if since else chats
    chats = chats.filter(updated_at__lt=before) if before else chats
    return list(chats.values_list("pk", flat=True)[:most])


def _all(field: str, words: tuple[str, ...]) -> Q:
    return Q(*(Q((f"{field}__icontains", word)) for word in words))


def _by_index(chats: QuerySet[Any, Any], words: tuple[str, ...], most: int) -> list[tuple[Any, uuid.UUID]]:
    """MATERIALIZED: the index is asked first, whatever the planner thinks of the limit."""
    said, values = Message.objects.filter(_all("content", words)).order_by().values("chat_id").query.sql_with_params()
    wanted, more = chats.values("updated_at", "pk").query.sql_with_params()
    wanted = wanted.replace(" WHERE ", ' WHERE "chat_chat"."id" IN (SELECT chat_id FROM said) AND ', 1)
    with connection.cursor() as cursor:
        cursor.execute(f"WITH said AS MATERIALIZED ({said}) {wanted} LIMIT %s", [*values, *more, most])
        return [(row[0], row[1]) for row in cursor.fetchall()]


# ------------------------------------------------------------------------------------------------------------- snippets
_SNIPPET = """
SELECT DISTINCT ON (chat_id) chat_id,
    substr(content, greatest(1, strpos(upper(content), upper(%s)) - %s), %s),
    strpos(upper(content), upper(%s)) > %s
FROM chat_message WHERE chat_id = ANY(%s) AND {matches} ORDER BY chat_id, created_at DESC
"""


def _hits(keys: list[uuid.UUID], words: tuple[str, ...]) -> list[Hit]:
    rows = Chat.objects.filter(pk__in=keys).values_list("pk", "title", "updated_at", "folder__name")
    by_key = {row[0]: row for row in rows}
    said = _snippets(keys, words) if words and keys else {}
    return [
        Hit(pk, marked(by_key[pk][1], words), by_key[pk][2], marked(said.get(pk, ""), words), by_key[pk][3] or "")
        for pk in keys
        if pk in by_key
    ]


def _snippets(keys: list[uuid.UUID], words: tuple[str, ...]) -> dict[uuid.UUID, str]:
    """The newest message of each chat with all the words: some text around the first of them."""
    matches = " AND ".join(["upper(content) LIKE upper(%s)"] * len(words))
    likes = [f"%{connection.ops.prep_for_like_query(word)}%" for word in words]
    first = words[0]
    values: list[Any] = [first, _BEFORE, _BEFORE + _AFTER, first, _BEFORE + 1, keys, *likes]
    with connection.cursor() as cursor:
        cursor.execute(_SNIPPET.format(matches=matches), values)
        return {key: _trimmed(text, cut) for key, text, cut in cursor.fetchall()}


def _trimmed(text: str, is_cut: bool) -> str:
    text = " ".join(text.split())
    return f"… {text.partition(' ')[2] or text}" if is_cut else text


def marked(text: str, words: tuple[str, ...]) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it is one of the words: the template marks them, nothing is HTML here."""
    if not words:
        return [(text, False)] if text else []
    either = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    parts = re.split(f"({either})", text, flags=re.IGNORECASE)
    return [(part, place % 2 == 1) for place, part in enumerate(parts) if part]
