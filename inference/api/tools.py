"""`/api/v1/tools`: the tools and tool servers a person may use, and the workspace where tools are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from accounts.schemas import shown_info
from inference import library
from inference.models import Tool, ToolServer
from inference.tool_servers import needs_sign_in
from owui.lib.guards import verified
from rbac.listings import listed
from rbac.permissions import require
from rbac.schemas import AccessForm, access_fields
from rbac.shortcuts import get_readable, get_writable

router = Router(tags=["tools"])


class ToolMeta(Schema):
    description: str | None = ""
    manifest: dict[str, Any] | None = Field(default_factory=dict)


class ToolForm(AccessForm):
    id: str
    name: str
    content: str
    meta: ToolMeta = Field(default_factory=ToolMeta)


@router.get("/", auth=verified)
def list_tools(request: HttpRequest) -> list[dict[str, Any]]:
    user: Any = request.user
    servers = ToolServer.objects.readable_by(user).filter(is_enabled=True)
    return _listed_json(Tool.objects.readable_by(user), user) + [_server_json(row) for row in servers]


@router.get("/list", auth=verified)
def list_workspace(
    request: HttpRequest, query: str = "", view_option: str = "", order_by: str = "", direction: str = ""
) -> list[dict[str, Any]]:
    user: Any = request.user
    rows: Any = Tool.objects.readable_by(user)
    if query:
        rows = rows.filter(Q(name__icontains=query) | Q(tool_id__icontains=query))
    if view_option in ("created", "shared"):
        own = Q(owner_id=user.pk)
        rows = rows.filter(own if view_option == "created" else ~own)
    field = order_by if order_by in ("name", "created_at", "updated_at") else "updated_at"
    return _listed_json(rows.order_by(("" if direction == "asc" else "-") + field, "pk"), user)


@router.get("/export", auth=verified)
def export_tools(request: HttpRequest) -> list[dict[str, Any]]:
    user: Any = request.user
    require(user, "workspace.tools_export", status=401)
    return _json(list(Tool.objects.writable_by(user).select_related("owner")), user, with_source=True)


@router.post("/create", auth=verified)
def create_tool(request: HttpRequest, form: ToolForm) -> dict[str, Any]:
    by: Any = request.user
    tool = library.create_tool(
        by=by,
        tool_id=form.id,
        name=form.name,
        content=form.content,
        meta=form.meta.dict(),
        grants=form.grants() or (),
    )
    return _record(tool, request)


@router.get("/id/{tool_id}", auth=verified)
def get_tool(request: HttpRequest, tool_id: str) -> dict[str, Any]:
    user: Any = request.user
    return _record(get_readable(Tool.objects.all(), user, None, denied=401, tool_id=tool_id), request)


@router.post("/id/{tool_id}/update", auth=verified)
def update_tool(request: HttpRequest, tool_id: str, form: ToolForm) -> dict[str, Any]:
    by: Any = request.user
    tool = _writable(request, tool_id)
    meta = {**tool.meta, **form.meta.dict(exclude_unset=True)}
    updated = library.update_tool(tool, by=by, name=form.name, content=form.content, meta=meta, grants=form.grants())
    return _record(updated, request)


@router.post("/id/{tool_id}/access/update", auth=verified)
def update_access(request: HttpRequest, tool_id: str, form: AccessForm) -> dict[str, Any]:
    tool = _writable(request, tool_id)
    form.update(tool, by=request.user)  # type: ignore[arg-type]
    return _record(tool, request)


@router.delete("/id/{tool_id}/delete", auth=verified)
def delete_tool(request: HttpRequest, tool_id: str) -> bool:
    library.delete_tool(_writable(request, tool_id), by=request.user)  # type: ignore[arg-type]
    return True


def _writable(request: HttpRequest, tool_id: str) -> Tool:
    user: Any = request.user
    found: Tool = get_writable(Tool.objects.all(), user, None, denied=401, tool_id=tool_id)
    return found


def _listed_json(rows: Any, user: Any) -> list[dict[str, Any]]:
    """Listings do not give out sources."""
    found = listed(rows.defer("content"), user)
    return [_row_json(row, user, found.access[row.pk]) for row in found.rows]


def _record(tool: Tool, request: HttpRequest) -> dict[str, Any]:
    tool.refresh_from_db()
    return _json([tool], request.user, with_source=True)[0]


def _json(rows: Sequence[Tool], user: Any, *, with_source: bool = False) -> list[dict[str, Any]]:
    access = access_fields(rows, user)
    return [_row_json(row, user, access[row.pk], with_source=with_source) for row in rows]


def _row_json(row: Tool, user: Any, access: Mapping[str, Any], *, with_source: bool = False) -> dict[str, Any]:
    return {
        "id": row.tool_id,
        "user_id": str(row.owner_id) if row.owner_id else "",
        "name": row.name,
        **({"content": row.content, "specs": row.specs} if with_source else {}),
        "meta": {"description": "", "manifest": {}, **row.meta},
        "created_at": int(row.created_at.timestamp()),
        "updated_at": int(row.updated_at.timestamp()),
        "user": shown_info(row.owner, to=user),
        **access,
    }


def _server_json(row: ToolServer) -> dict[str, Any]:
    """A server among tools. Who else may use it, where it is and its key are the administrators' business."""
    return {
        "id": row.tool_id,
        "user_id": row.tool_id,
        "name": row.name,
        "meta": {"description": row.description, "manifest": {}},
        "created_at": int(row.created_at.timestamp()),
        "updated_at": int(row.updated_at.timestamp()),
        "user": None,
        "access_grants": [],
        "access_control": {},
        "write_access": False,
        "authenticated": not needs_sign_in(row),
    }
