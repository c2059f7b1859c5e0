"""Who may use each of many objects, ready for JSON. A thousand models have ten thousand grants: the database puts those
of each object into one text, and no object is made for each of them here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from django.db.models import Model, TextField
from django.db.models.expressions import RawSQL

from rbac.grants import READ, Grant, unique, wildcards_of
from rbac.schemas import grants_json
from rbac.sharing import Access, SharedResource

#: `rbac.sharing.in_force` and no denial, as SQL
_IN_FORCE = "NOT g.is_denied AND (g.expires_at IS NULL OR g.expires_at > statement_timestamp())"
_KINDS = ("group", "user")
_ROW = '{{"principal_type":"{kind}","principal_id":"{id}","permission":"read"}}'
#: what stands between two ids of one kind
_BETWEEN = {kind: '","permission":"read"},{"principal_type":"' + kind + '","principal_id":"' for kind in _KINDS}
_LEGACY = '{{"read":{{"group_ids":[{group}],"user_ids":[{user}]}},"write":{{"group_ids":[],"user_ids":[]}}}}'


def grant_columns(model: type[SharedResource]) -> tuple[RawSQL, RawSQL]:
    """Two columns for a query of shared objects, to be read by `grants_text`: the grants to groups and to people.

    Each is a text of ids; a grant that is not plain reading without an end says so after its id. Written as SQL:
    Django needs longer to put such an expression together than the database to answer it.
    """
    return _column(model, "group", model.group_grant_model()), _column(model, "user", model.user_grant_model())


def _column(model: type[SharedResource], kind: str, table: type[Model]) -> RawSQL:
    # The permission's id is asked for once a statement; a join would be made once an object.
    sql = f"""
        SELECT string_agg(g.{kind}_id::text || CASE
            WHEN g.permission_id = (SELECT id FROM auth_permission WHERE codename = %s LIMIT 1)
            THEN CASE WHEN g.expires_at IS NULL THEN '' ELSE ':read:' END ELSE ':write:' END
            || coalesce(floor(extract(epoch FROM g.expires_at))::bigint::text, ''), ',' ORDER BY g.{kind}_id)
        FROM {table._meta.db_table} g
        WHERE g.content_object_id = {model._meta.db_table}.id AND {_IN_FORCE}
    """  # noqa: S608  (names of our own tables)
    return RawSQL(sql, [f"view_{model._meta.model_name}"], output_field=TextField())  # noqa: S611  (as above)


def grants_stamps(model: type[SharedResource]) -> tuple[str, str]:
    """SQL of two numbers that differ whenever the grants in force of an object do: their rows' versions together."""

    def stamp(table: type[Model]) -> str:
        return f"""(SELECT bit_xor(hash_record_extended((g.id, g.ctid, g.xmin), 0)) FROM {table._meta.db_table} g
            WHERE g.content_object_id = {model._meta.db_table}.id AND {_IN_FORCE})"""  # noqa: S608

    return stamp(model.group_grant_model()), stamp(model.user_grant_model())


def grants_text(access: str, groups: str | None, users: str | None) -> tuple[str, str]:
    """`grants_json` of one object as two JSON texts: `access_grants` and `access_control`."""
    if access == Access.PRIVATE and ":" not in (groups or "") and ":" not in (users or ""):
        return _plain(groups or "", users or "")
    found = wildcards_of(access)
    for kind, text in zip(_KINDS, (groups, users), strict=True):
        found += [_grant(kind, said) for said in text.split(",")] if text else []
    shape = grants_json(unique(found))
    return _json(shape["access_grants"]), _json(shape["access_control"])


def _plain(groups: str, users: str) -> tuple[str, str]:
    """The usual case, plain reading, without looking at single ids."""
    if not groups and not users:
        return "[]", "{}"
    ids = {"group": groups.replace(",", '","'), "user": users.replace(",", '","')}
    lists = {kind: f'"{text}"' if text else "" for kind, text in ids.items()}
    rows = [_ROW.format(kind=kind, id=text.replace('","', _BETWEEN[kind])) for kind, text in ids.items() if text]
    return f"[{','.join(rows)}]", _LEGACY.format(**lists)


def _grant(kind: str, said: str) -> Grant:
    principal, _, more = said.partition(":")
    permission, _, ends = more.partition(":")
    return Grant(kind, principal, permission or READ, datetime.fromtimestamp(int(ends), UTC) if ends else None)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
