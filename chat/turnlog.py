"""The durable side of turns: the event log, the end of a turn, and what dead processes left. Plain sync functions;
async code reaches them by `in_thread`."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from chat.engine import usage
from chat.engine.events import Logged, Transcript
from chat.models import Chat, Citation, Message, Runner, State, Turn

#: what a database that is away raises; anything else is a fault of ours
AWAY = (OperationalError, InterfaceError)
#: a runner that has not been seen for this long is dead; see `chat/pulse.py`
DEAD_AFTER = timedelta(seconds=3)
#: turns that are marked in one transaction, and between two beats
MARKED_AT_ONCE = 25
# The longer batch wins, whichever comes first: after a lost answer of the database the same events are sent again with
# more behind them. The join leaves out turns whose chat was deleted, which must not hold up everybody else's log.
_APPEND = """
INSERT INTO chat_turnevent (turn_id, first_seq, last_seq, events)
SELECT new.turn_id, new.first_seq, new.last_seq, new.events
FROM unnest(%s::uuid[], %s::int[], %s::int[], %s::jsonb[]) AS new (turn_id, first_seq, last_seq, events)
JOIN chat_turn ON chat_turn.id = new.turn_id
ON CONFLICT (turn_id, first_seq) DO UPDATE SET last_seq = excluded.last_seq, events = excluded.events
WHERE excluded.last_seq > chat_turnevent.last_seq
"""
# State and events of one moment: a turn that has ended has its whole log.
_READ = """
SELECT turn.state, log.first_seq, log.events::text FROM chat_turn AS turn
LEFT JOIN chat_turnevent AS log ON log.turn_id = turn.id AND log.last_seq > %s
WHERE turn.id = %s ORDER BY log.first_seq
"""
_READ_MANY = """
SELECT turn_id, events::text FROM chat_turnevent WHERE turn_id = ANY(%s) ORDER BY turn_id, first_seq
"""
# A turn that runs is its runner's alone, so its end is one statement: log, message, turn, age of the chat. The message
# comes before the turn: who continues the answer holds the message and looks at the turn. The chat is not waited for:
# who deletes it holds its row and waits for ours.
_FINISH = """
WITH ours AS (
  SELECT id, message_id, chat_id, prefix_length FROM chat_turn
  WHERE id = %(turn)s AND state = 'running' FOR NO KEY UPDATE
), logged AS (
  INSERT INTO chat_turnevent (turn_id, first_seq, last_seq, events)
  SELECT id, %(first)s::int, %(last)s::int, %(events)s::jsonb FROM ours WHERE %(events)s::jsonb IS NOT NULL
  ON CONFLICT (turn_id, first_seq) DO UPDATE SET last_seq = excluded.last_seq, events = excluded.events
  WHERE excluded.last_seq > chat_turnevent.last_seq
), said AS (
  UPDATE chat_message AS m SET
    content = left(m.content, ours.prefix_length) || %(text)s::text,
    reasoning = COALESCE(NULLIF(%(reasoning)s::text, ''), m.reasoning),
    state = %(state)s, error = %(error)s,
    status_history = COALESCE(%(statuses)s::jsonb, m.status_history),
    usage = COALESCE(%(usage)s::jsonb, m.usage),
    meta = m.meta || COALESCE(%(meta)s::jsonb, '{}'),
    updated_at = STATEMENT_TIMESTAMP()
  FROM ours WHERE m.id = ours.message_id RETURNING m.id
), ended AS (
  UPDATE chat_turn AS t SET
    state = %(state)s, finished_at = STATEMENT_TIMESTAMP(),
    prompt_tokens = %(prompt_tokens)s::int, completion_tokens = %(completion_tokens)s::int,
    first_token_ms = %(first_token_ms)s::int, tokens_per_second = %(tokens_per_second)s::float8,
    model_digest = COALESCE(%(model_digest)s::text, ''), timings = %(timings)s::jsonb
  FROM ours JOIN said ON said.id = ours.message_id WHERE t.id = ours.id RETURNING t.id
), unlocked AS (
  SELECT chat_chat.id FROM chat_chat JOIN ours ON ours.chat_id = chat_chat.id
  FOR NO KEY UPDATE OF chat_chat SKIP LOCKED
), touched AS (
  UPDATE chat_chat SET updated_at = STATEMENT_TIMESTAMP() FROM unlocked WHERE chat_chat.id = unlocked.id
)
SELECT count(*) FROM ended
"""
# A beat, and what the others' beats say of turns that run: one statement, so that who can look can beat too. Turns are
# begun a moment after they are committed; one of ours that was not begun after ten seconds never will be.
_BEAT = """
WITH beat AS (
  INSERT INTO chat_runner (id, host, pid, started_at, heartbeat_at)
  VALUES (%(id)s, %(host)s, %(pid)s, STATEMENT_TIMESTAMP(), STATEMENT_TIMESTAMP())
  ON CONFLICT (id) DO UPDATE SET host = excluded.host, pid = excluded.pid, heartbeat_at = excluded.heartbeat_at
), written AS (
  SELECT DISTINCT runner_id AS id FROM chat_turn
  WHERE state = 'running' AND started_at < STATEMENT_TIMESTAMP() - interval '2 seconds'
  AND (
    runner_id IS DISTINCT FROM %(id)s
    OR (started_at < STATEMENT_TIMESTAMP() - interval '10 seconds' AND id <> ALL(%(running)s::uuid[]))
  )
), silent AS (
  SELECT true AS is_there, written.id, r.host, r.pid,
    EXTRACT(epoch FROM STATEMENT_TIMESTAMP() - r.heartbeat_at)::float8 AS seconds
  FROM written LEFT JOIN chat_runner r ON r.id = written.id
  WHERE r.id = %(id)s OR r.id IS NULL OR r.heartbeat_at < STATEMENT_TIMESTAMP() - interval '1.5 seconds'
)
SELECT STATEMENT_TIMESTAMP(), silent.* FROM (VALUES (1)) AS once LEFT JOIN silent ON true
"""
_COLUMNS = (
    "prompt_tokens", "completion_tokens", "first_token_ms", "tokens_per_second", "model_digest", "timings",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one turn that follow one another, the first having `first_seq`."""

    turn_id: uuid.UUID
    first_seq: int
    events: Sequence[Logged]


@dataclass(frozen=True, slots=True)
class Silent:
    """A process with running turns that missed a beat, or never beat; ours, where it never began a turn of its own."""

    runner_id: uuid.UUID | None
    host: str
    pid: int
    #: since its last beat
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Look:
    """What a beat saw, and when, by the database's clock."""

    moment: datetime
    silent: Sequence[Silent]


def append(batches: Iterable[Batch]) -> None:
    """Writes the new events of many turns in one statement. Writing the same batch twice is harmless."""
    filled = [b for b in batches if b.events]
    columns: list[Any] = [
        [b.turn_id for b in filled],
        [b.first_seq for b in filled],
        [b.first_seq + len(b.events) - 1 for b in filled],
        [orjson.dumps(list(b.events), default=str).decode() for b in filled],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, columns)


def read(turn_id: uuid.UUID, after: int) -> tuple[list[tuple[int, Logged]], str]:
    """The saved events after a position, numbered, and the turn's state."""
    with connection.cursor() as cursor:
        cursor.execute(_READ, [after, turn_id])
        rows = cursor.fetchall()
    out: list[tuple[int, Logged]] = []
    for _state, first, events in rows:
        if first is not None:
            batch = orjson.loads(events)
            out += [(seq, (e[0], e[1])) for seq, e in enumerate(batch, start=first) if seq > after]
    return out, rows[0][0] if rows else State.INTERRUPTED


def transcript(turn_id: uuid.UUID) -> Transcript:
    """What the saved log of a turn adds up to."""
    events, _state = read(turn_id, 0)
    return Transcript().add([event for _seq, event in events])


def finish(turn_id: uuid.UUID, *, state: str, error: str, added: Transcript, rest: Batch | None = None) -> bool:
    """Saves the end of a turn: the message whole, and the turn. Safe to repeat. Citations were saved before the first
    word, so an interrupted answer keeps them too.

    :param rest: the end of the log, so that readers in other processes find it complete
    :returns: whether the message is now as this turn left it
    """
    took = _taken(added)
    found = usage.columns(took)
    values: dict[str, Any] = {name: found.get(name) for name in _COLUMNS} | {
        "turn": turn_id,
        "state": state,
        "error": error,
        "text": added.text,
        "reasoning": added.reasoning,
        "first": rest.first_seq if rest else None,
        "last": rest.first_seq + len(rest.events) - 1 if rest else None,
        "events": _json(list(rest.events)) if rest and rest.events else None,
        "statuses": _json(added.statuses),
        "usage": _json(took),
        "meta": _json({"sources": added.sources} if added.sources else None),
        "timings": _json(found.get("timings")),
    }
    with connection.cursor() as cursor:
        cursor.execute(_FINISH, values)
        (ended,) = cursor.fetchone()
    return bool(ended) or _finish_late(turn_id, state=state, error=error, added=added, rest=rest)


def set_end(message: Message, kept: str, *, state: str, error: str, added: Transcript) -> None:
    """What the end of a turn makes of its message, as `_FINISH` says it.

    :param kept: the text that the answer had before the turn
    """
    message.content = kept + added.text
    message.reasoning = added.reasoning or message.reasoning
    message.state, message.error = state, error
    message.status_history = added.statuses or message.status_history
    message.usage = _taken(added) or message.usage
    if added.sources:
        message.meta = {**message.meta, "sources": added.sources}


def _taken(added: Transcript) -> dict[str, Any]:
    return added.usage or usage.guessed(added.text, added.reasoning)


def _json(value: Any) -> str | None:
    """For a jsonb parameter; what is empty is null, and leaves what is there."""
    return orjson.dumps(value, default=str).decode() if value else None


@transaction.atomic
def _finish_late(turn_id: uuid.UUID, *, state: str, error: str, added: Transcript, rest: Batch | None) -> bool:
    """The same for a turn that does not run any more: one that was held for dead, or whose end is saved again."""
    turn = Turn.objects.select_for_update(no_key=True).filter(pk=turn_id).first()
    if turn is None:
        return False
    later = Turn.objects.filter(message_id=turn.message_id, started_at__gt=turn.started_at)
    if turn.state != State.RUNNING and later.exists():
        return False  # it was held for dead, and somebody has continued the answer since
    if rest is not None:
        append([rest])
    message = Message.objects.select_for_update(no_key=True).get(pk=turn.message_id)
    set_end(message, message.content[: turn.prefix_length], state=state, error=error, added=added)
    message.save()
    Turn.objects.filter(pk=turn_id).update(state=state, finished_at=timezone.now(), **usage.columns(_taken(added)))
    # Never waits for the chat: who deletes it holds its row and waits for ours.
    unlocked = Chat.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=turn.chat_id)
    Chat.objects.filter(pk__in=list(unlocked.values_list("pk", flat=True))).update(updated_at=timezone.now())
    return True


def beat(runner_id: uuid.UUID, *, host: str, pid: int, running: Collection[uuid.UUID] = ()) -> Look:
    """Says that this process lives, and looks who does not. By the database's clock, the one that all nodes share.

    :param running: the turns that this process runs
    """
    with connection.cursor() as cursor:
        cursor.execute(_BEAT, {"id": runner_id, "host": host, "pid": pid, "running": list(running)})
        rows = cursor.fetchall()
    silent = [Silent(who, at or "", number or 0, age) for _moment, found, who, at, number, age in rows if found]
    return Look(rows[0][0], silent)


def sign_off(runner_id: uuid.UUID) -> None:
    Runner.objects.filter(pk=runner_id).delete()


def stop_requests(turn_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Which of these running turns somebody asked to stop, through whatever process, or deleted with their chat."""
    rows = dict(Turn.objects.filter(pk__in=turn_ids).values_list("pk", "stop_requested"))
    return [turn_id for turn_id in turn_ids if rows.get(turn_id, True)]


def mark_interrupted(
    limit: int = 100,
    *,
    dead_after: timedelta | None = DEAD_AFTER,
    gone: Collection[uuid.UUID] = (),
    runner_id: uuid.UUID | None = None,
    running: Collection[uuid.UUID] = (),
) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Ends the turns of dead processes: text kept from the log, state "interrupted". Any process may do it, several at
    once: each turn is locked and skipped by the others.

    :param dead_after: how long who is dead has been silent; None where silence says nothing
    :param gone: runners that are dead whatever their last beat says
    :param runner_id: the process that asks; a turn in its name that is not among `running` was never begun
    :returns: (turn id, chat id) of what was marked
    """
    lost = Q(runner_id__in=list(gone))
    if dead_after is not None:
        lost |= ~Q(runner_id__in=Runner.objects.filter(heartbeat_at__gte=Now() - dead_after).values("pk"))
    if runner_id is not None:
        lost |= Q(runner_id=runner_id, started_at__lt=Now() - timedelta(seconds=10)) & ~Q(pk__in=list(running))
    marked: list[tuple[uuid.UUID, uuid.UUID]] = []
    while found := _mark_some(lost, min(MARKED_AT_ONCE, limit - len(marked))):
        marked += found
    Runner.objects.filter(heartbeat_at__lt=Now() - timedelta(hours=1)).delete()
    return marked


@transaction.atomic
def _mark_some(lost: Q, number: int) -> list[tuple[uuid.UUID, uuid.UUID]]:
    running = Turn.objects.filter(lost, state=State.RUNNING, started_at__lt=Now() - timedelta(seconds=2))
    turns = list(running.select_for_update(skip_locked=True, no_key=True)[:number])
    texts: dict[uuid.UUID, Transcript] = {turn.pk: Transcript() for turn in turns}
    if turns:
        with connection.cursor() as cursor:
            cursor.execute(_READ_MANY, [list(texts)])
            for turn_id, events in cursor.fetchall():
                texts[turn_id].add([(event[0], event[1]) for event in orjson.loads(events)])
    for turn in turns:
        finish(turn.pk, state=State.INTERRUPTED, error="", added=texts[turn.pk])
    return [(turn.pk, turn.chat_id) for turn in turns]


def save_citations(message_id: uuid.UUID, citations: Sequence[dict[str, Any]]) -> None:
    """Keeps what the answer may cite, before its first word."""
    with transaction.atomic():
        Citation.objects.filter(message_id=message_id).delete()
        Citation.objects.bulk_create(Citation(message_id=message_id, **row) for row in citations)


def prune(older_than: timedelta = timedelta(hours=1)) -> int:
    """Removes the logs of turns that ended a while ago: their messages hold the whole text."""
    before = timezone.now() - older_than
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM chat_turnevent WHERE turn_id IN"
            " (SELECT id FROM chat_turn WHERE state <> 'running' AND finished_at < %s)",
            [before],
        )
        return int(cursor.rowcount)


def running_turns(chat_id: uuid.UUID) -> list[uuid.UUID]:
    """The turns being written in a chat."""
    return list(Turn.objects.filter(Q(chat_id=chat_id), state=State.RUNNING).values_list("pk", flat=True))
