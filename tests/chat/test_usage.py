"""What an answer took: counted by the server, timed here, kept with the turn and shown under the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chat.engine.turn import run_turn
from chat.engine.usage import Meter, as_json, columns
from chat.models import Message, Turn
from chat.rendering import usage_text
from inference.providers.base import ConnectionInfo
from inference.providers.events import Usage
from owui.lib.aio import in_thread
from owui.lib.http import close_client
from tests.chat.helpers import ask, end, plan_for
from tests.fakes.model_server import FakeModelServer


async def usage_of(plan: Any) -> dict[str, Any]:
    try:
        events = [event async for event in run_turn(plan)]
    finally:
        await close_client()
    return next(as_json(event) for event in events if isinstance(event, Usage))


async def test_tokens_and_times_come_with_the_answer(server: FakeModelServer) -> None:
    usage = await usage_of(plan_for(server, "[[n=20 ttft=60 tps=200]]", model_digest="abc"))
    assert (usage["completion_tokens"], usage["output_tokens"]) == (20, 20)
    assert usage["total_tokens"] == usage["prompt_tokens"] + 20 == usage["input_tokens"] + 20
    assert usage["first_token_ms"] >= 60
    assert 0 < usage["tokens_per_second"] < 400, "20 tokens in about a tenth of a second"
    assert usage["model_digest"] == "abc"


async def test_ollamas_own_clock_says_how_fast_it_was(server: FakeModelServer) -> None:
    plan = plan_for(server, "[[n=20]]")
    ollama = ConnectionInfo("ollama", server.url)
    usage = await usage_of(type(plan)(ollama, "fake-small", plan.history))
    told = 20 / usage["eval_duration"] * 1e9
    assert usage["tokens_per_second"] == pytest.approx(told, rel=0.01)
    assert columns(usage)["timings"]["eval_duration"] == usage["eval_duration"]


def test_llama_cpps_own_clock_says_how_fast_it_was() -> None:
    meter = Meter()
    meter.token()
    usage = meter.measured(Usage(5, 9, {"timings": {"predicted_per_second": 33.333}}))
    assert usage.raw["tokens_per_second"] == 33.33
    assert columns(as_json(usage))["timings"] == {"predicted_per_second": 33.333}


@pytest.mark.parametrize("nonsense", [-1, 2**40, "many", None, True])
def test_counts_that_no_column_holds_are_left_out(nonsense: Any) -> None:
    found = columns({"prompt_tokens": nonsense, "completion_tokens": 3, "tokens_per_second": nonsense})
    assert found["prompt_tokens"] is None
    assert found["completion_tokens"] == 3


async def test_turn_and_message_keep_it(runner: Any, server: FakeModelServer, alice: Any) -> None:
    started = await in_thread(ask)(alice, runner_id=runner.id)
    live = runner.run(
        plan_for(server, "[[n=12 ttft=20]]", model_digest="sha256:1"),
        turn_id=started.turn.pk,
        chat_id=started.chat.pk,
        message_id=started.message.pk,
        user_id=alice.pk,
    )
    await asyncio.wait_for(asyncio.shield(live.task), 20)
    turn = await in_thread(Turn.objects.get)(pk=started.turn.pk)
    assert (turn.completion_tokens, turn.model_digest) == (12, "sha256:1")
    assert turn.prompt_tokens
    assert turn.first_token_ms is not None
    assert turn.first_token_ms >= 20
    message = await in_thread(Message.objects.get)(pk=started.message.pk)
    assert message.usage["output_tokens"] == 12
    assert "12 tokens" in usage_text(message.usage)


def test_an_answer_that_ended_early_is_guessed_and_said_to_be(alice: Any, transactional_db: None) -> None:
    started = ask(alice)
    end(started, "word " * 400, state="stopped")
    turn = Turn.objects.get(pk=started.turn.pk)
    assert turn.completion_tokens is not None
    assert 400 <= turn.completion_tokens <= 700
    usage = Message.objects.get(pk=started.message.pk).usage
    assert usage["estimated"] is True
    assert usage_text(usage).startswith("about ")


def test_line_under_the_answer_says_only_what_is_known() -> None:
    assert usage_text({}) == usage_text(None) == usage_text({"completion_tokens": 0}) == ""
    assert usage_text({"completion_tokens": 1234}) == "1,234 tokens"
    full = {"completion_tokens": 50, "tokens_per_second": 31.6, "first_token_ms": 420, "prompt_tokens": 1800}
    assert usage_text(full) == "50 tokens, 32 a second, first after 0.4 s, 1,800 read"
