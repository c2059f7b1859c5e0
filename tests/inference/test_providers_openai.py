"""The OpenAI-compatible provider against a server on real sockets."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from inference.providers import errors as e
from inference.providers.base import ConnectionInfo
from inference.providers.events import Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from tests.fakes.http_server import Exchange, serve
from tests.fakes.model_server import FakeModelServer
from tests.inference.helpers import answers_to, ask, collect, counted, delta, provider, text_in, to, until


@pytest.fixture(scope="module")
def server() -> Iterator[FakeModelServer]:
    with FakeModelServer() as server:
        yield server


# --- streams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    ["n=300", "n=8 frag=1", "n=20 frag=7 crlf=1 comments=1", "n=40 nodone=1", "n=40 nofinish=1", "n=90 burst=9"],
)
async def test_every_token_arrives_once_however_it_is_cut(server: FakeModelServer, script: str) -> None:
    number = int(script.split()[0][2:])
    events = await collect(to(server), ask(f"[[{script}]]"))
    assert text_in(events) == counted(number)
    assert events[-1] == Finished("stop")
    assert [type(event) for event in events].count(Finished) == 1


async def test_half_characters_wait_for_their_other_half(server: FakeModelServer) -> None:
    text = "Grüezi 🦙 你好"
    events = await collect(to(server), ask(f"[[frag=1 text={text}]]"))
    assert text_in(events) == text


async def test_text_of_one_read_is_one_delta(server: FakeModelServer) -> None:
    events = await collect(to(server), ask("[[n=100 burst=50 tps=500]]"))
    assert text_in(events) == counted(100)
    assert sum(isinstance(event, TextDelta) for event in events) <= 6


async def test_reasoning_usage_and_timings(server: FakeModelServer) -> None:
    events = await collect(to(server), ask("[[n=3 think=2 burst=9]]"))
    assert events[:2] == [ReasoningDelta("r1 r2 "), TextDelta("t1 t2 t3 ")]
    usage = events[-2]
    assert isinstance(usage, Usage)
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 5)
    assert usage.raw["timings"]["predicted_per_second"] == 50.0
    assert server.requests[-1].json["stream_options"] == {"include_usage": True}


async def test_tool_calls(server: FakeModelServer) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    events = await collect(to(server), ask("[[tool=weather]]", tools=tools))
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert calls[0] == ToolCallDelta(0, "call_1", "weather", "")
    assert "".join(call.arguments for call in calls) == '{"city": "Bern"}'
    assert events[-1] == Finished("tool_calls")
    assert server.requests[-1].json["tools"] == tools


async def test_variants_of_chunks() -> None:
    events = await answers_to(
        delta(role="assistant", content=None)
        + delta(reasoning="hm")
        + delta(
            content=[{"type": "thinking", "thinking": [{"type": "text", "text": "…"}]}, {"type": "text", "text": "a"}]
        )
        + b'data: {"choices":[{"index":1,"delta":{"content":"another choice"}}]}\n\n'
        + delta(tool_calls=[{"id": "x", "function": {"name": "f", "arguments": {"a": 1}}}])
        + delta(tool_calls=[{"id": "y", "function": {"name": "g"}}])
        + b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],'
        + b'"timings":{"prompt_n":2,"cache_n":3,"predicted_n":4}}\n\n'
        + b"data: [DONE]\n\ndata: after the end\n\n"
    )
    assert events == [
        ReasoningDelta("hm…"),
        TextDelta("a"),
        ToolCallDelta(0, "x", "f", '{"a":1}'),
        ToolCallDelta(1, "y", "g", ""),
        Usage(5, 4, {"timings": {"prompt_n": 2, "cache_n": 3, "predicted_n": 4}}),
        Finished("tool_calls"),
    ]


async def test_an_answer_in_one_piece_is_taken_as_well() -> None:
    body = b'{"choices":[{"message":{"content":"all at once"},"finish_reason":"length"}],"usage":{"prompt_tokens":1}}'
    events = await answers_to(body, "application/json; charset=utf-8")
    assert events == [TextDelta("all at once"), Usage(1, 0, {"prompt_tokens": 1}), Finished("length")]
    with pytest.raises(e.ServerFailed, match="no memory"):
        await answers_to(b'{"error":"no memory"}', "application/json")
    with pytest.raises(e.StreamCutOff):
        await answers_to(b"{}", "application/json")


async def test_the_connection_is_used_again(server: FakeModelServer) -> None:
    seen = set()

    async def handle(exchange: Exchange) -> None:
        seen.add(exchange.transport.get_extra_info("peername"))
        await server.models.handle(exchange)

    port, stop = await serve(handle, "127.0.0.1", 0)
    connection = ConnectionInfo("openai", f"http://127.0.0.1:{port}/v1")
    for _ in range(3):
        await collect(connection, ask("[[n=5]]"))
    assert len(seen) == 1
    await stop()


# --- the request ---------------------------------------------------------------------------------------------------


async def test_params_reach_the_body(server: FakeModelServer) -> None:
    params = {
        "temperature": 0.2, "top_k": 5, "max_tokens": 9, "seed": 0, "stop": "END", "system": "not for the wire",
        "min_p": None, "num_ctx": 4096, "custom_params": {"cache_prompt": "true", "note": "plain", "top_k": 6},
    }  # fmt: skip
    connection = to(server, config={"extra_params": {"temperature": 1, "service_tier": "flex"}})
    await collect(connection, ask("hi", params=params, extra={"user": "u", "model": "other", "stream": False}))
    body = server.requests[-1].json
    body.pop("messages")
    assert body == {
        "service_tier": "flex", "temperature": 0.2, "top_k": 6, "max_tokens": 9, "seed": 0, "stop": ["END"],
        "cache_prompt": True, "note": "plain", "user": "u", "model": "m", "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip


async def test_headers_and_key(server: FakeModelServer) -> None:
    config = {"headers": {"X-Team": "a", "X-Both": "config"}}
    connection = to(server, api_key="sk-1", config=config, headers={"x-both": "call"})
    await collect(connection, ask("[[n=1]]"))
    headers = server.requests[-1].headers
    assert (headers["authorization"], headers["x-team"], headers["x-both"]) == ("Bearer sk-1", "a", "call")
    await collect(to(server, api_key="sk-1", config={"auth_type": "none"}), ask("[[n=1]]"))
    assert "authorization" not in server.requests[-1].headers
    address = server.openai_url.replace("://", "://user:p%40ss@")
    await collect(to(server, base_url=address), ask("[[n=1]]"))
    assert server.requests[-1].headers["authorization"] == "Basic dXNlcjpwQHNz"


async def test_settings_that_cannot_work(server: FakeModelServer) -> None:
    for changes in (
        {"config": {"auth_type": "azure_ad"}},
        {"api_key": "line\nbreak"},
        {"api_key": "schlüssel"},
        {"base_url": "localhost:1"},
        {"base_url": "http://[::1"},
        {"base_url": ""},
    ):
        with pytest.raises(e.ConnectionMisconfigured) as caught:
            await collect(to(server, **changes), ask("hi"))
        assert "line" not in str(caught.value).replace("line breaks", "")


async def test_continuing_an_answer(server: FakeModelServer) -> None:
    messages = [{"role": "user", "content": "[[n=1]]"}, {"role": "assistant", "content": "Once upon"}]
    await collect(to(server), ask("", messages=messages))
    assert "continue_final_message" not in server.requests[-1].json
    assert server.requests[-1].json["messages"] == messages
    await collect(to(server, config={"provider": "vllm"}), ask("", messages=messages))
    assert server.requests[-1].json["continue_final_message"] is True
    assert server.requests[-1].json["add_generation_prompt"] is False


async def test_servers_without_stream_options() -> None:
    with FakeModelServer(stream_options=False) as server:
        for _ in range(2):
            assert text_in(await collect(to(server), ask("[[n=3]]"))) == counted(3)
        assert ["stream_options" in request.json for request in server.requests] == [True, False, False]


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ("cut=5", e.StreamCutOff, "before the answer was complete"),
        ("n=5 nodone=1 nofinish=1", e.StreamCutOff, "before the answer was complete"),
        ("badjson=5", e.BadAnswer, "not an answer of the OpenAI API"),
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
    assert not any(isinstance(event, Finished) for event in events)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, e.ServerRejected, False),
        (401, e.ServerRejected, False),
        (404, e.ServerRejected, False),
        (429, e.ServerRejected, True),
        (500, e.ServerFailed, True),
        (503, e.ServerFailed, True),
    ],
)
async def test_statuses(server: FakeModelServer, status: int, kind: type[e.ProviderError], retryable: bool) -> None:
    message = "the context has 4096 tokens"
    with pytest.raises(kind) as caught:
        await collect(to(server), ask(f"[[err={status} msg={message}]]"))
    error = caught.value
    assert (error.status, error.retryable, error.upstream) == (status, retryable, message)
    assert message in error.message


async def test_keys_never_show() -> None:
    with FakeModelServer(api_key="sk-right") as server:
        address = server.openai_url.replace("://", "://admin:hidden@")
        connection = to(server, base_url=address, api_key="sk-wrong-key")
        with pytest.raises(e.ServerRejected, match="Check the key") as caught:
            await collect(connection, ask("hi"))
        for secret in ("sk-wrong-key", "hidden"):
            assert secret not in str(caught.value)
            assert secret not in caught.value.upstream
        assert "sk-wrong-key" not in repr(connection)


async def test_nobody_there() -> None:
    with pytest.raises(e.ServerUnreachable, match="http://127.0.0.1:9 does not answer") as caught:
        await collect(ConnectionInfo("openai", "http://127.0.0.1:9/"), ask("hi"))
    assert caught.value.retryable


async def test_a_silent_host_is_given_up_after_the_connect_limit() -> None:
    # a listener whose queue of one is full leaves further connections unanswered
    import socket

    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        begun = time.monotonic()
        with pytest.raises(e.ServerUnreachable):
            await collect(ConnectionInfo("openai", url, connect_timeout=0.3), ask("hi"))
        assert time.monotonic() - begun < 10


async def test_something_that_is_not_http() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        with pytest.raises(e.ServerUnreachable, match="speaks HTTP"):
            await collect(ConnectionInfo("openai", url), ask("hi"))


async def test_a_web_page_is_not_an_answer() -> None:
    with pytest.raises(e.BadAnswer, match="address and kind"):
        await answers_to(b"<html>hello</html>", "text/html")


async def test_redirects_are_named(server: FakeModelServer) -> None:
    answer = await provider.passthrough(to(server, base_url=server.url), "GET", "/redirect")
    assert answer.status == 307
    with pytest.raises(e.ServerRejected, match="redirects to /v1/models"):
        await provider.list_models(to(server, base_url=f"{server.url}/redirect?x="))  # the path is cut off by the query


@pytest.mark.parametrize("script", ["n=1000 tps=50", "ttft=5000"])
async def test_the_whole_answer_has_a_limit(server: FakeModelServer, script: str) -> None:
    begun = time.monotonic()
    with pytest.raises(e.ServerTimeout, match="total time limit"):
        await collect(to(server, total_timeout=0.4), ask(f"[[{script}]]"))
    assert 0.3 < time.monotonic() - begun < 10


# --- giving up -----------------------------------------------------------------------------------------------------


async def test_cancelling_the_task_ends_the_servers_work(server: FakeModelServer) -> None:
    for script in ("n=1000 tps=20", "ttft=20000"):
        before = server.stats()["cancelled"]
        task = asyncio.create_task(collect(to(server), ask(f"[[{script}]]")))
        await until(lambda: server.stats()["active"] == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda before=before: server.stats()["cancelled"] == before + 1, 1)


async def test_closing_the_iterator_ends_the_servers_work(server: FakeModelServer) -> None:
    before = server.stats()["cancelled"]
    async with aclosing(provider.stream_chat(to(server), ask("[[n=1000 tps=20]]"))) as events:
        async for event in events:
            assert event == TextDelta("t1 ")
            break
    await until(lambda: server.stats()["cancelled"] == before + 1, 1)
    assert server.stats()["active"] == 0


async def test_many_streams_at_once(server: FakeModelServer) -> None:
    answers = await asyncio.gather(*(collect(to(server), ask("[[n=40 tps=100]]")) for _ in range(100)))
    assert all(text_in(events) == counted(40) for events in answers)
    assert server.stats()["max_active"] >= 100
