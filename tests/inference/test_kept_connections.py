"""A connection that was kept and that the server lets go of just as it is used again."""

from __future__ import annotations

import asyncio
import re

import pytest

from inference.providers import get_provider
from inference.providers.base import ConnectionInfo
from inference.providers.errors import ProviderError
from owui.lib import http

BODY = b'{"data": [{"index": 0, "embedding": [1.0, 0.0]}]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class LettingGo:
    """Answers the first request of its first connection and not the second; later connections as `answers` says."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.connections = self.requests = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        is_first, mine = self.connections == 1, 0
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = re.search(rb"content-length: (\d+)", head, re.I)
                await reader.readexactly(int(size[1]) if size else 0)
                mine += 1
                self.requests += 1
                if mine > 1 or not (is_first or self.answers):
                    return
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
                )
                writer.write(BODY)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


async def vectors(server: LettingGo) -> list[list[float]]:
    """Of the second of two requests."""
    listener = await asyncio.start_server(server, "127.0.0.1", 0)
    connection = ConnectionInfo("openai", f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1")
    try:
        await get_provider("openai").embed(connection, "m", ["x"])
        return await get_provider("openai").embed(connection, "m", ["x"])
    finally:
        await http.close_client()
        listener.close()


async def test_a_request_into_a_closing_connection_is_sent_once_more() -> None:
    server = LettingGo(answers=True)
    assert await vectors(server) == [[1.0, 0.0]]
    assert (server.connections, server.requests) == (2, 3)


async def test_a_server_that_never_answers_is_asked_twice_and_no_more() -> None:
    server = LettingGo(answers=False)
    with pytest.raises(ProviderError):
        await vectors(server)
    assert (server.connections, server.requests) == (2, 3)
