"""Asking a tool server or a terminal whether it is there and what it offers: for administrators who set one up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import httpx
import orjson
from django.conf import settings
from django.utils.translation import gettext as _

from inference.forwarding import filled
from inference.providers.transport import OF_CALLERS
from owui.lib.errors import UserError
from owui.lib.http import FAULTS, client, fault_of
from owui.lib.masks import same_place

LONGEST = 10 * 1024 * 1024
_MCP_VERSION = "2025-03-26"
_REPLY = re.compile(rb'"(result|error)"')
_MCP_TYPES = "application/json, text/event-stream"


def headers_for(options: Mapping[str, Any], person: Mapping[str, str], token: str) -> dict[str, str]:
    """What a call carries: the key or the caller's own token, and the connection's headers with their placeholders."""
    headers = filled(options.get("headers") or {}, person)
    auth = options.get("auth_type") or "bearer"
    if auth in OF_CALLERS and token:
        headers["Authorization"] = f"Bearer {token}"
    elif auth == "bearer" and options.get("key"):
        headers["Authorization"] = f"Bearer {options['key']}"
    return headers


def spec_address(url: str, options: Mapping[str, Any]) -> str:
    """Where the description of an OpenAPI server lies: its `path`, below the address or written out."""
    path = str(options.get("path") or "openapi.json").strip()
    return path if "://" in path else urljoin(f"{url}/", path.lstrip("/"))


async def openapi_spec(url: str, options: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """The description of an OpenAPI server, from its address or as it was pasted; 400 when there is none."""
    if options.get("spec_type") == "json":
        spec = _as_object(options.get("spec"))
    else:
        target = spec_address(url, options)
        if not same_place(target, url):
            raise _failed(_("Its path leads to another server, which must not learn the key."))
        spec = _as_object(await _fetch("GET", target, headers))
    if not isinstance(spec, dict) or not isinstance(spec.get("paths"), dict):
        raise _failed(_("What it answered is not an OpenAPI description."))
    return spec


async def mcp_tools(url: str, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """The tools of an MCP server (streamable HTTP): a handshake, then its list; 400 when it does not speak MCP."""
    hello = {
        "protocolVersion": _MCP_VERSION,
        "capabilities": {},
        "clientInfo": {"name": "owui", "version": "1"},
    }
    async with asyncio.timeout(settings.BOOT.aiohttp_client_timeout_model_list * 3):
        answer, session = await _rpc(url, headers, "initialize", hello, 1)
        within = {**headers, "MCP-Protocol-Version": str(answer.get("protocolVersion") or _MCP_VERSION)}
        if session:
            within["Mcp-Session-Id"] = session
        await _rpc(url, within, "notifications/initialized", None, None)
        listed, _session = await _rpc(url, within, "tools/list", {}, 2)
    tools = listed.get("tools")
    return [
        {
            "name": str(tool.get("name")),
            "description": str(tool.get("description") or ""),
            "parameters": tool.get("inputSchema") or {},
        }
        for tool in (tools if isinstance(tools, list) else [])
        if isinstance(tool, dict) and tool.get("name")
    ]


async def terminal_type(url: str, headers: Mapping[str, str]) -> str:
    """`terminal` or `orchestrator`; 400 when neither answers."""
    health = _as_object(await _fetch("GET", f"{url}/health", headers))
    if not isinstance(health, dict) or str(health.get("status", "")).lower() not in ("ok", "true"):
        raise _failed(_("Its /health does not say that it is well."))
    try:
        await _fetch("GET", f"{url}/api/v1/policies", headers)
    except UserError:
        return "terminal"
    return "orchestrator"


async def _rpc(
    url: str, headers: Mapping[str, str], method: str, params: Any, number: int | None
) -> tuple[dict[str, Any], str]:
    """One JSON-RPC call; without a number a notification, which has no answer."""
    body: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        body["params"] = params
    if number is not None:
        body["id"] = number
    sent = {**headers, "Accept": _MCP_TYPES, "Content-Type": "application/json"}
    text, answered = await _send("POST", url, sent, orjson.dumps(body))
    if number is None:
        return {}, ""
    if answered.get("content-type", "").startswith("text/event-stream"):
        lines = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
        replies = [_as_object(line) for line in lines]
    else:
        replies = [_as_object(text)]
    for reply in replies:
        if isinstance(reply, dict) and reply.get("id") == number and isinstance(reply.get("result"), dict):
            return reply["result"], answered.get("mcp-session-id", "")
    raise _failed(_("It does not speak MCP over streamable HTTP."))


def _as_object(text: Any) -> Any:
    if not isinstance(text, (str, bytes)):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


async def _fetch(method: str, url: str, headers: Mapping[str, str]) -> str:
    return (await _send(method, url, headers, None))[0]


async def _send(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[str, httpx.Headers]:
    seconds = settings.BOOT.aiohttp_client_timeout_model_list
    try:
        async with asyncio.timeout(seconds):
            request = client().build_request(method, url, headers=dict(headers), content=body)
            response = await client().send(request, stream=True)
            try:
                found = await _body(response)
            finally:
                await response.aclose()
    except FAULTS as error:
        raise _failed(str(fault_of(error).value)) from error
    except ValueError as error:
        raise _failed(_("Its address, key or headers hold signs that cannot be sent.")) from error
    if response.status_code >= 300:
        raise _failed(_("It answered with status %(code)s.") % {"code": response.status_code})
    return found.decode(errors="replace"), response.headers


async def _body(response: httpx.Response) -> bytes:
    parts, size = [], 0
    is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
    async for part in response.aiter_bytes():
        size += len(part)
        if size > LONGEST:
            raise _failed(_("Its answer is too long."))
        parts.append(part)
        # An MCP server may leave its stream open behind the one answer.
        if is_stream and part.endswith(b"\n\n") and _REPLY.search(b"".join(parts)):
            break
    return b"".join(parts)


def _failed(why: str) -> UserError:
    return UserError(_("The server could not be checked: %(why)s") % {"why": why}, status=400, code="connection_failed")
