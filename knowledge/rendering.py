"""Rows of the workspace pages as the templates read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.urls import reverse

from knowledge.models import Document, DocumentState, KnowledgeBase
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


def document_row(document: Document, kb: KnowledgeBase) -> dict[str, Any]:
    owner = document.owner
    return {
        "id": document.pk,
        "kb_id": kb.pk,
        "name": document.filename,
        "page_count": document.page_count,
        "state": document.state,
        "progress": document.progress,
        "error": document.error,
        "size": document.size,
        "added_by": owner.name if owner else "",
        "updated_at": document.updated_at,
        "url": reverse("knowledge:document-content", args=[kb.pk, document.pk]) if document.file.name else "",
    }


def document_rows(kb: KnowledgeBase) -> list[dict[str, Any]]:
    """Failures first, then what is in work, then by name."""
    order = {DocumentState.FAILED: 0, DocumentState.LIVE: 2}
    documents = Document.objects.filter(links__knowledge_base=kb).select_related("owner").order_by("filename", "pk")
    rows = sorted(documents, key=lambda document: order.get(DocumentState(document.state), 1))
    return [document_row(document, kb) for document in rows]
