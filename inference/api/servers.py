"""Connected tool servers and terminals: set by administrators under `/configs`, listed for those who may use them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import BaseModel, ConfigDict

from inference.api.relay import aadmin
from inference.forwarding import forwarded, own_token, values
from inference.models import ServerConnection, TerminalServer, ToolServer
from inference.probe import headers_for, mcp_tools, openapi_spec, terminal_type
from inference.tool_servers import Entry, entries_json, parse_entries, replace_connections
from owui.lib.aio import in_thread
from owui.lib.guards import admin, verified

configs = Router(tags=["configs"])
terminals = Router(tags=["terminals"])


class ToolServersForm(Schema):
    TOOL_SERVER_CONNECTIONS: list[dict[str, Any]]


class TerminalServersForm(Schema):
    TERMINAL_SERVER_CONNECTIONS: list[dict[str, Any]]


class ConnectionForm(BaseModel):
    """One entry, whatever fields it has. Not ninja's Schema, which forgets unknown fields."""

    model_config = ConfigDict(extra="allow")

    url: str


@configs.get("/tool_servers", auth=admin)
def get_tool_servers(request: HttpRequest) -> dict[str, Any]:
    return {"TOOL_SERVER_CONNECTIONS": entries_json(ToolServer)}


@configs.post("/tool_servers", auth=admin)
def set_tool_servers(request: HttpRequest, form: ToolServersForm) -> dict[str, Any]:
    replace_connections(ToolServer, form.TOOL_SERVER_CONNECTIONS, by=request.user)  # type: ignore[arg-type]
    return get_tool_servers(request)


@configs.get("/terminal_servers", auth=admin)
def get_terminal_servers(request: HttpRequest) -> dict[str, Any]:
    return {"TERMINAL_SERVER_CONNECTIONS": entries_json(TerminalServer)}


@configs.post("/terminal_servers", auth=admin)
def set_terminal_servers(request: HttpRequest, form: TerminalServersForm) -> dict[str, Any]:
    replace_connections(TerminalServer, form.TERMINAL_SERVER_CONNECTIONS, by=request.user)  # type: ignore[arg-type]
    return get_terminal_servers(request)


@configs.post("/tool_servers/verify", auth=aadmin)
async def verify_tool_server(request: HttpRequest, form: ConnectionForm) -> dict[str, Any]:
    entry = await in_thread(_entry)(ToolServer, form)
    headers = await _headers(request, entry)
    if entry.kind == "mcp":
        return {"status": True, "specs": await mcp_tools(entry.url, headers)}
    return await openapi_spec(entry.url, entry.options, headers)


@configs.post("/terminal_servers/verify", auth=aadmin)
async def verify_terminal_server(request: HttpRequest, form: ConnectionForm) -> dict[str, Any]:
    entry = await in_thread(_entry)(TerminalServer, form)
    return {"status": True, "type": await terminal_type(entry.url, await _headers(request, entry))}


@terminals.get("/", auth=verified)
def list_terminals(request: HttpRequest) -> list[dict[str, Any]]:
    """The terminals the caller may use. Neither address nor key leaves the server."""
    rows = TerminalServer.objects.readable_by(request.user).filter(is_enabled=True)  # type: ignore[arg-type]
    return [{"id": row.server_id, "name": row.name} for row in rows]


def _entry(model: type[ServerConnection], form: ConnectionForm) -> Entry:
    return parse_entries(model, [form.model_dump()])[0]


async def _headers(request: HttpRequest, entry: Entry) -> dict[str, str]:
    user: Any = request.auth  # type: ignore[attr-defined]
    person = await values((entry.options.get("headers") or {}).values(), user)
    token = await own_token(str(entry.options.get("auth_type")), user)
    return forwarded(user) | headers_for(entry.options, person, token)
