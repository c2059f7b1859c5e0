"""Statements that are put together once a process.

Django builds the SQL of a queryset anew each time, and for what every request asks (who is this, may they use this
model) that costs several times what the database takes to answer. A `Written` is built with stand-ins for its values,
once, and asked with the values of the moment. Only the SQL is kept: every answer comes from the database.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import QuerySet

from owui.lib.prepared import prepared_cursor

#: no value of anybody's: a fresh one each process
_STAND_IN = uuid.uuid4().hex


class Written:
    """`Written(lambda pk: Session.objects.filter(pk=pk), pk=UUID)`; then `sessions(pk=…)` gives a list.

    :param make: builds the queryset of stand-ins. Nothing in it may depend on anything else than its arguments and on
        what stays the same while the process runs; no ordering is added
    :param types: of the values by name, `UUID` or `str`, which go into the statement as they are
    """

    def __init__(self, make: Callable[..., QuerySet[Any, Any]], **types: type[uuid.UUID] | type[str]) -> None:
        self._make = make
        self._stand_ins: dict[Any, str] = {
            uuid.uuid4() if kind is uuid.UUID else f"{_STAND_IN}-{name}": name for name, kind in types.items()
        }
        self._built: tuple[QuerySet[Any, Any], Any, str, tuple[Any, ...]] | None = None

    def __call__(self, **values: Any) -> list[Any]:
        rows, compiler, sql, params = self._built or self._build()
        asked = copy.copy(compiler)
        asked.connection = connections[DEFAULT_DB_ALIAS]
        with prepared_cursor() as cursor:
            cursor.execute(sql, [self._filled(param, values) for param in params])
            found = cursor.fetchall()
        asked.execute_sql = lambda *_a, **_k: [found]
        # What an iterable of Django's reads of a queryset.
        shown: Any = SimpleNamespace(
            db=DEFAULT_DB_ALIAS,
            model=rows.model,
            query=SimpleNamespace(get_compiler=lambda *_a, **_k: asked),
            _known_related_objects={},
        )
        answer: Any = rows._iterable_class(shown)
        return [*answer]

    def first(self, **values: Any) -> Any:
        """The first row, or None."""
        return next(iter(self(**values)), None)

    def _build(self) -> tuple[QuerySet[Any, Any], Any, str, tuple[Any, ...]]:
        rows = self._make(**{name: stand_in for stand_in, name in self._stand_ins.items()})
        compiler = rows.query.get_compiler(DEFAULT_DB_ALIAS)
        sql, params = compiler.as_sql()
        names = {self._stand_ins[p] for p in params if isinstance(p, (str, uuid.UUID)) and p in self._stand_ins}
        if names != set(self._stand_ins.values()):
            raise TypeError(f"{set(self._stand_ins.values()) - names} is not in the statement as it was given.")
        self._built = (rows, compiler, sql, params)
        return self._built

    def _filled(self, param: Any, values: Mapping[str, Any]) -> Any:
        name = self._stand_ins.get(param) if isinstance(param, (str, uuid.UUID)) else None
        return param if name is None else values[name]
