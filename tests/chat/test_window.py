"""What fits into a model: the oldest turns go first, whole, and the person is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import tokens
from chat.engine.events import Outcome, Status
from chat.engine.turn import Found, TurnPlan, run_turn
from chat.engine.window import DoesNotFit, budget_of, fit, guess, limit_in
from inference import limits
from inference.limits import ContextLimit
from inference.providers.base import ConnectionInfo
from inference.providers.errors import ServerRejected
from owui.lib.http import close_client
from tests.fakes.model_server import FakeModelServer


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    tokens.forget()
    limits.forget()
    yield
    tokens.forget()
    limits.forget()


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def answer(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def talk(turns: int, words: int = 100) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for number in range(turns):
        out += [user(f"question {number} " + "word " * words), answer(f"answer {number} " + "word " * words)]
    return [*out, user("And the last question?")]


SYSTEM = {"role": "system", "content": "Be kind."}


def test_everything_stays_while_it_fits() -> None:
    messages = [SYSTEM, *talk(3)]
    assert fit(messages, 100_000).messages == messages
    assert fit(messages, 100_000).left_out == 0


def test_the_oldest_turns_go_and_the_system_message_stays() -> None:
    messages = [SYSTEM, *talk(10)]
    fitted = fit(messages, 1000)
    assert fitted.messages[0] == SYSTEM
    assert fitted.messages[1]["role"] == "user", "a turn goes as a whole"
    assert fitted.messages[-5:] == messages[-5:]
    assert fitted.left_out == len(messages) - len(fitted.messages)
    assert guess(fitted.messages) <= 1000


def test_calls_of_tools_stay_with_their_results() -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "function": {"name": "f"}}]}
    result = {"role": "tool", "tool_call_id": "1", "content": "word " * 200}
    messages = [user("a"), call, result, answer("b"), user("c")]
    for budget in range(15, 400, 5):
        kept = fit(messages, budget).messages
        assert (call in kept) == (result in kept)


def test_a_question_that_does_not_fit_is_refused_with_both_numbers() -> None:
    with pytest.raises(DoesNotFit, match=r"about [\d,]+ tokens, and it can read 500"):
        fit([SYSTEM, user("word " * 4000)], 500)
    with pytest.raises(DoesNotFit, match="Attach less"):
        fit([SYSTEM, user("word " * 4000)], 500, has_passages=True)


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(50, 3000))
def test_what_is_sent_always_fits_and_ends_with_the_question(sizes: list[int], budget: int) -> None:
    messages = [SYSTEM]
    for at, size in enumerate(sizes):
        messages.append(user("x" * size) if at % 2 == 0 else answer("x" * size))
    messages.append(user("last"))
    fitted = fit(messages, budget)
    assert guess(fitted.messages) <= budget
    assert fitted.messages[-1] == user("last")
    assert fitted.messages[1:] == messages[len(messages) - len(fitted.messages) + 1 :], "one piece of the end"


def test_the_answer_has_its_room() -> None:
    assert budget_of(8192, {}) == 8192 - 2048
    assert budget_of(2048, {}) == 1536
    assert budget_of(8192, {"max_tokens": 1000}) == 7192
    assert budget_of(8192, {"max_tokens": 100_000}) == 4096


def test_the_guess_errs_towards_too_many() -> None:
    english = "The quick brown fox jumps over the lazy dog near the quiet river bank. " * 50
    assert 750 < tokens.of_text(english) < 1100, "15 words, 16 tokens with most tokenizers"
    assert tokens.of_text("größer" * 100) > tokens.of_text("groser" * 100)
    assert tokens.of_text("東京都" * 100) >= 250
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    assert tokens.of_message({"role": "user", "content": [picture]}) < 2000


def test_what_servers_count_corrects_the_guess() -> None:
    key = ("http://x", "m")
    tokens.learn(key, 1000, 1500)
    assert tokens.correction(key) == 1.5
    for _ in range(20):
        tokens.learn(key, 1000, 1100)
    assert tokens.correction(key) == pytest.approx(1.1, abs=0.01)
    tokens.learn(("http://x", "short"), 20, 90)
    assert tokens.correction(("http://x", "short")) == 1.0, "short prompts say little"
    tokens.learn(("http://x", "cached"), 1000, 3)
    assert tokens.correction(("http://x", "cached")) >= 0.75, "a server that counts only what is new is not believed"


REFUSALS = [
    (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4500 in the messages, "
        "500 in the completion). Please reduce the length of the messages or completion.",
        (4096, 5000),
    ),
    (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
        (8192, 9001),
    ),
    ("the request exceeds the available context size (2048 tokens), try increasing it", (2048, 0)),
    ("request (3000 tokens) exceeds the available context size (2048 tokens), try increasing it", (2048, 3000)),
    (
        "The decoder prompt (length 9000) is longer than the maximum model length of 4096. Make it shorter.",
        (4096, 9000),
    ),
    (
        "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 "
        "tokens and your request has 100 input tokens",
        (4096, 100),
    ),
    ("The input (9000 tokens) is longer than the model's context length (4096 tokens).", (4096, 9000)),
    ("The model does not exist", None),
    ("Invalid input: 'This model's maximum context length is 200 tokens'", None),
    ("This model's maximum context length is 3 tokens", None),
    ("rate limit of 30000 tokens a minute", None),
]


@pytest.mark.parametrize(("words", "found"), REFUSALS)
def test_limits_are_read_from_refusals(words: str, found: Any) -> None:
    assert limit_in(ServerRejected("x", 400, upstream=words)) == found


def test_llama_cpp_says_it_in_numbers() -> None:
    error = ServerRejected("x", 400)
    error.body = {"n_ctx": 4096, "n_prompt_tokens": 6000}
    assert limit_in(error) == (4096, 6000)


# ----------------------------------------------------------------------------------------------------- a whole turn
async def run(plan: TurnPlan) -> list[Any]:
    try:
        return [event async for event in run_turn(plan)]
    finally:
        await close_client()


def plan_of(server: FakeModelServer, history: list[dict[str, Any]], **more: Any) -> TurnPlan:
    connection = ConnectionInfo("openai", server.openai_url)
    raw, params = more.pop("raw", {}), more.get("params", {})
    limit = ContextLimit(connection, "fake-small", raw, params)
    return TurnPlan(connection, "fake-small", history, system="Be kind.", limit=limit, **more)


def sent(server: FakeModelServer) -> list[dict[str, Any]]:
    return [request.json["messages"] for request in server.requests if request.path.endswith("/chat/completions")]


async def test_a_long_chat_is_cut_and_the_person_is_told(server: FakeModelServer) -> None:
    history = talk(20)
    events = await run(plan_of(server, history, raw={"max_model_len": 2048}))
    (messages,) = sent(server)
    assert messages[0] == {"role": "system", "content": "Be kind."}
    assert messages[-1] == history[-1]
    left_out = len(history) + 1 - len(messages)
    status = events[0]
    assert isinstance(status, Status)
    assert status.action == "context_trimmed"
    assert f"The first {left_out} messages of this chat no longer fit into the model's memory" in status.description
    assert events[-1] == Outcome("done")


async def test_what_was_found_stays_with_the_question(server: FakeModelServer) -> None:
    async def retrieve(_question: str) -> Found:
        return Found("PASSAGES " * 50, [], [], [])

    await run(plan_of(server, talk(20), raw={"max_model_len": 2048}, retrieve=retrieve))
    (messages,) = sent(server)
    assert messages[-1]["content"].startswith("PASSAGES")
    assert len(messages) < 30


async def test_a_question_too_long_is_refused_before_the_server_is_asked(server: FakeModelServer) -> None:
    events = await run(plan_of(server, [user("word " * 9000)], raw={"max_model_len": 2048}))
    assert (events[-1].state, events[-1].status) == ("failed", 413)
    assert "too long for this model" in events[-1].error
    assert sent(server) == []


async def test_without_a_limit_nothing_is_left_out(server: FakeModelServer) -> None:
    await run(plan_of(server, talk(20)))
    assert len(sent(server)[0]) == 42


async def test_a_refusal_teaches_the_limit_and_the_turn_goes_on(server: FakeModelServer) -> None:
    def reply(body: dict[str, Any]) -> str:
        if len(body["messages"]) > 12:
            words = "This model's maximum context length is 2048 tokens. However, you requested 6000 tokens."
            return f"[[err=400 msg={words}]]"
        return "[[n=3]]"

    server.models.reply = reply
    events = await run(plan_of(server, talk(20)))
    assert events[-1] == Outcome("done")
    assert isinstance(events[0], Status)
    assert [len(messages) > 12 for messages in sent(server)] == [True, False]
    events = await run(plan_of(server, talk(20)))
    assert len(sent(server)) == 3, "the second time it is known before"


async def test_a_refusal_that_leaves_nothing_to_drop_is_told_in_words(server: FakeModelServer) -> None:
    words = "maximum context length is 2048 tokens"
    events = await run(plan_of(server, [user(f"[[err=400 msg={words}]]")]))
    assert events[-1].state == "failed"
    assert "longer than the model can take in" in events[-1].error
    assert len(sent(server)) == 1


async def test_programs_conversations_are_never_cut(server: FakeModelServer) -> None:
    plan = TurnPlan(ConnectionInfo("openai", server.openai_url), "fake-small", talk(20), params={"num_ctx": 1024})
    await run(plan)
    assert len(sent(server)[0]) == 41


def test_guessing_a_long_chat_costs_next_to_nothing() -> None:
    import time

    messages = talk(50, 200)
    begun = time.process_time()
    for _ in range(100):
        guess(messages)
    assert (time.process_time() - begun) / 100 < 0.005, "a hundred messages"
