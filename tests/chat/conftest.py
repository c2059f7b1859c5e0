"""A model server, and a runner of the test's own loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from rbac.signals import access_changed
from tests.fakes.model_server import FakeModelServer


@pytest.fixture
def server() -> Iterator[FakeModelServer]:
    with FakeModelServer() as running:
        yield running


@pytest.fixture
async def runner(transactional_db: None) -> AsyncIterator[Any]:
    """The process's runner, started as the server starts it."""
    from chat.runner import runner as ours

    await ours.start()
    yield ours
    for turn in list(ours.turns.values()):
        ours.stop_turn(turn.turn_id)
    await ours.stop()
    await forget_connections()
    # The thread in which Django's async test client runs sync views keeps its connection.
    await sync_to_async(lambda: connection.close())()


async def forget_connections() -> None:
    """What this loop opened to broker and model servers ends with the test."""
    from channels.layers import get_channel_layer

    from owui.lib.http import close_client

    await close_client()
    layer: Any = get_channel_layer()
    await layer.flush()


@pytest.fixture
async def process(runner: Any) -> AsyncIterator[Any]:
    """The runner, and the process's ear for the others."""
    from chat.nodes import nodes

    await nodes.start()
    yield runner
    await nodes.stop()


@pytest.fixture
def small(
    transactional_db: None, server: FakeModelServer, set_config: Callable[..., None], share: Callable[..., None]
) -> Iterator[Any]:
    """A model that everybody may use, on the fake server."""
    from inference import live
    from inference.models import AIModel

    live.forget()
    set_config("openai.api_base_urls", [server.openai_url])
    set_config("ollama.base_urls", [])
    model = AIModel.objects.create(model_id="fake-small", name="Fake small")
    share(model, "*")
    yield model
    live.forget()


@pytest.fixture
def announced() -> Iterator[list[tuple[str, str]]]:
    """Type and id of what readers were told to ask again for."""
    heard: list[tuple[str, str]] = []

    def hear(resource_type: str, resource_id: str, **_more: Any) -> None:
        heard.append((resource_type, resource_id))

    access_changed.connect(hear)
    yield heard
    access_changed.disconnect(hear)
