"""Looking at a tool server or a terminal before it is connected: real sockets, good and bad answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from inference.probe import headers_for, mcp_tools, openapi_spec, terminal_type
from owui.lib.errors import UserError
from tests.fakes.http_server import Exchange, serve
from tests.inference.conftest import dead_address

SPEC = {"openapi": "3.1.0", "info": {"title": "Lab"}, "paths": {"/samples": {"get": {"operationId": "samples"}}}}


@asynccontextmanager
async def running(handler: Callable[[Exchange], Awaitable[None]]) -> AsyncIterator[str]:
    async def handle(exchange: Exchange) -> None:
        await handler(exchange)

    port, stop = await serve(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await stop()


async def test_an_openapi_server_gives_its_description_to_who_has_the_key() -> None:
    async def lab(exchange: Exchange) -> None:
        is_known = exchange.request.headers.get("authorization") == "Bearer sk-x"
        assert exchange.request.path == "/openapi.json"
        await exchange.send_json(SPEC if is_known else {"detail": "no"}, 200 if is_known else 401)

    async with running(lab) as url:
        headers = headers_for({"key": "sk-x"}, {}, "")
        assert await openapi_spec(url, {"path": "openapi.json"}, headers) == SPEC
        with pytest.raises(UserError) as refused:
            await openapi_spec(url, {}, headers_for({"key": "sk-x", "auth_type": "none"}, {}, ""))
    assert refused.value.status == 400 and "401" in refused.value.message


async def test_a_description_that_was_pasted_needs_no_server() -> None:
    options = {"spec_type": "json", "spec": '{"openapi": "3.0.0", "paths": {}}'}
    assert await openapi_spec(dead_address(), options, {}) == {"openapi": "3.0.0", "paths": {}}


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"paths": 1}', b"{" + b" " * 11_000_000])
async def test_what_is_no_description_is_refused(answer: bytes) -> None:
    async def odd(exchange: Exchange) -> None:
        await exchange.send_json(answer)

    async with running(odd) as url:
        with pytest.raises(UserError) as refused:
            await openapi_spec(url, {}, {})
    assert refused.value.status == 400


async def test_a_server_that_is_away_or_cannot_be_named_is_said_so() -> None:
    for url, headers in ((dead_address(), {}), ("http://127.0.0.1:1", {"X-Bad": "a\nb"})):
        with pytest.raises(UserError) as refused:
            await openapi_spec(url, {}, headers)
        assert refused.value.status == 400


@pytest.mark.parametrize("as_stream", [False, True])
async def test_an_mcp_server_lists_its_tools_after_a_handshake(as_stream: bool) -> None:
    heard: list[str] = []

    async def mcp(exchange: Exchange) -> None:
        body: dict[str, Any] = exchange.request.json
        heard.append(body["method"])
        if "id" not in body:
            await exchange.send_json(b"", 202)
            return
        if body["method"] != "initialize":
            assert exchange.request.headers["mcp-session-id"] == "s1"
        tools = [{"name": "samples", "description": "All samples", "inputSchema": {"type": "object"}}, {"odd": 1}]
        result = {"protocolVersion": "2025-03-26"} if body["method"] == "initialize" else {"tools": tools}
        reply = {"jsonrpc": "2.0", "id": body["id"], "result": result}
        if not as_stream:
            await exchange.send_json(reply, headers={"Mcp-Session-Id": "s1"})
            return
        import orjson

        exchange._head(
            200,
            {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked", "Mcp-Session-Id": "s1"},
        )
        # The stream is left open behind the answer.
        await exchange.send_chunk(b"event: message\ndata: " + orjson.dumps(reply) + b"\n\n")

    async with running(mcp) as url:
        found = await mcp_tools(f"{url}/mcp", {})
    assert found == [{"name": "samples", "description": "All samples", "parameters": {"type": "object"}}]
    assert heard == ["initialize", "notifications/initialized", "tools/list"]


async def test_what_does_not_speak_mcp_is_refused() -> None:
    async def web(exchange: Exchange) -> None:
        await exchange.send_json({"hello": "world"})

    async with running(web) as url:
        with pytest.raises(UserError, match="does not speak MCP"):
            await mcp_tools(url, {})


@pytest.mark.parametrize(("policies", "kind"), [(200, "orchestrator"), (404, "terminal")])
async def test_a_terminal_says_what_it_is(policies: int, kind: str) -> None:
    async def terminal(exchange: Exchange) -> None:
        is_health = exchange.request.path == "/health"
        await exchange.send_json({"status": "ok"} if is_health else {}, 200 if is_health else policies)

    async with running(terminal) as url:
        assert await terminal_type(url, {}) == kind


async def test_a_terminal_that_is_not_well_is_refused() -> None:
    async def ill(exchange: Exchange) -> None:
        await exchange.send_json({"status": "starting"})

    async with running(ill) as url:
        with pytest.raises(UserError, match="not say that it is well"):
            await terminal_type(url, {})


def test_headers_carry_the_key_or_the_callers_own_session_and_say_who_asks() -> None:
    person = {"USER_EMAIL": "dana@example.org"}
    options = {"key": "sk-x", "headers": {"X-Who": "{{USER_EMAIL}}"}}
    assert headers_for(options, person, "t") == {"Authorization": "Bearer sk-x", "X-Who": "dana@example.org"}
    assert headers_for({"auth_type": "session"}, person, "t") == {"Authorization": "Bearer t"}
    assert headers_for({"auth_type": "none", "key": "sk-x"}, person, "t") == {}


async def test_a_description_elsewhere_is_not_asked_for() -> None:
    asked: list[str] = []

    async def elsewhere(exchange: Exchange) -> None:
        asked.append(exchange.request.path)
        await exchange.send_json(SPEC)

    async with running(elsewhere) as url:
        with pytest.raises(UserError, match="another server"):
            await openapi_spec("http://tools.internal", {"path": f"{url}/steal"}, {"Authorization": "Bearer sk-x"})
    assert asked == []
