"""JSON shapes of groups and grants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ninja import Schema

from rbac.grants import Grant, as_access_control, grants_of, parse_access_control, parse_grants
from rbac.sharing import Person, SharedResource


class GroupForm(Schema):
    name: str
    description: str = ""
    permissions: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None
    parent_group_id: str | None = None


class GroupUpdateForm(Schema):
    name: str | None = None
    description: str | None = None
    permissions: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None
    parent_group_id: str | None = None


class UserIdsForm(Schema):
    user_ids: list[str] = []


class AccessForm(Schema):
    """New (`access_grants`) and legacy (`access_control`) form of one thing; the new one wins."""

    access_grants: list[dict[str, Any]] | None = None
    access_control: dict[str, Any] | None = None

    def grants(self) -> list[Grant] | None:
        """The grants asked for; None when neither field was sent."""
        if self.access_grants is not None:
            return parse_grants(self.access_grants)
        if "access_control" in self.model_fields_set:
            return parse_access_control(self.access_control)
        return None


def grants_json(grants: Iterable[Grant]) -> dict[str, Any]:
    """Both forms, for answers."""
    grants = list(grants)
    return {"access_grants": [g.as_json() for g in grants], "access_control": as_access_control(grants)}


def access_fields(rows: Sequence[SharedResource], user: Person) -> dict[Any, dict[str, Any]]:
    """For a page of objects of one type, by primary key: their grants in both forms, and whether the person may
    change them. Three statements, whatever their number."""
    if not rows:
        return {}
    grants = grants_of(rows)
    writable = set(type(rows[0]).objects.writable_by(user).filter(pk__in=list(grants)).values_list("pk", flat=True))
    return {pk: {**grants_json(found), "write_access": pk in writable} for pk, found in grants.items()}
