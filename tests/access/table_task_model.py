"""The task model: its settings are administrators', its jobs need a model that one may use."""

from __future__ import annotations

from typing import Any

from tests.access.rows import Row, World, thing
from tests.access.table_accounts import admins, verified


@thing("kind")
def _kind(world: World) -> Any:
    return "title"


_T = "/api/v1/tasks"
_BODY = {"model": "none", "messages": [{"role": "user", "content": "x"}]}
ROWS = [
    verified("GET", f"{_T}/config"),
    admins("POST", f"{_T}/config/update", json={}),
    Row("POST", f"{_T}/{{kind}}/completions", json=_BODY, out=401, pending=401, user=400, live=True),
]
