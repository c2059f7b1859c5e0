"""Model servers for the faces that answer with a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.chat.conftest import process, runner, server, small
from tests.fakes.model_server import FakeModelServer

__all__ = ["process", "runner", "server", "small"]


@pytest.fixture
def llama(small: Any, share: Callable[..., None], set_config: Callable[..., None]) -> Iterator[FakeModelServer]:
    """A model that everybody may use, on an Ollama server."""
    from inference import live
    from inference.models import AIModel

    with FakeModelServer(models=["llama"]) as running:
        set_config("ollama.base_urls", [running.url])
        share(AIModel.objects.create(model_id="llama", name="Llama"), "*")
        live.forget()
        yield running
