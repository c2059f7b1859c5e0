"""Answers are read a few tokens at a time; their first words and their end wait for nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from aiohttp.client_proto import ResponseHandler

from inference.providers import pace as module
from inference.providers.base import ChatRequest, ConnectionInfo
from inference.providers.errors import ProviderError
from inference.providers.events import Finished, TextDelta
from inference.providers.openai import OpenAIProvider
from inference.providers.pace import Pace, gap

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def token(text: str) -> bytes:
    return chunk(b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % text.encode())


async def serve(answer: Callable[[asyncio.StreamWriter], object]) -> tuple[asyncio.Server, ConnectionInfo]:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        await answer(writer)  # type: ignore[misc]
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    return server, ConnectionInfo("openai", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")


async def test_tokens_that_come_while_one_waits_are_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHORTEST", 3600.0)
    monkeypatch.setattr(module, "LONGEST", 3600.0)
    first = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(token("a"))
        await writer.drain()
        await asyncio.wait_for(first.wait(), 20)
        for text in "bcdefgh":
            writer.write(token(text))
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(chunk(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'))
        writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    server, connection = await serve(answer)
    texts, finished = [], False
    async with server, asyncio.timeout(30):  # an hour's rest ends with the answer
        async for event in OpenAIProvider().stream_chat(
            connection, ChatRequest("m", [{"role": "user", "content": "?"}])
        ):
            if isinstance(event, TextDelta):
                texts.append(event.text)
                first.set()
            finished = finished or isinstance(event, Finished)
    assert "".join(texts) == "abcdefgh" and finished
    assert len(texts) <= 3 and texts[0] == "a"
    assert module._open == 0


async def test_the_more_answers_are_open_the_longer_the_gap() -> None:
    alone = gap()
    with Pace(None), Pace(None):
        assert alone < gap() <= module.LONGEST
    assert gap() == alone
    several = [Pace(None).__enter__() for _ in range(2000)]
    assert gap() == module.LONGEST
    for one in several:
        one.__exit__()


async def test_a_rest_can_be_cancelled_and_is_as_long_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace(None)
    await pace.rest()  # nothing was looked at yet
    pace.looked()
    begun = time.monotonic()
    await pace.rest()
    assert time.monotonic() - begun >= module.SHORTEST * 0.9
    monkeypatch.setattr(module, "SHORTEST", 3600.0)
    monkeypatch.setattr(module, "LONGEST", 3600.0)
    pace.looked()
    resting = asyncio.create_task(pace.rest())
    await asyncio.sleep(0)
    resting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await resting


@pytest.mark.parametrize("is_cut", [False, True])
async def test_with_many_answers_the_bytes_wait_in_the_kernel(monkeypatch: pytest.MonkeyPatch, is_cut: bool) -> None:
    """No token wakes the process for itself; what came before the server died is not lost with it."""
    monkeypatch.setattr(module, "MANY", 1)
    monkeypatch.setattr(module, "SHORTEST", 0.3)
    monkeypatch.setattr(module, "LONGEST", 0.3)
    first, woken = asyncio.Event(), list[int]()
    received = ResponseHandler.data_received

    def noted(protocol: ResponseHandler, data: bytes) -> None:
        if data:
            woken.append(len(data))
        received(protocol, data)

    monkeypatch.setattr(ResponseHandler, "data_received", noted)

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(token("a"))
        await asyncio.wait_for(first.wait(), 20)
        for text in "bcdefgh":
            writer.write(token(text))
            await writer.drain()
            await asyncio.sleep(0.01)
        if not is_cut:
            writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    server, connection = await serve(answer)
    texts, fault = [], None
    async with server, asyncio.timeout(30):
        try:
            async for event in OpenAIProvider().stream_chat(
                connection, ChatRequest("m", [{"role": "user", "content": "?"}])
            ):
                if isinstance(event, TextDelta):
                    texts.append(event.text)
                    first.set()
        except ProviderError as error:
            fault = error
    assert "".join(texts) == "abcdefgh"
    assert len(woken) <= 5, "the head, the first word, and the rest in one or two pieces"
    assert (fault is not None) == is_cut
