"""The `info` of listed models, kept as JSON for each version of their rows.

Who may use what is asked of the database every time. What is kept here is only the writing of it: a list of a thousand
models holds two megabytes of prompts, descriptions and grants that hardly ever change, and reading and writing them
again was nine tenths of the answer's cost.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from django.db.models import BigIntegerField, F, Func, JSONField, TextField, Value
from django.db.models.expressions import RawSQL
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Extract, Floor

from inference.models import AIModel
from rbac.grant_lists import grant_columns, grants_stamps, grants_text

#: what clients expect in the `meta` of every model
META = {"profile_image_url": None, "description": None, "capabilities": None}
#: bytes kept in one process; the oldest go first
MAX_KEPT = 32 * 1024 * 1024


class Info(NamedTuple):
    """One model's record as JSON, with what a list shows of it besides. `stamp` names the version of the rows."""

    stamp: str
    json: orjson.Fragment
    tags: list[dict[str, Any]]
    created: int
    size: int


class _Row(NamedTuple):
    pk: str
    stamp: str
    model_id: str
    name: str
    owner_id: str | None
    base_id: str | None
    is_active: bool
    general_access: str
    created_at: int
    updated_at: int
    params: str
    meta: str
    tags: str | None
    group_grants: str | None
    user_grants: str | None


_kept: dict[str, Info] = {}
_size = 0
_guard = threading.Lock()


def stamp_column() -> RawSQL:
    """A text that differs whenever a row, its base's row or its grants in force do.

    PostgreSQL writes a new version of a row at each change: its place and its transaction tell versions apart. They are
    put together in 64 bits, enough to tell the few versions of one row apart.
    """
    table = AIModel._meta.db_table
    base = f"SELECT hash_record_extended((b.ctid, b.xmin), 0) FROM {table} b WHERE b.id = {table}.base_model_id"  # noqa: S608
    parts = f"{table}.ctid, {table}.xmin, {', '.join(grants_stamps(AIModel))}, ({base})"
    return RawSQL(f"hash_record_extended(({parts}), 0)::text", [], output_field=TextField())  # noqa: S611 (own names)


def infos_for(stamps: Mapping[str, str]) -> dict[str, Info]:
    """The records of rows that the caller may show, by primary key: one statement, or none when all are kept.

    :param stamps: of each row, as it was read with the rights
    """
    found = {pk: info for pk, stamp in stamps.items() if (info := _kept.get(pk)) is not None and info.stamp == stamp}
    missing = [pk for pk in stamps if pk not in found]
    if missing:
        fresh = {row.pk: _info(row) for row in _rows(missing)}
        _keep(fresh)
        found |= fresh
    return found


def _keep(fresh: Mapping[str, Info]) -> None:
    global _size
    with _guard:
        for pk, info in fresh.items():
            before = _kept.pop(pk, None)
            _size += info.size - (before.size if before else 0)
            _kept[pk] = info
        while _size > MAX_KEPT:
            oldest = next(iter(_kept))
            _size -= _kept.pop(oldest).size


def _seconds(field: str) -> Cast:
    return Cast(Floor(Extract(field, "epoch")), BigIntegerField())


def _rows(pks: Sequence[str]) -> list[_Row]:
    groups, users = grant_columns(AIModel)
    meta = {"arg_joiner": " || ", "template": "(%(expressions)s)::text", "output_field": TextField()}
    columns: dict[str, Any] = {
        "c_pk": Cast("pk", TextField()),
        "c_stamp": stamp_column(),
        "c_id": F("model_id"),
        "c_name": F("name"),
        "c_owner": Cast("owner_id", TextField()),
        "c_base": F("base_model__model_id"),
        "c_active": F("is_active"),
        "c_access": F("general_access"),
        "c_created": _seconds("created_at"),
        "c_updated": _seconds("updated_at"),
        "c_params": Cast("params", TextField()),
        "c_meta": Func(Value(META, JSONField()), F("meta"), **meta),
        "c_tags": KeyTextTransform("tags", "meta"),
        "c_groups": groups,
        "c_users": users,
    }
    rows = AIModel.objects.filter(pk__in=pks).order_by().annotate(**columns).values_list(*columns)
    return list(map(_Row._make, rows))


def _info(row: _Row) -> Info:
    """As `schemas.record_json`; what the database gave as JSON is put in as it is."""
    access_grants, access_control = grants_text(row.general_access, row.group_grants, row.user_grants)
    json = orjson.dumps({
        "id": row.model_id,
        "user_id": row.owner_id,
        "base_model_id": row.base_id,
        "name": row.name,
        "params": orjson.Fragment(row.params),
        "meta": orjson.Fragment(row.meta),
        "is_active": row.is_active,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "access_grants": orjson.Fragment(access_grants),
        "access_control": orjson.Fragment(access_control),
    })  # fmt: skip
    return Info(row.stamp, orjson.Fragment(json), _tags(row.tags), row.created_at, len(json))


def _tags(text: str | None) -> list[dict[str, Any]]:
    tags = orjson.loads(text) if text and text.startswith("[") else []
    return [tag for tag in tags if isinstance(tag, dict)]
