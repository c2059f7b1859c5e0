"""Who may use each of many objects, ready for JSON. A thousand models have ten thousand grants: they are put together
by the database, and no object is made for each of them here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.postgres.aggregates import StringAgg
from django.db.models import F, TextField, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

from rbac.grants import READ, WRITE, as_access_control, wildcards_of
from rbac.sharing import Access, SharedResource, in_force


def grants_json_of(model: type[SharedResource], access: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What `grants_json` gives for each object, in two statements whatever their number.

    :param access: the general rule of each object, by its primary key as text; the answer has the same keys
    """
    if not access:
        return {}
    found = {pk: _Lists(rule) for pk, rule in access.items()}
    change = f"change_{model._meta.model_name}"
    for kind, table in (("group", model.group_grant_model()), ("user", model.user_grant_model())):
        for pk, codename, ends, ids in _buckets(kind, table, access):
            found[pk].add(kind, ids.split(","), WRITE if codename == change else READ, ends)
    return {pk: lists.as_json() for pk, lists in found.items()}


def _buckets(kind: str, table: Any, pks: Mapping[str, str]) -> Any:
    """One row for each object, permission and end: the ids of the principals, joined."""
    # One text for all keys: a list would be a parameter, and a UUID object, each.
    wanted: Any = RawSQL("SELECT unnest(%s::uuid[])", ["{" + ",".join(pks) + "}"])
    principal = Cast(f"{kind}_id", TextField())
    return (
        in_force(table._default_manager.filter(content_object_id__in=wanted, is_denied=False))
        .values(
            pk_text=Cast("content_object_id", TextField()), codename=F("permission__codename"), ends=F("expires_at")
        )
        .annotate(ids=StringAgg(principal, Value(","), order_by=principal))
        .order_by()
        .values_list("pk_text", "codename", "ends", "ids")
    )


class _Lists:
    """The grants of one object while they are collected, in the order of `unique`: by kind, then by id."""

    __slots__ = ("access", "rows")

    def __init__(self, access: str) -> None:
        self.access = access
        self.rows: dict[str, list[dict[str, Any]]] = {"group": [], "user": []}

    def add(self, kind: str, ids: list[str], permission: str, ends: Any) -> None:
        """Adds one bucket. The database gives the ids of a bucket in order; several have to be merged."""
        rows = self.rows[kind]
        is_sorted = not rows
        more = [{"principal_type": kind, "principal_id": id, "permission": permission} for id in ids]
        if ends is not None:
            for row in more:
                row["expires_at"] = int(ends.timestamp())
        rows += more
        if not is_sorted:
            rows.sort(key=lambda row: (row["principal_id"], row["permission"]))

    def as_json(self) -> dict[str, Any]:
        groups, users = self.rows["group"], self.rows["user"]
        if self.access == Access.PRIVATE:
            return {"access_grants": [*groups, *users], "access_control": _legacy(groups, users)}
        general = wildcards_of(self.access)
        everyone = [grant.as_json() for grant in general]
        anyone = [everyone.pop()] if self.access == Access.ANYONE else []
        legacy = as_access_control(general) if self.access != Access.ANYONE else _legacy(groups, users, is_open=True)
        return {"access_grants": [*anyone, *groups, *everyone, *users], "access_control": legacy}


def _legacy(groups: list[Any], users: list[Any], *, is_open: bool = False) -> dict[str, Any]:
    """`as_access_control` of rows that are JSON already."""
    if not (groups or users or is_open):
        return {}
    return {
        permission: {
            "group_ids": [row["principal_id"] for row in groups if row["permission"] == permission],
            "user_ids": [row["principal_id"] for row in users if row["permission"] == permission],
        }
        for permission in (READ, WRITE)
    }
