"""Rows of the settings table as plain values: secrets decrypted on the way out, encrypted on the way in."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.db.models import JSONField, Value
from django.utils import timezone

from owui.audit.record import Actor, actor_id
from owui.config.models import ConfigValue
from owui.config.registry import InvalidSetting, find
from owui.lib import crypto

log = logging.getLogger(__name__)

LIVE = "live:"
# Any fixed number of our own: serialises writers of settings, so that "from" in the audit log is what really was there.
_LOCK = 7_316_001

_table_exists = False


def read() -> dict[str, Any]:
    """All rows; empty before the first migration."""
    if not exists():
        return {}
    values = {}
    for key, value in ConfigValue.objects.values_list("key", "value"):
        try:
            values[key] = _opened(key, value)
        except crypto.KeyChangedError as error:
            # The setting counts as not stored: a feature without its credential fails visibly, everything else works.
            log.error("%s: %s", key, error)
    return values


def write(values: Mapping[str, Any], by: Actor | None) -> None:
    """Inserts or replaces rows, in the order of their keys so that two writers cannot deadlock."""
    now = timezone.now()
    ConfigValue.objects.bulk_create(
        [
            ConfigValue(key=key, value=_json(_closed(key, value)), updated_at=now, updated_by=actor_id(by))
            for key, value in sorted(values.items())
        ],
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["value", "updated_at", "updated_by"],
    )


def _json(value: Any) -> Any:
    """A None that is stored is JSON's null, not an empty column."""
    return Value(None, JSONField()) if value is None else value


def insert_missing(values: Mapping[str, Any]) -> int:
    """Inserts rows whose key is not there yet; gives their number."""
    if not values or not exists():
        return 0
    fields = [(key, json.dumps(_closed(key, value))) for key, value in sorted(values.items())]
    with connection.cursor() as cursor:
        # bulk_create(ignore_conflicts=True) would not say how many rows are new.
        cursor.execute(
            "INSERT INTO config_configvalue (key, value, updated_at)"
            " SELECT key, value::jsonb, clock_timestamp() FROM unnest(%s::text[], %s::text[]) AS new (key, value)"
            " ORDER BY key ON CONFLICT (key) DO NOTHING",
            [[key for key, _ in fields], [value for _, value in fields]],
        )
        return int(cursor.rowcount)


def drop(keys: list[str]) -> list[str]:
    """Deletes rows and gives the keys that were there."""
    doomed = ConfigValue.objects.filter(key__in=keys)
    found = list(doomed.select_for_update().order_by("key").values_list("key", flat=True))
    doomed.delete()
    return found


def lock() -> None:
    """One writer at a time until the transaction ends; readers never wait."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def exists(*, ask: bool = False) -> bool:
    """Whether the table is there; remembered once it is. Asked, because a failed SELECT spoils the transaction."""
    global _table_exists
    if ask or not _table_exists:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('config_configvalue') IS NOT NULL")
            _table_exists = bool(cursor.fetchone()[0])
    return _table_exists


def _is_secret(key: str) -> bool:
    try:
        return find(key.removeprefix(LIVE)).secret
    except InvalidSetting:
        return False


def _opened(key: str, value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"encrypted"}:
        return json.loads(crypto.decrypt(value["encrypted"], purpose="config"))
    return value


def _closed(key: str, value: Any) -> Any:
    return {"encrypted": crypto.encrypt(json.dumps(value), purpose="config")} if _is_secret(key) else value
