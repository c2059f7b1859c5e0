"""The right to work on one document, held by one worker at a time and for a minute at most after its death."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

from django.db import DatabaseError, connection, transaction

from knowledge.models import Document

log = logging.getLogger(__name__)

LEASE_SECONDS = 60
RENEW_SECONDS = 15


class LeaseLost(Exception):
    """Another worker took the document over, somebody deleted it, or it was started afresh."""


class Lease:
    """Taken by compare-and-set on `leased_until`, whose value is the token: every write of the holder names the value
    it wrote last, so a worker that slept through its lease can change nothing any more.

    Times are the database's, so that the clocks of nodes do not matter.
    """

    def __init__(self, document_id: uuid.UUID, until: datetime, attempts: int) -> None:
        self.document_id = document_id
        self.attempts = attempts
        self._until = until
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_often, name=f"lease-{document_id}", daemon=True)

    @classmethod
    def take(cls, document_id: uuid.UUID) -> Self | None:
        """The lease of a document in work; None when it is not in work, or somebody else's."""
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE knowledge_document SET attempts = attempts + 1, "
                "leased_until = clock_timestamp() + make_interval(secs => %s) "
                "WHERE id = %s AND state NOT IN ('live', 'failed') "
                "AND (leased_until IS NULL OR leased_until < clock_timestamp()) RETURNING leased_until, attempts",
                [LEASE_SECONDS, document_id],
            )
            row = cursor.fetchone()
        return cls(document_id, *row) if row else None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()

    @contextmanager
    def step(self) -> Iterator[None]:
        """A transaction that exists only if the lease still holds. It locks the document's row first, as every
        transaction about a document does."""
        with self._lock, transaction.atomic():
            until = self._renewed()
            yield
        # Only now: a step that was rolled back must not leave a token that was never stored.
        self._until = until

    def leave(self, *, seconds: float = 0, **fields: Any) -> None:
        """Ends the work in order: nobody may take the document for some seconds, then anybody."""
        with self._lock, transaction.atomic():
            self._until = self._renewed(seconds)
            Document.objects.filter(pk=self.document_id).update(attempts=0, **fields)

    def _renewed(self, seconds: float = LEASE_SECONDS) -> datetime:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE knowledge_document SET leased_until = clock_timestamp() + make_interval(secs => %s) "
                "WHERE id = %s AND leased_until = %s RETURNING leased_until",
                [seconds, self.document_id, self._until],
            )
            row = cursor.fetchone()
        if row is None:
            raise LeaseLost
        until: datetime = row[0]
        return until

    def _renew_often(self) -> None:
        """Reading a document and waiting for vectors may take longer than a lease."""
        while not self._ended.wait(RENEW_SECONDS):
            try:
                with self._lock:
                    if not self._ended.is_set():
                        self._until = self._renewed()
            except LeaseLost:
                return
            except DatabaseError:
                log.warning("The lease of document %s could not be renewed; trying again", self.document_id)
            finally:
                connection.close()
