"""The durable side of turns: the event log, the end of a turn, and what dead processes left. Plain sync functions;
async code reaches them by `in_thread`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from chat.engine.events import Logged, Transcript
from chat.models import Chat, Citation, Message, Runner, State, Turn, TurnEvent

#: a runner that has not been seen for this long is dead
DEAD_AFTER = timedelta(seconds=4)


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one turn that follow one another, the first having `first_seq`."""

    turn_id: uuid.UUID
    first_seq: int
    events: Sequence[Logged]


def append(batches: Iterable[Batch]) -> None:
    """Writes the new events of many turns in one statement. Writing the same batch twice is harmless."""
    TurnEvent.objects.bulk_create(
        [
            TurnEvent(
                turn_id=b.turn_id,
                first_seq=b.first_seq,
                last_seq=b.first_seq + len(b.events) - 1,
                events=list(b.events),
            )
            for b in batches
        ],
        ignore_conflicts=True,
    )


def read(turn_id: uuid.UUID, after: int) -> tuple[list[tuple[int, Logged]], str]:
    """The saved events after a position, numbered, and the turn's state."""
    state = Turn.objects.filter(pk=turn_id).values_list("state", flat=True).first() or State.INTERRUPTED
    rows = TurnEvent.objects.filter(turn_id=turn_id, last_seq__gt=after).order_by("first_seq")
    out = []
    for first, events in rows.values_list("first_seq", "events"):
        out += [(seq, (e[0], e[1])) for seq, e in enumerate(events, start=first) if seq > after]
    return out, state


def transcript(turn_id: uuid.UUID) -> Transcript:
    """What the saved log of a turn adds up to."""
    events, _state = read(turn_id, 0)
    return Transcript().add([event for _seq, event in events])


@transaction.atomic
def finish(turn_id: uuid.UUID, *, state: str, error: str, added: Transcript) -> None:
    """Saves the end of a turn: the message whole, and the turn. Safe to repeat. Citations were saved before the first
    word, so an interrupted answer keeps them too."""
    turn = Turn.objects.select_for_update().filter(pk=turn_id).first()
    if turn is None:
        return
    message = Message.objects.select_for_update().get(pk=turn.message_id)
    message.content = message.content[: turn.prefix_length] + added.text
    message.reasoning = added.reasoning or message.reasoning
    message.state, message.error = state, error
    message.status_history = added.statuses or message.status_history
    message.usage = added.usage or message.usage
    if added.sources:
        message.meta = {**message.meta, "sources": added.sources}
    message.save()
    Turn.objects.filter(pk=turn_id).update(state=state, finished_at=timezone.now())
    Chat.objects.filter(pk=turn.chat_id).update(updated_at=timezone.now())


def beat(runner_id: uuid.UUID, *, host: str, pid: int) -> None:
    """Says that this process lives."""
    Runner.objects.update_or_create(pk=runner_id, defaults={"host": host, "pid": pid, "heartbeat_at": timezone.now()})


def sign_off(runner_id: uuid.UUID) -> None:
    Runner.objects.filter(pk=runner_id).delete()


def stop_requests(turn_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Which of these running turns somebody asked to stop, through whatever process."""
    return list(Turn.objects.filter(pk__in=turn_ids, stop_requested=True).values_list("pk", flat=True))


def mark_interrupted(limit: int = 100) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Ends the turns of dead processes: text kept from the log, state "interrupted". Any process may do it, several at
    once: each turn is locked and skipped by the others.

    :returns: (turn id, chat id) of what was marked
    """
    alive = Runner.objects.filter(heartbeat_at__gte=timezone.now() - DEAD_AFTER).values("pk")
    marked: list[tuple[uuid.UUID, uuid.UUID]] = []
    while len(marked) < limit:
        with transaction.atomic():
            turn = (
                Turn.objects.select_for_update(skip_locked=True)
                .filter(state=State.RUNNING, started_at__lt=timezone.now() - timedelta(seconds=2))
                .exclude(runner_id__in=alive)
                .first()
            )
            if turn is None:
                break
            finish(turn.pk, state=State.INTERRUPTED, error="", added=transcript(turn.pk))
            marked.append((turn.pk, turn.chat_id))
    Runner.objects.filter(heartbeat_at__lt=timezone.now() - timedelta(hours=1)).delete()
    return marked


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
            "DELETE FROM chat_turnevent WHERE turn_id IN (SELECT id FROM chat_turn WHERE state <> 'running' AND finished_at < %s)",
            [before],
        )
        return int(cursor.rowcount)


def running_turns(chat_id: uuid.UUID) -> list[uuid.UUID]:
    """The turns being written in a chat."""
    return list(Turn.objects.filter(Q(chat_id=chat_id), state=State.RUNNING).values_list("pk", flat=True))
