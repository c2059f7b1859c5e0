"""The audit log in the admin: a list to read, filter and search; nobody can change anything here."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from owui.audit.models import AuditEvent

_COUNTED = 10_000


class CappedPaginator(Paginator[AuditEvent]):
    """Counts no further than needed: counting millions of events would take longer than reading a page."""

    @cached_property
    def count(self) -> int:
        events = self.object_list
        assert isinstance(events, QuerySet)
        return events.order_by()[:_COUNTED].count()


class ActionFilter(admin.SimpleListFilter):
    """Every action there is, found by jumping through the index instead of reading the table."""

    title = _("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH RECURSIVE jump AS ("
                " (SELECT action FROM audit_auditevent ORDER BY action LIMIT 1)"
                " UNION ALL SELECT (SELECT event.action FROM audit_auditevent AS event"
                " WHERE event.action > jump.action ORDER BY event.action LIMIT 1)"
                " FROM jump WHERE jump.action IS NOT NULL"
                ") SELECT action FROM jump WHERE action IS NOT NULL"
            )
            return [(action, action) for (action,) in cursor.fetchall()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class ActorFilter(admin.SimpleListFilter):
    """Those who acted lately; anyone else is found by searching for their id or address."""

    title = _("actor")
    parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        latest = AuditEvent.objects.order_by("-id").values_list("actor_id", "actor_label")[:1000]
        actors = {str(actor_id): label for actor_id, label in latest if actor_id}
        return sorted(actors.items(), key=lambda actor: actor[1])[:50]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        return queryset.filter(actor_id=self.value()) if self.value() in dict(self.lookup_choices) else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(admin.ModelAdmin[AuditEvent]):
    """Who did what to what, when and from where."""

    list_display = ("at", "actor_label", "action", "object_type", "object_name", "ip")
    list_filter = (("at", admin.DateFieldListFilter), ActionFilter, ActorFilter)
    search_fields = ("=object_id", "=request_id", "=actor_id", "actor_label", "object_label")
    search_help_text = _("An id of an object, a request or a person; or part of a name or address.")
    fields = (
        "at",
        "actor_label",
        "actor_id",
        "action",
        "object_type",
        "object_id",
        "object_label",
        "changes",
        "ip",
        "request_id",
        "hash",
    )
    readonly_fields = fields
    # Each filter has an index that ends in the time, so any of these lists is an index read backwards.
    ordering = ("-at", "-id")
    list_per_page = 50
    show_full_result_count = False
    paginator = CappedPaginator
    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_admin(request)

    def has_view_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return _is_admin(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False

    @admin.display(description=_("object"))
    def object_name(self, event: AuditEvent) -> str:
        return event.object_label or event.object_id

    @admin.display(description=_("detail"))
    def changes(self, event: AuditEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(event.detail, indent=2, ensure_ascii=False))


def _is_admin(request: HttpRequest) -> bool:
    return request.user.is_active and getattr(request.user, "role", "") == "admin"
