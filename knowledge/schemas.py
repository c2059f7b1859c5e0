"""The field's JSON of files and knowledge bases. Listings take whole pages of rows, so that the number of statements
does not depend on the number of rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.contrib.postgres.aggregates import StringAgg
from django.db.models import QuerySet
from ninja import Schema

from accounts.schemas import shown_info
from knowledge.models import Document, DocumentPage, DocumentState, KnowledgeBase
from rbac.listings import Listed
from rbac.schemas import AccessForm, access_fields
from rbac.sharing import Person


class BaseForm(AccessForm):
    name: str
    description: str = ""
    meta: dict[str, Any] | None = None


class BaseUpdateForm(AccessForm):
    name: str | None = None
    description: str | None = None
    meta: dict[str, Any] | None = None


class FileIdForm(Schema):
    file_id: str
    directory_id: str | None = None


class ContentForm(Schema):
    content: str


class RenameForm(Schema):
    filename: str | None = None
    name: str | None = None


class ProcessFileForm(Schema):
    file_id: str
    content: str | None = None
    collection_name: str | None = None


class ProcessTextForm(Schema):
    name: str
    content: str
    collection_name: str | None = None


class QueryForm(Schema):
    query: str | list[str] = ""
    k: int | None = None
    k_reranker: int | None = None
    r: float | None = None
    hybrid: bool | None = None
    hybrid_bm25_weight: float | None = None

    @property
    def queries(self) -> list[str]:
        given = [self.query] if isinstance(self.query, str) else self.query
        return [query for query in given if query.strip()][:10]


class QueryDocForm(QueryForm):
    collection_name: str


class QueryCollectionForm(QueryForm):
    collection_names: list[str]


class DeleteForm(Schema):
    collection_name: str
    file_id: str


def status_of(document: Document) -> dict[str, Any]:
    """The field's four words for the state, and the error."""
    status = {
        DocumentState.LIVE: "completed",
        DocumentState.FAILED: "failed",
        DocumentState.RECEIVED: "processing" if document.attempts else "pending",
    }.get(DocumentState(document.state), "processing")
    return {"status": status} | ({"error": document.error} if document.error else {})


def texts_of(documents: Iterable[Document]) -> dict[uuid.UUID, str]:
    """The whole texts of some documents in one statement."""
    rows = (
        DocumentPage.objects.filter(document__in=[d.pk for d in documents])
        .order_by()
        .values("document_id")
        .annotate(whole=StringAgg("text", delimiter=" ", order_by="position"))
    )
    return dict(rows.values_list("document_id", "whole"))


def file_json(document: Document, text: str | None = None) -> dict[str, Any]:
    data = status_of(document)
    if text is not None:
        data["content"] = text
    return {
        "id": str(document.pk),
        "user_id": str(document.owner_id) if document.owner_id else "",
        "hash": document.text_hash or None,
        "filename": document.filename,
        "data": data,
        "meta": {
            "name": document.filename,
            "content_type": document.content_type or None,
            "size": document.size,
            "file_hash": document.bytes_hash or None,
            "data": document.meta.get("data") or {},
            "collection_name": f"file-{document.pk}",
        },
        "created_at": int(document.created_at.timestamp()),
        "updated_at": int(document.updated_at.timestamp()),
    }


def files_json(documents: Sequence[Document], *, with_content: bool) -> list[dict[str, Any]]:
    texts = texts_of(documents) if with_content else {}
    return [file_json(d, texts.get(d.pk, "") if with_content else None) for d in documents]


def with_people(bases: QuerySet[KnowledgeBase, Any]) -> QuerySet[KnowledgeBase, Any]:
    return bases.select_related("owner")


def base_json(kb: KnowledgeBase, user: Person, access: Mapping[str, Any]) -> dict[str, Any]:
    """A base; `access` as `rbac.schemas.access_fields` gives it. The owner must be loaded.

    :param user: who is shown it
    """
    return {
        "id": str(kb.pk),
        "user_id": str(kb.owner_id) if kb.owner_id else "",
        "name": kb.name,
        "description": kb.description,
        "meta": kb.meta or None,
        "data": None,
        **access,
        "user": shown_info(kb.owner, to=user),
        "created_at": int(kb.created_at.timestamp()),
        "updated_at": int(kb.updated_at.timestamp()),
    }


def listed_bases_json(found: Listed, user: Person) -> list[dict[str, Any]]:
    return [base_json(kb, user, found.access[kb.pk]) for kb in found.rows]


def base_detail(kb: KnowledgeBase, user: Person) -> dict[str, Any]:
    """One base with its files (without their texts)."""
    files = files_json(list(documents_of(kb)), with_content=False)
    return base_json(kb, user, access_fields([kb], user)[kb.pk]) | {
        "files": files,
        "data": {"file_ids": [file["id"] for file in files]},
    }


def documents_of(kb: KnowledgeBase) -> QuerySet[Document, Any]:
    """The documents of a base that was checked; by the time they were added."""
    return Document.objects.filter(links__knowledge_base=kb).order_by("-links__created_at", "pk")
