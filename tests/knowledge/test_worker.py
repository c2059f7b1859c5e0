"""A real worker is killed in the middle of a document; another one finishes it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from knowledge import pipeline, services
from knowledge.models import Chunk, Document, DocumentState, PendingChunk
from owui.embedded.home import environ
from tests.factories.knowledge import make_base
from tests.fakes.model_server import FakeModelServer

ROOT = Path(__file__).resolve().parents[2]
LONG = "\n\n".join(f"Paragraph {n} tells of step {n} of the cleaning of mixers." * 12 for n in range(120))


@pytest.fixture
def start_worker(uploads: Path, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """A Celery worker with one process on the test's database and files, in a process group of its own."""
    started: list[subprocess.Popen[bytes]] = []
    shown = tmp_path / "worker_settings.py"
    database = django_settings.DATABASES["default"] | {"NAME": connection.settings_dict["NAME"]}
    shown.write_text(
        "from owui.settings import *\n"
        f"DATABASES['default']['NAME'] = {database['NAME']!r}\n"
        f"STORAGES['default']['OPTIONS'] = {{'location': {str(uploads)!r}}}\n"
    )

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "owui.celery",
                "worker",
                "--pool",
                "prefork",
                "-c",
                "1",
                "-l",
                "warning",
            ],
            cwd=ROOT,
            env=dict(environ) | {"DJANGO_SETTINGS_MODULE": "worker_settings", "PYTHONPATH": f"{tmp_path}:{ROOT}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def wait_for(question: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_killed_worker_loses_nothing(
    alice: Any,
    rag: Callable[..., None],
    embedding_server: FakeModelServer,
    start_worker: Callable[[], subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rag(embedding_batch_size=1, enable_async_embedding=False)
    kb = make_base(alice)
    document = services.add_document(file=io.BytesIO(LONG.encode()), filename="long.txt", by=alice, knowledge_base=kb)
    worker = start_worker()
    wait_for(lambda: PendingChunk.objects.exclude(embedding=None).count() >= 5)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(10)
    document.refresh_from_db()
    assert document.state == DocumentState.CHUNKED and document.leased_until is not None
    done = PendingChunk.objects.exclude(embedding=None).count()
    assert 5 <= done < document.chunk_count, "the worker was killed in the middle"
    assert document.chunks_done == done and not Chunk.objects.exists()
    assert pipeline.advance(document.pk) is False, "the dead worker's lease still holds"
    document.refresh_from_db()
    assert document.state == DocumentState.CHUNKED
    Document.objects.update(leased_until=None)  # as after a minute
    before = len(embedding_server.requests)
    start_worker()
    services.process_document(document, by=alice)
    wait_for(lambda: Document.objects.get().state == DocumentState.LIVE)
    assert len(embedding_server.requests) - before == document.chunk_count - done
    assert Chunk.objects.filter(knowledge_base=kb).count() == document.chunk_count
    assert not PendingChunk.objects.exists()
