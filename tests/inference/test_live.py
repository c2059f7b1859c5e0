"""The lists of the servers, and how long they are trusted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from inference import live
from inference.live import live_models
from owui.lib.aio import in_thread
from tests.fakes.model_server import FakeModelServer
from tests.inference.conftest import dead_address
from tests.inference.helpers import until

pytestmark = pytest.mark.django_db(transaction=True)


def lists_asked(server: FakeModelServer) -> int:
    return len([r for r in server.requests if r.path in ("/v1/models", "/api/tags")])


def age(seconds: float) -> None:
    """Makes the lists older."""
    assert live._lists is not None
    object.__setattr__(live._lists, "loaded_at", time.monotonic() - seconds)


async def test_models_of_all_servers_are_there(connect: Callable[..., None], server: FakeModelServer) -> None:
    with FakeModelServer(models=["llama:1b"]) as other:
        await in_thread(connect)([server], [other])
        models = await live_models()
    assert {m.id: m.kind for m in models.values()} == {
        "fake-small": "openai",
        "fake-large": "openai",
        "llama:1b": "ollama",
    }


async def test_server_that_is_down_only_loses_its_own_list(
    connect: Callable[..., None], server: FakeModelServer, caplog: Any
) -> None:
    await in_thread(connect)([dead_address(), server])
    models = await live_models()
    assert set(models) == {"fake-small", "fake-large"}
    assert models["fake-small"].connections[0].index == 1
    assert live._lists is not None and len(live._lists.faults) == 1
    assert "does not answer" in caplog.text
    caplog.clear()
    await live_models(refresh=True)
    assert "does not answer" not in caplog.text  # said once, not at each look


async def test_same_model_on_two_ollama_servers_is_one_with_two_connections(
    connect: Callable[..., None], server: FakeModelServer
) -> None:
    with FakeModelServer(models=["fake-small", "only-there"]) as other:
        await in_thread(connect)([], [server, other])
        models = await live_models()
        chosen = {models["fake-small"].pick().index for _ in range(60)}
    assert chosen == {0, 1}
    assert models["fake-small"].pick(1).index == 1
    with pytest.raises(LookupError):
        models["only-there"].pick(0)


async def test_prefix_keeps_equal_names_apart(connect: Callable[..., None], server: FakeModelServer) -> None:
    with FakeModelServer() as other:
        await in_thread(connect)([server, other], configs={"1": {"prefix_id": "b"}})
        models = await live_models()
    assert models["b.fake-small"].upstream_id == "fake-small"
    assert models["b.fake-small"].connections[0].index == 1


async def test_warm_cache_asks_nobody(connect: Callable[..., None], server: FakeModelServer) -> None:
    await in_thread(connect)([server])
    for _ in range(5):
        await live_models()
    assert lists_asked(server) == 1


async def test_old_list_is_given_at_once_and_renewed_meanwhile(
    connect: Callable[..., None], server: FakeModelServer
) -> None:
    await in_thread(connect)([server])
    await live_models()
    server.models.models.append("new-one")
    age(30)
    assert "new-one" not in await live_models()
    await until(lambda: lists_asked(server) == 2)
    await until(lambda: live._lists is not None and "new-one" in live._lists.models)
    assert "new-one" in await live_models()


async def test_very_old_list_is_not_given(connect: Callable[..., None], server: FakeModelServer) -> None:
    await in_thread(connect)([server])
    await live_models()
    server.models.models.append("new-one")
    age(61)
    assert "new-one" in await live_models()


async def test_kept_list_is_renewed_only_when_asked_for(
    connect: Callable[..., None], set_config: Callable[..., None], server: FakeModelServer
) -> None:
    await in_thread(connect)([server])
    await in_thread(set_config)("models.base_models_cache", True)
    await live_models()
    age(1000)
    await live_models()
    assert lists_asked(server) == 1
    await live_models(refresh=True)
    assert lists_asked(server) == 2


async def test_changed_settings_count_at_once(connect: Callable[..., None], server: FakeModelServer) -> None:
    await in_thread(connect)([server])
    await live_models()
    with FakeModelServer(models=["other"]) as other:
        await in_thread(connect)([other])
        assert set(await live_models()) == {"other"}


async def test_many_at_once_ask_once(connect: Callable[..., None], server: FakeModelServer) -> None:
    await in_thread(connect)([server])
    await asyncio.gather(*(live_models() for _ in range(20)))
    assert lists_asked(server) == 1


async def test_one_who_leaves_does_not_stop_the_others(connect: Callable[..., None], server: FakeModelServer) -> None:
    await in_thread(connect)([server])
    setup = await in_thread(live.load_setup)()
    impatient = asyncio.create_task(live.current(setup))
    patient = asyncio.create_task(live.current(setup))
    await asyncio.sleep(0)
    impatient.cancel()
    assert "fake-small" in (await patient).models
