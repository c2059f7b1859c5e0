"""Governance: which bases there are and who may read them, which documents failed. Changes go through the services."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from knowledge import services
from knowledge.models import Document, EmbeddingSpace, KnowledgeBase, KnowledgeDocument
from rbac.admin import SharedAdmin, grant_inlines
from rbac.admin_lists import counted


class _ReadOnly:
    """Rows that are changed elsewhere, where rules and audit are."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class DocumentInline(_ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = KnowledgeDocument
    fields = ("document", "added_by", "created_at")
    readonly_fields = fields
    extra = 0


@admin.register(KnowledgeBase)
class KnowledgeBaseAdmin(SharedAdmin[KnowledgeBase]):
    """Who may read which base. Access is changed here; names and documents are changed on the pages."""

    list_display = ("name", "owner", "general_access", "document_count", "updated_at")
    list_filter = ("general_access",)
    search_fields = ("name", "description", "owner__email")
    list_select_related = ("owner",)
    fields = ("name", "description", "owner", "general_access", "created_at", "updated_at")
    readonly_fields = ("name", "description", "owner", "created_at", "updated_at")
    inlines = (*grant_inlines(KnowledgeBase), DocumentInline)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        bases: QuerySet[Any] = super().get_queryset(request)
        links = KnowledgeDocument.objects.all()
        with_counts: QuerySet[Any] = bases.annotate(document_count=counted(links, "knowledge_base", "document"))
        return with_counts

    @admin.display(description=_("documents"), ordering="document_count")
    def document_count(self, kb: Any) -> int:
        return int(kb.document_count)


@admin.register(Document)
class DocumentAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("filename", "state", "error", "size", "chunk_count", "owner", "created_at")
    list_filter = ("state", "content_type")
    search_fields = ("filename", "owner__email", "error")
    list_select_related = ("owner",)
    fields = (
        ("filename", "content_type", "size", "bytes_hash", "text_hash", "state", "error")
        + ("page_count", "chunk_count", "chunks_done", "attempts", "owner", "created_at", "updated_at")
    )  # fmt: skip
    actions = ("try_again",)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        user: Any = request.user
        documents: Any = super().get_queryset(request)
        return documents.readable_by(user)  # type: ignore[no-any-return]

    @admin.action(description=_("Try again"))
    def try_again(self, request: HttpRequest, documents: QuerySet[Any]) -> None:
        user: Any = request.user
        writable: Any = documents
        chosen = list(writable.writable_by(user))
        for document in chosen:
            services.process_document(document, by=user)
        count = len(chosen)
        text = ngettext("%(count)s document is tried again.", "%(count)s documents are tried again.", count)
        messages.success(request, text % {"count": count})


@admin.register(EmbeddingSpace)
class EmbeddingSpaceAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("model", "engine", "dimensions", "is_active", "created_at")
