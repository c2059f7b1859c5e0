"""The built-in embedding model finds what was asked, from upload to answer."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from knowledge import pipeline, services
from knowledge.chat import retrieve_for_chat
from owui.embedded.home import environ
from owui.embedded.plan import answers
from tests.factories.knowledge import make_base
from tests.ports import free_ports

pytest.importorskip("onnxruntime")
ROOT = Path(__file__).resolve().parents[2]
TEXTS = {
    "mixers.md": "# Equipment\n\nAfter each batch the vessel is rinsed with warm water and dried with filtered air.",
    "leave.md": "# Holidays\n\nEvery employee has thirty days of paid leave a year. Carers may ask for more.",
    "fire.md": "# Emergencies\n\nLeave the building by the nearest staircase when the alarm sounds. Do not use lifts.",
}


@pytest.fixture
def real_embeddings(rag: Callable[..., None]) -> Iterator[None]:
    port = free_ports()
    process = subprocess.Popen(
        [sys.executable, "-m", "owui.embedded.embedding_server"],
        cwd=ROOT,
        env=dict(environ) | {"EMBEDDING_SERVER_PORT": str(port), "EMBEDDING_SERVER_KEY": "k"},
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while not answers("127.0.0.1", port):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        rag(
            openai_api_base_url=f"http://127.0.0.1:{port}/v1",
            openai_api_key="k",
            embedding_model="all-MiniLM-L6-v2",
            top_k=1,
        )
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_question_in_other_words_finds_the_passage(alice: Any, real_embeddings: None, sent: list[str]) -> None:
    kb = make_base(alice)
    for name, text in TEXTS.items():
        file = io.BytesIO(text.encode())
        pipeline.advance(services.add_document(file=file, filename=name, by=alice, knowledge_base=kb).pk)
    for question, name in {
        "How do we clean the tank?": "mixers.md",
        "How much vacation do I get?": "leave.md",
        "What must I do if there is a fire?": "fire.md",
    }.items():
        found = async_to_sync(retrieve_for_chat)(alice, [{"type": "collection", "id": str(kb.pk)}], [question])
        assert [citation["document_name"] for citation in found.citations] == [name]
        assert found.citations[0]["score"] > 0.2
