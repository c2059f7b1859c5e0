"""Rows of the workspace pages as the templates read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Count, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.urls import reverse

from knowledge.models import Document, DocumentState, HeldPassage, KnowledgeBase
from owui.lib.pagination import keys_of, rows_of
from rbac.sentences import access_sentences
from rbac.sharing import Person

#: rows of a page
SHOWN = 50


def counted(bases: QuerySet[KnowledgeBase, Any]) -> QuerySet[KnowledgeBase, Any]:
    return bases.annotate(document_count=Count("links"))


def base_rows(bases: Sequence[Any], user: Person) -> list[dict[str, Any]]:
    """A listing: four statements for any number of rows."""
    sentences = access_sentences(bases)
    ids = [kb.pk for kb in bases]
    writable = set(KnowledgeBase.objects.writable_by(user).filter(pk__in=ids).values_list("pk", flat=True))
    return [
        {
            "id": kb.pk,
            "name": kb.name,
            "description": kb.description,
            "document_count": kb.document_count,
            "access_sentence": sentences[kb.pk],
            "updated_at": kb.updated_at,
            "writable": kb.pk in writable,
        }
        for kb in bases
    ]


@dataclass(frozen=True, slots=True)
class ShownBases:
    """One page of the list; `last` is the number of the last page."""

    rows: list[dict[str, Any]]
    total: int
    page: int
    last: int


def shown_bases(user: Person, *, query: str = "", page: int = 1) -> ShownBases:
    """Readable bases by name. A fixed number of statements, whose cost follows the page and not the list."""
    bases = KnowledgeBase.objects.readable_by(user).order_by("name", "pk")
    if query:
        bases = bases.filter(Q(name__icontains=query) | Q(description__icontains=query))
    page = max(1, page)
    keys, total = keys_of(bases, page, SHOWN)
    last = max(1, -(-total // SHOWN))
    if page > last:
        page = last
        keys, total = keys_of(bases, page, SHOWN)
    # The keys have been through the choke-point a moment ago.
    found = rows_of(counted(KnowledgeBase.objects.all()), keys)
    return ShownBases(base_rows(found, user), total, page, last)


def document_row(document: Any, kb: KnowledgeBase) -> dict[str, Any]:
    """:param document: one of `with_held`, or a new one, of which nothing can be held yet"""
    owner = document.owner
    return {
        "id": document.pk,
        "kb_id": kb.pk,
        "name": document.filename,
        "page_count": document.page_count,
        "state": document.state,
        "progress": document.progress,
        "error": document.error,
        "held": getattr(document, "held", 0),
        "size": document.size,
        "added_by": owner.name if owner else "",
        "updated_at": document.updated_at,
        "url": reverse("knowledge:document-content", args=[kb.pk, document.pk]) if document.file.name else "",
    }


def with_held(documents: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    """Documents with their owner and the number of passages that wait for an administrator."""
    held = HeldPassage.objects.filter(document=OuterRef("pk"), decision=HeldPassage.Decision.OPEN)
    count = held.order_by().values("document").annotate(count=Count("pk")).values("count")
    rows: QuerySet[Any, Any] = documents.select_related("owner").annotate(held=Coalesce(Subquery(count), 0))
    return rows


@dataclass(frozen=True, slots=True)
class ShownDocuments:
    """One page of a base's documents; `last` is the number of the last page."""

    rows: list[dict[str, Any]]
    total: int
    page: int
    last: int


def shown_documents(kb: KnowledgeBase, *, query: str = "", page: int = 1) -> ShownDocuments:
    """Failures first, then what is in work, then by name. The rest of a row is read for the shown ones alone."""
    documents: QuerySet[Any, Any] = Document.objects.filter(links__knowledge_base=kb)
    if query:
        documents = documents.filter(filename__icontains=query)
    first = Case(When(state=DocumentState.FAILED, then=0), When(state=DocumentState.LIVE, then=2), default=1)
    documents = documents.order_by(first, "filename", "pk")
    page = max(1, page)
    keys, total = keys_of(documents, page, SHOWN)
    last = max(1, -(-total // SHOWN))
    if page > last:
        page = last
        keys, total = keys_of(documents, page, SHOWN)
    rows = [document_row(document, kb) for document in rows_of(with_held(Document.objects.all()), keys)]
    return ShownDocuments(rows, total, page, last)
