"""Grants as values: the field's JSON forms, new and legacy, and back."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from owui.lib.errors import UserError
from rbac.sharing import Access, SharedResource, in_force

READ, WRITE = "read", "write"


#: the end of a grant that a client did not speak of: as it is, none when the grant is new. Clients of older releases
#: send back what they were shown without its end, and must not make a visitor's access permanent by that.
KEEP = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Grant:
    """One principal, one permission, and when it ends. `principal_id` is a uuid text or `*`.

    The same value says a denial; which list it stands in tells them apart, so that no client can turn one into the
    other by leaving a field out.
    """

    principal_type: str
    principal_id: str
    permission: str
    expires_at: datetime | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What there is one of on an object; the end date is a property of it."""
        return self.principal_type, self.principal_id, self.permission

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "principal_type": self.principal_type,
            "principal_id": self.principal_id,
            "permission": self.permission,
        }
        if self.expires_at not in (None, KEEP):
            found["expires_at"] = int(self.expires_at.timestamp())
        return found


def _moment(value: Any) -> datetime | None:
    """An end as clients write it: epoch seconds or an ISO text, to the second. 422 for anything else."""
    if value in (None, ""):
        return None
    if isinstance(value, bool):
        raise _no_time(value)
    if isinstance(value, (int, float)):
        try:
            return datetime.fromtimestamp(int(value), UTC)
        except (OverflowError, OSError) as error:
            raise _no_time(value) from error
    try:
        found = parse_datetime(str(value))
    except ValueError as error:
        raise _no_time(value) from error
    if found is None:
        raise _no_time(value)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).replace(microsecond=0)


def _no_time(value: Any) -> UserError:
    text = _("%(value)s is no time. Write epoch seconds or a form like 2027-01-31T18:00:00Z.")
    return UserError(text % {"value": repr(str(value)[:40])}, status=422, code="grant_end")


def unique(grants: Iterable[Grant]) -> list[Grant]:
    """One grant per principal and permission, sorted; of two, the one that lasts longer."""
    found: dict[tuple[str, str, str], Grant] = {}
    for grant in grants:
        known = found.get(grant.key)
        if known is None or (
            known.expires_at is not None and (grant.expires_at is None or grant.expires_at > known.expires_at)
        ):
            found[grant.key] = grant
    return [found[key] for key in sorted(found)]


def version_of(grants: Iterable[Grant], denials: Iterable[Grant] = ()) -> str:
    """A short text that differs when who may do what differs: what an editor saw, to be sent back with the change."""
    rows = [sorted(json.dumps(g.as_json(), sort_keys=True) for g in part) for part in (grants, denials)]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def parse_grants(items: Iterable[Any] | None) -> list[Grant]:
    """The list form; duplicates and entries that make no sense are dropped, as in the field.

    :raises UserError: 422 for an end that is no time: without it the access would be wider than somebody meant
    """
    found: list[Grant] = []
    for item in items or []:
        data: Mapping[str, Any] = item if isinstance(item, Mapping) else getattr(item, "__dict__", {})
        kind, principal = str(data.get("principal_type", "")), str(data.get("principal_id", ""))
        permission = str(data.get("permission", ""))
        valid_principal = (
            principal == "*" if kind == "anyone" else (principal == "*" and kind == "user") or _is_uuid(principal)
        )
        if kind in ("user", "group", "anyone") and valid_principal and permission in (READ, WRITE):
            if kind == "anyone" and permission == WRITE:
                continue
            ends = _moment(data["expires_at"]) if "expires_at" in data else KEEP
            if principal == "*":
                if ends not in (None, KEEP):
                    raise UserError(
                        _("Access for everyone has no end date. Choose people or groups instead."), status=422
                    )
                ends = None
            found.append(Grant(kind, str(uuid.UUID(principal)) if principal != "*" else "*", permission, ends))
    return unique(found)


def parse_access_control(value: Mapping[str, Any] | None) -> list[Grant]:
    """The legacy form: None is public read, `{}` private, else ids per permission."""
    if value is None:
        return [Grant("user", "*", READ)]
    items = []
    for permission in (READ, WRITE):
        branch = value.get(permission)
        if not isinstance(branch, Mapping):
            continue
        items += [
            {"principal_type": "group", "principal_id": i, "permission": permission}
            for i in branch.get("group_ids") or []
        ]
        items += [
            {"principal_type": "user", "principal_id": i, "permission": permission}
            for i in branch.get("user_ids") or []
        ]
    return parse_grants(items)


def as_access_control(grants: Iterable[Grant]) -> dict[str, Any] | None:
    """The legacy form of a grant list, for clients of older releases."""
    grants = list(grants)
    if Grant("user", "*", READ) in grants:
        return None
    if not grants:
        return {}
    out: dict[str, Any] = {p: {"group_ids": [], "user_ids": []} for p in (READ, WRITE)}
    for grant in grants:
        if grant.principal_id != "*":
            out[grant.permission][f"{grant.principal_type}_ids"].append(grant.principal_id)
    return out


def wildcards_of(access: str) -> list[Grant]:
    """What `general_access` looks like as grants: "everyone writes" is both rows, as the field's clients write it."""
    return {
        Access.READ: [Grant("user", "*", READ)],
        Access.WRITE: [Grant("user", "*", READ), Grant("user", "*", WRITE)],
        Access.ANYONE: [Grant("anyone", "*", READ)],
    }.get(Access(access), [])


def access_of(grants: Iterable[Grant]) -> Access:
    """The general rule that a grant list asks for."""
    everyone = {(g.principal_type, g.permission) for g in grants if g.principal_id == "*"}
    if ("user", WRITE) in everyone:
        return Access.WRITE
    if ("anyone", READ) in everyone:
        return Access.ANYONE
    return Access.READ if ("user", READ) in everyone else Access.PRIVATE


def grants_of(resources: Iterable[SharedResource]) -> dict[Any, list[Grant]]:
    """The grants of a page of objects in two statements, by primary key. Ended ones are not there any more."""
    resources = list(resources)
    return _rows_of(resources, {r.pk: wildcards_of(r.general_access) for r in resources}, is_denied=False)


def denials_of(resources: Iterable[SharedResource]) -> dict[Any, list[Grant]]:
    """Who is kept out of each of a page of objects, whatever else would let them in; in two statements."""
    resources = list(resources)
    return _rows_of(resources, {r.pk: [] for r in resources}, is_denied=True)


def _rows_of(
    resources: list[SharedResource], out: dict[Any, list[Grant]], *, is_denied: bool
) -> dict[Any, list[Grant]]:
    if not resources:
        return out
    model = type(resources[0])
    change = f"change_{model._meta.model_name}"
    for kind, table in (("user", model.user_grant_model()), ("group", model.group_grant_model())):
        rows = in_force(table._default_manager.filter(content_object_id__in=list(out), is_denied=is_denied))
        for pk, principal, codename, ends in rows.values_list(
            "content_object_id", f"{kind}_id", "permission__codename", "expires_at"
        ):
            out[pk].append(Grant(kind, str(principal), WRITE if codename == change else READ, ends))
    return {pk: unique(grants) for pk, grants in out.items()}
