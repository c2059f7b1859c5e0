"""Files dropped on the composer."""

from __future__ import annotations

import io
import uuid
from typing import Any, BinaryIO, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.preferences import interface_of
from accounts.web import asigned_in, signed_in
from knowledge.config import RagConfig
from knowledge.models import Document, DocumentPage
from knowledge.services import add_document
from knowledge.web import Page, fetch_page
from owui.lib.aio import in_thread
from owui.lib.errors import Missing, UserError
from rbac.permissions import require

#: of a preview; the whole is behind its link
PAGES, CHARS = 50, 20_000


@require_POST
@signed_in
def file_create(request: HttpRequest) -> HttpResponse:
    """One file; answers with its chip. It is read and indexed in the background like any document."""
    user: Any = request.user
    require(user, "chat.file_upload", status=403)
    upload = request.FILES.get("file")
    if upload is None:
        raise UserError(_("No file arrived. Choose it again."))
    document = add_document(
        file=cast(BinaryIO, upload), filename=upload.name or "", content_type=upload.content_type or "", by=user
    )
    return render(request, "chat/_file_chip.html", {"file": _chip(user, document)})


@require_POST
@asigned_in
async def web_create(request: HttpRequest) -> HttpResponse:
    """A web page by its address; answers with its chip. From then on it is a document of the person's."""
    user: Any = await request.auser()
    config = await in_thread(_may_fetch)(user)
    page = await fetch_page(request.POST.get("url", ""), config)
    return await in_thread(_kept)(request, user, page)


def _kept(request: HttpRequest, user: Any, page: Page) -> HttpResponse:
    document = add_document(
        file=io.BytesIO(page.body),
        filename=page.filename,
        content_type=page.content_type,
        by=user,
        meta={"source": page.url},
    )
    return render(request, "chat/_file_chip.html", {"file": _chip(user, document)})


def _chip(user: Any, document: Document) -> dict[str, Any]:
    is_whole = interface_of(user).get("defaultUploadContext") == "full"
    return {"id": document.pk, "name": document.filename, "whole": is_whole}


def _may_fetch(user: Any) -> RagConfig:
    require(user, "chat.web_upload", status=403)
    require(user, "chat.file_upload", status=403)
    return RagConfig.load()


@require_GET
@signed_in
def file_preview(request: HttpRequest, document_id: uuid.UUID) -> HttpResponse:
    """What was read out of an attached file, as the model gets it."""
    user: Any = request.user
    document = Document.objects.readable_by(user).filter(pk=document_id).first()
    if document is None:
        raise Missing(_("This file does not exist, or it is not shared with you."))
    parts, size = [], 0
    for page in DocumentPage.objects.filter(document=document).order_by("position")[:PAGES].iterator():
        parts.append(page.text[: CHARS - size])
        size += len(page.text)
        if size >= CHARS:
            break
    context = {"document": document, "text": "\n\n".join(parts).strip(), "is_cut": size >= CHARS}
    return render(request, "chat/_file_preview.html", context)
