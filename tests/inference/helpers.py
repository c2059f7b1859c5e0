"""What the tests of the OpenAI-compatible provider share."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import orjson

from inference.providers import get_provider
from inference.providers.base import ChatRequest, ConnectionInfo
from inference.providers.events import StreamEvent, TextDelta
from tests.fakes.http_server import Exchange, serve
from tests.fakes.model_server import FakeModelServer

provider = get_provider("openai")


def to(server: FakeModelServer, **changes: Any) -> ConnectionInfo:
    return ConnectionInfo(**{"kind": "openai", "base_url": server.openai_url, **changes})


def ask(text: str, **changes: Any) -> ChatRequest:
    return ChatRequest(**{"model": "m", "messages": [{"role": "user", "content": text}], **changes})


async def collect(connection: ConnectionInfo, request: ChatRequest) -> list[StreamEvent]:
    return [event async for event in provider.stream_chat(connection, request)]


def text_in(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def counted(number: int, letter: str = "t") -> str:
    return "".join(f"{letter}{i} " for i in range(1, number + 1))


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


async def raw_server(answer: bytes, content_type: str = "text/event-stream") -> AsyncGenerator[ConnectionInfo, None]:
    async def handle(exchange: Exchange) -> None:
        exchange.start_stream(content_type)
        await exchange.send_chunk(answer)
        exchange.end_stream()

    port, stop = await serve(handle, "127.0.0.1", 0)
    try:
        yield ConnectionInfo("openai", f"http://127.0.0.1:{port}")
    finally:
        await stop()


async def answers_to(answer: bytes, content_type: str = "text/event-stream") -> list[StreamEvent]:
    async with aclosing(raw_server(answer, content_type)) as servers:
        async for connection in servers:
            return await collect(connection, ask("hi"))
    raise AssertionError


def delta(**fields: Any) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": fields}]}) + b"\n\n"
