"""Which chunks a person may find. Everything here stays a subquery: rights are part of each search statement."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import EmptyResultSet
from django.db.models import BooleanField, F, Func, QuerySet

from knowledge.models import Chunk, Document, EmbeddingSpace, KnowledgeBase, WordSegment
from rbac.sharing import Person, is_verified

Chunks = QuerySet[Chunk, Any]
Ids = Collection[uuid.UUID]


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be searched: the bases, and besides them the documents; of these, where `homeless`, only what is in no
    base at all."""

    bases: QuerySet[KnowledgeBase, Any]
    documents: QuerySet[Document, Any]
    homeless: bool


def readable(user: Person, knowledge_base_ids: Ids | None = None, document_ids: Ids | None = None) -> Scope:
    """Without ids: every readable base, and the person's own documents that are in no base. With ids: those of them
    that the person may read, and nothing else; ids that may not be read simply find nothing."""
    every = bool(settings.BYPASS_RETRIEVAL_ACCESS_CONTROL) and is_verified(user)
    bases = KnowledgeBase.objects.all() if every else KnowledgeBase.objects.readable_by(user)
    if not is_verified(user):
        return Scope(KnowledgeBase.objects.none(), Document.objects.none(), homeless=True)
    if knowledge_base_ids is None and document_ids is None:
        # Looked up where such chunks lie: somebody who has filled bases owns 50,000 documents that are in one.
        homeless = WordSegment.objects.exclude(document_id=None).values("document_id")
        return Scope(bases, Document.objects.filter(owner_id=user.id, pk__in=homeless), homeless=True)
    documents = Document.objects.all() if every else Document.objects.readable_by(user)
    return Scope(
        bases.filter(pk__in=knowledge_base_ids or ()), documents.filter(pk__in=document_ids or ()), homeless=False
    )


def readable_chunks(
    user: Person,
    space: EmbeddingSpace,
    knowledge_base_ids: Ids | None = None,
    document_ids: Ids | None = None,
) -> list[Chunks]:
    """The searchable chunks as querysets without overlap in rows, each of a shape that PostgreSQL has an index for (an
    OR of them has none)."""
    scope = readable(user, knowledge_base_ids, document_ids)
    chunks = Chunk.objects.filter(space=space)
    of_documents = chunks.filter(_among("document_id", scope.documents))
    if scope.homeless:
        of_documents = of_documents.filter(knowledge_base=None)
    return [chunks.filter(_among("knowledge_base_id", scope.bases)), of_documents]


def array_of(allowed: QuerySet[Any, Any]) -> tuple[str, tuple[Any, ...]]:
    """The ids as an SQL array, answered within the statement that uses it."""
    try:
        sql, params = allowed.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return "'{}'::uuid[]", ()
    return f"ARRAY({sql})", tuple(params)


def _among(column: str, allowed: QuerySet[Any, Any]) -> Func:
    """`column = ANY (ARRAY(SELECT …))`: the same as IN, but the subquery is answered once and then looked up in the
    index. With IN the planner guesses how many rows the rights let through, guesses high, and reads the whole table."""
    ids = ArraySubquery(allowed.order_by().values("pk"))
    return Func(F(column), ids, template="(%(expressions)s))", arg_joiner=" = ANY (", output_field=BooleanField())
