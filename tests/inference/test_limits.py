"""How long a context models have: each server says it in a place of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from inference import limits
from inference.limits import ContextLimit
from inference.providers.base import ConnectionInfo
from owui.lib.http import close_client
from tests.fakes.http_server import Exchange, serve


class Server:
    """Answers from a table, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.url = ""

    async def handle(self, exchange: Exchange) -> None:
        path = exchange.request.path
        self.asked.append(path)
        found = self.answers.get(path)
        await exchange.send_json(found if found is not None else {"error": "no"}, 200 if found is not None else 404)


@pytest.fixture
async def told() -> AsyncIterator[Server]:
    limits.forget()
    server = Server()
    port, stop = await serve(server.handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{port}"
    yield server
    await close_client()
    await stop()
    limits.forget()


def openai(server: Server, raw: dict[str, Any], **params: Any) -> ContextLimit:
    return ContextLimit(ConnectionInfo("openai", f"{server.url}/v1"), "m", raw, params)


def ollama(server: Server, **params: Any) -> ContextLimit:
    return ContextLimit(ConnectionInfo("ollama", server.url), "m", {"digest": "1"}, params)


@pytest.mark.parametrize(
    "raw",
    [{"max_model_len": 4096}, {"context_length": 4096}, {"context_window": 4096}, {"meta": {"n_ctx": 4096}}],
)
async def test_lists_of_models_say_it(told: Server, raw: dict[str, Any]) -> None:
    assert await openai(told, raw).ask() == 4096
    assert told.asked == [], "nobody has to be asked"


async def test_llama_cpp_is_asked_how_it_runs(told: Server) -> None:
    told.answers["/props"] = {"default_generation_settings": {"n_ctx": 2048}}
    raw = {"owned_by": "llamacpp", "meta": {"n_ctx_train": 131072}}
    assert await openai(told, raw).ask() == 2048
    assert await openai(told, raw).ask() == 2048
    assert told.asked == ["/props"], "once"


async def test_an_administrator_says_it_where_the_server_does_not(told: Server) -> None:
    assert await openai(told, {}).ask() is None
    assert await openai(told, {}, num_ctx=3000).ask() == 3000
    assert await openai(told, {}, compact_token_threshold=80000).ask() == 80000
    assert await openai(told, {"max_model_len": 2000}, num_ctx=3000).ask() == 2000


async def test_ollama_uses_what_it_is_asked_for_up_to_what_the_model_has(told: Server) -> None:
    told.answers["/api/show"] = {"model_info": {"llama.context_length": 8192}, "parameters": 'stop  "x"'}
    told.answers["/api/ps"] = {"models": []}
    assert await ollama(told, num_ctx=4096).ask() == 4096
    assert await ollama(told, num_ctx=100_000).ask() == 8192


async def test_ollama_says_how_it_has_loaded_a_model(told: Server) -> None:
    told.answers["/api/show"] = {"model_info": {"llama.context_length": 131072}}
    told.answers["/api/ps"] = {"models": [{"name": "m:latest", "context_length": 4096}]}
    assert await ollama(told).ask() == 4096


async def test_a_modelfile_says_it_for_ollama(told: Server) -> None:
    told.answers["/api/show"] = {"model_info": {"llama.context_length": 131072}, "parameters": "num_ctx       16384"}
    assert await ollama(told).ask() == 16384


async def test_a_server_that_does_not_say_costs_no_answer(told: Server) -> None:
    assert await ollama(told).ask() is None
    assert await ollama(told).ask() is None
    assert told.asked == ["/api/show"], "not at every question"
    gone = ContextLimit(ConnectionInfo("ollama", "http://127.0.0.1:9"), "m")
    assert await gone.ask() is None
