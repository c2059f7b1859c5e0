"""A fake embedding server, and a storage of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages

from tests.factories.knowledge import ENGINE, MODEL
from tests.fakes.model_server import FakeModelServer


def body_of(answer: Any) -> bytes:
    """Reads a streamed file and closes it; `answer.close()` would close the test's database connection too."""
    body = b"".join(answer.streaming_content)
    for close in answer._resource_closers:
        close()
    return body


@pytest.fixture(scope="session")
def embedding_server() -> Iterator[FakeModelServer]:
    with FakeModelServer() as server:
        yield server


@pytest.fixture
def uploads(settings: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(folder)},
        }
    }
    storages._storages.clear()
    return folder


@pytest.fixture
def rag(
    db: None, embedding_server: FakeModelServer, set_config: Callable[..., None], uploads: Path
) -> Callable[..., None]:
    """Documents can be embedded; `rag(top_k=5)` changes settings."""

    def change(**values: Any) -> None:
        for name, value in values.items():
            set_config(f"rag.{name}", value)

    change(
        embedding_engine=ENGINE,
        embedding_model=MODEL,
        openai_api_base_url=embedding_server.openai_url,
        openai_api_key="key",
        embedding_batch_size=8,
    )
    return change


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have gone to the broker."""
    sent: list[str] = []
    monkeypatch.setattr("knowledge.tasks._send", lambda document_id: sent.append(document_id) or True)
    return sent
