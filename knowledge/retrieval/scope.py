"""Which chunks a person may find. Everything here stays a subquery: rights are part of each search statement."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, F, Func, QuerySet

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
            chunks.filter(_among("knowledge_base_id", bases)),
            chunks.filter(_among("document_id", Document.objects.filter(owner_id=user.id)), knowledge_base=None),
        ]
    branches = []
    if knowledge_base_ids:
        branches.append(chunks.filter(_among("knowledge_base_id", bases.filter(pk__in=knowledge_base_ids))))
    if document_ids:
        documents = Document.objects.all() if every else Document.objects.readable_by(user)
        branches.append(chunks.filter(_among("document_id", documents.filter(pk__in=document_ids))))
    return branches


def _among(column: str, allowed: QuerySet[Any, Any]) -> Func:
    """`column = ANY (ARRAY(SELECT …))`: the same as IN, but the subquery is answered once and then looked up in the
    index. With IN the planner guesses how many rows the rights let through, guesses high, and reads the whole table:
    250 ms instead of 3 for one base of 50 among 100,000 chunks."""
    ids = ArraySubquery(allowed.order_by().values("pk"))
    return Func(F(column), ids, template="(%(expressions)s))", arg_joiner=" = ANY (", output_field=BooleanField())
