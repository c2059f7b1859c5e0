"""Shared objects in Django admin: rows through the choke-point, grants and denials through `set_grants`."""

from __future__ import annotations

import re
from typing import Any, ClassVar, TypeVar

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext_lazy as _

from owui.lib.errors import UserError
from rbac import services
from rbac.admin_lists import Kept, SentencesList
from rbac.ends import day_of, end_of, hour_of
from rbac.grants import READ, WRITE, Grant, denials_of, grants_of, version_of, wildcards_of
from rbac.sentences import access_sentence, compare
from rbac.service_admin import ServiceAdmin
from rbac.services import Conflict
from rbac.sharing import Access, GroupGrant, SharedResource, UserGrant, in_force

M = TypeVar("M", bound=Model)


class _GrantForm(forms.ModelForm[Any]):
    """A grant as people say it: who, whether they may only read or also change, and until when."""

    access = forms.ChoiceField(label=_("may"), choices=[(READ, _("read")), (WRITE, _("read and change"))])
    until = forms.CharField(label=_("until"), required=False, widget=forms.TextInput(attrs={"type": "date"}))
    until_time = forms.CharField(label=_("time"), required=False, widget=forms.TextInput(attrs={"type": "time"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            writes = self.instance.permission.codename.startswith("change_")
            self.initial["access"] = WRITE if writes else READ
            self.initial["until"] = day_of(self.instance.expires_at)
            self.initial["until_time"] = hour_of(self.instance.expires_at)
            kind = "user" if issubclass(type(self.instance), UserGrant) else "group"
            self.fields[kind] = Kept(getattr(self.instance, kind), label=self.fields[kind].label)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        try:
            data["ends"] = end_of(data.get("until", ""), data.get("until_time", ""))
        except UserError as error:
            self.add_error("until", error.message)
        return data


class _DenialForm(_GrantForm):
    """A denial: who is kept out, wholly or from changing only."""

    access = forms.ChoiceField(label=_("may not"), choices=[(READ, _("see it")), (WRITE, _("change it"))])


class _GrantInline(admin.TabularInline[Any, Any]):
    form = _GrantForm
    extra = 0
    kind: ClassVar[str] = ""
    is_denied: ClassVar[bool] = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = in_force(super().get_queryset(request).filter(is_denied=self.is_denied))
        return rows.select_related("permission", "content_object", self.kind)  # type: ignore[no-any-return]


def grant_inlines(model: type[SharedResource]) -> tuple[type[_GrantInline], ...]:
    """The inlines for the people and groups that an object is shared with, and for those who are kept out;
    `SharedAdmin` saves them, and shows the latter where there are denials or may be."""

    def inline(kind: str, table: Any, *, is_denied: bool, title: Any) -> type[_GrantInline]:
        attrs = {
            "model": table,
            "kind": kind,
            "fields": (kind, "access", "until", "until_time"),
            "autocomplete_fields": (kind,),
            "is_denied": is_denied,
            "form": _DenialForm if is_denied else _GrantForm,
            "verbose_name_plural": title,
        }
        name = f"{table.__name__}{'Denial' if is_denied else ''}Inline"
        return type(name, (_GrantInline,), attrs)

    users, groups = model.user_grant_model(), model.group_grant_model()
    return (
        inline("user", users, is_denied=False, title=_("People with access")),
        inline("group", groups, is_denied=False, title=_("Groups with access")),
        inline("user", users, is_denied=True, title=_("Kept out: people, whatever else would let them in")),
        inline("group", groups, is_denied=True, title=_("Kept out: groups, whatever else would let them in")),
    )


class SharedAdmin(ServiceAdmin[M]):
    """Base for the admin of shared objects: rows through the choke-point, grants through `set_grants`.

    class KnowledgeBaseAdmin(SharedAdmin[KnowledgeBase]):
        inlines = grant_inlines(KnowledgeBase)
    """

    change_form_template = "admin/shared_change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        user: Any = request.user
        rows: Any = super().get_queryset(request)
        # Named here, Django does not look at `list_select_related` any more.
        related = {"owner", *(self.list_select_related or ())} if self.list_select_related is not True else {"owner"}
        return rows.readable_by(user).select_related(*related)  # type: ignore[no-any-return]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return SentencesList if "access" in self.list_display else super().get_changelist(request, **kwargs)

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
        """For `list_display`; read for the whole page by `SentencesList`."""
        return getattr(obj, "access_in_words", None) or access_sentence(obj)

    def save_model(self, request: HttpRequest, obj: M, form: Any, change: bool) -> None:
        """Saves all but the general rule, which is a matter of access and recorded as such."""
        resource: Any = obj
        wanted = resource.general_access
        resource.general_access = form.initial.get("general_access", wanted) if change else Access.PRIVATE
        super().save_model(request, obj, form, change)
        resource.general_access = wanted

    # --------------------------------------------------------------------------------------------- what was seen
    def get_inline_instances(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        found = super().get_inline_instances(request, obj)
        if settings.ENABLE_DENY_GRANTS or (obj is not None and _stored(request, obj)[1]):
            return found
        return [inline for inline in found if not getattr(inline, "is_denied", False)]

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if request.method == "POST" and object_id is not None and "access_version" in request.POST:
            obj: Any = self.get_object(request, unquote(object_id))
            if obj is not None and version_of(*_stored(request, obj)) != request.POST["access_version"]:
                # Rows that are gone by now could not be read any more; `set_grants` will say what is different.
                request.POST = _as_new_rows(request.POST)  # type: ignore[assignment]
        return super().changeform_view(request, object_id, *args, **kwargs)

    def refused(self, request: HttpRequest, error: UserError) -> None:
        super().refused(request, error)
        if isinstance(error, Conflict):
            request.POST = _as_new_rows(request.POST)  # type: ignore[assignment]

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:  # fmt: skip
        error = getattr(request, "_refused", None)
        if isinstance(error, Conflict):
            context |= {"access_version": version_of(*error.theirs), "differences": compare(error.theirs, error.yours)}
        elif request.method == "POST":
            context["access_version"] = request.POST.get("access_version", "")
        elif obj is not None:
            context["access_version"] = version_of(*_stored(request, obj))
        return super().render_change_form(request, context, add, change, form_url, obj)

    # ---------------------------------------------------------------------------------------------------- saving
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
        named = [g for g in grants_of([resource])[resource.pk] if g.principal_id != "*"]
        grants = _merged(shown, named, is_denied=False) + wildcards_of(resource.general_access)
        denials = None
        if any(is_denied for _kind_of, is_denied in shown):
            denials = _merged(shown, denials_of([resource])[resource.pk], is_denied=True)
        version = request.POST.get("access_version") or None
        services.set_grants(resource, grants, denials=denials, version=version, by=request.user)  # type: ignore[arg-type]


def _stored(request: HttpRequest, obj: Any) -> tuple[list[Grant], list[Grant]]:
    """Grants and denials as they are while this request is answered."""
    known: dict[Any, tuple[list[Grant], list[Grant]]] = request.__dict__.setdefault("_access_stored", {})
    if obj.pk not in known:
        known[obj.pk] = grants_of([obj])[obj.pk], denials_of([obj])[obj.pk]
    return known[obj.pk]


def _merged(shown: dict[tuple[str, bool], Any], stored: list[Grant], *, is_denied: bool) -> list[Grant]:
    """What the inlines of one part ask for. What no inline shows stays as it is."""
    grants = [g for g in stored if (g.principal_type, is_denied) not in shown]
    for (kind, denies), formset in shown.items():
        if denies == is_denied:
            rows = [row.cleaned_data for row in formset.forms]
            kept = [data for data in rows if data.get(kind) and not data.get("DELETE")]
            grants += [Grant(kind, str(data[kind].pk), data["access"], data.get("ends")) for data in kept]
    return grants


def _kind(formset: Any) -> tuple[str, bool] | None:
    """Whose grants a formset shows, and whether they are denials; None for any other."""
    for kind, table in (("user", UserGrant), ("group", GroupGrant)):
        if issubclass(formset.model, table):
            return kind, issubclass(formset.form, _DenialForm)
    return None


def _as_new_rows(sent: QueryDict) -> QueryDict:
    """The same form with every grant that is still wanted as a new line: lines of rows that somebody else removed
    would be no valid choice. Nothing is lost by it, because the list is stored as a whole."""
    data = sent.copy()
    for prefix in [m[1] for key in sent if (m := re.fullmatch(r"((?:user|group)_grants(?:-\d+)?)-TOTAL_FORMS", key))]:
        total = sent.get(f"{prefix}-TOTAL_FORMS", "")
        count = 0
        for number in range(min(int(total), 10_000) if total.isdecimal() else 0):
            line = {
                name: data.pop(f"{prefix}-{number}-{name}", [""])[-1]
                for name in ("user", "group", "access", "until", "until_time", "DELETE", "id", "content_object")
            }
            if not line["DELETE"] and (line["user"] or line["group"]):
                for name in ("user", "group", "access", "until", "until_time"):
                    data[f"{prefix}-{count}-{name}"] = line[name]
                count += 1
        data[f"{prefix}-TOTAL_FORMS"], data[f"{prefix}-INITIAL_FORMS"] = str(count), "0"
    return data
