"""Reading a chat for a page: few statements, whatever its size."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F, Field, Func, JSONField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from chat.engine.events import Logged, Transcript
from chat.folder_tree import folder_tree, may_use_folders
from chat.models import Chat, Citation, Message, State, Turn, TurnEvent
from chat.oversight import looked_at
from chat.passages import citations_for
from chat.reading import UNREAD, is_running, state_of
from chat.tree import branch_to
from owui.lib.written import Written
from rbac.sharing import Person, is_verified

SIDEBAR, PINNED = 40, 200
#: messages that a page has at first, and that come when somebody scrolls to the earlier ones
WINDOW = 40
#: and those above one with which something was done, so that it can stay where it is on the screen
BESIDE = 10
#: a place in the list is an age in microseconds, of this millennium
_LATEST = 32_503_680_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = ("id", "title", "updated_at", "pinned", "read_at", "running")


@dataclass(frozen=True, slots=True)
class Branch:
    """A chat as shown: its branch, the nodes around it, citations, and the turns being written."""

    chat: Chat
    messages: list[Message]
    everything: list[Message]
    citations: list[Citation]
    running: dict[uuid.UUID, tuple[uuid.UUID, int, Transcript, int]]
    #: the first message that is here, where the branch has more before it
    earlier: uuid.UUID | None = None
    #: what is attached to the questions before it, pictures apart
    attached: Sequence[dict[str, Any]] = ()


def load_branch(
    chat: Chat,
    *,
    reader: Person,
    only: uuid.UUID | None = None,
    most: int | None = None,
    since: uuid.UUID | None = None,
    before: uuid.UUID | None = None,
) -> Branch:
    """Five statements at most. `only` narrows texts to one message (its siblings are known all the same). The citations
    of documents that the reader may not read have no words.

    :param most: about so many messages of the branch, the last ones; all by default
    :param since: this one is among them
    :param before: the last ones before this one; none where it is not on the branch
    """
    rows = chat.messages.only("id", "parent_id", "chat_id", "author").annotate(column=_column())
    if most and before is None:
        rows = rows.annotate(attached=_attached())
    outline = {m.pk: m for m in rows.order_by("created_at")}
    shown = _with_columns(branch_to(outline, chat.current_id), outline) if only is None else [only]
    if before is not None:
        shown = shown[: shown.index(before)] if before in shown else []
    first = _first_shown(shown, outline, most, since) if only is None else 0
    former, shown = [outline[pk] for pk in shown[:first]], shown[first:]
    messages = {m.pk: m for m in chat.messages.filter(pk__in=shown)}
    running = _running([m for m in messages.values() if m.state == State.RUNNING])
    # Answers that ended between the two statements are read again, whole.
    ended = [m.pk for m in messages.values() if m.state == State.RUNNING and m.pk not in running]
    messages |= {m.pk: m for m in chat.messages.filter(pk__in=ended)} if ended else {}
    cited = [m.pk for m in messages.values() if m.status_history or m.meta.get("sources")]
    citations = citations_for(reader, cited)
    return Branch(
        chat,
        [messages[pk] for pk in shown if pk in messages],
        list(outline.values()),
        citations,
        running,
        shown[0] if former and shown else None,
        [item for m in former if m.author == "user" for item in getattr(m, "attached", ())],
    )


def _first_shown(
    shown: Sequence[uuid.UUID], outline: Mapping[uuid.UUID, Message], most: int | None, since: uuid.UUID | None
) -> int:
    """Where to begin, so that a question and its answers stay together."""
    first = max(0, len(shown) - most) if most else 0
    if since in shown:
        first = min(first, max(0, shown.index(since) - BESIDE))
    before = range(first, max(0, first - WINDOW), -1)  # chats that were imported may have no questions at all
    return next((index for index in before if outline[shown[index]].author == "user"), first)


def _column() -> KeyTextTransform:
    """Which of several models an answer is of, as text; None for an answer that stands alone."""
    return KeyTextTransform("modelIdx", "meta")


def _attached() -> Func:
    """What is attached to a message without its pictures, which are megabytes."""
    path = Value('$[*] ? (!(@.type == "image"))')
    return Func(F("files"), Cast(path, _JsonPath()), function="jsonb_path_query_array", output_field=JSONField())


class _JsonPath(Field[Any, Any]):
    def db_type(self, connection: Any) -> str:
        return "jsonpath"


def _with_columns(branch: Sequence[Any], outline: Mapping[uuid.UUID, Any]) -> list[uuid.UUID]:
    """The branch, each answer of several models followed by the newest of the other columns."""
    beside: dict[uuid.UUID, dict[str, uuid.UUID]] = {}
    for row in outline.values():
        if row.column is not None and row.parent_id:
            beside.setdefault(row.parent_id, {})[row.column] = row.pk
    shown: list[uuid.UUID] = []
    for row in branch:
        columns = beside.get(row.parent_id, {}) if row.column is not None else {}
        shown += [row.pk, *(pk for column, pk in columns.items() if column != row.column)]
    return shown


def _running(messages: list[Message]) -> dict[uuid.UUID, tuple[uuid.UUID, int, Transcript, int]]:
    if not messages:
        return {}
    out: dict[uuid.UUID, tuple[uuid.UUID, int, Transcript, int]] = {}
    turns = {t.pk: t for t in Turn.objects.filter(message__in=messages, state=State.RUNNING)}
    events: dict[uuid.UUID, list[Logged]] = {pk: [] for pk in turns}
    last: dict[uuid.UUID, int] = dict.fromkeys(turns, 0)
    rows = TurnEvent.objects.filter(turn__in=turns).order_by("first_seq")
    for turn_id, last_seq, batch in rows.values_list("turn_id", "last_seq", "events"):
        events[turn_id] += [(e[0], e[1]) for e in batch]
        last[turn_id] = last_seq
    for turn in turns.values():
        out[turn.message_id] = (turn.pk, turn.prefix_length, Transcript().add(events[turn.pk]), last[turn.pk])
    return out


# LATERAL with OFFSET: each parent is looked up by its key, whatever the planner thinks of the number of messages. UNION
# lets a loop in bad data end.
_BRANCH = """
WITH RECURSIVE branch (id, parent_id) AS (
    SELECT id, parent_id FROM chat_message WHERE id = %s AND chat_id = %s
    UNION SELECT above.id, above.parent_id FROM branch CROSS JOIN LATERAL (
        SELECT id, parent_id FROM chat_message WHERE id = branch.parent_id AND chat_id = %s OFFSET 0) AS above)
SELECT m.id, m.parent_id, m.chat_id, m.author, m.content, m.files, m.state, m.meta->>'summary' AS summary
FROM branch CROSS JOIN LATERAL (SELECT * FROM chat_message WHERE id = branch.id OFFSET 0) AS m
"""


def branch_of(chat_id: uuid.UUID, leaf: uuid.UUID | None) -> list[Message]:
    """The branch that ends in a message of the chat, its siblings unread: one statement. Empty if it is not there."""
    if leaf is None:
        return []
    return branch_to({m.pk: m for m in Message.objects.raw(_BRANCH, [leaf, chat_id, chat_id])}, leaf)


def sidebar_of(
    user: Person, current: uuid.UUID | None = None, *, folder: uuid.UUID | None = None, after: str = ""
) -> dict[str, Any]:
    """The person's folders, pinned chats, and the newest of the others by age; `after` continues a list that ended
    there. Three statements, one for a further page; chats in folders stand there and not among the others."""
    chats = Chat.objects.filter(owner_id=user.id, archived=False).annotate(running=is_running())
    has_folders = may_use_folders(user)
    loose = chats.filter(folder__isnull=True) if has_folders else chats
    first = beyond(loose.filter(pinned=False), last := place_of(after)).values(*_SHOWN)[: SIDEBAR + 1]
    if after:
        groups, rest = _page(list(first), current, last)
        return {"pinned": [], "group_list": groups, "next_url": rest, "is_further": True}
    pinned = chats.filter(pinned=True).order_by("-updated_at", "id").values(*_SHOWN)[:PINNED]
    rows = list(first.union(pinned, all=True))  # one statement: this is part of every page
    groups, rest = _page([row for row in rows if not row["pinned"]], current, None)
    return {
        "pinned": [_item(row, current) for row in rows if row["pinned"]],
        "group_list": groups,
        "next_url": rest,
        "has_folders": has_folders,
        "folder_list": folder_tree(user, chat=current, folder=folder) if has_folders else [],
    }


def _page(
    rows: Sequence[dict[str, Any]], current: uuid.UUID | None, last: tuple[datetime, uuid.UUID] | None
) -> tuple[list[dict[str, Any]], str]:
    """One page in groups of age, and the address of the next. By the last row's place, not by number: what moves to the
    top meanwhile is neither shown twice nor passed over. A group that goes on has no label again."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows[:SIDEBAR]:
        groups.setdefault(age_of(row["updated_at"]), []).append(_item(row, current))
    going_on = age_of(last[0]) if last else None
    shown = [{"label": label, "chats": items, "goes_on": label == going_on} for label, items in groups.items()]
    rest = f"{reverse('chat:chat-search')}?after={place_text(rows[SIDEBAR - 1])}" if len(rows) > SIDEBAR else ""
    if rest and current:
        rest += f"&chat={current}"
    return shown, rest


def beyond(chats: Any, last: tuple[datetime, uuid.UUID] | None) -> Any:
    """Chats newest first, after a place in that order: the first condition is the index's, the second is for ties."""
    if last:
        moment, key = last
        chats = chats.filter(updated_at__lte=moment).exclude(updated_at=moment, pk__lte=key)
    return chats.order_by("-updated_at", "id")


def place_text(row: dict[str, Any]) -> str:
    """A row's place in the list, for an address."""
    since: timedelta = row["updated_at"] - _EPOCH
    return f"{since // timedelta(microseconds=1)}.{row['id']}"


def place_of(text: str) -> tuple[datetime, uuid.UUID] | None:
    """What `place_text` made; None for anything else, which is the beginning."""
    moment, _dot, key = text.partition(".")
    try:
        since = int(moment)
        return (_EPOCH + timedelta(microseconds=since), uuid.UUID(key)) if 0 <= since < _LATEST else None
    except ValueError:
        return None


def _item(row: dict[str, Any], current: uuid.UUID | None) -> dict[str, Any]:
    active = row["id"] == current
    state = state_of(row)
    # What is open is being read.
    return {**row, "active": active, "state": "" if active and state == UNREAD else state}


def age_of(moment: datetime) -> str:
    """Today, Yesterday, 7 days, 30 days, then the month."""
    now, local = timezone.localtime(), timezone.localtime(moment)
    days = (now.date() - local.date()).days
    if days <= 0:
        return _("Today")
    if days == 1:
        return _("Yesterday")
    if days <= 7:
        return _("Last 7 days")
    return _("Last 30 days") if now - local < timedelta(days=30) else date_format(local, "YEAR_MONTH_FORMAT")


@dataclass(frozen=True, slots=True)
class Attached:
    """What a socket needs to show a turn: the message as it was, its text before this turn, whether it still runs."""

    message: Message
    prefix: str
    running: bool
    user_id: uuid.UUID
    is_own: bool
    #: the process that writes it
    writer: uuid.UUID | None = None


def _with_message(turns: Any) -> Any:
    return turns.order_by().select_related("message")


_own_turns = Written(
    lambda turn_id, owner_id: _with_message(
        Turn.objects.filter(pk=turn_id, chat__in=Chat.objects.order_by().of_owner(owner_id))
    ),
    turn_id=uuid.UUID,
    owner_id=uuid.UUID,
)
_own_siblings = Written(
    lambda parent_id, owner_id: (
        Message.objects.filter(parent_id=parent_id, chat__in=Chat.objects.order_by().of_owner(owner_id))
        .order_by("created_at")
        .annotate(column=_column())
        .only("id")
    ),
    parent_id=uuid.UUID,
    owner_id=uuid.UUID,
)


def attachable_turn(user: Person, turn_id: uuid.UUID) -> Attached | None:
    """The turn, if the person may read its chat: one statement for one's own, two for those of others."""
    turn = _own_turns.first(turn_id=turn_id, owner_id=user.id) if is_verified(user) else None
    is_own = turn is not None
    if turn is None:
        others = Turn.objects.filter(pk=turn_id, chat__in=Chat.objects.readable_by(user))
        turn = _with_message(others).select_related("message", "chat").first()
    if turn is None:
        return None
    if not is_own:
        looked_at(turn.chat, user)
    prefix = turn.message.content[: turn.prefix_length]
    return Attached(turn.message, prefix, turn.state == State.RUNNING, turn.user_id, is_own, turn.runner_id)


def siblings_of(user: Person, attached: Attached) -> list[Message]:
    """The answers beside one that is shown, itself among them, by age; none when it may not be read any more."""
    message = attached.message
    if attached.is_own and is_verified(user) and message.parent_id:
        return _own_siblings(parent_id=message.parent_id, owner_id=user.id)
    beside = Message.objects.readable_by(user).filter(chat_id=message.chat_id, parent_id=message.parent_id)
    return list(beside.order_by("created_at").annotate(column=_column()).only("id"))


def citations_of(message: Message, reader: Person) -> list[Citation]:
    """What an answer stands on; an answer for which nothing was searched costs no statement."""
    if not message.status_history and not message.meta.get("sources"):
        return []
    return citations_for(reader, [message.pk])
