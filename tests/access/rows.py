"""The table of rights: a row says what a route answers to each kind of person.

    Row("GET", "/api/v1/groups/", out=401, pending=401, user=200)
    Row("POST", "/access/{resource_type}/{pk}", out=302, pending=302, outsider=404, reader=404, writer=200, owner=200)

`user` is for all signed-in people at once; `outsider`, `reader`, `writer`, `owner` say it one by one; `admin` is as
`owner` or `user` unless given. Names in braces are filled from the makers that `@thing("name")` registers; a maker gets
the `World` and returns what stands in the path. To add an app: write `table_<app>.py` beside this file with `ROWS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

PEOPLE = ("out", "pending", "outsider", "reader", "writer", "owner", "admin")
#: no route of ours: a websocket, a Celery task. They need a row, `test_table` sends no request.
WS, TASK = "WS", "TASK"


@dataclass(frozen=True)
class World:
    """Who is there while a row is tried: reader has read and writer write grants on whatever `share` was called for."""

    outsider: Any
    reader: Any
    writer: Any
    owner: Any
    admin: Any
    pending: Any
    made: dict[str, Any] = field(default_factory=dict)

    def share(self, resource: Any) -> Any:
        """Gives reader and writer their grants."""
        from rbac.grants import Grant
        from rbac.services import set_grants
        from tests.factories.accounts import a_system_admin

        grants = [Grant("user", str(self.reader.pk), "read"), Grant("user", str(self.writer.pk), "write")]
        set_grants(resource, grants, by=a_system_admin())
        return resource


@dataclass(frozen=True)
class Row:
    method: str
    path: str
    codes: dict[str, int]
    json: Any = None
    data: dict[str, Any] | None = None
    fill: dict[str, str] = field(default_factory=dict)
    page: bool = False
    live: bool = False
    why: str = ""

    def __init__(
        self,
        method: str,
        path: str,
        *,
        out: int = 0,
        pending: int = 0,
        user: int = 0,
        outsider: int = 0,
        reader: int = 0,
        writer: int = 0,
        owner: int = 0,
        admin: int = 0,
        json: Any = None,
        data: dict[str, Any] | None = None,
        fill: dict[str, str] | None = None,
        live: bool = False,
        why: str = "",
    ) -> None:
        """
        :param json: body of a REST call
        :param data: form of a page, or multipart body of a REST call
        :param fill: `{"id": "chat"}`: the maker for a name in braces, when it is not the name itself
        :param live: the route awaits, so the test needs committed rows
        :param why: for WS and TASK: who can reach it and what it checks
        """
        codes = {
            "out": out,
            "pending": pending,
            "outsider": outsider or user,
            "reader": reader or user,
            "writer": writer or user,
            "owner": owner or user,
            "admin": admin or owner or user,
        }
        if method not in (WS, TASK):
            assert all(codes.values()), f"{method} {path}: a code for everyone, please"
        values = {
            "method": method,
            "path": path,
            "codes": codes,
            "json": json,
            "data": data,
            "fill": fill or {},
            "page": not path.startswith(("/api/", "/v1/", "/openai/", "/ollama/", "/health", "/ready")),
            "live": live,
            "why": why,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def route(self) -> str:
        """The path without a query."""
        return self.path.partition("?")[0]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def task(name: str, why: str) -> Row:
    """A Celery task: nobody calls it by HTTP; the row says what it may touch and who starts it."""
    return Row(TASK, name, why=why)


_makers: dict[str, Callable[[World], Any]] = {}


def thing(name: str) -> Callable[[Callable[[World], Any]], Callable[[World], Any]]:
    """Registers what fills `{name}` in paths."""

    def register(maker: Callable[[World], Any]) -> Callable[[World], Any]:
        assert name not in _makers, f"{name} is made already"
        _makers[name] = maker
        return maker

    return register


def path_for(row: Row, world: World) -> str:
    """The path with every name in braces made and filled in."""

    def fill(match: re.Match[str]) -> str:
        name = row.fill.get(match[1], match[1])
        if name not in world.made:
            world.made[name] = _makers[name](world)
        return str(world.made[name])

    return re.sub(r"\{(\w+)\}", fill, row.path)


def body_for(value: Any, world: World, row: Row) -> Any:
    """A body with `{name}` in its texts filled in the same way."""
    if isinstance(value, str) and re.fullmatch(r"\{\w+\}", value):
        name = value[1:-1]
        if name not in world.made:
            world.made[name] = _makers[name](world)
        return str(world.made[name])
    if isinstance(value, dict):
        return {key: body_for(entry, world, row) for key, entry in value.items()}
    if isinstance(value, list):
        return [body_for(entry, world, row) for entry in value]
    return value


def all_rows() -> list[Row]:
    """The rows of every `table_<app>.py`."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("table_*.py"))
    return [row for name in names for row in import_module(f"tests.access.{name}").ROWS]
