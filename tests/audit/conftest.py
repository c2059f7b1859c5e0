"""Helpers of the audit tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.db import connection, transaction

from owui.audit.record import record
from owui.audit.sealer import seal_batch


@pytest.fixture
def someone() -> SimpleNamespace:
    return SimpleNamespace(id=UUID(int=7), email="dana@example.org", name="Dana")


@pytest.fixture
def sealed_log(db: None, someone: SimpleNamespace) -> list[int]:
    """Six sealed events; gives their ids."""
    ids = []
    with transaction.atomic():
        for number in range(6):
            event = record("chat.deleted", by=someone, object_type="chat", object_id=number, detail={"n": number})
            ids.append(event.pk)
    assert seal_batch() == 6
    return ids


@pytest.fixture
def tamper() -> Callable[..., None]:
    """Runs SQL as an intruder with the rights of a superuser: no trigger fires."""

    def run(sql: str, values: list[object] | None = None) -> None:
        with _without_triggers(), connection.cursor() as cursor:
            cursor.execute(sql, values)

    return run


@contextmanager
def _without_triggers() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            cursor.execute("SET session_replication_role = DEFAULT")
