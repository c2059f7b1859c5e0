"""From an upload to chunks that are found, and every way it goes wrong."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from knowledge import pipeline, services, tasks
from knowledge.lease import Lease, LeaseLost
from knowledge.models import Chunk, Document, DocumentPage, DocumentState, EmbeddingSpace, PendingChunk, WordSlot
from knowledge.spaces import activate_space
from tests.factories.knowledge import MODEL, make_base, make_document
from tests.fakes.model_server import FakeModelServer, embedding

pytestmark = pytest.mark.usefixtures("sent")
LONG = "\n\n".join(f"Paragraph {n} tells of step {n} of the cleaning of mixers." * 3 for n in range(40))


def add(alice: Any, text: str = "How to clean a mixer.", name: str = "sop.txt", **kwargs: Any) -> Document:
    return services.add_document(
        file=io.BytesIO(text.encode()), filename=name, content_type="text/plain", by=alice, **kwargs
    )


def free(document: Document) -> None:
    """As if the lease of a dead worker had run out."""
    Document.objects.filter(pk=document.pk).update(leased_until=timezone.now() - timedelta(seconds=1))


def test_upload_becomes_searchable_chunks(
    alice: Any, rag: Callable[..., None], sent: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    kb = make_base(alice)
    with django_capture_on_commit_callbacks(execute=True):
        document = add(alice, LONG, knowledge_base=kb)
    assert sent == [str(document.pk)]
    assert pipeline.advance(document.pk) is False
    document.refresh_from_db()
    assert (document.state, document.error, document.leased_until) == (DocumentState.LIVE, "", None)
    chunks = Chunk.objects.filter(document=document)
    assert document.chunk_count == document.chunks_done == chunks.count() > 5
    assert set(chunks.values_list("knowledge_base_id", flat=True)) == {kb.pk}
    assert WordSlot.objects.count() == chunks.count() and not PendingChunk.objects.exists()
    first = chunks.get(position=0)
    assert first.page.text[first.start_index :].startswith(first.text)
    assert EmbeddingSpace.objects.get().model == MODEL


def test_work_on_a_finished_document_does_nothing(alice: Any, rag: Callable[..., None]) -> None:
    document = add(alice)
    pipeline.advance(document.pk)
    before = list(Chunk.objects.values_list("pk", flat=True))
    assert pipeline.advance(document.pk) is False
    assert list(Chunk.objects.values_list("pk", flat=True)) == before


def test_two_workers_never_hold_one_document(alice: Any, rag: Callable[..., None]) -> None:
    document = add(alice)
    assert Lease.take(document.pk) is not None
    assert Lease.take(document.pk) is None
    free(document)
    assert Lease.take(document.pk) is not None


def test_worker_that_slept_through_its_lease_can_write_nothing(alice: Any, rag: Callable[..., None]) -> None:
    document = add(alice)
    sleeper = Lease.take(document.pk)
    free(document)
    assert Lease.take(document.pk) is not None
    assert sleeper is not None
    with pytest.raises(LeaseLost), sleeper.step():
        Document.objects.filter(pk=document.pk).update(state=DocumentState.FAILED)
    document.refresh_from_db()
    assert document.state == DocumentState.RECEIVED


def test_nothing_is_visible_before_the_last_step(
    alice: Any, rag: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "AT_ONCE", 0)
    document = add(alice, LONG)
    monkeypatch.setattr(pipeline, "publish", lambda _document: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.CHUNKED and document.chunks_done == document.chunk_count
    assert not Chunk.objects.exists()
    monkeypatch.undo()
    free(document)
    pipeline.advance(document.pk)
    assert Chunk.objects.filter(document=document).count() == document.chunk_count


def test_short_documents_take_one_transaction(
    alice: Any, rag: Callable[..., None], monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    kb = make_base(alice)
    pipeline.advance(add(alice, "The first of a space makes its index.", knowledge_base=kb).pk)
    document = add(alice, LONG, knowledge_base=kb)
    publish = pipeline.publish
    monkeypatch.setattr(pipeline, "publish", lambda _document: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.RECEIVED
    assert not document.pages.exists() and not PendingChunk.objects.exists()
    assert not Chunk.objects.filter(document=document).exists()
    monkeypatch.setattr(pipeline, "publish", publish)
    free(document)
    with django_assert_max_num_queries(26):
        pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.LIVE and document.chunk_count == document.chunks.count() > 5
    assert list(document.chunks.order_by("position").values_list("position", flat=True)) == [
        *range(document.chunk_count)
    ]
    assert all(c.page.text[c.start_index :].startswith(c.text) for c in document.chunks.select_related("page"))


def test_vectors_of_different_lengths_fail_with_the_reason(
    alice: Any, rag: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind one address may be servers with different models."""
    rag(embedding_batch_size=1, embedding_concurrent_requests=1)
    lengths = iter([3, 4] * 100)

    async def changing(_config: Any, texts: list[str], **_more: Any) -> list[list[float]]:
        length = next(lengths)
        return [[1.0] * length for _text in texts]

    monkeypatch.setattr(pipeline, "embed_texts", changing)
    document = add(alice, LONG)
    pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.FAILED and "different lengths (3, 4)" in document.error
    assert not Chunk.objects.exists() and not EmbeddingSpace.objects.exists()


def test_stop_in_the_middle_loses_one_window_at_most(
    alice: Any, rag: Callable[..., None], embedding_server: FakeModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "AT_ONCE", 0)
    rag(embedding_batch_size=2, embedding_concurrent_requests=1)
    document = add(alice, LONG)
    real, calls = pipeline.embed_texts, []

    async def dies_at_the_third(config: Any, texts: Any, **more: Any) -> Any:
        calls.append(len(texts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return await real(config, texts, **more)

    monkeypatch.setattr(pipeline, "embed_texts", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.chunks_done == 4 and 15 < document.progress < 99
    free(document)
    monkeypatch.undo()
    before = len(embedding_server.requests)
    pipeline.advance(document.pk)
    asked = [text for request in embedding_server.requests[before:] for text in request.json["input"]]
    assert len(asked) == document.chunk_count - 4
    document.refresh_from_db()
    assert document.state == DocumentState.LIVE


def test_long_documents_let_others_in_between(
    alice: Any, rag: Callable[..., None], sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "AT_ONCE", 0)
    monkeypatch.setattr(pipeline, "SLICE_SECONDS", -1.0)
    document = add(alice, LONG)
    tasks.ingest_document(str(document.pk))
    assert sent == [str(document.pk)]
    document.refresh_from_db()
    assert document.state == DocumentState.CHUNKED and document.attempts == 0
    monkeypatch.undo()
    assert pipeline.advance(document.pk) is False


def test_silent_embedding_server_is_asked_again_later(
    alice: Any, rag: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowledge.embedding.PAUSES", ())
    rag(openai_api_base_url="http://127.0.0.1:1/v1")
    document = add(alice)
    pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.EXTRACTED and document.attempts == 0 and document.pages.exists()
    assert "trying again in 30 s" in document.error
    assert document.leased_until is not None and document.leased_until > timezone.now() + timedelta(seconds=20)
    assert pipeline.waiting() == []
    free(document)
    assert pipeline.waiting() == [document.pk]


def test_refused_embedding_fails_with_the_reason_and_can_be_tried_again(alice: Any, rag: Callable[..., None]) -> None:
    rag(embedding_engine="")
    document = add(alice)
    pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.FAILED and "No embedding server is set up" in document.error
    assert document.text_hash == ""
    rag(embedding_engine="openai")
    services.process_document(document, by=alice)
    pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.LIVE and document.text_hash and document.error == ""


def test_document_that_kills_its_workers_fails_in_the_end(alice: Any, rag: Callable[..., None]) -> None:
    document = add(alice)
    for _worker in range(pipeline.ATTEMPTS):
        assert Lease.take(document.pk) is not None
        free(document)
    pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.FAILED and "stopped its worker" in document.error


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"%PDF-1.7 broken", "broken.pdf", "damaged"),
        (b"   \n  ", "blank.txt", "empty"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "picture.txt", "picture"),
    ],
)
def test_bad_file_fails_with_a_sentence(
    alice: Any, rag: Callable[..., None], content: bytes, name: str, said: str
) -> None:
    document = services.add_document(file=io.BytesIO(content), filename=name, by=alice)
    pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.FAILED and said in document.error.lower()
    assert not DocumentPage.objects.exists()


def test_same_text_in_another_file_is_refused_in_the_same_base_only(alice: Any, rag: Callable[..., None]) -> None:
    kb = make_base(alice)
    make_document(alice, "One text.", bases=[kb], filename="first.txt")
    twin = add(alice, "One   text.", "second.txt", knowledge_base=kb)
    pipeline.advance(twin.pk)
    twin.refresh_from_db()
    assert twin.state == DocumentState.FAILED and "Duplicate content" in twin.error and "first.txt" in twin.error
    elsewhere = add(alice, "One  text.", "third.txt", knowledge_base=make_base(alice, "Other"))
    pipeline.advance(elsewhere.pk)
    elsewhere.refresh_from_db()
    assert elsewhere.state == DocumentState.LIVE


def test_new_embedding_model_makes_a_new_space_and_asks_for_a_reindex(alice: Any, rag: Callable[..., None]) -> None:
    old = make_document(alice, "Old text of mixers.")
    rag(embedding_model="another-model")
    assert services.reindex(by=alice, only_stale=True) == 1
    connection.check_constraints()  # one transaction around the whole test; an index cannot be made among open checks
    assert Chunk.objects.filter(document=old).exists(), "searchable until the new chunks are there"
    pipeline.advance(old.pk)
    space = EmbeddingSpace.objects.get(is_active=True)
    assert space.model == "another-model" and Chunk.objects.get(document=old).space == space
    assert services.reindex(by=alice, only_stale=True) == 0


def test_model_changed_half_way_starts_the_vectors_afresh(
    alice: Any, rag: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    rag(embedding_batch_size=2, embedding_concurrent_requests=1)
    document = add(alice, LONG)
    monkeypatch.setattr(pipeline, "SLICE_SECONDS", 1000.0)
    real = pipeline.embed_texts
    seen: list[str] = []

    async def dies(config: Any, texts: Any, **more: Any) -> Any:
        seen.append(config.embedding_model)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return await real(config, texts, **more)

    monkeypatch.setattr(pipeline, "embed_texts", dies)
    with pytest.raises(KeyboardInterrupt):
        pipeline.advance(document.pk)
    rag(embedding_model="another-model")
    free(document)
    pipeline.advance(document.pk)
    assert set(Chunk.objects.values_list("space__model", flat=True)) == {"another-model"}


def test_space_is_made_once(db: None) -> None:
    space = activate_space(engine="openai", model="m", dimensions=8)
    assert activate_space(engine="openai", model="m", dimensions=8) == space
    huge = activate_space(engine="openai", model="huge", dimensions=5000)
    assert EmbeddingSpace.objects.get(is_active=True) == huge


def test_without_embedding_the_text_alone_is_kept(alice: Any, rag: Callable[..., None]) -> None:
    rag(bypass_embedding_and_retrieval=True)
    document = add(alice)
    pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.LIVE and document.pages.get().text and not Chunk.objects.exists()


def test_stored_vectors_are_those_of_the_text(alice: Any, rag: Callable[..., None]) -> None:
    document = add(alice, "Mixers are cleaned daily.")
    pipeline.advance(document.pk)
    stored = Chunk.objects.get(document=document).embedding
    assert list(stored) == pytest.approx(embedding("Mixers are cleaned daily."), abs=1e-3)


def test_piece_takes_the_headings_above_it_into_its_vector(alice: Any, rag: Callable[..., None]) -> None:
    rag(chunk_size=60, chunk_overlap=0)
    document = add(alice, "# Mixers\n\n## Weekly\n\nRinse the vessel twice with water.\n\nThen dry it with warm air.")
    pipeline.advance(document.pk)
    pieces = list(Chunk.objects.filter(document=document).order_by("position"))
    assert pieces[0].text.startswith("# Mixers") and pieces[-1].text == "Then dry it with warm air."
    assert list(pieces[-1].embedding) == pytest.approx(embedding("Mixers / Weekly " + pieces[-1].text), abs=1e-3)


@pytest.fixture
def tired_server() -> Iterator[Any]:
    """An embedding server that refuses with 429 while `wishes` last, then answers; `asked` counts."""

    class Tired(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            server.asked += 1
            vectors = [{"index": n, "embedding": embedding(text)} for n, text in enumerate(texts)]
            wish = server.wishes.pop(0) if server.wishes else None
            body = json.dumps({"data": vectors} if wish is None else {"error": {"message": "slow down"}}).encode()
            self.send_response(200 if wish is None else 429)
            if wish is not None:
                self.send_header("Retry-After", wish)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Tired)
    server.asked, server.wishes = 0, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_short_wish_of_a_tired_server_is_waited_for(alice: Any, rag: Callable[..., None], tired_server: Any) -> None:
    rag(openai_api_base_url=f"http://127.0.0.1:{tired_server.server_port}/v1")
    tired_server.wishes = ["1"]
    document = add(alice)
    started = time.monotonic()
    pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.LIVE and tired_server.asked == 2
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("as_date", [False, True])
def test_server_that_wants_a_long_rest_gets_it(
    alice: Any, rag: Callable[..., None], tired_server: Any, as_date: bool
) -> None:
    rag(openai_api_base_url=f"http://127.0.0.1:{tired_server.server_port}/v1")
    tired_server.wishes = [formatdate(time.time() + 120, usegmt=True) if as_date else "120"]
    document = add(alice)
    pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.EXTRACTED and tired_server.asked == 1
    assert document.leased_until is not None
    assert 100 < (document.leased_until - timezone.now()).total_seconds() <= 121
    free(document)
    pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.LIVE and document.error == ""


def test_vanished_file_says_so(alice: Any, rag: Callable[..., None], uploads: Path) -> None:
    document = add(alice)
    for path in uploads.iterdir():
        path.unlink()
    pipeline.advance(document.pk)
    document.refresh_from_db()
    assert document.state == DocumentState.FAILED and "no longer in the storage" in document.error
