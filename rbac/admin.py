"""Governance of groups in Django admin. Every change goes through the services: checked, audited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import Group as AuthGroup
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from rbac import services
from rbac.admin_lists import counted
from rbac.forms import GroupAdminForm, permission_field
from rbac.models import Group, GroupManager, Membership
from rbac.permissions import PERMISSIONS
from rbac.service_admin import ServiceAdmin
from rbac.services.matrix import unknown_keys
from rbac.shared_admin import SharedAdmin, grant_inlines

__all__ = ["GroupAdmin", "MembershipInline", "ServiceAdmin", "SharedAdmin", "grant_inlines"]

# Groups here are our own; the framework's would only be a second, empty list of the same name.
admin.site.unregister(AuthGroup)


class MembershipInline(admin.TabularInline[Membership, Group]):
    """Adds members, and shows the first of those there are; the list of memberships has them all."""

    model = Membership
    fk_name = "group"
    fields = ("user", "source", "created_at")
    readonly_fields = ("source", "created_at")
    autocomplete_fields = ("user",)
    extra = 0
    ordering = ("user__name", "pk")
    shown = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        rows = super().get_queryset(request).select_related("user", "group")
        match = request.resolver_match
        if request.method != "GET" or match is None or "object_id" not in match.kwargs:
            return rows  # what was shown may be on another page by the time it is sent back
        first = rows.filter(group__pk=unquote(match.kwargs["object_id"])).values("pk")[: self.shown]
        return rows.filter(pk__in=first)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ManagerInline(admin.TabularInline[GroupManager, Group]):
    """Who besides administrators adds and removes the members."""

    model = GroupManager
    fk_name = "group"
    fields = ("user", "created_at")
    readonly_fields = ("created_at",)
    autocomplete_fields = ("user",)
    extra = 0
    ordering = ("user__name", "pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[GroupManager]:
        return super().get_queryset(request).select_related("user", "group")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Group)
class GroupAdmin(ServiceAdmin[Group]):
    form = GroupAdminForm
    list_display = ("name", "parent", "member_count", "granted", "updated_at")
    list_select_related = ("parent",)
    list_per_page = 50
    search_fields = ("name", "description")
    autocomplete_fields = ("parent",)
    ordering = ("name",)
    inlines = (MembershipInline, ManagerInline)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).annotate(people=counted(Membership.objects.all(), "group", "user"))

    def get_fieldsets(self, request: HttpRequest, obj: Group | None = None) -> Any:
        sections: dict[str, list[str]] = {}
        for row in PERMISSIONS.values():
            sections.setdefault(row.section, []).append(permission_field(row.key))
        permissions = [
            (_("Permissions: %(section)s") % {"section": section}, {"fields": fields, "classes": ["collapse"]})
            for section, fields in sections.items()
        ]
        named: tuple[str, ...] = ("name", "description", "parent", "share")
        return [
            (None, {"fields": named if obj is None else (*named, "all_members", "unknown_permissions")}),
            *permissions,
        ]

    def get_form(self, request: HttpRequest, obj: Group | None = None, change: bool = False, **kwargs: Any) -> Any:
        # The permission boxes are no fields of the model; the form declares them itself.
        kwargs["fields"] = ("name", "description", "parent")
        return super().get_form(request, obj, change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> Any:
        return () if obj is None else ("all_members", "unknown_permissions")

    @admin.display(description=_("members"), ordering="people")
    def member_count(self, group: Any) -> SafeString:
        path = f"{reverse('admin:rbac_membership_changelist')}?group__id__exact={group.pk}"
        return format_html('<a href="{}">{}</a>', path, group.people)

    @admin.display(description=_("all members"))
    def all_members(self, group: Any) -> SafeString:
        """The inline shows the first of them only."""
        return self.member_count(group)

    @admin.display(description=_("unknown to this release, kept"))
    def unknown_permissions(self, group: Group) -> str:
        """Keys of another release: they do nothing here, and saving leaves them as they are."""
        return ", ".join(unknown_keys(group.permissions)) or "–"

    @admin.display(description=_("permissions"))
    def granted(self, group: Group) -> str:
        keys = [
            f"{s}.{k}"
            for s, branch in group.permissions.items()
            if isinstance(branch, dict)
            for k, v in branch.items()
            if v is True
        ]
        return ", ".join(sorted(keys)) or "–"

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> None:
        by: Any = request.user
        data = form.cleaned_data
        values: dict[str, Any] = {
            "name": data["name"],
            "description": data["description"],
            "permissions": form.permissions(),
            "parent_id": data["parent"].pk if data["parent"] else None,
            "data": form.sharing(),
        }
        if change:
            services.update_group(Group.objects.get(pk=obj.pk), by=by, **values)
        else:
            group = services.create_group(by=by, **values)
            obj.pk, obj._state.adding = group.pk, False

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        by: Any = request.user
        rows = formset.save(commit=False)
        if issubclass(formset.model, GroupManager):
            gone = {row.user_id for row in formset.deleted_objects}
            present = set(GroupManager.objects.filter(group=form.instance).values_list("user_id", flat=True))
            services.set_managers(form.instance, (present - gone) | {row.user_id for row in rows}, by=by)
            return
        for row in formset.deleted_objects:
            services.remove_members(row.group, [row.user_id], by=by, source=row.source)
        if rows:
            services.add_members(form.instance, [row.user_id for row in rows], by=by)

    def remove(self, request: HttpRequest, obj: Group) -> None:
        services.delete_group(obj, by=request.user)  # type: ignore[arg-type]


@admin.register(Membership)
class MembershipAdmin(ServiceAdmin[Membership]):
    """Who is in which group and why, paged and searched; people are added on the page of their group."""

    list_display = ("user", "group", "source", "created_at")
    list_filter = ("source",)
    list_select_related = ("user", "group")
    list_per_page = 50
    search_fields = ("user__name", "user__email", "group__name")
    ordering = ("group__name", "user__name", "pk")
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        """One verb for each group and source, not for each row."""
        chosen: dict[tuple[Any, str], list[Any]] = {}
        groups: dict[Any, Group] = {}
        for row in queryset.select_related("group"):
            groups[row.group_id] = row.group
            chosen.setdefault((row.group_id, row.source), []).append(row.user_id)
        for (group_id, source), users in chosen.items():
            services.remove_members(groups[group_id], users, by=request.user, source=source)  # type: ignore[arg-type]

    def remove(self, request: HttpRequest, obj: Membership) -> None:
        services.remove_members(obj.group, [obj.user_id], by=request.user, source=obj.source)  # type: ignore[arg-type]
