"""`/api/v1/users/{id}/preview` and `/api/v1/groups/id/{id}/preview`: what somebody reaches, for administrators."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from owui.lib.errors import Missing
from owui.lib.guards import admin
from rbac import previews
from rbac.permissions import nested
from rbac.previews import DENIED, Entry, Page, Path, Preview
from rbac.sharing import NewMember

users = Router(tags=["users"])
groups = Router(tags=["groups"])


@users.get("/{user_id}/preview", auth=admin)
def preview_user(request: HttpRequest, user_id: str, query: str = "", page: int = 1) -> dict[str, Any]:
    """Thirty of each kind, by name; `total` is of all. `query` looks in the names."""
    person = previews.person(user_id)
    if person is None:
        raise Missing
    preview = Preview(person, request.user)  # type: ignore[arg-type]
    default_models, source = preview.default_models()
    return {
        "user": {"id": str(person.pk), "name": person.name},
        "groups": [{"id": str(group.pk), "name": group.name} for group in preview.groups],
        **_sections(preview, query, page),
        "default_models": {"effective": default_models, "source_group_id": str(source) if source else None},
        "permissions": _tree(preview),
    }


@groups.get("/id/{group_id}/preview", auth=admin)
def preview_group(request: HttpRequest, group_id: str, query: str = "", page: int = 1) -> dict[str, Any]:
    """What a member reaches who has nothing else."""
    group = previews.group(group_id)
    if group is None:
        raise Missing
    preview = Preview(NewMember(group.pk), request.user)  # type: ignore[arg-type]
    default_models, source = preview.default_models()
    return {
        "group": {"id": str(group.pk), "name": group.name},
        "groups": [{"id": str(g.pk), "name": g.name} for g in preview.groups if g.pk != group.pk],
        **_sections(preview, query, page),
        "default_models": {
            "local": previews.local_default_models(group),
            "effective": default_models,
            "source_group_id": str(source) if source else None,
        },
        "permissions": group.permissions or None,
        "inherited_permissions": previews.inherited_permissions(group),
        "effective_permissions": _tree(preview),
    }


def _tree(preview: Preview) -> dict[str, dict[str, bool]]:
    """The merged object as clients know it: a child without its parent stays in it and opens nothing."""
    return nested({held.row.key: bool(held.sources) for held in preview.permissions()})


def _sections(preview: Preview, query: str, page: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    denied: dict[str, Any] = {}
    for name, model in previews.sections().items():
        found[name] = _page_json(preview.page(model, query=query, page=page))
        kept_out = preview.page(model, show=DENIED, query=query, page=page)
        if kept_out.total:
            denied[name] = _page_json(kept_out)
    return found | {"denied": denied}


def _page_json(page: Page) -> dict[str, Any]:
    return {"items": [_entry_json(entry) for entry in page.entries], "total": page.total}


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "write_access": entry.writes,
        "paths": [_path_json(path) for path in entry.paths],
        "denials": [_path_json(path) for path in entry.denials],
    }


def _path_json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": path.kind, "permission": path.permission}
    if path.group_id is not None:
        found["group"] = {"id": str(path.group_id), "name": path.group}
        found["via"] = [{"id": str(v.group_id), "name": v.group, "sources": list(v.sources)} for v in path.via]
    if path.expires_at is not None:
        found["expires_at"] = int(path.expires_at.timestamp())
    return found
