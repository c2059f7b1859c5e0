"""Splitting and embedding again what was read before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Q

from knowledge.config import RagConfig
from knowledge.models import Chunk, Document, DocumentState, EmbeddingSpace, PendingChunk
from owui.audit.record import record


@transaction.atomic
def reindex(*, by: Any, knowledge_base_ids: Iterable[Any] | None = None, only_stale: bool = False) -> int:
    """Sends finished documents back to the step after reading. They stay searchable with their old chunks until the new
    ones replace them; the sweeper feeds them to the workers little by little.

    :param only_stale: only those that were embedded by another model than the present one
    :return: how many
    """
    documents = Document.objects.filter(state=DocumentState.LIVE).exclude(text_hash="")
    if knowledge_base_ids is not None:
        documents = documents.filter(links__knowledge_base__in=list(knowledge_base_ids))
    if only_stale:
        config = RagConfig.load()
        fresh = EmbeddingSpace.objects.filter(engine=config.embedding_engine, model=config.embedding_model)
        documents = documents.filter(
            Q(chunks__isnull=True) | Q(pk__in=Chunk.objects.exclude(space__in=fresh).values("document_id"))
        )
    ids = list(documents.order_by("pk").values_list("pk", flat=True).distinct())
    PendingChunk.objects.filter(document_id__in=ids).delete()
    count: int = Document.objects.filter(pk__in=ids, state=DocumentState.LIVE).update(
        state=DocumentState.EXTRACTED, chunks_done=0, attempts=0, leased_until=None, error=""
    )
    record("knowledge.reindex", by=by, object_type="knowledge", detail={"documents": count, "only_stale": only_stale})
    return count
