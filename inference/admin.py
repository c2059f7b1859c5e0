"""Governance of what answers: which models, tools and skills there are, whose they are, and who may use them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from inference import services
from inference.models import AIModel, Skill, Tool
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
