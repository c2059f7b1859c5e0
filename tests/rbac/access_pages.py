"""What the tests of the administration's pages about access as a whole share."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from rbac.grants import Grant

MATRIX, MAP, EXPORT, HISTORY = (f"/admin/access/{tail}" for tail in ("permissions/", "map/", "map/export/", "history/"))


def cost(client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def to(group, permission="read", ends=None) -> Grant:
    return Grant("group", str(group.pk), permission, ends)
