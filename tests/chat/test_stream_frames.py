"""The SSE of a model that takes its time over the first word."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.http import StreamingHttpResponse

from chat.api import completions
from chat.engine.events import Outcome
from chat.engine.turn import run_turn
from owui.lib.errors import UserError
from owui.lib.http import close_client
from tests.chat.helpers import counted, plan_for, until
from tests.fakes.model_server import FakeModelServer

BEAT = b": keep-alive\n\n"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions, "KEEP_ALIVE_SECONDS", 0.1)


async def frames_of(server: FakeModelServer, text: str) -> list[bytes]:
    return await frames(run_turn(plan_for(server, text)))


async def frames(events: Any) -> list[bytes]:
    response: Any = await completions._streamed(events, "fake-small")
    assert isinstance(response, StreamingHttpResponse)
    try:
        return [frame async for frame in response.streaming_content]  # type: ignore[union-attr]
    finally:
        await close_client()


async def test_silence_before_the_first_word_is_filled_with_comments(server: FakeModelServer) -> None:
    frames = await frames_of(server, "[[n=5 ttft=500]]")
    assert frames.count(BEAT) >= 2
    assert all(frame == BEAT for frame in frames[: frames.count(BEAT)]), "none comes after the first word"
    assert b"".join(frames).count(b'"content"') >= 1
    assert frames[-1] == b"data: [DONE]\n\n"
    text = b"".join(frames).decode()
    assert all(word in text for word in counted(5).split())


async def test_quick_answer_has_no_comments(server: FakeModelServer) -> None:
    assert BEAT not in await frames_of(server, "[[n=3]]")


async def test_fault_after_a_comment_is_a_frame() -> None:
    async def slow_refusal() -> Any:
        await asyncio.sleep(0.3)
        yield Outcome("failed", "The model server is busy.", 503)

    sent = await frames(slow_refusal())
    assert sent[0] == BEAT
    assert b'"error"' in sent[-2]
    assert sent[-1] == b"data: [DONE]\n\n"


async def test_quick_fault_is_an_http_error(server: FakeModelServer) -> None:
    with pytest.raises(UserError):
        await frames_of(server, "[[err=503]]")
    await close_client()


async def test_reader_that_leaves_during_the_silence_ends_the_work(server: FakeModelServer) -> None:
    response: Any = await completions._streamed(run_turn(plan_for(server, "[[n=5 ttft=60000]]")), "fake-small")
    frames = response._iterator  # what Django's handler closes when the browser has gone
    assert await anext(frames) == BEAT
    await until(lambda: server.stats()["active"] == 1)
    await frames.aclose()
    await until(lambda: server.stats()["cancelled"] == 1)
    await close_client()
