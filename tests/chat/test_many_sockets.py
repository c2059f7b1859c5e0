"""Sockets that come and go without end, and frames without end, leave nothing behind."""

from __future__ import annotations

import asyncio
import threading
import uuid
from typing import Any

import orjson
import pytest

from chat import consumers, rendering, selectors
from chat.nodes import nodes
from owui.lib.aio import in_thread
from rbac.watch import watch
from tests.chat.helpers import ask, plan_for, until
from tests.chat.test_runner import launch
from tests.chat.test_sockets import attach, closed, frame, opened, socket
from tests.conftest import token_for
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)


def open_things() -> dict[str, int]:
    """What a socket takes: tasks, holds on rights, a place among the listeners."""
    return {
        "tasks": len([t for t in asyncio.all_tasks() if t.get_name().startswith(("reader-", "socket-"))]),
        "holds": len(watch._holds),
        "listeners": sum(len(group) for group in nodes._listeners.values()),
    }


async def test_three_hundred_sockets_that_attach_and_drop_leave_nothing(
    process: Any, alice: Any, server: FakeModelServer
) -> None:
    token = await in_thread(token_for)(alice)
    started = await in_thread(ask)(alice, "hi", process.id)
    launch(process, started, plan_for(server, "[[n=100000 tps=200]]"))
    await until(lambda: process.turns[started.turn.pk].log)
    before = open_things()

    async def come_and_go(number: int) -> None:
        async with opened(token) as connection:
            await attach(connection, started.turn.pk)
            if number % 3 == 0:
                await frame(connection, 20)

    for start in range(0, 300, 20):
        await asyncio.gather(*(come_and_go(number) for number in range(start, start + 20)))
    await until(lambda: open_things() == before)
    process.stop_turn(started.turn.pk)


async def test_peer_that_is_gone_while_it_is_sent_to_leaves_nothing(
    process: Any, alice: Any, server: FakeModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    """uvicorn raises from `send` then, and tells of no disconnect to whoever was in the middle of an answer."""
    token = await in_thread(token_for)(alice)
    started = await in_thread(ask)(alice, "hi", process.id)
    launch(process, started, plan_for(server, "[[n=100000 tps=200]]"))
    before = open_things()
    gone = asyncio.Event()
    connection = socket(token)
    inner = connection.application

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def fragile(message: Any) -> None:
            if gone.is_set():
                raise ConnectionResetError("gone")
            await send(message)

        await inner(scope, receive, fragile)

    connection.application = application
    assert (await connection.connect())[0]
    await attach(connection, started.turn.pk)
    await frame(connection, 20)
    assert open_things() != before
    gone.set()
    await connection.send_to(text_data="not understood")
    await until(lambda: open_things() == before)
    await connection.wait(5)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    process.stop_turn(started.turn.pk)


async def test_too_many_sockets_of_one_person_are_closed_with_a_code_of_their_own(
    process: Any, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "MAX_SOCKETS", 2)
    alice, bob = await in_thread(token_for)(people.alice), await in_thread(token_for)(people.bob)
    async with opened(alice), opened(alice):
        third = socket(alice)
        await third.connect()
        await attach(third, uuid.uuid4())
        assert await closed(third, 20) == 4429
        await third.disconnect()
        async with opened(bob) as other:
            await other.send_to(text_data='{"type":"ping"}')
            assert await frame(other, 20) == {"type": "pong"}
    async with opened(alice) as again:
        await again.send_to(text_data='{"type":"ping"}')
        assert await frame(again, 20) == {"type": "pong"}


async def test_thousands_of_attach_frames_ask_the_database_one_at_a_time(
    process: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, now, most = selectors.attachable_turn, 0, 0

    def counting(user: Any, turn_id: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            return real(user, turn_id)
        finally:
            now -= 1

    monkeypatch.setattr(selectors, "attachable_turn", counting)
    monkeypatch.setattr(watch, "doubt_all", lambda: None)
    started = await in_thread(ask)(alice)
    async with opened(await in_thread(token_for)(alice)) as connection:
        for number in range(2000):
            turn = started.turn.pk if number % 2 else uuid.uuid4()
            await connection.send_to(text_data=orjson.dumps({"type": "attach", "turn": str(turn), "seq": -1}).decode())
        await connection.send_to(text_data='{"type":"ping"}')
        async with asyncio.timeout(60):
            while (await frame(connection, 30)).get("type") != "pong":
                pass
    # One of the socket, and one of the watch over its rights.
    assert most <= 2
    await until(lambda: open_things()["tasks"] == 0)


@pytest.mark.parametrize("seq", [10**6, -5, 2**62, 1e30, "7", 3.9, True])
async def test_position_that_cannot_be_ends_with_the_whole_answer(
    process: Any, alice: Any, server: FakeModelServer, seq: Any
) -> None:
    started = await in_thread(ask)(alice, "hi", process.id)
    async with opened(await in_thread(token_for)(alice)) as connection:
        launch(process, started, plan_for(server, "[[n=10]]"))
        await attach(connection, started.turn.pk, seq)
        last: Any = {"ops": []}
        async with asyncio.timeout(30):
            while not any(op[0] == "attr" for op in last["ops"]):
                last = await frame(connection, 20)
    assert any("t10" in str(op) for op in last["ops"])


async def test_answers_beyond_what_a_socket_reads_at_once_are_shown_when_their_turn_comes(
    process: Any, alice: Any, server: FakeModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "MAX_TURNS", 1)
    token = await in_thread(token_for)(alice)
    turns = [await in_thread(ask)(alice, "hi", process.id) for _ in range(3)]
    for started in turns:
        launch(process, started, plan_for(server, "[[n=10 tps=100]]"))
    ended: list[str] = []
    async with opened(token) as connection:
        for started in turns:
            await attach(connection, started.turn.pk)
        while len(ended) < 3:
            last = await frame(connection, 20)
            if any(op[0] == "attr" and op[2] == "data-turn" for op in last["ops"]):
                ended.append(last["turn"])
    assert ended == [str(started.turn.pk) for started in turns]


async def test_long_answer_is_drawn_beside_the_loop(
    process: Any, alice: Any, server: FakeModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "LONG_ANSWER", 200)
    drawn: list[bool] = []
    feed = rendering.TurnView.feed

    def noted(view: Any, batch: Any) -> Any:
        drawn.append(threading.current_thread() is threading.main_thread())
        return feed(view, batch)

    monkeypatch.setattr(rendering.TurnView, "feed", noted)
    token = await in_thread(token_for)(alice)
    started = await in_thread(ask)(alice, "hi", process.id)
    launch(process, started, plan_for(server, "[[n=500 tps=400]]"))
    await until(lambda: sum(len(str(value)) for _kind, value in process.turns[started.turn.pk].log) > 300)
    async with opened(token) as connection:
        await attach(connection, started.turn.pk)
        await frame(connection, 20)
        await frame(connection, 20)
    process.stop_turn(started.turn.pk)
    assert drawn[:2] == [False, True]
