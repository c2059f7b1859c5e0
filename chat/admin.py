"""Governance of chats: who has how many, what is running. Texts of chats are not shown here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from chat.models import Chat, Turn


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
