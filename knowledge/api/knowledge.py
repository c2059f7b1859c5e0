"""`/api/v1/knowledge`. Codes are the field's: 401 not readable, 400 not writable, 404 and 400 missing."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from ninja import Router

from knowledge.api.files import sse
from knowledge.models import Document, KnowledgeBase, KnowledgeDocument
from knowledge.schemas import (
    BaseForm,
    BaseUpdateForm,
    FileIdForm,
    base_detail,
    documents_of,
    file_json,
    files_json,
    listed_bases_json,
    with_people,
)
from knowledge.services import bases as services
from knowledge.services.documents import process_document
from knowledge.services.links import link
from knowledge.services.reindex import reindex
from owui.lib.aio import in_thread
from owui.lib.errors import Missing, UserError
from owui.lib.guards import admin, verified
from owui.lib.pagination import keys_of, page_of, rows_of
from rbac.listings import listed_page
from rbac.schemas import AccessForm
from rbac.shortcuts import get_readable, get_writable

router = Router(tags=["knowledge"])

ORDERS = {"name": "name", "created_at": "created_at", "updated_at": "updated_at"}
FILE_ORDERS = {"name": "filename", "filename": "filename", "size": "size"} | {
    "created_at": "links__created_at",
    "updated_at": "updated_at",
}
PENDING_SECONDS = 1.0


def readable(request: HttpRequest, kb_id: str) -> KnowledgeBase:
    bases: Any = with_people(KnowledgeBase.objects.all())
    return get_readable(bases, request.user, kb_id, denied=401, missing=404)  # type: ignore[arg-type, no-any-return]


def writable(request: HttpRequest, kb_id: str) -> KnowledgeBase:
    """400 for whatever keeps a person from changing it."""
    bases: Any = with_people(KnowledgeBase.objects.all())
    return get_writable(bases, request.user, kb_id, denied=400, missing=400)  # type: ignore[arg-type, no-any-return]


def _document(request: HttpRequest, file_id: str) -> Document:
    return get_readable(Document.objects, request.user, file_id, denied=400, missing=400)  # type: ignore[arg-type, no-any-return]


def _listed(
    request: HttpRequest, query: str = "", view_option: str = "", order_by: str = "", direction: str = ""
) -> Any:
    user: Any = request.user
    bases = KnowledgeBase.objects.readable_by(user)
    if query:
        bases = bases.filter(Q(name__icontains=query) | Q(description__icontains=query))
    if view_option in ("created", "shared"):
        bases = bases.filter(owner_id=user.id) if view_option == "created" else bases.exclude(owner_id=user.id)
    field = ORDERS.get(order_by or "", "updated_at")
    descending = direction == "desc" if direction else field != "name"
    return bases.order_by(f"-{field}" if descending else field, "pk")


def _page(request: HttpRequest, bases: Any, page: int) -> dict[str, Any]:
    user: Any = request.user
    found = listed_page(bases, user, page)
    return {"items": listed_bases_json(found, user), "total": found.total}


@router.get("/", auth=verified)
def list_bases(request: HttpRequest, page: int = 1) -> dict[str, Any]:
    return _page(request, _listed(request), page)


@router.get("/search", auth=verified)
def search_bases(
    request: HttpRequest,
    query: str = "",
    view_option: str = "",
    page: int = 1,
    order_by: str = "",
    direction: str = "",
) -> dict[str, Any]:
    return _page(request, _listed(request, query, view_option, order_by, direction), page)


@router.get("/search/files", auth=verified)
def search_base_files(
    request: HttpRequest, query: str = "", include_content: bool = False, page: int = 1
) -> dict[str, Any]:
    """Files in any base that the person may read."""
    user: Any = request.user
    bases = KnowledgeBase.objects.readable_by(user)
    linked = KnowledgeDocument.objects.filter(knowledge_base__in=bases.order_by().values("pk")).values("document_id")
    documents = Document.objects.filter(pk__in=linked, filename__icontains=query).order_by("filename", "pk")
    keys, total = keys_of(documents, page)
    rows = rows_of(documents, keys)
    return {"items": files_json(rows, with_content=include_content), "total": total}


@router.post("/create", auth=verified)
def create_base(request: HttpRequest, form: BaseForm) -> dict[str, Any]:
    kb = services.create_base(
        name=form.name,
        description=form.description,
        meta=form.meta,
        # The field's clients send null for "private" here; the legacy null meant public and is not obeyed.
        grants=(form.grants() or []) if form.access_grants is not None or form.access_control is not None else [],
        by=request.user,  # type: ignore[arg-type]
    )
    return base_detail(kb, request.user)  # type: ignore[arg-type]


@router.post("/reindex", auth=admin)
@router.post("/metadata/reindex", auth=admin, url_name="reindex_metadata")
def reindex_all(request: HttpRequest) -> bool:
    """Runs in the background; `/files/pending` of a base and the pages show how far it is."""
    if not request.path.endswith("/metadata/reindex"):
        reindex(by=request.user)
    return True


@router.get("/{kb_id}", auth=verified)
def get_base(request: HttpRequest, kb_id: str) -> dict[str, Any]:
    return base_detail(readable(request, kb_id), request.user)  # type: ignore[arg-type]


@router.post("/{kb_id}/update", auth=verified)
def update_base(request: HttpRequest, kb_id: str, form: BaseUpdateForm) -> dict[str, Any]:
    sent = form.dict(exclude_unset=True, include={"name", "description", "meta"})
    changes = {key: value for key, value in sent.items() if value is not None}
    kb = services.update_base(
        writable(request, kb_id),
        grants=form.grants() if form.access_grants is not None or form.access_control is not None else None,
        by=request.user,  # type: ignore[arg-type]
        **changes,
    )
    return base_detail(kb, request.user)  # type: ignore[arg-type]


@router.post("/{kb_id}/access/update", auth=verified)
def update_base_access(request: HttpRequest, kb_id: str, form: AccessForm) -> dict[str, Any]:
    kb = writable(request, kb_id)
    form.update(kb, by=request.user)  # type: ignore[arg-type]
    return base_detail(kb, request.user)  # type: ignore[arg-type]


@router.get("/{kb_id}/files", auth=verified)
def list_base_files(
    request: HttpRequest, kb_id: str, query: str = "", page: int = 1, order_by: str = "", direction: str = ""
) -> dict[str, Any]:
    documents = documents_of(readable(request, kb_id)).select_related("owner")
    if query:
        documents = documents.filter(filename__icontains=query)
    if order_by in FILE_ORDERS:
        documents = documents.order_by(("-" if direction == "desc" else "") + FILE_ORDERS[order_by], "pk")
    items = [file_json(document) for document in page_of(documents, page)]
    return {"items": items, "directories": [], "breadcrumbs": [], "total": documents.count()}


@router.get("/{kb_id}/files/pending", auth=verified)
def list_pending_files(request: HttpRequest, kb_id: str, stream: bool = False) -> Any:
    pending = _pending(request, kb_id)
    return sse(_pending_stream(request, kb_id)) if stream else pending


def _pending(request: HttpRequest, kb_id: str) -> list[dict[str, Any]]:
    documents = documents_of(readable(request, kb_id)).exclude(state__in=("live", "failed"))
    return [file_json(document) for document in documents]


async def _pending_stream(request: HttpRequest, kb_id: str) -> AsyncIterator[str]:
    """The files in work, each time the list changes, until it is empty."""
    last: list[dict[str, Any]] | None = None
    for _second in range(7200):
        try:
            pending = await in_thread(_pending)(request, kb_id)
        except UserError:
            return
        if pending != last:
            last = pending
            yield f"data: {json.dumps(pending)}\n\n"
        if not pending:
            return
        await asyncio.sleep(PENDING_SECONDS)


@router.post("/{kb_id}/file/add", auth=verified)
def add_file(request: HttpRequest, kb_id: str, form: FileIdForm) -> dict[str, Any]:
    kb = writable(request, kb_id)
    link(_document(request, form.file_id), kb, by=request.user)  # type: ignore[arg-type]
    return base_detail(kb, request.user)  # type: ignore[arg-type]


@router.post("/{kb_id}/files/batch/add", auth=verified)
def add_files(request: HttpRequest, kb_id: str, forms: list[FileIdForm]) -> dict[str, Any]:
    """Each file for itself: what fails is listed, what succeeds stays."""
    kb = writable(request, kb_id)
    errors = []
    for form in forms:
        try:
            link(_document(request, form.file_id), kb, by=request.user)  # type: ignore[arg-type]
        except UserError as error:
            errors.append(f"{form.file_id}: {error.message}")
    answer = base_detail(kb, request.user)  # type: ignore[arg-type]
    if errors:
        answer["warnings"] = {"message": "Some files failed to process", "errors": errors}
    return answer


@router.post("/{kb_id}/file/update", auth=verified)
def update_file(request: HttpRequest, kb_id: str, form: FileIdForm) -> dict[str, Any]:
    """After the text of a file was changed. A change of text re-indexes by itself here, so this only sees to it."""
    kb = writable(request, kb_id)
    document = _linked(kb, form.file_id)
    process_document(document, by=request.user)  # type: ignore[arg-type]
    return base_detail(kb, request.user)  # type: ignore[arg-type]


@router.post("/{kb_id}/file/remove", auth=verified)
def remove_file(request: HttpRequest, kb_id: str, form: FileIdForm, delete_file: bool | None = None) -> dict[str, Any]:
    kb = writable(request, kb_id)
    services.remove_document(_linked(kb, form.file_id), kb, delete_file=delete_file, by=request.user)  # type: ignore[arg-type]
    return base_detail(kb, request.user)  # type: ignore[arg-type]


def _linked(kb: KnowledgeBase, file_id: str) -> Document:
    """A document of a base that was checked."""
    try:
        found = Document.objects.filter(links__knowledge_base=kb, pk=uuid.UUID(file_id)).first()
    except ValueError:
        found = None
    if found is None:
        raise Missing(status=400)
    return found  # type: ignore[no-any-return]


@router.post("/{kb_id}/reset", auth=verified)
def reset_base(request: HttpRequest, kb_id: str, include_directories: bool = True) -> dict[str, Any]:
    kb = writable(request, kb_id)
    services.reset_base(kb, by=request.user)  # type: ignore[arg-type]
    return base_detail(kb, request.user)  # type: ignore[arg-type]


@router.delete("/{kb_id}/delete", auth=verified)
def delete_base(request: HttpRequest, kb_id: str) -> bool:
    services.delete_base(writable(request, kb_id), by=request.user)  # type: ignore[arg-type]
    return True
