"""JSON shapes of groups and grants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.utils.translation import gettext as _
from ninja import Schema
from pydantic import StrictBool

from owui.lib.errors import UserError
from rbac.grants import Grant, as_access_control, grants_of, parse_access_control, parse_grants
from rbac.permissions import PERMISSIONS, is_true, nested
from rbac.services import set_grants
from rbac.sharing import Person, SharedResource

#: an object of sections with true and false inside; anything else is no permissions object (422)
PermissionTree = dict[str, dict[str, StrictBool]]


class _GroupFields(Schema):
    permissions: PermissionTree | None = None
    data: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None
    parent_group_id: str | None = None

    def known_permissions(self) -> dict[str, Any] | None:
        """What was sent, without keys of other releases."""
        sent = self.permissions or {}
        return nested({key: is_true(sent, key) for key in PERMISSIONS if _has(sent, key)})

    def checked_data(self) -> dict[str, Any] | None:
        """What was sent; 400 when what decides about sharing and models is not understood."""
        config = (self.data or {}).get("config") or {}
        if not isinstance(config, dict):
            raise UserError(_("data.config must be an object."), code="group_data")
        share = config.get("share")
        if not isinstance(share, bool) and share not in (None, "members"):
            raise UserError(_('data.config.share must be true, false or "members".'), code="group_share")
        models = config.get("default_models")
        if models is not None and not (isinstance(models, list) and all(isinstance(m, str) for m in models)):
            raise UserError(_("data.config.default_models must be a list of model ids."), code="group_models")
        return self.data


def _has(tree: dict[str, dict[str, bool]], key: str) -> bool:
    section, _dot, name = key.partition(".")
    return name in tree.get(section, {})


class GroupForm(_GroupFields):
    name: str
    description: str = ""


class GroupUpdateForm(_GroupFields):
    name: str | None = None
    description: str | None = None


class UserIdsForm(Schema):
    user_ids: list[str] = []


class AccessForm(Schema):
    """New (`access_grants`) and legacy (`access_control`) form of one thing; the new one wins."""

    access_grants: list[dict[str, Any]] | None = None
    access_control: dict[str, Any] | None = None
    #: who is kept out whatever else lets them in; for administrators
    access_denials: list[dict[str, Any]] | None = None
    #: what the editor saw (`version` of an earlier answer): somebody else's change in between is a 409
    version: str | None = None

    def update(self, resource: SharedResource, *, by: Person) -> None:
        """Access update: the whole list is replaced; neither field sent means nobody."""
        denials = parse_grants(self.access_denials) if self.access_denials is not None else None
        set_grants(resource, self.grants() or [], denials=denials, version=self.version, by=by)

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
