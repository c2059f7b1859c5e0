"""Governance of what answers: which models, tools and skills there are, whose they are, and who may use them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from inference import services, tool_servers
from inference.forms import ConnectionForm, TerminalServerForm, ToolServerForm
from inference.models import AIModel, ServerConnection, Skill, TerminalServer, Tool, ToolServer
from inference.services import ModelValues
from rbac.admin import SharedAdmin, grant_inlines


@admin.register(AIModel)
class AIModelAdmin(SharedAdmin[AIModel]):
    list_display = ("name", "model_id", "base_model", "owner", "access", "is_active", "updated_at")
    list_filter = ("is_active", "general_access", ("base_model", admin.EmptyFieldListFilter))
    list_select_related = ("base_model", "owner")
    list_per_page = 50
    search_fields = ("name", "model_id", "owner__name", "owner__email")
    fields = ("model_id", "name", "base_model", "is_active", "general_access", "params", "meta")
    autocomplete_fields = ("base_model",)
    inlines = grant_inlines(AIModel)

    def get_readonly_fields(self, request: HttpRequest, obj: AIModel | None = None) -> Any:
        return () if obj is None else ("model_id",)

    def save_model(self, request: HttpRequest, obj: AIModel, form: Any, change: bool) -> None:
        by: Any = request.user
        values = ModelValues(
            model_id=obj.model_id,
            name=obj.name,
            base_model_id=obj.base_model.model_id if obj.base_model else None,
            params=obj.params or {},
            meta=obj.meta or {},
            is_active=obj.is_active,
        )
        if change:
            services.update_model(AIModel.objects.get(pk=obj.pk), values=values, by=by)
        else:
            row = services.create_model(values=values, by=by)
            obj.pk, obj._state.adding = row.pk, False

    def remove(self, request: HttpRequest, obj: AIModel) -> None:
        services.delete_model(obj, by=request.user)  # type: ignore[arg-type]


class _ReadOnlyAdmin(SharedAdmin[Any]):
    """A list to look at; only the access can be changed here."""

    list_per_page = 50

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [name for name in self.fields if name != "general_access"]  # type: ignore[union-attr]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        return  # `save_related` writes the access

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Tool)
class ToolAdmin(_ReadOnlyAdmin):
    list_display = ("name", "tool_id", "owner", "access", "updated_at")
    list_filter = ("general_access",)
    search_fields = ("name", "tool_id", "owner__name", "owner__email")
    fields = ("tool_id", "name", "owner", "general_access", "content")
    inlines = grant_inlines(Tool)


@admin.register(Skill)
class SkillAdmin(_ReadOnlyAdmin):
    list_display = ("name", "skill_id", "owner", "access", "is_active", "updated_at")
    list_filter = ("general_access", "is_active")
    search_fields = ("name", "skill_id", "owner__name", "owner__email")
    fields = ("skill_id", "name", "owner", "description", "general_access", "content")
    inlines = grant_inlines(Skill)


class _ConnectionAdmin(SharedAdmin[Any]):
    """Where a server is, what opens it, and who may use it. The key is written here and never shown."""

    form: type[ConnectionForm]
    list_display = ("name", "server_id", "url", "is_enabled", "access", "updated_at")
    list_filter = ("is_enabled", "general_access")
    list_per_page = 50
    search_fields = ("name", "server_id", "url")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("server_id",)

    def save_model(self, request: HttpRequest, obj: ServerConnection, form: Any, change: bool) -> None:
        by: Any = request.user
        model = type(obj)
        row = model._default_manager.get(pk=obj.pk) if change else None
        saved = tool_servers.save_connection(model, form.entry(row), by=by, row=row, keep_access=True)
        obj.pk, obj._state.adding = saved.pk, False
        # What the page asks for as general rule is written with the grants.
        obj.sealed = saved.sealed

    def remove(self, request: HttpRequest, obj: ServerConnection) -> None:
        tool_servers.delete_connection(obj, by=request.user)  # type: ignore[arg-type]


@admin.register(ToolServer)
class ToolServerAdmin(_ConnectionAdmin):
    form = ToolServerForm
    fields = (
        "server_id", "name", "description", "kind", "url", "is_enabled", "auth_type", "new_key", "headers",
        "general_access",
    )  # fmt: skip
    inlines = grant_inlines(ToolServer)


@admin.register(TerminalServer)
class TerminalServerAdmin(_ConnectionAdmin):
    form = TerminalServerForm
    fields = ("server_id", "name", "description", "url", "is_enabled", "auth_type", "new_key", "general_access")
    inlines = grant_inlines(TerminalServer)
