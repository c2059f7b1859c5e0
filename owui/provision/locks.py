"""What an apply holds while it compares and writes, so that its plan is what will be done.

Others take the same locks one by one as their work needs them, some of them in other orders: a group that is deleted
starts with its grants and ends with the group. So an apply never waits for a table or an object while it holds another:
it gets all of them at once or lets go and begins anew. Whoever comes in between is done before it or after it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.db import DatabaseError, OperationalError, connection, models, transaction

from accounts.services.creation import FIRST_ACCOUNT_LOCK
from owui.provision.kinds.access import RESOURCES
from owui.provision.models import Provisioned
from owui.provision.shape import FileShape
from owui.provision.world import SERVERS
from rbac.models import Group, GroupManager, Membership
from rbac.services.groups import lock_tree

_LOCK = 0x6F777570
#: seconds an apply tries to get its locks before it gives up
PATIENCE = 60.0
PAUSE = 0.05
#: a person's row is held for milliseconds; who holds one longer may be waiting for us
LONGEST_WAIT = "300ms"


def take(shape: FileShape) -> None:
    """One apply at a time, and nobody else writes groups, grants or the file's objects meanwhile. People and settings
    stay writable, since everybody's visit writes there.

    :raises OperationalError: somebody holds one of them (`is_contention`); end the transaction, then `wait`
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FIRST_ACCOUNT_LOCK])
        lock_tree()
        cursor.execute(f"LOCK TABLE {', '.join(_tables())} IN SHARE ROW EXCLUSIVE MODE NOWAIT")
    for rows in (Group.objects.all(), *_objects(shape)):
        list(rows.order_by("pk").select_for_update(no_key=True, nowait=True).values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LONGEST_WAIT])


def wait() -> None:
    """Until each table was free once: one after the other, so that nobody waits for us meanwhile."""
    time.sleep(PAUSE)
    for table in _tables():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                # Longer than a second: then the database itself ends a vacuum that is in the way.
                cursor.execute("SET LOCAL lock_timeout = '3s'")
                cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        except OperationalError as error:
            if not is_contention(error):
                raise


def is_contention(error: DatabaseError) -> bool:
    """Whether somebody else's lock was in the way: deadlock, serialisation, lock not available."""
    return getattr(error.__cause__, "sqlstate", "") in ("40P01", "40001", "55P03")


def _tables() -> list[str]:
    tables: list[type[models.Model]] = [Group, Membership, GroupManager]
    tables += [t for m in RESOURCES.values() for t in (m.user_grant_model(), m.group_grant_model())]
    return [connection.ops.quote_name(table._meta.db_table) for table in tables]


def _objects(shape: FileShape) -> Iterator[models.QuerySet[Any]]:
    """The objects that the file names, and those of earlier files: whoever changes access holds its object first."""
    earlier = Provisioned.objects.filter(kind__in=RESOURCES, object_id__isnull=False).values("object_id")
    named = {
        "model": models.Q(model_id__in=[entry.id for entry in shape.models]),
        "knowledge": models.Q(name__in=[entry.name for entry in shape.knowledge_bases])
        | models.Q(pk__in=[entry.id for entry in shape.knowledge_bases if entry.id]),
    }
    for kind, (section, _table) in SERVERS.items():
        named[kind] = models.Q(server_id__in=[entry.id for entry in getattr(shape, section)])
    for kind, table in RESOURCES.items():
        yield table._default_manager.filter(named[kind] | models.Q(pk__in=earlier))
