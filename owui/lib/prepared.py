"""Cursors whose statements PostgreSQL parses and plans once a connection, not each time.

Django writes the values into the SQL text, so every statement is a new one to the server. For what each question asks,
reading and planning it again costs the server more than answering it. Values go beside the statement here.
"""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper


class _Prepared(psycopg.Cursor[Any]):
    def execute(self, query: Any, params: Any = None, **_more: Any) -> Any:
        return super().execute(query, params, prepare=True)


def prepared_cursor() -> CursorWrapper:
    """A cursor for statements whose text stays the same.

    An ordinary one where DATABASE_PREPARED_STATEMENTS is off, for poolers in front of the database that mix up the
    sessions (PgBouncer before 1.21).
    """
    connection.ensure_connection()
    of_driver: Any = connection.connection
    if of_driver.prepare_threshold is None:
        return connection.cursor()
    # Through Django's wrapper: errors are its own, tests count the statement.
    with connection.wrap_database_errors:
        return connection._prepare_cursor(_Prepared(of_driver))  # type: ignore[attr-defined, no-any-return]
