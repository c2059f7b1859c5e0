"""Searching one's own chats: titles and what was said in them, with filters, newest first.

All words must stand in the title, or all in one message, in small or capital letters. The newest chats are walked
through letter by letter, from the newest on; most people have no more of them. What is older is found by the index of
words (`0009_search_words`), so there a word of the query must be one of the message or its beginning. A word that the
newest few hundred chats are full of fills the list before the index is asked, for which frequent words are dear.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from psycopg.errors import QueryCanceled

from chat.models import Chat, Message
from chat.organising import tagged
from rbac.sharing import Person

SHOWN = 20
#: how many chats are looked through letter by letter: in the first step, and at most
NEAR, FAR = 250, 600
#: the same for words that stand in so many of the first ones that the list will be full by then
DENSE = 1_200
#: that the index may take; a word that everybody in the house uses all the time is not worth more
INDEX_SECONDS = 0.5
QUERY_CHARS, MOST_WORDS = 200, 8
_PART = re.compile(r'(tag|folder|pinned|archived|shared):(?:"([^"]*)"|(\S+))|"([^"]+)"|(\S+)', re.IGNORECASE)
#: what of a word the index knows; shorter parts are frequent, and the texts are compared in any case
_PARTS = re.compile(r"[^\W_]{3,}|[^\W_\x00-\x7f]{2,}")
#: from here on a part may be the beginning of a word: shorter beginnings are those of too many
_BEGINNING = 5
#: as the index has it, letter by letter. Punctuation is blanked: the parser would take `LOT-7` for a negative number
_WORDS = (
    "to_tsvector('simple', translate(left(content, 100000),"
    """ '-_./@:+#&=?%%~<>()[]{{}}"''`*|\\,;!$^“”„‘’«»–—…·•、。，！？：（）「」', repeat(' ', 80)))"""
)
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
    #: there are older chats, in which only words and their beginnings were looked for, or nothing was
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
    near, wanted = _border(chats, NEAR), _asked_of_index(words)
    found = _walked(chats, words, most, since=near)
    if len(found) >= most or near is None:
        return found, False
    is_dense = len(found) * DENSE >= most * NEAR
    far = _border(chats, DENSE if is_dense else FAR)
    if far is None or is_dense or not wanted:
        found += _walked(chats, words, most - len(found), since=far, before=near)
        if len(found) >= most or far is None:
            return found, False
        near = far
    older = _older(chats.filter(updated_at__lt=near), words, wanted, most)
    if not found and not older and near != far:
        # Nothing begins like this: perhaps it is the middle of a word.
        older = _walked(chats, words, most, since=far, before=near)
    found += older
    return found[:most], len(found) < most


def _older(chats: QuerySet[Any, Any], words: tuple[str, ...], wanted: str, most: int) -> list[uuid.UUID]:
    """By the indexes of titles and of words."""
    titled = chats.filter(_all("title", words)).values_list("updated_at", "pk")[:most]
    rows = {*titled, *(_by_index(chats, words, wanted, most) if wanted else ())}
    return [pk for _moment, pk in sorted(rows, key=lambda row: (-row[0].timestamp(), row[1]))][:most]


def _asked_of_index(words: tuple[str, ...]) -> str:
    """The query of the index: all parts of all words, the last of each as a beginning. Empty for words too short."""
    asked: list[str] = []
    for word in words:
        *inner, last = _PARTS.findall(word.lower()) or [""]
        asked += inner
        if last and word.lower().endswith(last):
            asked.append(f"{last}:*" if len(last) >= _BEGINNING or not last.isascii() else last)
        elif last:
            asked.append(last)
    return " & ".join(dict.fromkeys(asked))


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


def _by_index(chats: QuerySet[Any, Any], words: tuple[str, ...], wanted: str, most: int) -> list[tuple[Any, uuid.UUID]]:
    """MATERIALIZED: the index is asked first, whatever the planner thinks of the limit. Nothing when it takes long."""
    likes = " AND ".join(["upper(content) LIKE upper(%s)"] * len(words))
    values = [wanted, *(f"%{connection.ops.prep_for_like_query(word)}%" for word in words)]
    chosen, more = chats.values("updated_at", "pk").query.sql_with_params()
    chosen = chosen.replace(" WHERE ", ' WHERE "chat_chat"."id" IN (SELECT chat_id FROM said) AND ', 1)
    said = f"SELECT chat_id FROM chat_message WHERE {_WORDS.format()} @@ %s::tsquery AND {likes}"  # noqa: S608
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{1000 * INDEX_SECONDS:.0f}"])
            cursor.execute(f"WITH said AS MATERIALIZED ({said}) {chosen} LIMIT %s", [*values, *more, most])
            return [(row[0], row[1]) for row in cursor.fetchall()]
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return []
        raise


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
