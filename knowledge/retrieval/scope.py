"""Which chunks a person may find. Everything here stays a subquery: rights are part of each search statement."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from knowledge.models import Chunk, Document, EmbeddingSpace, KnowledgeBase
from rbac.sharing import Person, is_verified

Chunks = QuerySet[Chunk, Any]
Ids = Collection[uuid.UUID]


def readable_chunks(
    user: Person,
    space: EmbeddingSpace,
    knowledge_base_ids: Ids | None = None,
    document_ids: Ids | None = None,
) -> list[Chunks]:
    """The searchable chunks as querysets without overlap in rows, each of a shape that PostgreSQL has an index for (an
    OR of them has none).

    Without ids: every readable base, and the person's own documents that are in no base. With ids: those of them that
    the person may read, and nothing else; ids that may not be read simply find nothing.
    """
    if not is_verified(user):
        return []
    chunks = Chunk.objects.filter(space=space)
    every = bool(settings.BYPASS_RETRIEVAL_ACCESS_CONTROL)
    bases = KnowledgeBase.objects.all() if every else KnowledgeBase.objects.readable_by(user)
    if knowledge_base_ids is None and document_ids is None:
        return [
            chunks.filter(knowledge_base__in=bases.values("pk")),
            chunks.filter(knowledge_base=None, document__in=Document.objects.filter(owner_id=user.id).values("pk")),
        ]
    branches = []
    if knowledge_base_ids:
        branches.append(chunks.filter(knowledge_base__in=bases.filter(pk__in=knowledge_base_ids).values("pk")))
    if document_ids:
        documents = Document.objects.all() if every else Document.objects.readable_by(user)
        branches.append(chunks.filter(document__in=documents.filter(pk__in=document_ids).values("pk")))
    return branches


def count_up_to(branches: list[Chunks], limit: int) -> int:
    """How many chunks there are to search, counted no further than `limit`."""
    total = 0
    for branch in branches:
        total += branch.order_by()[: limit - total].count()
        if total >= limit:
            break
    return total
