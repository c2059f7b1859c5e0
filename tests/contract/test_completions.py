"""`POST /api/chat/completions` as other programs see it, over the wire, and with the official OpenAI client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import orjson
import pytest

from tests.processes.server import Site, until
from tests.processes.talk import counted

pytestmark = pytest.mark.process
PATHS = (
    "/api/chat/completions",
    "/api/v1/chat/completions",
    "/v1/chat/completions",
    "/openai/chat/completions",
)
BASES = ("/api", "/api/v1", "/v1", "/openai")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    running = Site(workers=2)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def alice(site: Site) -> str:
    """A person without any grant; her token."""
    body = {"name": "Alice Meyer", "email": "alice@example.org", "password": "Correct-horse-7", "role": "user"}
    with site.program() as dana:
        answer = dana.post("/api/v1/auths/add", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


@pytest.fixture
def program(site: Site) -> Iterator[httpx.Client]:
    with site.program() as client:
        yield client


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "fake-small", "messages": [{"role": "user", "content": text}], **more}


def frames(text: str) -> list[Any]:
    """The frames of an SSE answer, which must be nothing but `data:` lines; the last is `[DONE]`."""
    blocks = text.split("\n\n")
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") for block in blocks), text
    assert blocks.pop() == "data: [DONE]"
    return [orjson.loads(block.removeprefix("data: ")) for block in blocks]


def text_of(found: list[Any]) -> str:
    return "".join(c["delta"].get("content", "") for frame in found for c in frame.get("choices", []))


@pytest.mark.parametrize("path", PATHS)
def test_whole_answer_has_the_shape_of_the_field(program: httpx.Client, path: str) -> None:
    answer = program.post(path, json=body("[[n=3]]"))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert {"id", "object", "created", "model", "choices", "usage"} <= set(found)
    assert found["object"] == "chat.completion"
    assert found["model"] == "fake-small"
    assert isinstance(found["created"], int)
    (choice,) = found["choices"]
    assert choice["index"] == 0
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == "t1 t2 t3 "
    assert {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}.items() <= found["usage"].items()


def test_whole_answer_counts_the_whole_reply_too(program: httpx.Client) -> None:
    usage = program.post(PATHS[0], json=body("[[n=3]]")).json()["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (7, 3)


@pytest.mark.parametrize("path", PATHS)
def test_streamed_answer_has_the_shape_of_the_field(program: httpx.Client, path: str) -> None:
    answer = program.post(path, json=body("[[n=5]]", stream=True, stream_options={"include_usage": True}))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    found = frames(answer.text)
    assert text_of(found).split() == counted(5)
    chunks = [frame for frame in found if frame.get("choices")]
    assert {frame["object"] for frame in chunks} == {"chat.completion.chunk"}
    assert len({frame["id"] for frame in found}) == 1
    if not path.startswith("/openai"):  # which passes on what the model server says
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert [frame["usage"]["completion_tokens"] for frame in found if frame.get("usage")] == [5]


def test_thoughts_and_tool_calls_are_told_apart_from_text(program: httpx.Client) -> None:
    whole = program.post(PATHS[0], json=body("[[n=2 think=3]]")).json()["choices"][0]["message"]
    assert (whole["content"], whole["reasoning_content"]) == ("t1 t2 ", "r1 r2 r3 ")
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    called = program.post(PATHS[0], json=body("[[tool=weather]]", tools=tools)).json()["choices"][0]
    assert called["finish_reason"] == "tool_calls"
    (call,) = called["message"]["tool_calls"]
    assert call == {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Bern"}'},
    }
    found = frames(program.post(PATHS[0], json=body("[[tool=weather]]", tools=tools, stream=True)).text)
    pieces = [c["delta"]["tool_calls"][0] for f in found for c in f["choices"] if c["delta"].get("tool_calls")]
    assert pieces[0]["id"] == "call_1"
    assert pieces[0]["function"]["name"] == "weather"
    assert "".join(piece["function"]["arguments"] for piece in pieces) == '{"city": "Bern"}'


def test_answer_to_an_empty_result_of_a_tool_is_asked_for(program: httpx.Client) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "[[n=2]]"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
    ]
    answer = program.post(PATHS[0], json={"model": "fake-small", "messages": messages})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("base", BASES)
def test_official_client_works_with_every_base_address(site: Site, base: str) -> None:
    with openai.OpenAI(base_url=f"{site.url}{base}", api_key=site.token, max_retries=0) as client:
        assert {"fake-small", "fake-large"} <= {model.id for model in client.models.list()}
        question: Any = [{"role": "user", "content": "[[n=30]]"}]
        whole = client.chat.completions.create(model="fake-small", messages=question)
        assert (whole.choices[0].message.content or "").split() == counted(30)
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 30
        words = []
        with client.chat.completions.create(model="fake-small", messages=question, stream=True) as stream:
            for chunk in stream:
                words += [c.delta.content or "" for c in chunk.choices]
        assert "".join(words).split() == counted(30)


def test_official_client_gets_our_errors_as_its_own(site: Site) -> None:
    with openai.OpenAI(base_url=f"{site.url}/api", api_key=site.token, max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": "hi"}])
        assert refused.value.body == {"detail": "Model not found"}
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="fake-small", messages=[{"role": "user", "content": "[[err=429]]"}])
    stranger = openai.OpenAI(base_url=f"{site.url}/api", api_key="wrong", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError):
        stranger.models.list()


def test_unknown_and_not_granted_models_are_refused_alike(site: Site, alice: str) -> None:
    with site.program(alice) as program:
        for model in ("no-such-model", "fake-small"):
            for stream in (False, True):
                answer = program.post(PATHS[0], json=body("hi", stream=stream) | {"model": model})
                assert (answer.status_code, answer.json()) == (400, {"detail": "Model not found"})
        assert program.get("/api/models").json()["data"] == []


def test_signed_out_caller_is_refused(site: Site) -> None:
    answer = httpx.post(f"{site.url}{PATHS[0]}", json=body("hi"))
    assert answer.status_code == 401


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_status_of_the_model_server_is_passed_on(program: httpx.Client, status: int, stream: bool) -> None:
    answer = program.post(PATHS[0], json=body(f"[[err={status} msg=context too long]]", stream=stream))
    assert answer.status_code == status
    assert "context too long" in answer.json()["detail"]


def test_fault_in_the_middle_of_a_stream_is_a_frame(program: httpx.Client) -> None:
    for fault in ("cut=5", "badjson=5", "inband=5"):
        found = frames(program.post(PATHS[0], json=body(f"[[n=20 tps=500 {fault}]]", stream=True)).text)
        assert text_of(found).split() == counted(5)
        assert found[-1]["error"]["message"]
        assert "Traceback" not in found[-1]["error"]["message"]
        whole = program.post(PATHS[0], json=body(f"[[n=20 tps=500 {fault}]]"))
        assert whole.status_code in (500, 502), fault
        assert whole.json()["detail"]


def test_wrong_bodies_are_answered_with_the_name_of_the_field(program: httpx.Client) -> None:
    for wrong, field in (
        ({"messages": []}, "model"),
        ({"model": "fake-small"}, "messages"),
        ({"model": "fake-small", "messages": "hi"}, "messages"),
        (body("hi") | {"stream": "perhaps"}, "stream"),
        (body("hi") | {"files": "all"}, "files"),
    ):
        answer = program.post(PATHS[0], json=wrong)
        assert answer.status_code == 422, answer.text
        assert [item for item in answer.json()["detail"] if field in item["loc"] and item["msg"] and item["type"]]
    assert program.post(PATHS[0], json=body("hi") | {"messages": []}).status_code == 400
    assert program.post(PATHS[0], content=b"{", headers={"content-type": "application/json"}).status_code in (400, 422)
    empty = program.post(PATHS[0], json=body("  "))
    assert (empty.status_code, empty.json()["detail"]) == (400, "Please write a message first.")


def test_too_long_a_message_is_refused_with_its_limit(program: httpx.Client) -> None:
    answer = program.post(PATHS[0], json=body("x" * 5_000_000))
    assert answer.status_code == 413
    assert "5,000,000" in answer.json()["detail"]
    assert "500,000" in answer.json()["detail"]


def test_unknown_fields_are_ignored_and_sampling_goes_upstream(site: Site, program: httpx.Client) -> None:
    more = {"no_such_field": {"a": 1}, "chat_id": None, "session_id": "s", "background_tasks": {}, "metadata": {"x": 1}}
    sampling = {"temperature": 0.25, "max_tokens": 9, "seed": 3, "stop": ["END"]}
    answer = program.post(PATHS[0], json=body("[[n=2]]", **more, **sampling, params={"top_p": 0.5}))
    assert answer.status_code == 200, answer.text
    upstream = next(r.json for r in reversed(site.models.requests) if r.path == "/v1/chat/completions")
    assert {key: upstream[key] for key in sampling} == sampling
    assert upstream["top_p"] == 0.5
    assert not set(more) & set(upstream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("first", [0, 5000])
def test_caller_who_leaves_closes_the_connection_to_the_model(site: Site, stream: bool, first: int) -> None:
    """Before the first word and after it, streamed and whole."""
    before = site.models.stats()
    question = body(f"[[n=3000 tps=30 ttft={first}]]", stream=stream)
    began = time.monotonic()
    with (
        site.program() as program,
        pytest.raises(httpx.ReadTimeout),
        program.stream("POST", PATHS[0], json=question, timeout=0.7) as answer,
    ):
        for _ in answer.iter_bytes():
            if time.monotonic() - began > 0.5:
                raise httpx.ReadTimeout("enough")
    until(lambda: site.models.stats()["cancelled"] == before["cancelled"] + 1, 20, "the end of the upstream answer")
    assert site.models.stats()["active"] == 0


async def test_fifty_streams_at_once_lose_and_double_no_token(site: Site) -> None:
    headers = {"authorization": f"Bearer {site.token}"}
    limits = httpx.Limits(max_connections=60, max_keepalive_connections=0)

    async with httpx.AsyncClient(base_url=site.url, headers=headers, limits=limits, timeout=20) as client:

        async def one() -> list[str]:
            parts = []
            async with client.stream("POST", PATHS[0], json=body("[[n=90 tps=30]]", stream=True)) as answer:
                assert answer.status_code == 200
                async for part in answer.aiter_text():
                    parts.append(part)
            return text_of(frames("".join(parts))).split()

        began = time.monotonic()
        found = await asyncio.gather(*(one() for _ in range(50)))
    assert found == [counted(90)] * 50
    assert time.monotonic() - began < 12


def test_each_answer_leaves_a_line_in_the_audit_log_and_no_chat(site: Site, program: httpx.Client) -> None:
    chats = len(program.get("/api/v1/chats/").json())
    count = "SELECT count(*) FROM audit_auditevent WHERE action = 'completion.create'"
    before = site.rows(count)[0][0]
    program.post(PATHS[0], json=body("[[n=1]]"))
    assert site.rows(count)[0][0] == before + 1
    assert len(program.get("/api/v1/chats/").json()) == chats
