"""Rows of several tables, written in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, models
from django.db.models.sql import InsertQuery

#: a statement with its parameters
Statement = tuple[str, Sequence[Any]]


def insert_together(rows: Sequence[models.Model], *, also: Sequence[Statement] = (), asking: Statement) -> Any:
    """Inserts new rows and runs what else belongs to them in one statement, and gives the first row of a SELECT.

    All of it happens or nothing. Every part sees the database as it was before, the SELECT too; foreign keys are looked
    at when the transaction ends, so rows may name one another. Keys must be known: nothing is read back.
    """
    parts: list[Statement] = []
    for model in dict.fromkeys(type(row) for row in rows):
        of_model = [row for row in rows if type(row) is model]
        query = InsertQuery(model)
        query.insert_values(model._meta.concrete_fields, of_model)
        parts += query.get_compiler(connection=connection).as_sql()
    parts += also
    sql = ", ".join(f"part{number} AS ({sql})" for number, (sql, _params) in enumerate(parts))
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {sql} {asking[0]}", [*(p for _sql, params in parts for p in params), *asking[1]])
        found = cursor.fetchone()
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias
    return found
