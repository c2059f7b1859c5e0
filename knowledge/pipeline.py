"""From the uploaded file to searchable chunks, one state after the other.

Each state is left only by the transaction that completes it, so a worker may die anywhere: the next one goes on from
the last finished state (within CHUNKED: from the last stored batch). Nothing searches pages or pending chunks, and the
move to `Chunk` is one transaction, so no half document is ever visible.
"""

from __future__ import annotations

import asyncio
import logging
import math
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from pgvector import HalfVector

from inference.forwarding import About
from inference.providers.errors import ProviderError
from knowledge.config import RagConfig
from knowledge.embedding import check_lengths, embed_texts, window_size, wished_pause
from knowledge.ingest.errors import IngestError
from knowledge.ingest.extract import Extracted, Page
from knowledge.ingest.hashing import hash_text
from knowledge.ingest.isolated import extract_isolated
from knowledge.ingest.split import SplitSettings, split
from knowledge.lease import Lease, LeaseLost
from knowledge.models import (
    Chunk,
    Document,
    DocumentPage,
    DocumentState,
    EmbeddingSpace,
    KnowledgeBase,
    PendingChunk,
)
from knowledge.screening.holding import hold_back
from knowledge.spaces import activate_space

log = logging.getLogger(__name__)

ATTEMPTS = 3
RETRY_SECONDS = 30
# However long a server asks to be left alone.
LONGEST_REST = 3600
# After so long a document goes back to the queue, so that one of 10,000 chunks does not keep the others waiting.
SLICE_SECONDS = 120.0
# Of the headings above a piece, what goes into its vector: more would drown short pieces.
HEADINGS_CHARS = 200
# Characters of a document that goes from its file to the index in one step.
AT_ONCE = 64_000
EMPTY = "The content provided is empty. Please ensure that there is text or data present before proceeding."
DUPLICATE = "Duplicate content detected. Please provide unique content to proceed."


def advance(document_id: uuid.UUID) -> bool:
    """Works on a document until it is live, failed, postponed or its time slice is over.

    :return: True when more is to be done at once; safe to call twice, in parallel and out of order
    """
    lease = Lease.take(document_id)
    if lease is None:
        return False
    try:
        with lease:
            return _guarded(lease)
    except LeaseLost:
        log.info("Document %s is in other hands now", document_id)
    return False


def _guarded(lease: Lease) -> bool:
    """Any other exception is a bug or a lost database: the lease runs out, and `attempts` ends a loop of them."""
    if lease.attempts > ATTEMPTS:
        _fail(lease, _("This document stopped its worker several times. Export it anew and upload it again."))
        return False
    try:
        return _work(lease)
    except IngestError as error:
        _fail(lease, error.message)
    except ProviderError as error:
        if error.retryable:
            _postpone(lease, error)
        else:
            _fail(lease, error.message)
    return False


def _work(lease: Lease) -> bool:
    started = time.monotonic()
    # With the owner: within a loop nothing may be read.
    document = Document.objects.select_related("owner").get(pk=lease.document_id)
    config = RagConfig.load()
    if document.state == DocumentState.RECEIVED and _read(document, config, lease):
        return False
    if document.state == DocumentState.EXTRACTED:
        _split(document, config, lease)
    if document.state != DocumentState.CHUNKED:
        return False
    if not _embed(document, config, lease, until=started + SLICE_SECONDS):
        lease.leave(error="")
        return True
    with lease.step():
        publish(document)
    return False


def _save(document: Document, **fields: object) -> None:
    """A finished state. Progress proves that the document is no poison."""
    fields |= {"error": "", "attempts": 0, "updated_at": timezone.now()}
    Document.objects.filter(pk=document.pk).update(**fields)
    for name, value in fields.items():
        setattr(document, name, value)


def _fail(lease: Lease, message: str) -> None:
    """The text's hash goes, so that the same text may come again."""
    with lease.step():
        PendingChunk.objects.filter(document_id=lease.document_id).delete()
        Document.objects.filter(pk=lease.document_id).update(
            state=DocumentState.FAILED,
            error=message,
            text_hash="",
            attempts=0,
            leased_until=None,
            updated_at=timezone.now(),
        )


def _postpone(lease: Lease, error: ProviderError) -> None:
    log.warning("Document %s waits for the embedding server: %s", lease.document_id, error.message)
    seconds = min(max(RETRY_SECONDS, math.ceil(wished_pause(error))), LONGEST_REST)
    text = _("The embedding server does not answer; trying again in %(seconds)s s.") % {"seconds": seconds}
    lease.leave(seconds=seconds, error=f"{text} {error.message}")


# ------------------------------------------------------------------------------------------------------------- extract
@contextmanager
def local_file(document: Document) -> Iterator[Path]:
    """The document's bytes as a file; fetched first where the storage has no paths."""
    name = document.file.name or ""
    try:
        try:
            path = Path(default_storage.path(name))
            if not path.is_file():
                raise FileNotFoundError(name)
            yield path
            return
        except NotImplementedError:
            pass
        with tempfile.TemporaryDirectory() as folder, default_storage.open(name) as source:
            path = Path(folder) / "document"
            with path.open("wb") as target:
                shutil.copyfileobj(source, target)
            yield path
    except FileNotFoundError as error:
        raise IngestError(_("The file is no longer in the storage. Upload it again."), "file_missing") from error


def _read(document: Document, config: RagConfig, lease: Lease) -> bool:
    """From the file to EXTRACTED, or, where the text is short, to LIVE; True in the latter case."""
    with local_file(document) as path:
        found = extract_isolated(path, document.filename, document.content_type or None)
    if config.bypass_embedding_and_retrieval:
        with lease.step():
            pages = set_text(document, found)
            # Nothing is searched, but what is given to a model as a whole has its gaps.
            _kept(document, _pieces(document, pages, str(found.content_type), config), config)
            _save(document, state=DocumentState.LIVE, leased_until=None)
        return True
    is_short = sum(len(page.text) for page in found.pages) <= AT_ONCE
    if is_short and (rows := _pieces(document, _pages(document, found), str(found.content_type), config)):
        return _finish(document, found, rows, config, lease)
    with lease.step():
        set_text(document, found)
    return False


def _finish(document: Document, found: Extracted, rows: list[PendingChunk], config: RagConfig, lease: Lease) -> bool:
    """A short document in one transaction instead of a dozen. A worker that dies meanwhile loses a few vectors."""
    try:
        vectors = _vectors(document, rows, config)
    except ProviderError:
        # The text is there, whatever the embedding server does.
        with lease.step():
            set_text(document, found)
        raise
    space = _space(config, vectors)
    for row, vector in zip(rows, vectors, strict=True):
        row.space, row.embedding = space, HalfVector(vector)
    with lease.step():
        pages = set_text(document, found)
        for row in rows:
            row.page = pages[row.page.position]  # type: ignore[union-attr]
        rows = _kept(document, rows, config)
        if rows:
            PendingChunk.objects.bulk_create(rows)
            publish(document)
    if not rows:
        raise IngestError(_all_held(), "held")
    return True


def _pages(document: Document, found: Extracted) -> list[DocumentPage]:
    return [
        DocumentPage(document=document, position=position, number=page.number, label=page.label[:255], text=page.text)
        for position, page in enumerate(found.pages)
    ]


def set_text(document: Document, found: Extracted) -> list[DocumentPage]:
    """Stores the pages and goes to EXTRACTED. What stood on the old text goes with it. Inside a transaction."""
    if not any(page.text.strip() for page in found.pages):
        raise IngestError(EMPTY, "empty")
    text_hash = hash_text(found.text)
    refuse_duplicate(document, text_hash)
    PendingChunk.objects.filter(document=document).delete()
    Chunk.objects.filter(document=document).delete()
    DocumentPage.objects.filter(document=document).delete()
    pages = DocumentPage.objects.bulk_create(_pages(document, found), batch_size=500)
    _save(
        document,
        state=DocumentState.EXTRACTED,
        text_hash=text_hash,
        page_count=found.page_count,
        chunk_count=0,
        chunks_done=0,
        meta=document.meta | {"kind": str(found.content_type)},
    )
    return pages


def refuse_duplicate(document: Document, text_hash: str) -> None:
    """One text is in one base once. The bases' rows are locked: two uploads of one text cannot pass together."""
    bases = KnowledgeBase.objects.filter(links__document=document).order_by("pk")
    ids = [base.pk for base in bases.select_for_update(of=("self",))]
    twin = Document.objects.filter(links__knowledge_base__in=ids, text_hash=text_hash).exclude(pk=document.pk).first()
    if twin is not None:
        raise IngestError(f"{DUPLICATE} ({twin.filename})", "duplicate")


# --------------------------------------------------------------------------------------------------------------- split
def _split_settings(config: RagConfig) -> SplitSettings:
    try:
        return SplitSettings(
            size=config.chunk_size,
            overlap=config.chunk_overlap,
            min_size_target=config.chunk_min_size_target,
            splitter="token" if config.text_splitter == "token" else "character",
            markdown_headers=config.enable_markdown_header_text_splitter,
            encoding=config.tiktoken_encoding_name,
        )
    except ValueError as error:
        raise IngestError(
            f"{error} {_('An administrator corrects it in Documents; then try again.')}", "settings"
        ) from error


def _pieces(document: Document, pages: Iterable[DocumentPage], kind: str, config: RagConfig) -> list[PendingChunk]:
    settings = _split_settings(config)
    rows: list[PendingChunk] = []
    # Page by page: then each piece knows its page, also where pages have no numbers.
    for page in pages:
        whole = Extracted((Page(page.number, page.label, page.text),), kind, None)
        for piece in split(whole, settings):
            headings = list(piece.headings)
            rows.append(
                PendingChunk(
                    document=document,
                    position=len(rows),
                    page=page,
                    start_index=piece.start_index,
                    text=piece.text,
                    headings=headings,
                )
            )
    return rows


def _kept(document: Document, rows: list[PendingChunk], config: RagConfig) -> list[PendingChunk]:
    """Without those that are held back, numbered anew. Inside a transaction."""
    if config.enable_passage_screening:
        rows = hold_back(document, rows)
        for position, row in enumerate(rows):
            row.position = position
    return rows


def _all_held() -> str:
    return _("All of this text looks like orders to the model. An administrator can release it under Held passages.")


def _split(document: Document, config: RagConfig, lease: Lease) -> None:
    pages = DocumentPage.objects.filter(document=document).iterator(chunk_size=200)
    rows = _pieces(document, pages, str(document.meta.get("kind", "")), config)
    if not rows:
        raise IngestError(EMPTY, "empty")
    with lease.step():
        rows = _kept(document, rows, config)
        if not document.text_hash:  # tried again after a failure, which took the hash
            text_hash = hash_text(" ".join(document.pages.order_by("position").values_list("text", flat=True)))
            refuse_duplicate(document, text_hash)
            _save(document, text_hash=text_hash)
        PendingChunk.objects.filter(document=document).delete()
        PendingChunk.objects.bulk_create(rows, batch_size=500)
        _save(document, state=DocumentState.CHUNKED, chunk_count=len(rows), chunks_done=0)
    if not rows:
        raise IngestError(_all_held(), "held")


# --------------------------------------------------------------------------------------------------------------- embed
def _embed(document: Document, config: RagConfig, lease: Lease, *, until: float) -> bool:
    """True when every pending chunk has its vector; False when the time slice is over."""
    pending = PendingChunk.objects.filter(document=document)
    # One loop for the document: its HTTP client keeps the connection between windows and is closed with the loop.
    with asyncio.Runner() as runner:
        while rows := list(pending.filter(embedding=None).order_by("position")[: window_size(config)]):
            if time.monotonic() > until:
                return False
            vectors = runner.run(_embedded(document, rows, config))
            space = _space(config, vectors)
            with lease.step():
                _store(document, space, rows, vectors)
    return True


def _vectors(document: Document, rows: list[PendingChunk], config: RagConfig) -> list[list[float]]:
    size = window_size(config)
    with asyncio.Runner() as runner:
        windows = [runner.run(_embedded(document, rows[at : at + size], config)) for at in range(0, len(rows), size)]
    vectors = [vector for window in windows for vector in window]
    check_lengths(vectors)
    return vectors


async def _embedded(document: Document, rows: list[PendingChunk], config: RagConfig) -> list[list[float]]:
    about = About(file_id=str(document.pk), file_name=document.filename, file_content_type=document.content_type)
    return await embed_texts(config, [with_headings(row) for row in rows], user=document.owner, about=about)


def _space(config: RagConfig, vectors: list[list[float]]) -> EmbeddingSpace:
    """In a transaction of its own: the first of a space makes an index, and others should wait for nothing else."""
    return activate_space(engine=config.embedding_engine, model=config.embedding_model, dimensions=len(vectors[0]))


def with_headings(row: PendingChunk) -> str:
    """The text to embed: a piece from the middle of a section says what it is about only with the headings above it."""
    missing = [heading for heading in row.headings if heading not in row.text]
    return "\n".join([" / ".join(missing)[:HEADINGS_CHARS], row.text]) if missing else row.text


def _store(document: Document, space: EmbeddingSpace, rows: list[PendingChunk], vectors: list[list[float]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE knowledge_pendingchunk SET embedding = new.vector::halfvec, space_id = %s "
            "FROM unnest(%s::bigint[], %s::text[]) AS new(id, vector) WHERE knowledge_pendingchunk.id = new.id",
            [space.pk, [row.pk for row in rows], [HalfVector(vector).to_text() for vector in vectors]],
        )
    pending = PendingChunk.objects.filter(document=document)
    # The model was changed half way: what the old one made is made again.
    pending.exclude(space=space).update(embedding=None, space=None)
    _save(document, chunks_done=pending.exclude(embedding=None).count())


def publish(document: Document) -> None:
    """Moves the finished chunks to where they are searched, once for each base of the document, in one statement; the
    chunks of an earlier run go in the same transaction. The caller holds the document's row."""
    links = document.links.order_by("knowledge_base_id").values_list("knowledge_base_id", flat=True)
    bases: list[uuid.UUID | None] = [*links] or [None]
    Chunk.objects.filter(document=document).delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO knowledge_chunk (document_id, knowledge_base_id, space_id, position, page_id, start_index, "
            "text, headings, embedding) "
            "SELECT document_id, base, space_id, position, page_id, start_index, text, headings, embedding "
            "FROM knowledge_pendingchunk CROSS JOIN unnest(%s::uuid[]) AS base WHERE document_id = %s",
            [bases, document.pk],
        )
    pending = PendingChunk.objects.filter(document=document)
    count = pending.delete()[0]
    _save(document, state=DocumentState.LIVE, chunk_count=count, chunks_done=count, leased_until=None)


def waiting(limit: int = 200) -> list[uuid.UUID]:
    """Documents in work that no worker holds, those that wait longest first."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM knowledge_document WHERE state NOT IN ('live', 'failed') "
            "AND (leased_until IS NULL OR leased_until < clock_timestamp()) "
            "ORDER BY leased_until NULLS FIRST, created_at LIMIT %s",
            [limit],
        )
        return [row[0] for row in cursor.fetchall()]
