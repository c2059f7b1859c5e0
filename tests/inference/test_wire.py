"""Through our own server on a real socket: the official clients, streams byte for byte, and people who leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import ollama
import openai
import pytest

from owui.lib.aio import in_thread
from tests.conftest import token_for
from tests.fakes.model_server import FakeModelServer
from tests.inference.helpers import counted, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(
    people: SimpleNamespace, connect: Callable[..., None], server: FakeModelServer, base: Any, share: Any, our_url: str
) -> SimpleNamespace:
    """One server that is asked both ways; bob may use fake-small."""
    connect([server], [server], ollama_configs={"0": {"prefix_id": "o"}})
    for model_id in ("fake-small", "o.fake-small"):
        share(base(model_id, owner=people.alice), people.bob, "read")
    people.url = our_url
    people.token = token_for(people.bob)
    people.headers = {"Authorization": f"Bearer {people.token}"}
    return people


def body(text: str, model: str = "fake-small", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, **more}


@pytest.mark.parametrize(
    "script", ["[[n=50]]", "[[n=9 frag=7 crlf=1 comments=1]]", "[[n=3 nodone=1]]", "[[think=3 n=2]]"]
)
@pytest.mark.parametrize("kind", ["openai", "ollama"])
async def test_stream_is_passed_on_byte_for_byte(
    world: SimpleNamespace, server: FakeModelServer, script: str, kind: str
) -> None:
    direct, ours, model = {
        "openai": (f"{server.openai_url}/chat/completions", f"{world.url}/openai/chat/completions", "fake-small"),
        "ollama": (f"{server.url}/api/chat", f"{world.url}/ollama/api/chat", "o.fake-small"),
    }[kind]
    async with httpx.AsyncClient(trust_env=False) as client:
        expected = await client.post(direct, json=body(script))
        got = await client.post(ours, json=body(script, model), headers=world.headers)
    assert got.content == expected.content
    assert got.headers["content-type"] == expected.headers["content-type"]
    assert got.headers["x-accel-buffering"] == "no"


async def test_first_token_does_not_wait_for_the_last(world: SimpleNamespace) -> None:
    loop = asyncio.get_running_loop()
    async with httpx.AsyncClient(trust_env=False) as client:
        started = loop.time()
        url = f"{world.url}/openai/chat/completions"
        async with client.stream("POST", url, json=body("[[n=3 slow=600]]"), headers=world.headers) as answer:
            await anext(answer.aiter_bytes())
            assert loop.time() - started < 0.5


@pytest.mark.parametrize(
    ("path", "model"), [("/openai/chat/completions", "fake-small"), ("/ollama/api/chat", "o.fake-small")]
)
async def test_leaving_ends_the_servers_work(
    world: SimpleNamespace, server: FakeModelServer, path: str, model: str
) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        stream = client.stream("POST", world.url + path, json=body("[[n=5000 tps=50]]", model), headers=world.headers)
        async with stream as answer:
            await anext(answer.aiter_bytes())
            assert server.stats()["active"] == 1
    await until(lambda: server.stats()["active"] == 0)
    assert server.stats()["cancelled"] == 1


async def test_leaving_before_the_first_token_ends_it_too(world: SimpleNamespace, server: FakeModelServer) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=0.4) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(
                f"{world.url}/openai/chat/completions", json=body("[[n=5 ttft=30000]]"), headers=world.headers
            )
    await until(lambda: server.stats()["active"] == 0)


async def test_break_inside_a_stream_is_said_in_it(world: SimpleNamespace) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        sse = await client.post(
            f"{world.url}/openai/chat/completions", json=body("[[n=9 tps=50 cut=3]]"), headers=world.headers
        )
        lines = await client.post(
            f"{world.url}/ollama/api/chat", json=body("[[n=9 tps=50 cut=3]]", "o.fake-small"), headers=world.headers
        )
    assert b"t3 " in sse.content and b'data: {"error":{"message":"The model server' in sse.content
    assert b"t3 " in lines.content and b'\n{"error":"The model server' in lines.content


@pytest.mark.parametrize("prefix", ["/openai", "/v1"])
async def test_official_openai_client(world: SimpleNamespace, prefix: str) -> None:
    async with openai.AsyncOpenAI(base_url=world.url + prefix, api_key=world.token) as client:
        assert "fake-small" in [model.id async for model in client.models.list()]
        assert "fake-large" not in [model.id async for model in client.models.list()]
        if prefix == "/v1":
            vectors = await client.embeddings.create(model="fake-small", input=["one", "two"])
            assert [len(item.embedding) for item in vectors.data] == [384, 384]
            return
        messages: Any = [{"role": "user", "content": "[[n=5]]"}]
        whole = await client.chat.completions.create(model="fake-small", messages=messages)
        assert whole.choices[0].message.content == counted(5)
        stream = await client.chat.completions.create(model="fake-small", messages=messages, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]) == counted(5)
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await client.chat.completions.create(model="fake-large", messages=messages)
        assert caught.value.body == {"detail": "Model not found"}


async def test_official_ollama_client(world: SimpleNamespace) -> None:
    client = ollama.AsyncClient(host=f"{world.url}/ollama", headers=world.headers, trust_env=False)
    assert [model.model for model in (await client.list()).models] == ["o.fake-small"]
    messages = [{"role": "user", "content": "[[n=4]]"}]
    whole = await client.chat(model="o.fake-small", messages=messages)
    assert whole.message.content == counted(4)
    parts = [part.message.content async for part in await client.chat("o.fake-small", messages, stream=True)]
    assert "".join(part or "" for part in parts) == counted(4)
    assert len((await client.embed("o.fake-small", "hello")).embeddings[0]) == 384
    with pytest.raises(ollama.ResponseError) as caught:
        await client.chat(model="o.fake-large", messages=messages)
    assert caught.value.status_code == 403
    await client._client.aclose()


async def test_open_streams_hold_no_database_connection(world: SimpleNamespace, server: FakeModelServer) -> None:
    """Forty streams over a pool of twenty: were one held, the others could not even start."""
    async with httpx.AsyncClient(trust_env=False, timeout=20, limits=httpx.Limits(max_connections=100)) as client:
        url, asked = f"{world.url}/openai/chat/completions", body("[[n=40 tps=40]]")
        tasks = [asyncio.create_task(client.post(url, json=asked, headers=world.headers)) for _ in range(40)]
        await until(lambda: server.stats()["active"] == 40, seconds=8)
        answers = await asyncio.gather(*tasks)
    assert {a.status_code for a in answers} == {200}


async def test_grant_taken_away_counts_for_the_next_request(world: SimpleNamespace) -> None:
    from inference.models import AIModel

    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"{world.url}/openai/chat/completions"
        first = await client.post(url, json=body("[[n=1]]"), headers=world.headers)
        await in_thread(lambda: AIModel.objects.get(model_id="fake-small").user_grants.all().delete())()
        second = await client.post(url, json=body("[[n=1]]"), headers=world.headers)
    assert (first.status_code, second.status_code) == (200, 403)
