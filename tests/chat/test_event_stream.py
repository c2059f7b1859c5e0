"""Pages behind a proxy that lets no socket through are told the same by server-sent events, under the same rights."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
import pytest
from django.test import AsyncClient

from accounts import services as accounts
from chat.nodes import nodes
from owui.lib import ending
from owui.lib.aio import in_thread
from tests.chat.helpers import ask, end, plan_for, until
from tests.chat.test_rendering import Dom
from tests.chat.test_runner import launch
from tests.conftest import token_for
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)


async def stream(token: str, *turns: tuple[Any, int]) -> Any:
    client = AsyncClient(headers={"sec-fetch-site": "same-origin"})
    client.cookies["token"] = token
    query = "&".join(f"turn={turn}.{seq}" for turn, seq in turns)
    return await client.get(f"/c/stream?{query}")


async def events(response: Any, seconds: float = 5) -> AsyncIterator[tuple[str, Any]]:
    """Name and data of each event."""
    assert response["Content-Type"] == "text/event-stream" and response["X-Accel-Buffering"] == "no"
    try:
        async with asyncio.timeout(seconds):
            async for chunk in response.streaming_content:
                fields = dict(line.split(": ", 1) for line in chunk.decode().strip().splitlines() if ": " in line)
                if fields:
                    yield fields.get("event", ""), orjson.loads(fields["data"])
    finally:
        response.close()


async def test_an_answer_comes_whole(process: Any, alice: Any, server: FakeModelServer) -> None:
    started = await in_thread(ask)(alice, "hi", process.id)
    token = await in_thread(token_for)(alice)
    launch(process, started, plan_for(server, "[[n=40 tps=200]]"))
    dom, seqs, names = Dom(), [], []
    async with aclosing(events(await stream(token, (started.turn.pk, 0), ("nonsense", 0)))) as found:
        async for name, data in found:
            names.append(name)
            if data == 1 or "turn" not in data:
                continue
            seqs.append(data["seq"])
            dom.apply(data["ops"])
            if "data-turn" in dom.attributes:
                break
    assert names[0] == "ready" and seqs == sorted(set(seqs))
    assert "t40" in dom.part(started.message.pk, "blocks")
    # Nobody listens any more when the page is gone.
    await until(lambda: nodes.count(alice.pk) == 0)


async def test_it_is_nobody_elses_and_ends_with_the_session(process: Any, people: Any) -> None:
    started = await in_thread(ask)(people.alice, "secret question")
    await in_thread(end)(started, "secret answer")
    token = await in_thread(token_for)(people.mallory)
    async with aclosing(events(await stream(token, (started.turn.pk, 0), (uuid.uuid4(), 0)))) as found:
        assert (await anext(found))[0] == "ready"
        for _turn in range(2):
            _name, data = await anext(found)
            assert data["error"] == "missing" and data["ops"] == []
        await in_thread(accounts.revoke_sessions)(people.mallory, by=people.dana)
        assert await anext(found) == ("over", 4401)
    response = await stream(token)
    assert response.status_code == 302 and response["Location"].startswith("/auth")


async def test_it_ends_with_the_process(process: Any, alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the page asks another one."""
    async with aclosing(events(await stream(await in_thread(token_for)(alice)))) as found:
        assert (await anext(found))[0] == "ready"
        monkeypatch.setattr(ending, "_asked", True)
        with pytest.raises(StopAsyncIteration):
            await anext(found)
