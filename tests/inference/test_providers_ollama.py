"""The Ollama provider, and the fake Ollama server, against each other and against Ollama's own client."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import ollama
import orjson
import pytest

from inference.providers import errors as e
from inference.providers import get_provider
from inference.providers.base import ChatRequest, ConnectionInfo
from inference.providers.events import Finished, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, Usage
from inference.providers.ollama import to_ollama
from tests.fakes.http_server import Exchange, serve
from tests.fakes.model_server import FakeModelServer, embedding

provider = get_provider("ollama")
PIXEL = "iVBORw0KGgo="


@pytest.fixture(scope="module")
def server() -> Iterator[FakeModelServer]:
    with FakeModelServer() as server:
        yield server


def to(server: FakeModelServer, **changes: Any) -> ConnectionInfo:
    return ConnectionInfo(**{"kind": "ollama", "base_url": server.url, **changes})


def ask(text: str, **changes: Any) -> ChatRequest:
    return ChatRequest(**{"model": "m", "messages": [{"role": "user", "content": text}], **changes})


async def collect(connection: ConnectionInfo, request: ChatRequest) -> list[StreamEvent]:
    return [event async for event in provider.stream_chat(connection, request)]


def text_in(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def counted(number: int) -> str:
    return "".join(f"t{i} " for i in range(1, number + 1))


@pytest.mark.parametrize("script", ["n=300", "n=8 frag=1", "n=20 frag=7", "n=90 burst=9"])
async def test_every_token_arrives_once_however_it_is_cut(server: FakeModelServer, script: str) -> None:
    events = await collect(to(server), ask(f"[[{script}]]"))
    assert text_in(events) == counted(int(script.split()[0][2:]))
    assert events[-1] == Finished("stop")


async def test_half_characters_wait_for_their_other_half(server: FakeModelServer) -> None:
    events = await collect(to(server), ask("[[frag=1 text=Grüezi 🦙 你好]]"))
    assert text_in(events) == "Grüezi 🦙 你好"


async def test_thinking_and_usage(server: FakeModelServer) -> None:
    events = await collect(to(server), ask("[[n=3 think=2 burst=9]]"))
    counts = {"prompt_eval_count": 7, "eval_count": 5, "total_duration": 5_000_000, "eval_duration": 4_000_000}
    assert events == [ReasoningDelta("r1 r2 "), TextDelta("t1 t2 t3 "), Usage(7, 5, counts), Finished("stop")]


async def test_tool_calls(server: FakeModelServer) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    events = await collect(to(server), ask("[[tool=weather]]", tools=tools))
    call = events[0]
    assert isinstance(call, ToolCallDelta)
    assert (call.index, call.name, orjson.loads(call.arguments)) == (0, "weather", {"city": "Bern"})
    assert call.id
    assert events[-1] == Finished("tool_calls")
    assert server.requests[-1].json["tools"] == tools


async def test_several_calls_in_one_line() -> None:
    calls = [{"function": {"name": name, "arguments": {}}} for name in ("f", "g")]
    line = {"message": {"role": "assistant", "tool_calls": calls}, "done": True, "done_reason": "stop"}

    async def handle(exchange: Exchange) -> None:
        exchange.start_stream("application/x-ndjson")
        await exchange.send_chunk(orjson.dumps(line))  # and no line end
        exchange.end_stream()

    port, stop = await serve(handle, "127.0.0.1", 0)
    events = await collect(ConnectionInfo("ollama", f"http://127.0.0.1:{port}"), ask("hi"))
    await stop()
    found = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(call.index, call.name, call.arguments) for call in found] == [(0, "f", "{}"), (1, "g", "{}")]
    assert found[0].id != found[1].id


async def test_params_reach_the_body(server: FakeModelServer) -> None:
    params = {
        "temperature": 0.2, "top_k": 5, "top_p": 0.9, "min_p": 0.1, "num_ctx": 4096, "repeat_penalty": 1.1, "seed": 0,
        "stop": "END", "max_tokens": 9, "keep_alive": "5m", "think": False, "format": "json", "system": "no",
        "custom_params": {"mirostat": "2", "keep_alive": "10m"},
    }  # fmt: skip
    config = {"extra_params": {"options": {"num_gpu": 1, "top_k": 1}}}
    connection = to(server, config=config, base_url=f"{server.url}/api/")
    await collect(connection, ask("hi", params=params, extra={"options": {"tfs_z": 1}, "stream": False}))
    body = server.requests[-1].json
    assert server.requests[-1].path == "/api/chat"
    assert body.pop("messages") == [{"role": "user", "content": "hi"}]
    assert body == {
        "model": "m", "stream": True, "keep_alive": "10m", "think": False, "format": "json",
        "options": {
            "num_gpu": 1, "temperature": 0.2, "top_k": 5, "top_p": 0.9, "min_p": 0.1, "num_ctx": 4096, "tfs_z": 1,
            "repeat_penalty": 1.1, "seed": 0, "stop": ["END"], "num_predict": 9, "mirostat": 2,
        },
    }  # fmt: skip


def test_messages_are_translated() -> None:
    connection = ConnectionInfo("ollama", "http://x")
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    spoiled = {"id": "c2", "type": "function", "function": {"name": "g", "arguments": '{"a": '}}
    assert to_ollama(
        connection,
        [
            {"role": "user", "content": [{"type": "text", "text": "look"}, image]},
            {"role": "assistant", "content": None, "tool_calls": [call, spoiled]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ],
    ) == [
        {"role": "user", "content": "look", "images": [PIXEL]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"function": {"name": "f", "arguments": {"a": 1}}},
                {"function": {"name": "g", "arguments": {"arguments": '{"a": '}}},
            ],
        },
        {"role": "tool", "content": "42", "tool_name": "f"},
    ]
    link = {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}
    with pytest.raises(e.ServerRejected, match="Attach the image itself"):
        to_ollama(connection, [{"role": "user", "content": [link]}])


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ("cut=5", e.StreamCutOff, "before the answer was complete"),
        ("n=5 nofinish=1", e.StreamCutOff, "before the answer was complete"),
        ("badjson=5", e.BadAnswer, "not an answer of the Ollama API"),
        ("inband=5", e.ServerFailed, "the model fell over"),
        ("inband=5 burst=20", e.ServerFailed, "the model fell over"),
        ("slow=2000", e.ServerTimeout, "silent for too long"),
    ],
)
async def test_text_before_a_fault_is_kept(
    server: FakeModelServer, script: str, kind: type[e.ProviderError], words: str
) -> None:
    events = []
    with pytest.raises(kind, match=words):
        async for event in provider.stream_chat(to(server, idle_timeout=0.3), ask(f"[[{script}]]")):
            events.append(event)
    assert text_in(events) == counted(1 if "slow" in script else 5)


async def test_statuses(server: FakeModelServer) -> None:
    with pytest.raises(e.ServerRejected, match="model 'x' not found") as caught:
        await collect(to(server), ask("[[err=404 msg=model 'x' not found]]"))
    assert caught.value.status == 404
    with pytest.raises(e.ServerFailed):
        await collect(to(server), ask("[[err=500]]"))
    with pytest.raises(e.ServerUnreachable, match="does not answer"):
        await collect(ConnectionInfo("ollama", "http://127.0.0.1:9"), ask("hi"))


async def test_giving_up_ends_the_servers_work(server: FakeModelServer) -> None:
    before = server.stats()["cancelled"]
    async with aclosing(provider.stream_chat(to(server), ask("[[n=1000 tps=20]]"))) as events:
        assert await anext(events) == TextDelta("t1 ")
    task = asyncio.create_task(collect(to(server), ask("[[ttft=20000]]")))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    end = time.monotonic() + 15
    while server.stats()["cancelled"] != before + 2:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_models(server: FakeModelServer) -> None:
    models = await provider.list_models(to(server))
    assert [(model.id, model.owned_by) for model in models] == [("fake-small", "ollama"), ("fake-large", "ollama")]
    assert models[0].raw["details"]["family"] == "fake"
    narrowed = await provider.list_models(to(server, config={"model_ids": ["fake-large"]}))
    assert [model.id for model in narrowed] == ["fake-large"]


async def test_vectors(server: FakeModelServer) -> None:
    vectors = await provider.embed(to(server), "m", ["one", "two"])
    assert vectors == [pytest.approx(embedding("one")), pytest.approx(embedding("two"))]
    assert await provider.embed(to(server), "m", []) == []
    with pytest.raises(e.BadAnswer, match="1 vectors for 2 texts"):
        await provider.embed(to(server), "m", ["a", "b [[lose]]"])


async def test_passthrough(server: FakeModelServer) -> None:
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "[[n=2]]"}]})
    answer = await provider.passthrough(to(server), "POST", "/api/chat", body, True)
    lines = b"".join([piece async for piece in answer.aiter_bytes()]).splitlines()
    await answer.aclose()
    assert answer.content_type == "application/x-ndjson"
    assert [orjson.loads(line)["message"]["content"] for line in lines] == ["t1 ", "t2 ", ""]
    answer = await provider.passthrough(to(server), "GET", "/api/version")
    assert answer.status == 200
    await answer.aclose()


async def test_ollamas_own_client_understands_the_fake(server: FakeModelServer) -> None:
    client = ollama.AsyncClient(host=server.url)
    assert [model.model for model in (await client.list()).models] == ["fake-small", "fake-large"]
    pieces = await client.chat("m", [{"role": "user", "content": "[[n=3]]"}], stream=True)
    said = [piece async for piece in pieces]
    assert "".join(piece.message.content or "" for piece in said) == counted(3)
    assert said[-1].eval_count == 3
    whole = await client.chat("m", [{"role": "user", "content": "[[n=3]]"}])
    assert whole.message.content == counted(3)
    assert (await client.generate("m", "[[n=2]]")).response == counted(2)
    vectors = (await client.embed("m", ["one", "two"])).embeddings
    assert list(vectors[1]) == pytest.approx(embedding("two"))
    with pytest.raises(ollama.ResponseError, match="no such"):
        await client.chat("m", [{"role": "user", "content": "[[err=404 msg=no such model]]"}])
    await client._client.aclose()
