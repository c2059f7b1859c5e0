"""Rows of the workspace pages as the templates read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, QuerySet
from django.urls import reverse

from knowledge.models import Document, DocumentState, KnowledgeBase
from rbac.sentences import access_sentences
from rbac.sharing import Person


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
