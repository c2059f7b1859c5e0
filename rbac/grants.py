"""Grants as values: the field's JSON forms, new and legacy, and back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rbac.sharing import Access, SharedResource

READ, WRITE = "read", "write"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One principal, one permission. `principal_id` is a uuid text or `*`."""

    principal_type: str
    principal_id: str
    permission: str

    def as_json(self) -> dict[str, str]:
        return {
            "principal_type": self.principal_type,
            "principal_id": self.principal_id,
            "permission": self.permission,
        }


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def parse_grants(items: Iterable[Any] | None) -> list[Grant]:
    """The list form; duplicates and entries that make no sense are dropped, as in the field."""
    found: set[Grant] = set()
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
            found.add(Grant(kind, str(uuid.UUID(principal)) if principal != "*" else "*", permission))
    return sorted(found)


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
    """The grants of a page of objects in two statements, by primary key."""
    resources = list(resources)
    out: dict[Any, list[Grant]] = {r.pk: wildcards_of(r.general_access) for r in resources}
    if not resources:
        return out
    model = type(resources[0])
    change = f"change_{model._meta.model_name}"
    for kind, table in (("user", model.user_grant_model()), ("group", model.group_grant_model())):
        rows = table._default_manager.filter(content_object_id__in=list(out)).values_list(
            "content_object_id", f"{kind}_id", "permission__codename"
        )
        for pk, principal, codename in rows:
            out[pk].append(Grant(kind, str(principal), WRITE if codename == change else READ))
    return {pk: sorted(grants) for pk, grants in out.items()}
