"""Model servers on real sockets, the settings that point at them, and our own server where a test needs a real wire."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from tests.fakes.model_server import FakeModelServer


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    from inference import live

    live.forget()
    yield
    live.forget()


@pytest.fixture
def server() -> Iterator[FakeModelServer]:
    with FakeModelServer() as running:
        yield running


@pytest.fixture
def connect(set_config: Callable[..., None]) -> Callable[..., None]:
    """`connect(openai=[server], ollama=[other])`; a text is an address as it is."""

    def address(item: Any, kind: str) -> str:
        if isinstance(item, str):
            return item
        return str(item.openai_url if kind == "openai" else item.url)

    def store(
        openai: Any = (), ollama: Any = (), *, keys: Any = (), configs: Any = None, ollama_configs: Any = None
    ) -> None:
        set_config("openai.api_base_urls", [address(s, "openai") for s in openai])
        set_config("openai.api_keys", list(keys))
        set_config("openai.api_configs", configs or {})
        set_config("ollama.base_urls", [address(s, "ollama") for s in ollama])
        set_config("ollama.api_configs", ollama_configs or {})

    return store


@pytest.fixture
def base(db: None) -> Callable[..., Any]:
    """`base("fake-small")`: a registered base model, private to nobody but administrators."""
    from inference.models import AIModel

    def make(model_id: str = "fake-small", **fields: Any) -> Any:
        return AIModel.objects.create(**{"model_id": model_id, "name": model_id.title(), **fields})

    return make


def dead_address() -> str:
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


@pytest.fixture
def our_url(transactional_db: None) -> Iterator[str]:
    """Our own server on a real socket."""
    from django.core.asgi import get_asgi_application

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(get_asgi_application(), lifespan="off", log_level="warning", ws="none")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
    thread.start()
    end = time.monotonic() + 5
    while not running.started and time.monotonic() < end:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    running.should_exit = True
    thread.join(10)
    listener.close()
