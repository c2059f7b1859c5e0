"""Models, vectors and pass-through of the OpenAI-compatible provider."""

from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from inference.providers import errors as e
from inference.providers import get_provider
from tests.fakes.model_server import DIMENSIONS, FakeModelServer, embedding
from tests.inference.helpers import provider, raw_server, to, until


@pytest.fixture(scope="module")
def server() -> Iterator[FakeModelServer]:
    with FakeModelServer() as server:
        yield server


async def test_models(server: FakeModelServer) -> None:
    models = await provider.list_models(to(server))
    assert [(model.id, model.name, model.owned_by) for model in models] == [
        ("fake-small", "fake-small", "fake"),
        ("fake-large", "fake-large", "fake"),
    ]
    before = len(server.requests)
    assert [m.id for m in await provider.list_models(to(server, config={"model_ids": ["only"]}))] == ["only"]
    assert len(server.requests) == before


async def test_a_list_of_models_that_is_none(server: FakeModelServer) -> None:
    with pytest.raises(e.BadAnswer, match="list of models"):
        await provider.list_models(to(server, base_url=f"{server.url}/api/version?"))


async def test_vectors_come_in_the_order_of_the_texts(server: FakeModelServer) -> None:
    texts = ["one text", "another", "third"]
    vectors = await provider.embed(to(server), "m", texts)
    assert vectors == [pytest.approx(embedding(text)) for text in texts]
    assert len(vectors[0]) == DIMENSIONS
    assert await provider.embed(to(server), "m", []) == []
    with pytest.raises(e.BadAnswer, match="1 vectors for 2 texts"):
        await provider.embed(to(server), "m", ["a", "b [[lose]]"])


@pytest.mark.parametrize(
    "vectors", [[[1.0], [1.0, 2.0]], [[1.0], [None]], [[], []], [1, 2], ["a", "b"], [["a"], ["b"]]]
)
async def test_vectors_that_are_none(vectors: list[Any]) -> None:
    data = orjson.dumps({"data": [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)]})
    async with aclosing(raw_server(data, "application/json")) as servers:
        async for connection in servers:
            with pytest.raises(e.BadAnswer):
                await provider.embed(connection, "m", ["a", "b"])


async def test_passthrough_is_byte_for_byte(server: FakeModelServer) -> None:
    for stream in (False, True):
        body = (
            orjson.dumps({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "[[n=5]]"}]}) + b" "
        )
        answer = await provider.passthrough(to(server), "POST", "/chat/completions", body, stream)
        got = b"".join([piece async for piece in answer.aiter_bytes()])
        await answer.aclose()
        assert server.requests[-1].body == body
        assert answer.status == 200
        assert answer.content_type == ("text/event-stream" if stream else "application/json")
        assert got.endswith(b"data: [DONE]\n\n") if stream else orjson.loads(got)["object"] == "chat.completion"


async def test_passthrough_gives_errors_as_they_are(server: FakeModelServer) -> None:
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "[[err=418]]"}]})
    answer = await provider.passthrough(to(server), "POST", "/chat/completions", body)
    assert answer.status == 418
    assert b"scripted error" in b"".join([piece async for piece in answer.aiter_bytes()])
    await answer.aclose()
    for path in ("/../secret", "//elsewhere/x", "models", "/a/..%2fb"):
        with pytest.raises(e.ConnectionMisconfigured):
            await provider.passthrough(to(server), "GET", path)


async def test_passthrough_that_is_given_up_or_cut(server: FakeModelServer) -> None:
    def body(script: str) -> bytes:
        return orjson.dumps({"stream": True, "messages": [{"role": "user", "content": script}]})

    before = server.stats()["cancelled"]
    answer = await provider.passthrough(to(server), "POST", "/chat/completions", body("[[n=999 tps=20]]"), True)
    async with aclosing(answer.aiter_bytes()) as pieces:
        assert await anext(pieces)
    await answer.aclose()
    await until(lambda: server.stats()["cancelled"] == before + 1, 1)
    answer = await provider.passthrough(to(server), "POST", "/chat/completions", body("[[cut=2]]"), True)
    with pytest.raises(e.StreamCutOff):
        _ = [piece async for piece in answer.aiter_bytes()]
    await answer.aclose()


def test_kinds() -> None:
    with pytest.raises(ValueError, match="kind 'other'"):
        get_provider("other")
