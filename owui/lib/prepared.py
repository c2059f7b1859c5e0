"""Cursors whose statements PostgreSQL parses and plans once a connection, not each time.

Django writes the values into the SQL text, so every statement is a new one to the server. For what each question asks,
reading and planning it again costs the server more than answering it. Values go beside the statement here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper


@lru_cache(maxsize=512)
def _numbered(query: str) -> str:
    """PostgreSQL's own places for values instead of `%s`, for which psycopg searches long statements anew each time."""
    places = iter(range(1, query.count("%s") + 1))
    return re.sub("%[s%]", lambda found: f"${next(places)}" if found[0] == "%s" else "%", query)


class _Prepared(psycopg.RawCursor[Any]):
    """Prepares its own statements and no others: a connection that may prepare counts the text of every statement, and
    those of Django's cursors hold whole messages."""

    def execute(self, query: Any, params: Any = None, **_more: Any) -> Any:
        self.connection.prepare_threshold = 0
        try:
            return super().execute(_numbered(query) if params is not None else query, params, prepare=True)
        finally:
            self.connection.prepare_threshold = None


def prepared_cursor() -> CursorWrapper:
    """A cursor for statements whose text stays the same.

    An ordinary one where DATABASE_PREPARED_STATEMENTS is off, for poolers in front of the database that mix up the
    sessions (PgBouncer before 1.21).
    """
    if not settings.DATABASE_PREPARED_STATEMENTS:
        return connection.cursor()
    connection.ensure_connection()
    of_driver: Any = connection.connection
    # Through Django's wrapper: errors are its own, tests count the statement.
    with connection.wrap_database_errors:
        return connection._prepare_cursor(_Prepared(of_driver))  # type: ignore[attr-defined, no-any-return]
