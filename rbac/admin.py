"""Governance of groups and grants in Django admin. Every change goes through the services: checked, audited."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group as AuthGroup
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from owui.lib.errors import UserError
from rbac import services
from rbac.forms import GroupAdminForm, permission_field
from rbac.grants import READ, WRITE, Grant, grants_of, wildcards_of
from rbac.models import Group, Membership
from rbac.permissions import PERMISSIONS
from rbac.sentences import access_sentence
from rbac.sharing import Access, GroupGrant, SharedResource, UserGrant

M = TypeVar("M", bound=Model)


class ServiceAdmin(admin.ModelAdmin[M]):
    """Shows what a service refuses as a message on the page, and deletes through `remove`."""

    def remove(self, request: HttpRequest, obj: M) -> None:
        raise NotImplementedError

    def delete_model(self, request: HttpRequest, obj: M) -> None:
        self.remove(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[M]) -> None:
        for obj in queryset:
            self.remove(request, obj)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explained(request, super().changeform_view, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explained(request, super().changelist_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explained(request, super().delete_view, *args, **kwargs)

    def _explained(self, request: HttpRequest, view: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)  # type: ignore[no-any-return]
        except UserError as error:
            # Django's own views run in a transaction, so nothing of the refused change is left.
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


# Groups here are our own; the framework's would only be a second, empty list of the same name.
admin.site.unregister(AuthGroup)


class MembershipInline(admin.TabularInline[Membership, Group]):
    model = Membership
    fk_name = "group"
    fields = ("user", "source", "created_at")
    readonly_fields = ("source", "created_at")
    autocomplete_fields = ("user",)
    extra = 0
    ordering = ("user__name", "pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Group)
class GroupAdmin(ServiceAdmin[Group]):
    form = GroupAdminForm
    list_display = ("name", "parent", "member_count", "granted", "updated_at")
    list_select_related = ("parent",)
    search_fields = ("name", "description")
    autocomplete_fields = ("parent",)
    ordering = ("name",)
    inlines = (MembershipInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).annotate(people=Count("memberships__user", distinct=True))

    def get_fieldsets(self, request: HttpRequest, obj: Group | None = None) -> Any:
        sections: dict[str, list[str]] = {}
        for row in PERMISSIONS.values():
            sections.setdefault(row.section, []).append(permission_field(row.key))
        permissions = [
            (_("Permissions: %(section)s") % {"section": section}, {"fields": fields, "classes": ["collapse"]})
            for section, fields in sections.items()
        ]
        return [(None, {"fields": ("name", "description", "parent", "share")}), *permissions]

    def get_form(self, request: HttpRequest, obj: Group | None = None, change: bool = False, **kwargs: Any) -> Any:
        # The permission boxes are no fields of the model; the form declares them itself.
        kwargs["fields"] = ("name", "description", "parent")
        return super().get_form(request, obj, change, **kwargs)

    @admin.display(description=_("members"), ordering="people")
    def member_count(self, group: Any) -> int:
        return int(group.people)

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
        for row in formset.deleted_objects:
            services.remove_members(row.group, [row.user_id], by=by, source=row.source)
        if rows:
            services.add_members(form.instance, [row.user_id for row in rows], by=by)

    def remove(self, request: HttpRequest, obj: Group) -> None:
        services.delete_group(obj, by=request.user)  # type: ignore[arg-type]


class _GrantForm(forms.ModelForm[Any]):
    """A grant as people say it: who, and whether they may only read or also change."""

    access = forms.ChoiceField(label=_("may"), choices=[(READ, _("read")), (WRITE, _("read and change"))])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            writes = self.instance.permission.codename.startswith("change_")
            self.initial["access"] = WRITE if writes else READ


class _GrantInline(admin.TabularInline[Any, Any]):
    form = _GrantForm
    extra = 0
    kind: ClassVar[str] = ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("permission", self.kind)


def grant_inlines(model: type[SharedResource]) -> tuple[type[_GrantInline], type[_GrantInline]]:
    """Two inlines for the people and groups that an object is shared with; `SharedAdmin` saves them."""

    def inline(kind: str, table: Any) -> type[_GrantInline]:
        attrs = {"model": table, "kind": kind, "fields": (kind, "access"), "autocomplete_fields": (kind,)}
        return type(f"{table.__name__}Inline", (_GrantInline,), attrs)

    return inline("user", model.user_grant_model()), inline("group", model.group_grant_model())


class SharedAdmin(ServiceAdmin[M]):
    """Base for the admin of shared objects: rows through the choke-point, grants through `set_grants`.

    class KnowledgeBaseAdmin(SharedAdmin[KnowledgeBase]):
        inlines = grant_inlines(KnowledgeBase)
    """

    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        user: Any = request.user
        rows: Any = super().get_queryset(request)
        return rows.readable_by(user).select_related("owner")  # type: ignore[no-any-return]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_write(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._may_write(request, obj)

    @staticmethod
    def _may_write(request: HttpRequest, obj: Any) -> bool:
        """An administrator without the bypass may be one who only reads."""
        user: Any = request.user
        if obj is None or type(obj).bypass_applies(user):
            return True
        return bool(type(obj)._default_manager.writable_by(user).filter(pk=obj.pk).exists())

    @admin.display(description=_("access"))
    def access(self, obj: Any) -> str:
        """For `list_display`; a page of rows asks two statements each, so keep pages short."""
        return access_sentence(obj)

    def save_model(self, request: HttpRequest, obj: M, form: Any, change: bool) -> None:
        """Saves all but the general rule, which is a matter of access and recorded as such."""
        resource: Any = obj
        wanted = resource.general_access
        resource.general_access = form.initial.get("general_access", wanted) if change else Access.PRIVATE
        super().save_model(request, obj, form, change)
        resource.general_access = wanted

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        if _kind(formset) is None:
            super().save_formset(request, form, formset, change)
            return
        # Nothing is saved here: `save_related` hands the whole list to `set_grants`, which writes and records it.
        formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        resource: SharedResource = form.instance
        shown = {kind: formset for formset in formsets if (kind := _kind(formset))}
        # What no inline shows stays as it is.
        grants = [
            g for g in grants_of([resource])[resource.pk] if g.principal_id != "*" and g.principal_type not in shown
        ]
        grants += wildcards_of(resource.general_access)
        for kind, formset in shown.items():
            rows = [row.cleaned_data for row in formset.forms]
            kept = [data for data in rows if data.get(kind) and not data.get("DELETE")]
            grants += [Grant(kind, str(data[kind].pk), data.get("access", READ)) for data in kept]
        services.set_grants(resource, grants, by=request.user)  # type: ignore[arg-type]


def _kind(formset: Any) -> str | None:
    """`user` or `group` for the formset of a grant table, None for any other."""
    if issubclass(formset.model, UserGrant):
        return "user"
    return "group" if issubclass(formset.model, GroupGrant) else None
