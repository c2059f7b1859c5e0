"""Governance of chats: who has how many, what is running. Texts of chats are not shown here."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from chat.models import Chat, MessageVersion, Turn
from chat.organising import note_look


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A list to look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Chat)
class ChatAdmin(ReadOnlyAdmin):
    """Number and age of chats by owner. Titles are left out: they quote what people asked."""

    list_display = ["id", "owner", "archived", "created_at", "updated_at"]
    list_filter = ["archived", "updated_at"]
    list_select_related = ["owner"]
    search_fields = ["owner__email", "owner__name"]
    fields = ["id", "owner", "archived", "created_at", "updated_at"]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what is shown: `?title__startswith=` in the address would ask out the titles letter by letter."""
        shown = lookup.partition("__")[0] in self.fields
        return shown and super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]


@admin.register(Turn)
class TurnAdmin(ReadOnlyAdmin):
    """What is being answered, and how answers ended."""

    list_display = ["id", "user", "state", "started_at", "finished_at"]
    list_filter = ["state", "started_at"]
    list_select_related = ["user"]
    fields = ["id", "user", "state", "started_at", "finished_at", "runner_id"]


@admin.register(MessageVersion)
class MessageVersionAdmin(ReadOnlyAdmin):
    """Which messages were written over, by whom and when. The former words are shown to administrators only while they
    may read people's chats (ENABLE_ADMIN_CHAT_ACCESS), and that they looked is in the audit log."""

    list_display = ["id", "chat_owner", "message_id", "replaced_by", "replaced_at"]
    list_filter = ["replaced_at"]
    list_select_related = ["message__chat__owner", "replaced_by"]
    search_fields = ["message__id", "message__chat__owner__email"]

    @admin.display(description=_("owner of the chat"))
    def chat_owner(self, version: MessageVersion) -> str:
        return str(version.message.chat.owner)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        words = ["content", "reasoning"] if settings.ENABLE_ADMIN_CHAT_ACCESS else []
        return ["id", "message_id", "replaced_by", "replaced_at", *words]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.get_fields(request, obj)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        by: Any = request.user
        if settings.ENABLE_ADMIN_CHAT_ACCESS and self.has_view_permission(request):
            note_look(by=by, action="message_version.read", object_type="message_version", object_id=object_id)
        return super().change_view(request, object_id, form_url, extra_context)
