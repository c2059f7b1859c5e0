"""Workspace pages: knowledge bases and their documents."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.web import go, signed_in
from knowledge import services
from knowledge.downloads import download
from knowledge.forms import KnowledgeBaseForm
from knowledge.models import Document, KnowledgeBase
from knowledge.rendering import document_row, shown_bases, shown_documents, with_held
from owui.lib.errors import Missing, UserError
from rbac.permissions import may, require
from rbac.sentences import access_sentences
from rbac.shortcuts import get_readable, get_writable


def _readable(request: HttpRequest, pk: uuid.UUID) -> KnowledgeBase:
    user: Any = request.user
    return get_readable(KnowledgeBase.objects.all(), user, pk)  # type: ignore[no-any-return]


def _writable(request: HttpRequest, pk: uuid.UUID) -> KnowledgeBase:
    user: Any = request.user
    return get_writable(KnowledgeBase.objects.all(), user, pk)  # type: ignore[no-any-return]


def _document(kb: KnowledgeBase, pk: uuid.UUID) -> Document:
    """A document of a base that was checked."""
    found = with_held(Document.objects.filter(links__knowledge_base=kb, pk=pk)).first()
    if found is None:
        raise Missing(_("This document is no longer here. Reload the page."))
    return found  # type: ignore[no-any-return]


def _asked(request: HttpRequest) -> tuple[str, int]:
    """What is looked for in a list, and which of its pages."""
    number = request.GET.get("page", "")[:6]
    return request.GET.get("q", "").replace("\0", "").strip()[:200], int(number) if number.isdecimal() else 1


@require_GET
@signed_in
def knowledge_list(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    query, number = _asked(request)
    shown = shown_bases(user, query=query, page=number)
    context = {
        "kb_list": shown.rows,
        "shown": shown,
        "query": query,
        "can_create": may(user, "workspace.knowledge"),
        "section": "knowledge",
    }
    return render(request, "knowledge/knowledge_list.html", context)


@require_GET
@signed_in
def knowledge_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    user: Any = request.user
    kb = _readable(request, pk)
    writable = KnowledgeBase.objects.writable_by(user).filter(pk=pk).exists()
    query, number = _asked(request)
    shown = shown_documents(kb, query=query, page=number)
    context = {
        "kb": {
            "id": kb.pk,
            "name": kb.name,
            "description": kb.description,
            "access_sentence": access_sentences([kb])[kb.pk],
        },
        "document_list": shown.rows,
        "shown": shown,
        "query": query,
        "writable": writable,
        "can_share": writable,
        "section": "knowledge",
    }
    return render(request, "knowledge/knowledge_detail.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def knowledge_new(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    require(user, "workspace.knowledge", status=403)
    form = KnowledgeBaseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        kb = services.create_base(by=user, **form.cleaned_data)
        return go(request, reverse("knowledge:knowledge-detail", args=[kb.pk]))
    return _form(request, form, None)


@require_http_methods(["GET", "POST"])
@signed_in
def knowledge_edit(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    user: Any = request.user
    kb = _writable(request, pk)
    form = KnowledgeBaseForm(request.POST or None, initial={"name": kb.name, "description": kb.description})
    if request.method == "POST" and form.is_valid():
        services.update_base(kb, by=user, **form.cleaned_data)
        return go(request, reverse("knowledge:knowledge-detail", args=[kb.pk]))
    return _form(request, form, kb)


def _form(request: HttpRequest, form: KnowledgeBaseForm, kb: KnowledgeBase | None) -> HttpResponse:
    status = 422 if form.is_bound else 200
    return render(request, "knowledge/_kb_form.html", {"form": form, "kb": kb}, status=status)


@require_http_methods(["GET", "POST"])
@signed_in
def knowledge_delete(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """GET asks, POST deletes the base and those of its documents that are nowhere else."""
    user: Any = request.user
    kb = _writable(request, pk)
    if request.method == "POST":
        services.delete_base(kb, by=user, delete_documents=True)
        return go(request, reverse("knowledge:knowledge-list"))
    context = {
        "title": _("Delete this knowledge base?"),
        "name": kb.name,
        "text": _(
            "Its documents are deleted too, unless another knowledge base holds them. Old answers keep their quotes."
        ),
        "action_url": request.path,
        "verb": _("Delete"),
    }
    return render(request, "components/_confirm_dialog.html", context)


@require_POST
@signed_in
def document_create(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One dropped file; answers with its row, which asks for its own progress."""
    user: Any = request.user
    kb = _writable(request, pk)
    upload = request.FILES.get("file")
    if upload is None:
        raise UserError(_("No file arrived. Choose it again."))
    document = services.add_document(
        file=upload,  # type: ignore[arg-type]
        filename=upload.name or "",
        content_type=upload.content_type or "",
        knowledge_base=kb,
        meta={"path": request.POST["path"][:1000]} if request.POST.get("path") else None,
        by=user,
    )
    return _row(request, document, kb, writable=True)


@require_GET
@signed_in
def document_detail(request: HttpRequest, pk: uuid.UUID, document_id: uuid.UUID) -> HttpResponse:
    """The row, asked for every second while the document is in work."""
    user: Any = request.user
    kb = _readable(request, pk)
    writable = KnowledgeBase.objects.writable_by(user).filter(pk=pk).exists()
    return _row(request, _document(kb, document_id), kb, writable=writable)


def _row(request: HttpRequest, document: Document, kb: KnowledgeBase, *, writable: bool) -> HttpResponse:
    context = {"document": document_row(document, kb), "writable": writable}
    return render(request, "knowledge/_document_row.html", context)


@require_GET
@signed_in
def document_content(request: HttpRequest, pk: uuid.UUID, document_id: uuid.UUID) -> HttpResponseBase:
    return download(_document(_readable(request, pk), document_id))


@require_POST
@signed_in
def document_retry(request: HttpRequest, pk: uuid.UUID, document_id: uuid.UUID) -> HttpResponse:
    user: Any = request.user
    kb = _writable(request, pk)
    document = services.process_document(_document(kb, document_id), by=user)
    return _row(request, document, kb, writable=True)


@require_http_methods(["GET", "POST"])
@signed_in
def document_delete(request: HttpRequest, pk: uuid.UUID, document_id: uuid.UUID) -> HttpResponse:
    """GET asks, POST takes the document out of the base."""
    user: Any = request.user
    kb = _writable(request, pk)
    document = _document(kb, document_id)
    if request.method == "POST":
        services.remove_document(document, kb, by=user)
        return go(request, reverse("knowledge:knowledge-detail", args=[kb.pk]))
    context = {
        "title": _("Delete this document?"),
        "name": document.filename,
        "text": _("From now on no answer uses it. Old answers keep their quotes."),
        "action_url": request.path,
        "verb": _("Delete"),
    }
    return render(request, "components/_confirm_dialog.html", context)
