"""`/api/v1/files`."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from ninja import File, Form, Router
from ninja.files import UploadedFile

from knowledge.downloads import download
from knowledge.ingest.sniff import clean_filename
from knowledge.models import Document, KnowledgeBase
from knowledge.pipeline import advance
from knowledge.schemas import ContentForm, RenameForm, file_json, files_json, status_of, texts_of
from knowledge.services import documents as services
from owui.lib.aio import in_thread
from owui.lib.errors import Missing, UserError
from owui.lib.guards import admin, verified
from owui.lib.pagination import page_of
from rbac.shortcuts import get_readable, get_writable

router = Router(tags=["files"])

STATUS_SECONDS = 1.0
STATUS_MOST_SECONDS = 2 * 3600


def readable(request: HttpRequest, file_id: str) -> Document:
    """404 whether it is missing or may not be read."""
    found: Document = get_readable(Document.objects, request.user, file_id)  # type: ignore[arg-type]
    return found


def writable(request: HttpRequest, file_id: str) -> Document:
    found: Document = get_writable(Document.objects, request.user, file_id, denied=404)  # type: ignore[arg-type]
    return found


def _metadata(text: str | None) -> dict[str, Any]:
    try:
        data = json.loads(text) if text else {}
    except ValueError as error:
        raise UserError("Invalid metadata format", code="metadata") from error
    if not isinstance(data, dict):
        raise UserError("Invalid metadata format", code="metadata")
    return data


def _target(request: HttpRequest, metadata: dict[str, Any]) -> KnowledgeBase | None:
    """The base named in the metadata, if the person may change it; else the file is only stored, as in the field."""
    try:
        key = uuid.UUID(str(metadata.get("knowledge_id", "")))
    except ValueError:
        return None
    user: Any = request.user
    return KnowledgeBase.objects.writable_by(user).filter(pk=key).first()


@router.post("/", auth=verified)
def upload_file(
    request: HttpRequest,
    file: File[UploadedFile],
    metadata: Form[str | None] = None,
    process: bool = True,
    process_in_background: bool = True,
) -> dict[str, Any]:
    data = _metadata(metadata)
    document = services.add_document(
        file=file,  # type: ignore[arg-type]
        filename=file.name or "",
        content_type=file.content_type or "",
        by=request.user,  # type: ignore[arg-type]
        knowledge_base=_target(request, data),
        meta=data,
        process=process,
    )
    if process and not process_in_background:
        document = _wait(document)
    return {"status": True, **file_json(document)}


def _wait(document: Document, seconds: float = 600) -> Document:
    """For clients that want the finished file: works on it right here, or waits for the worker that was faster."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        more = advance(document.pk)
        document.refresh_from_db()
        if document.error:
            raise UserError(document.error)
        if not document.in_work:
            break
        time.sleep(0 if more else 0.5)
    return document


def _search(documents: QuerySet[Document, Any], pattern: str) -> QuerySet[Document, Any]:
    """`*` and `?` as in a shell; without them a part of the name."""
    if not any(char in pattern for char in "*?"):
        return documents.filter(filename__icontains=pattern)
    # Written for PostgreSQL: what `fnmatch` writes is Python's, with groups that the database does not know.
    signs = {"*": ".*", "?": "."}
    translated = "".join(signs.get(char) or (char if char.isalnum() else f"\\{char}") for char in pattern)
    return documents.filter(filename__iregex=f"^{translated}$")


def _mine(request: HttpRequest) -> QuerySet[Document, Any]:
    """Administrators list every file, others their own."""
    user: Any = request.user
    documents = (
        Document.objects.readable_by(user) if user.role == "admin" else Document.objects.filter(owner_id=user.id)
    )
    return documents.order_by("-created_at", "pk")


@router.get("/", auth=verified)
def list_files(request: HttpRequest, page: int = 1, content: bool = True) -> dict[str, Any]:
    documents = _mine(request)
    return {"items": files_json(list(page_of(documents, page)), with_content=content), "total": documents.count()}


@router.get("/search", auth=verified)
@router.get("/user/search", auth=verified, url_name="search_own_files")
def search_files(
    request: HttpRequest, filename: str, content: bool = True, skip: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    found = _search(_mine(request), filename)[max(0, skip) : max(0, skip) + min(max(1, limit), 1000)]
    items = files_json(list(found), with_content=content)
    if not items:
        raise Missing("No files found matching the pattern.")
    return items


@router.get("/count", auth=verified)
@router.get("/user/count", auth=verified, url_name="count_own_files")
def count_files(request: HttpRequest) -> int:
    return _mine(request).count()


@router.delete("/all", auth=admin)
def delete_all_files(request: HttpRequest) -> dict[str, str]:
    services.delete_all_documents(by=request.user)  # type: ignore[arg-type]
    return {"message": "All files deleted successfully"}


@router.get("/{file_id}", auth=verified)
def get_file(request: HttpRequest, file_id: str) -> dict[str, Any]:
    return files_json([readable(request, file_id)], with_content=True)[0]


@router.get("/{file_id}/process/status", auth=verified)
def get_file_status(request: HttpRequest, file_id: str, stream: bool = False) -> Any:
    document = readable(request, file_id)
    if not stream:
        return status_of(document)
    return sse(_statuses(request, file_id))


async def _statuses(request: HttpRequest, file_id: str) -> AsyncIterator[str]:
    """The status whenever it changes, until it is final. Rights are asked again each time."""
    last: dict[str, Any] = {}
    for _second in range(int(STATUS_MOST_SECONDS / STATUS_SECONDS)):
        try:
            status = status_of(await in_thread(readable)(request, file_id))
        except UserError as error:
            yield f"data: {json.dumps({'status': 'failed', 'error': error.message})}\n\n"
            return
        if status != last:
            last = status
            yield f"data: {json.dumps(status)}\n\n"
        if status["status"] in ("completed", "failed"):
            return
        await asyncio.sleep(STATUS_SECONDS)


def sse(lines: AsyncIterator[str]) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        lines, content_type="text/event-stream", headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    )


@router.get("/{file_id}/content", auth=verified)
def get_file_content(request: HttpRequest, file_id: str, attachment: bool = False) -> HttpResponseBase:
    return download(readable(request, file_id), as_attachment=attachment)


@router.get("/{file_id}/content/html", auth=verified)
def get_file_content_html(request: HttpRequest, file_id: str) -> HttpResponseBase:
    """Never as a page of this server: a person's HTML would run with the reader's rights."""
    return download(readable(request, file_id), as_attachment=True)


@router.get("/{file_id}/content/{name}", auth=verified)
def get_file_content_by_name(request: HttpRequest, file_id: str, name: str) -> HttpResponseBase:
    document = readable(request, file_id)
    if clean_filename(name) != document.filename:
        raise Missing
    return download(document)


@router.get("/{file_id}/data/content", auth=verified)
def get_file_text(request: HttpRequest, file_id: str) -> dict[str, str]:
    document = readable(request, file_id)
    return {"content": texts_of([document]).get(document.pk, "")}


@router.post("/{file_id}/data/content/update", auth=verified)
def update_file_text(request: HttpRequest, file_id: str, form: ContentForm) -> dict[str, str]:
    document = services.set_document_text(writable(request, file_id), form.content, by=request.user)  # type: ignore[arg-type]
    return {"content": texts_of([document]).get(document.pk, "")}


@router.post("/{file_id}/rename", auth=verified)
def rename_file(request: HttpRequest, file_id: str, form: RenameForm) -> dict[str, Any]:
    name = form.filename or form.name
    if not name:
        raise UserError("A file needs a name.")
    return file_json(services.rename_document(writable(request, file_id), name, by=request.user))  # type: ignore[arg-type]


@router.delete("/{file_id}", auth=verified)
def delete_file(request: HttpRequest, file_id: str) -> dict[str, str]:
    services.delete_document(writable(request, file_id), by=request.user)  # type: ignore[arg-type]
    return {"message": "File deleted successfully"}
