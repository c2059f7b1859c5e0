"""Who may use each of many objects, ready for JSON. A thousand models have ten thousand grants: the database puts those
of each object into one text, and no object is made for each of them here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from django.contrib.auth.models import Permission
from django.contrib.postgres.aggregates import StringAgg
from django.db.models import BigIntegerField, Case, F, OuterRef, Subquery, TextField, Value, When
from django.db.models.functions import Cast, Concat, Extract, Floor

from rbac.grants import READ, WRITE, Grant, unique, wildcards_of
from rbac.schemas import grants_json
from rbac.sharing import Access, SharedResource, in_force

_KINDS = ("group", "user")
_ROW = '{{"principal_type":"{kind}","principal_id":"{id}","permission":"read"}}'
#: what stands between two ids of one kind
_BETWEEN = {
    kind: '","permission":"read"},{"principal_type":"' + kind + '","principal_id":"' for kind in _KINDS
}
_LEGACY = '{{"read":{{"group_ids":[{group}],"user_ids":[{user}]}},"write":{{"group_ids":[],"user_ids":[]}}}}'


def grant_columns(model: type[SharedResource]) -> tuple[Subquery, Subquery]:
    """Two columns for a query of shared objects, to be read by `grants_text`: the grants to groups and to people.

    Each is a text of ids; a grant that is not plain reading without an end says so after its id.
    """
    view = Permission.objects.filter(codename=f"view_{model._meta.model_name}").values("pk")[:1]

    def column(kind: str, table: Any) -> Subquery:
        principal = Cast(f"{kind}_id", TextField())
        ends = Cast(Cast(Floor(Extract("expires_at", "epoch")), BigIntegerField()), TextField())
        permission = Case(When(permission_id=Subquery(view), then=Value(READ)), default=Value(WRITE))
        said = Case(
            When(permission_id=Subquery(view), expires_at__isnull=True, then=principal),
            default=Concat(principal, Value(":"), permission, Value(":"), ends, output_field=TextField()),
        )
        rows = in_force(table._default_manager.filter(content_object_id=OuterRef("pk"), is_denied=False))
        ids = StringAgg(said, Value(","), order_by=F(f"{kind}_id"))
        return Subquery(rows.order_by().values("content_object_id").annotate(ids=ids).values("ids"))

    return column("group", model.group_grant_model()), column("user", model.user_grant_model())


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
