"""Rows of several tables, written in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db import connection, models
from django.db.models.expressions import DatabaseDefault

from owui.lib.prepared import prepared_cursor

#: a statement with its parameters
Statement = tuple[str, Sequence[Any]]
_LEFT = object()  # to the database, which has a default for it


def insert_together(rows: Sequence[models.Model], *, also: Sequence[Statement] = (), asking: Statement) -> Any:
    """Inserts new rows and runs what else belongs to them in one statement, and gives the first row of a SELECT.

    All of it happens or nothing. Every part sees the database as it was before, the SELECT too; foreign keys are looked
    at when the transaction ends, so rows may name one another. Keys must be known: nothing is read back.
    """
    tables: list[tuple[str, ...]] = []
    params: list[Any] = []
    for row in rows:
        of_row = [(str(field.column), _value(field, row)) for field in row._meta.concrete_fields]
        of_row = [(column, value) for column, value in of_row if value is not _LEFT]
        tables.append((row._meta.db_table, *(column for column, _ in of_row)))
        params += (value for _, value in of_row)
    statements = (*(sql for sql, _params in also), asking[0])
    params += [*(p for _sql, some in also for p in some), *asking[1]]
    with prepared_cursor() as cursor:
        cursor.execute(_together(tuple(tables), statements), params)
        found = cursor.fetchone()
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias
    return found


def _value(field: Any, row: models.Model) -> Any:
    value = field.pre_save(row, add=True)
    if isinstance(value, DatabaseDefault):
        return _LEFT
    if hasattr(value, "resolve_expression"):
        raise TypeError(f"{field} is an expression, which only a statement of its own can hold.")
    return field.get_db_prep_save(value, connection)


@lru_cache(maxsize=64)
def _together(tables: Sequence[Sequence[str]], statements: Sequence[str]) -> str:
    """The whole text; the same for each question of a kind.

    :param tables: the name and the columns of each row
    """
    parts = [*(_insert(name, columns) for name, *columns in tables), *statements[:-1]]
    return f"WITH {', '.join(f'part{n} AS ({sql})' for n, sql in enumerate(parts))} {statements[-1]}"


def _insert(table: str, columns: Sequence[str]) -> str:
    quote = connection.ops.quote_name
    places = ", ".join(["%s"] * len(columns))
    # Names of models' tables and columns, quoted.
    return f"INSERT INTO {quote(table)} ({', '.join(map(quote, columns))}) VALUES ({places})"  # noqa: S608
