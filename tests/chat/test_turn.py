"""One turn against a model server on a real socket: what comes, and what each fault becomes."""

from __future__ import annotations

from typing import Any

import pytest

from chat.engine.events import Outcome, Sources, Status
from chat.engine.turn import Found, TurnPlan, run_turn
from inference.providers.events import ReasoningDelta, TextDelta
from owui.lib.http import close_client
from tests.chat.helpers import counted, plan_for, until
from tests.fakes.model_server import FakeModelServer
from tests.inference.conftest import dead_address


async def run(plan: TurnPlan) -> list[Any]:
    try:
        return [event async for event in run_turn(plan)]
    finally:
        await close_client()


def told(events: list[Any], kind: Any = TextDelta) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


async def test_whole_answer_ends_with_done(server: FakeModelServer) -> None:
    events = await run(plan_for(server, "[[n=30 think=3]]"))
    assert told(events) == counted(30)
    assert told(events, ReasoningDelta) == counted(3, "r")
    assert events[-1] == Outcome("done")


async def test_thoughts_in_tags_are_thoughts(server: FakeModelServer) -> None:
    text = "[[frag=3 text=<think>\nfirst I wonder</think>\n\nThen I know.]]"
    events = await run(plan_for(server, text))
    assert told(events, ReasoningDelta) == "first I wonder"
    assert told(events) == "Then I know."
    events = await run(plan_for(server, text, split_reasoning=False))
    assert told(events).startswith("<think>")


@pytest.mark.parametrize("fault", ["cut=5", "badjson=5", "inband=5"])
async def test_fault_in_mid_answer_keeps_the_text(server: FakeModelServer, fault: str) -> None:
    events = await run(plan_for(server, f"[[n=20 tps=500 {fault}]]"))
    assert told(events) == counted(5)
    assert events[-1].state == "failed"
    assert events[-1].error
    assert "Error" not in events[-1].error.split()[0]


async def test_fault_in_mid_answer_keeps_what_looked_like_the_beginning_of_a_tag(server: FakeModelServer) -> None:
    events = await run(plan_for(server, "[[cut=1 text=<thi nk]]"))
    assert told(events).strip() == "<thi"
    assert events[-1].state == "failed"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_refusal_has_the_servers_status_and_words(server: FakeModelServer, status: int) -> None:
    events = await run(plan_for(server, f"[[err={status} msg=too many words]]"))
    assert [type(event) for event in events] == [Outcome]
    assert (events[0].state, events[0].status) == ("failed", status)
    assert events[0].error


async def test_server_that_is_down_is_said_plainly() -> None:
    events = await run(plan_for(dead_address(), "hi"))
    assert events[-1].state == "failed"
    assert events[-1].status is None
    assert "Traceback" not in events[-1].error


async def test_answer_without_anything_is_a_failure(server: FakeModelServer) -> None:
    events = await run(plan_for(server, "[[n=0]]"))
    assert events[-1] == Outcome("failed", "The model answered with nothing. Try again, or choose another model.")


async def test_retrieval_comes_first_and_its_passages_reach_the_model(server: FakeModelServer) -> None:
    async def retrieve(question: str) -> Found:
        assert question == "[[n=1]] why?"
        return Found("CONTEXT", [{"source": {"id": "a"}}], [{"number": 1}], [Status("sources_retrieved", "1", True)])

    events = await run(plan_for(server, "[[n=1]] why?", retrieve=retrieve))
    assert [type(event) for event in events[:3]] == [Status, Status, Sources]
    assert "CONTEXT" in server.requests[-1].json["messages"][-1]["content"]


async def test_fault_of_retrieval_is_a_status_and_the_answer_comes(server: FakeModelServer, caplog: Any) -> None:
    async def retrieve(question: str) -> Found:
        raise RuntimeError("broken index")

    events = await run(plan_for(server, "[[n=4]]", retrieve=retrieve))
    faults = [event for event in events if isinstance(event, Status) and event.error]
    assert [fault.description for fault in faults] == ["Knowledge could not be searched; this answer is without it."]
    assert "broken index" in caplog.text
    assert told(events) == counted(4)
    assert events[-1].state == "done"


@pytest.mark.parametrize("ttft", [0, 3000])
async def test_closing_a_turn_closes_the_connection_at_once(server: FakeModelServer, ttft: int) -> None:
    import asyncio

    events = run_turn(plan_for(server, f"[[n=3000 tps=30 ttft={ttft}]]"))

    async def read() -> None:
        async for _ in events:
            pass

    task = asyncio.create_task(read())
    await until(lambda: server.stats()["active"] == 1 and (ttft or server.stats()["tokens"] > 2))
    task.cancel()
    await asyncio.wait({task})
    await until(lambda: server.stats()["cancelled"] == 1, 1)
    await events.aclose()
    await close_client()
