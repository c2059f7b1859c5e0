"""Proof of the audit log: walks the chain and names every edit, deletion, insertion and change of order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from owui.audit import chain
from owui.audit.models import AuditEvent, AuditHead, AuditSeal

_PAGE = 2000
_JOINED = (
    "SELECT seal.sequence, seal.event_id, seal.is_genuine, seal.previous_hash, seal.hash, event.id, event.hash,"
    " event.at, event.actor_id, event.actor_label, event.action, event.object_type, event.object_id,"
    " event.object_label, event.detail::text, event.ip, event.request_id"
    " FROM audit_auditseal AS seal LEFT JOIN audit_auditevent AS event ON event.id = seal.event_id"
    " WHERE seal.sequence > %s ORDER BY seal.sequence LIMIT %s"
)


@dataclass(frozen=True)
class Problem:
    """One fault: what kind, where, and what it means."""

    kind: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass
class Result:
    """How much was checked, and the end of the chain, to be noted outside of the database."""

    checked: int = 0
    sequence: int = 0
    hash: str = chain.GENESIS
    problems: list[Problem] = field(default_factory=list)


def verify(
    *,
    since: datetime | None = None,
    backlog: timedelta = timedelta(seconds=10),
    expect: tuple[int, str] | None = None,
) -> Result:
    """Checks the whole log, or what was sealed since a time, as of one moment.

    :param backlog: an event that stays unsealed for longer is a fault.
    :param expect: a sequence and hash noted earlier; a log that was replaced as a whole does not hold it.
    """
    result = Result()
    with transaction.atomic():
        if len(connection.savepoint_ids) == 0:
            # One snapshot for all pages, so that events sealed meanwhile are no false alarm.
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        result.problems += _walk(result, since)
        result.problems += _head(result)
        result.problems += _unsealed(backlog)
        if expect is not None:
            result.problems += _expected(*expect)
    return result


def _walk(result: Result, since: datetime | None) -> Iterator[Problem]:
    sequence, previous = _begin(since)
    while page := _page(sequence):
        for number, event_id, is_genuine, previous_hash, digest, *event in page:
            if number != sequence + 1:
                yield Problem(
                    "gap", f"seal {sequence + 1}", f"{number - sequence - 1} seals are missing before {number}."
                )
            elif previous_hash != previous:
                yield Problem(
                    "order", f"seal {number}", "it does not follow the seal before: order or content was changed."
                )
            yield from _link(number, event_id, is_genuine, previous_hash, digest, event)
            sequence, previous = number, digest
            result.checked += 1
    result.sequence, result.hash = sequence, previous


def _link(
    number: int, event_id: int, is_genuine: bool, previous: str, digest: str, event: list[Any]
) -> Iterator[Problem]:
    where = f"seal {number}, event {event_id}"
    found_id, event_hash, *values = event
    if found_id is None:
        yield Problem("deleted", where, "the event was deleted.")
        return
    if chain.event_hash(_fields(values)) != event_hash:
        yield Problem(
            "edited", where, f"the event was edited ({values[3]} by {values[2]}, {values[0]:%Y-%m-%d %H:%M:%S})."
        )
    if chain.seal_hash(number, event_id, event_hash, is_genuine, previous) != digest:
        yield Problem("edited", where, "the seal does not fit its event: one of them was changed or moved.")
    if not is_genuine:
        yield Problem("inserted", where, "the event was not written by this application (or under another secret key).")


def _fields(values: list[Any]) -> dict[str, Any]:
    fields = dict(zip(chain.FIELDS, values, strict=True))
    fields["detail"] = json.loads(fields["detail"])
    return fields


def _begin(since: datetime | None) -> tuple[int, str]:
    """Where to start: the link before the first one sealed since then, taken as given."""
    if since is None:
        return 0, chain.GENESIS
    before = AuditSeal.objects.filter(sealed_at__lt=since).order_by("-sealed_at", "-sequence").first()
    return (before.sequence, before.hash) if before else (0, chain.GENESIS)


def _page(sequence: int) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_JOINED, [sequence, _PAGE])
        return list(cursor.fetchall())


def _head(result: Result) -> Iterator[Problem]:
    head = AuditHead.objects.filter(id=1).first()
    if head is None:
        yield Problem("head", "end of the chain", "its record is missing.")
        return
    if not chain.head_is_ours(head.sequence, head.hash, head.mac):
        yield Problem("head", "end of the chain", "its signature is wrong: it was changed, or the secret key was.")
    if head.sequence > result.sequence:
        missing = head.sequence - result.sequence
        yield Problem("tail", f"seal {result.sequence + 1}", f"the last {missing} seals were cut off.")
    elif (head.sequence, head.hash) != (result.sequence, result.hash):
        yield Problem(
            "head", "end of the chain", f"it is recorded at seal {head.sequence}, but found at {result.sequence}."
        )


def _unsealed(backlog: timedelta) -> Iterator[Problem]:
    with connection.cursor() as cursor:
        # An event that nobody queued came in past the trigger.
        cursor.execute(
            "SELECT event.id, event.at, pending.event_id IS NOT NULL FROM audit_auditevent AS event"
            " LEFT JOIN audit_auditseal AS seal ON seal.event_id = event.id"
            " LEFT JOIN audit_auditpending AS pending ON pending.event_id = event.id"
            " WHERE seal.event_id IS NULL AND (pending.event_id IS NULL OR event.at < %s) ORDER BY event.id LIMIT 1000",
            [timezone.now() - backlog],
        )
        for event_id, at, is_queued in cursor.fetchall():
            if is_queued:
                text = f"written at {at:%Y-%m-%d %H:%M:%S} and not sealed yet: is the server running?"
                yield Problem("unsealed", f"event {event_id}", text)
            else:
                yield Problem(
                    "inserted", f"event {event_id}", "it has no seal and is not waiting for one: it was inserted."
                )
        cursor.execute(
            "SELECT pending.event_id FROM audit_auditpending AS pending LEFT JOIN audit_auditevent AS event"
            " ON event.id = pending.event_id WHERE event.id IS NULL ORDER BY 1 LIMIT 1000"
        )
        for (event_id,) in cursor.fetchall():
            yield Problem("deleted", f"event {event_id}", "it was deleted before it was sealed.")


def _expected(sequence: int, digest: str) -> Iterator[Problem]:
    if not AuditSeal.objects.filter(sequence=sequence, hash=digest).exists():
        yield Problem("expected", f"seal {sequence}", "it is not the one that was noted: the log was replaced or cut.")


def event_lines(since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Every event in the order of writing, as plain values for an export."""
    events = AuditEvent.objects.order_by("id")
    if since is not None:
        events = events.filter(at__gte=since)
    for event in events.iterator(chunk_size=_PAGE):
        yield {"id": event.pk, **{name: getattr(event, name) for name in chain.FIELDS}, "hash": event.hash}
