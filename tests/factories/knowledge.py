"""Knowledge bases and documents: the smallest valid ones, with vectors of the fake model server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knowledge.ingest.hashing import hash_text
from knowledge.models import Document, DocumentPage, DocumentState, KnowledgeBase, KnowledgeDocument, PendingChunk
from knowledge.pipeline import publish
from knowledge.spaces import activate_space
from tests.fakes.model_server import DIMENSIONS, embedding

ENGINE, MODEL = "openai", "fake-embeddings"


def make_base(owner: Any, name: str = "SOPs", **fields: Any) -> KnowledgeBase:
    return KnowledgeBase.objects.create(owner=owner, name=name, **fields)


def make_document(
    owner: Any,
    texts: str | Iterable[str] = "How to clean a mixer.",
    *,
    bases: Iterable[KnowledgeBase] = (),
    filename: str = "sop.txt",
    **fields: Any,
) -> Document:
    """A live document, one page and one chunk for each text."""
    texts = [texts] if isinstance(texts, str) else list(texts)
    document = Document.objects.create(
        owner=owner,
        filename=filename,
        content_type="text/plain",
        state=DocumentState.CHUNKED,
        text_hash=hash_text(" ".join(texts)),
        page_count=len(texts),
        **fields,
    )
    space = activate_space(engine=ENGINE, model=MODEL, dimensions=DIMENSIONS)
    for position, text in enumerate(texts):
        page = DocumentPage.objects.create(document=document, position=position, number=position + 1, text=text)
        PendingChunk.objects.create(
            document=document, position=position, page=page, text=text, space=space, embedding=embedding(text)
        )
    for kb in bases:
        KnowledgeDocument.objects.create(knowledge_base=kb, document=document, added_by=owner)
    publish(document)
    document.refresh_from_db()
    return document
