"""Seals audit events: takes committed events that have no seal, in the order of their ids, and chains them.

Any number of processes may run it; an advisory lock lets one work at a time and the others pass by. It takes no lock
that a writer of events needs, so writers never wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from owui.audit import chain
from owui.audit.models import AuditEvent, AuditHead, AuditSeal

log = logging.getLogger(__name__)

# Any fixed number of our own.
_LOCK = 7_316_002
_BATCH = 1000
# The head of the chain beside each event that waits.
_PENDING = """
SELECT head.sequence, head.hash, head.mac, event.id, event.hash, event.mac
FROM audit_auditpending AS pending JOIN audit_auditevent AS event ON event.id = pending.event_id
LEFT JOIN audit_audithead AS head ON head.id = 1 ORDER BY pending.event_id LIMIT %s
"""
_SEAL = """
WITH sealed AS (
  INSERT INTO audit_auditseal (sequence, event_id, is_genuine, previous_hash, hash, sealed_at)
  SELECT *, %(at)s::timestamptz FROM unnest(
    %(sequences)s::bigint[], %(ids)s::bigint[], %(flags)s::boolean[], %(before)s::text[], %(after)s::text[])
), gone AS (DELETE FROM audit_auditpending WHERE event_id = ANY(%(ids)s::bigint[]))
UPDATE audit_audithead SET sequence = %(sequence)s, hash = %(hash)s, mac = %(mac)s WHERE id = 1
"""


class BrokenChainError(Exception):
    """The end of the chain is not the one this instance wrote; sealing on would cover it up."""


def begin_chain() -> None:
    """Writes the first head, only in an empty log: a head that vanishes later must stay missed."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('audit_audithead') IS NULL")
            if cursor.fetchone()[0]:
                return  # migrated to before our time
        if not try_lock() or AuditSeal.objects.exists() or AuditEvent.objects.exists():
            return
        AuditHead.objects.get_or_create(
            id=1, defaults={"sequence": 0, "hash": chain.GENESIS, "mac": chain.head_mac(0, chain.GENESIS)}
        )


def seal_batch(limit: int = _BATCH) -> int:
    """Seals up to `limit` events and gives their number; 0 when there are none or another process is sealing."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not try_lock():
            return 0
        # Not in one statement with the lock: it would see what was there before the lock was ours.
        cursor.execute(_PENDING, [limit])
        rows = cursor.fetchall()
        if not rows:
            return 0
        sequence, previous = _checked(*rows[0][:3])
        sequences, flags, before, after = [], [], [], []
        for *_head, event_id, digest, mac in rows:
            sequence += 1
            is_genuine = chain.event_is_genuine(digest, mac)
            before.append(previous)
            previous = chain.seal_hash(sequence, event_id, digest, is_genuine, previous)
            sequences.append(sequence)
            flags.append(is_genuine)
            after.append(previous)
        ids = [row[3] for row in rows]
        cursor.execute(
            _SEAL,
            {
                "at": timezone.now(), "sequences": sequences, "ids": ids, "flags": flags, "before": before,
                "after": after, "sequence": sequence, "hash": previous, "mac": chain.head_mac(sequence, previous),
            },
        )  # fmt: skip
    return len(rows)


def try_lock() -> bool:
    """Takes the sealer's lock until the transaction ends, or says that another has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def move_head(sequence: int, digest: str) -> None:
    """Makes a link the end of the chain, signed with the present key."""
    AuditHead.objects.update_or_create(
        id=1, defaults={"sequence": sequence, "hash": digest, "mac": chain.head_mac(sequence, digest)}
    )


def _checked(sequence: int | None, digest: str, mac: str) -> tuple[int, str]:
    if sequence is None or not chain.head_is_ours(sequence, digest, mac):
        raise BrokenChainError(
            "The end of the audit chain is missing or was not signed with WEBUI_SECRET_KEY; events are kept but not "
            "sealed. Run `manage.py audit verify`; after a change of the key, run `manage.py audit rekey`."
        )
    return sequence, digest


def _work() -> int:
    """One round of the background task: seals all there is, in batches, and gives the connection back."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM audit_auditpending)")
            if not cursor.fetchone()[0]:
                return 0
        total = 0
        while count := seal_batch():
            total += count
            if count < _BATCH:
                break
        return total
    finally:
        with contextlib.suppress(DatabaseError, InterfaceError):
            connection.close()


async def seal_forever(stop: asyncio.Event, pause: float = 1.0) -> None:
    """Seals about once a second until `stop` is set, then once more. Outlives outages of the database.

    Start it as a task in the ASGI lifespan of every process; one cheap query a second is all that the idle ones cost.
    """
    loop = asyncio.get_running_loop()
    failed_at: float | None = None
    # A thread of its own, so that a busy default executor never delays sealing.
    with ThreadPoolExecutor(1, thread_name_prefix="audit-sealer") as executor:
        stopping = False
        while not stopping:
            wait = pause * random.uniform(0.75, 1.25)  # noqa: S311  jitter, not a secret
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait if failed_at is None else 5 * wait)
            stopping = stop.is_set()
            try:
                await loop.run_in_executor(executor, _work)
                if failed_at is not None:
                    log.info("Sealing of audit events goes on after %.0f s.", time.monotonic() - failed_at)
                failed_at = None
            except Exception as error:  # a bug here must not end sealing for the life of the process
                if failed_at is None:
                    failed_at = time.monotonic()
                    if isinstance(error, BrokenChainError):
                        log.critical("%s", error)
                    else:
                        log.warning("Audit events cannot be sealed just now: %s", error, exc_info=not _is_outage(error))


def _is_outage(error: Exception) -> bool:
    return isinstance(error, (DatabaseError, InterfaceError))
