"""Where one is signed in."""

from __future__ import annotations

from typing import Any

from tests.access.rows import Row, World, task, thing
from tests.access.table_accounts import current, page

_AUTHS = "/api/v1/auths"


@thing("foreign_session")
def _foreign_session(world: World) -> Any:
    from accounts.models import Session

    return Session.objects.create(user=world.reader).pk


#: the reader's: to everybody else, administrators included, it is no session of theirs
_OF_READER = {"pk": "foreign_session", "session_id": "foreign_session"}
_PAGE = {"out": 302, "pending": 302, "outsider": 404, "reader": 302, "writer": 404, "owner": 404, "admin": 404}
_REST = {"out": 401, "pending": 404, "outsider": 404, "reader": 200, "writer": 404, "owner": 404, "admin": 404}

ROWS = [
    Row("POST", "/settings/devices/{pk}/end", fill=_OF_READER, **_PAGE),
    page("POST", "/settings/devices/end-others", 302),
    current("GET", f"{_AUTHS}/sessions"),
    current("DELETE", f"{_AUTHS}/sessions"),
    Row("DELETE", f"{_AUTHS}/sessions/{{session_id}}", fill=_OF_READER, **_REST),
    task("accounts.prune_sessions", "started by the clock; deletes sessions that ended more than a month ago"),
]
