"""Readers that read slowly, or leave, on every path by which an answer goes out; our own server on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import psutil
import pytest

from tests.conftest import token_for
from tests.fakes.misbehaving import MisbehavingServer
from tests.inference.helpers import until

pytestmark = pytest.mark.django_db(transaction=True)
PATHS = {
    "/api/chat/completions": "fake-small",
    "/openai/chat/completions": "fake-small",
    "/ollama/api/chat": "o.fake-small",
}
#: what the buffers of the system between two programs may hold, twice, and some of ours
MOST = 64 * 2**20


@pytest.fixture
def endless() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as server:
        yield server


@pytest.fixture
def world(
    people: SimpleNamespace,
    set_config: Callable[..., None],
    endless: MisbehavingServer,
    base: Any,
    share: Any,
    our_url: str,
) -> SimpleNamespace:
    set_config("openai.api_base_urls", [endless.openai_url])
    set_config("ollama.base_urls", [endless.url])
    set_config("ollama.api_configs", {"0": {"prefix_id": "o"}})
    set_config("answers.max_chars", 0)
    for model_id in ("fake-small", "o.fake-small"):
        share(base(model_id), people.bob, "read")
    people.url, people.token = our_url, token_for(people.bob)
    return people


def request_for(world: SimpleNamespace, path: str, text: str, *, stream: bool = True) -> bytes:
    messages = [{"role": "user", "content": text}]
    body = orjson.dumps({"model": PATHS[path], "messages": messages, "stream": stream})
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("path", PATHS)
async def test_whoever_reads_slowly_slows_the_model_server_down(
    world: SimpleNamespace, endless: MisbehavingServer, path: str
) -> None:
    where = urlsplit(world.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=2**16)
    writer.write(request_for(world, path, "[[for ever]]"))
    assert b"200" in await reader.readline()
    before = psutil.Process().memory_info().rss
    seen = -1
    async with asyncio.timeout(60):
        while endless.sent != seen:  # until nothing more is taken
            seen = endless.sent
            assert seen < MOST, "it is read although nobody takes it"
            await asyncio.sleep(1)
    assert psutil.Process().memory_info().rss - before < MOST
    taken = 0
    while endless.sent == seen:
        taken += len(await asyncio.wait_for(reader.read(2**20), 30))
    assert taken, "it goes on as soon as somebody reads"
    writer.close()
    await until(lambda: endless.open == 0, 30)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("text", "stream"), [("[[silent]]", True), ("[[silent after a word]]", True), ("[[silent]]", False)]
)
async def test_whoever_leaves_frees_the_model_server(
    world: SimpleNamespace, endless: MisbehavingServer, path: str, text: str, stream: bool
) -> None:
    where = urlsplit(world.url)
    _reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(request_for(world, path, text, stream=stream))
    await until(lambda: endless.open == 1, 30)
    writer.close()
    await until(lambda: endless.open == 0, 30)


@pytest.mark.parametrize("path", PATHS)
async def test_faults_on_every_way_through_are_an_answer_of_the_protocol(world: SimpleNamespace, path: str) -> None:
    headers = {"Authorization": f"Bearer {world.token}"}
    async with httpx.AsyncClient(base_url=world.url, headers=headers, trust_env=False, timeout=60) as client:

        async def call(name: str, *, stream: bool = True) -> httpx.Response:
            messages = [{"role": "user", "content": f"[[{name}]]"}]
            return await client.post(path, json={"model": PATHS[path], "messages": messages, "stream": stream})

        busy = await call("busy")
        assert busy.status_code == 429
        assert busy.json()["error"]["message"] == "slow down"
        assert (await call("closed at once")).status_code == 502
        assert (await call("cut in a chunk", stream=False)).status_code == 502
        cut = await call("cut in a chunk")
        assert cut.status_code == 200
        assert "Grü" in cut.text and "before the answer was complete" in cut.text
        elsewhere = await call("elsewhere")
        assert elsewhere.status_code == 502, "a redirect of the model server is none of ours"
        assert "secret" not in elsewhere.text and "location" not in elsewhere.headers
