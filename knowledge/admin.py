"""Governance: which bases there are and who may read them, which documents failed. Changes go through the services."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from knowledge import services
from knowledge.models import Document, EmbeddingSpace, HeldPassage, KnowledgeBase, KnowledgeDocument
from knowledge.screening.holding import decide
from rbac.admin import SharedAdmin, grant_inlines
from rbac.admin_lists import counted

#: what is said of the signs of `knowledge/screening/signs.toml`
SIGNS = {
    "override": _("tells to drop earlier instructions"),
    "new orders": _("gives new instructions"),
    "role": _("gives a new role"),
    "addressed": _("speaks to a model"),
    "disclosure": _("asks for what is not for readers"),
    "outward": _("has data sent out"),
    "concealed": _("is to be kept from the reader"),
    "markup": _("imitates the marks of a conversation"),
    "demand": _("prescribes the answer"),
    "bribe": _("promises or threatens"),
    "hidden": _("text that nobody sees"),
}


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


@admin.register(HeldPassage)
class HeldPassageAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Passages that look like orders to the model, and what was decided about them."""

    list_display = ("excerpt", "document", "page_label", "seen_signs", "score", "decision", "decided_by", "created_at")
    list_filter = ("decision",)
    search_fields = ("text", "document__filename")
    list_select_related = ("document", "decided_by")
    fields = (
        "document",
        "page_label",
        "text",
        "seen_signs",
        "score",
        "decision",
        "decided_by",
        "decided_at",
        "created_at",
    )
    actions = ("release", "refuse")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        user: Any = request.user
        passages: QuerySet[Any] = super().get_queryset(request)
        return passages.filter(document__in=Document.objects.readable_by(user).values("pk"))

    @admin.display(description=_("text"))
    def excerpt(self, passage: Any) -> str:
        return Truncator(passage.text).chars(90)

    @admin.display(description=_("signs"))
    def seen_signs(self, passage: Any) -> str:
        return ", ".join(str(SIGNS.get(sign, sign)) for sign in passage.signs)

    @admin.action(description=_("Release: may be searched and given to models"))
    def release(self, request: HttpRequest, passages: QuerySet[Any]) -> None:
        self._decide(request, passages, release=True)

    @admin.action(description=_("Keep out for good"))
    def refuse(self, request: HttpRequest, passages: QuerySet[Any]) -> None:
        self._decide(request, passages, release=False)

    def _decide(self, request: HttpRequest, passages: QuerySet[Any], *, release: bool) -> None:
        user: Any = request.user
        writable = passages.filter(document__in=Document.objects.writable_by(user).values("pk"))
        chosen = list(writable.order_by("pk"))
        for passage in chosen:
            decide(passage, release=release, by=user)
        count = len(chosen)
        text = ngettext("Decided on %(count)s passage.", "Decided on %(count)s passages.", count)
        messages.success(request, text % {"count": count})
