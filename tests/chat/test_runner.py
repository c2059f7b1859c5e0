"""Turns detached from whoever asked: saved whole, whatever goes away meanwhile."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from chat import runner as runner_module
from chat import services, turnlog
from chat.engine.events import Outcome, Sources
from chat.follow import follow
from chat.models import Citation, Message, Turn, TurnEvent
from chat.runner import Runner
from inference.providers.events import TextDelta, Usage
from owui.lib.aio import in_thread
from tests.chat.helpers import ask, counted, plan_for, text_in, until
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)


async def begin(runner: Runner, user: Any, server: FakeModelServer, text: str) -> Any:
    started = await in_thread(ask)(user, text, runner.id)
    return started, launch(runner, started, plan_for(server, text))


def launch(runner: Runner, started: Any, plan: Any) -> Any:
    return runner.run(
        plan,
        turn_id=started.turn.pk,
        chat_id=started.chat.pk,
        message_id=started.message.pk,
        user_id=started.turn.user_id,
    )


async def ended(live: Any) -> Message:
    await asyncio.wait_for(asyncio.shield(live.task), 10)
    return await in_thread(Message.objects.get)(pk=live.message_id)


async def read(turn_id: uuid.UUID, after: int = 0) -> str:
    return "".join([text_in([event for _seq, event in batch]) async for batch in follow(turn_id, after)])


async def test_answer_is_saved_whole_and_its_log_too(runner: Runner, alice: Any, server: FakeModelServer) -> None:
    started, live = await begin(runner, alice, server, "[[n=60 tps=300 think=4]]")
    message = await ended(live)
    assert (message.content, message.reasoning, message.state) == (counted(60), counted(4, "r"), "done")
    assert message.usage["completion_tokens"] == 64
    assert runner.turns == {}
    log = await in_thread(turnlog.transcript)(started.turn.pk)
    assert log.text == counted(60)


async def test_readers_get_the_same_text_from_wherever_they_begin(
    runner: Runner, alice: Any, server: FakeModelServer
) -> None:
    started, live = await begin(runner, alice, server, "[[n=80 tps=200]]")
    early = [asyncio.create_task(read(started.turn.pk)) for _ in range(5)]
    await until(lambda: len(live.log) > 6)
    before = text_in(live.log[:4])
    late = asyncio.create_task(read(started.turn.pk, 4))
    assert await asyncio.gather(*early) == [counted(80)] * 5
    assert before + await late == counted(80)
    # And after the end, from the saved log.
    assert await read(started.turn.pk) == counted(80)
    assert before + await read(started.turn.pk, 4) == counted(80)


async def test_stop_keeps_the_text_and_ends_the_upstream_answer(
    runner: Runner, alice: Any, server: FakeModelServer
) -> None:
    started, live = await begin(runner, alice, server, "[[n=3000 tps=100]]")
    await until(lambda: len(live.log) > 3)
    assert runner.stop_turn(started.turn.pk)
    message = await ended(live)
    assert message.state == "stopped"
    assert counted(3000).startswith(message.content)
    assert message.content
    await until(lambda: server.stats()["cancelled"] == 1, 1)
    assert not runner.stop_turn(started.turn.pk)


async def test_stop_before_the_first_step_is_saved_too(runner: Runner, alice: Any, server: FakeModelServer) -> None:
    started, live = await begin(runner, alice, server, "[[n=5]]")
    runner.stop_turn(started.turn.pk)
    assert (await ended(live)).state == "stopped"


async def test_stop_while_the_end_is_being_saved_loses_nothing(
    runner: Runner, alice: Any, server: FakeModelServer, monkeypatch: Any
) -> None:
    real, tried = turnlog.finish, asyncio.Event()
    loop, fail = asyncio.get_running_loop(), [True]

    def finish(*args: Any, **kwargs: Any) -> None:
        loop.call_soon_threadsafe(tried.set)
        if fail[0]:
            raise OperationalError("away")
        real(*args, **kwargs)

    monkeypatch.setattr(turnlog, "finish", finish)
    started, live = await begin(runner, alice, server, "[[n=20]]")
    await tried.wait()
    runner.stop_turn(started.turn.pk)
    fail[0] = False
    message = await ended(live)
    assert (message.content, message.state) == (counted(20), "done")


async def test_stop_asked_for_in_the_database_is_obeyed(runner: Runner, alice: Any, server: FakeModelServer) -> None:
    started, live = await begin(runner, alice, server, "[[n=3000 tps=50]]")
    await in_thread(services.request_stop)(by=alice, chat_id=started.chat.pk)
    assert (await ended(live)).state == "stopped"


async def test_deleted_chat_ends_its_turn_and_no_other(
    runner: Runner, alice: Any, bob: Any, server: FakeModelServer
) -> None:
    gone, _live = await begin(runner, alice, server, "[[n=3000 tps=50]]")
    _started, other = await begin(runner, bob, server, "[[n=120 tps=80]]")
    await in_thread(services.delete_chat)(by=alice, chat_id=gone.chat.pk)
    await until(lambda: gone.turn.pk not in runner.turns)
    assert server.stats()["cancelled"] == 1
    assert other.saved > 0 or (await asyncio.sleep(0.7), other.saved > 0)[1]
    assert (await ended(other)).content == counted(120)


async def test_broker_that_is_away_hurts_nobody(
    runner: Runner, alice: Any, server: FakeModelServer, monkeypatch: Any
) -> None:
    async def refuse(*args: Any) -> bool:
        raise ConnectionError("no broker")

    monkeypatch.setattr(runner.wire, "_tell", refuse)
    started, live = await begin(runner, alice, server, "[[n=40 tps=400]]")
    live.elsewhere["a reader's process"] = 0
    assert await read(started.turn.pk) == counted(40)
    assert (await ended(live)).content == counted(40)


async def test_turn_is_saved_after_an_outage_of_the_database(
    runner: Runner, alice: Any, server: FakeModelServer, monkeypatch: Any, caplog: Any
) -> None:
    away = [True]

    def unless_away(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if away[0]:
                raise OperationalError("the database is away")
            return real(*args, **kwargs)

        return call

    for name in ("append", "finish", "beat", "stop_requests", "mark_interrupted"):
        monkeypatch.setattr(turnlog, name, unless_away(getattr(turnlog, name)))
    started = await in_thread(ask)(alice, "[[n=40 tps=40]]", runner.id)
    live = launch(runner, started, plan_for(server, "[[n=40 tps=40]]"))
    reader = asyncio.create_task(read(started.turn.pk))
    await until(lambda: "cannot be saved yet" in caplog.text)
    assert not await in_thread(TurnEvent.objects.exists)()
    away[0] = False
    message = await ended(live)
    assert (message.content, message.state) == (counted(40), "done")
    assert await reader == counted(40)
    assert "kept in memory" in caplog.text


async def test_fault_of_ours_is_a_failed_answer_with_its_text(
    runner: Runner, alice: Any, server: FakeModelServer, monkeypatch: Any, caplog: Any
) -> None:
    async def broken(plan: Any) -> Any:
        yield TextDelta("so far")
        raise KeyError("a bug")

    monkeypatch.setattr(runner_module, "run_turn", broken)
    _started, live = await begin(runner, alice, server, "hi")
    message = await ended(live)
    assert (message.content, message.state) == ("so far", "failed")
    assert message.error == "Something went wrong on the server while answering. Try again."
    assert "a bug" in caplog.text


async def test_what_the_database_cannot_hold_does_not_cost_the_answer(
    runner: Runner, alice: Any, server: FakeModelServer, monkeypatch: Any
) -> None:
    """A NUL in the text, and a citation of a document that was deleted this moment."""

    async def odd(plan: Any) -> Any:
        yield Sources([{"source": {"id": "x"}, "document": ["a\x00b"]}], [{"number": 1, "document_id": uuid.uuid4()}])
        yield TextDelta("one\x00 ")
        await asyncio.sleep(0.7)  # one round of the keeper
        yield TextDelta("two")
        yield Usage(1, 2, {"note": "\x00"})
        yield Outcome("done")

    monkeypatch.setattr(runner_module, "run_turn", odd)
    _started, live = await begin(runner, alice, server, "hi")
    await until(lambda: live.saved > 0)
    message = await ended(live)
    assert (message.content, message.state) == ("one two", "done")
    assert message.meta["sources"][0]["document"] == ["ab"]
    assert not await in_thread(Citation.objects.exists)()


async def test_turn_that_was_committed_and_never_begun_is_marked(runner: Runner, alice: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    started = await in_thread(ask)(alice, "hi", runner.id)
    await in_thread(Turn.objects.filter(pk=started.turn.pk).update)(started_at=timezone.now() - timedelta(minutes=1))
    assert [batch[-1][1][1]["state"] async for batch in follow(started.turn.pk)] == ["interrupted"]
    message = await in_thread(Message.objects.get)(pk=started.message.pk)
    assert message.state == "interrupted"


async def test_end_of_the_process_keeps_the_text(
    runner: Runner, alice: Any, server: FakeModelServer, boot: Callable[..., None]
) -> None:
    boot(shutdown_drain_seconds=0)
    _started, live = await begin(runner, alice, server, "[[n=3000 tps=50]]")
    await until(lambda: len(live.log) > 2)
    await runner.stop()
    message = await in_thread(Message.objects.get)(pk=live.message_id)
    assert message.state == "interrupted"
    assert message.content
    assert counted(3000).startswith(message.content)
