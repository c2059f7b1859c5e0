"""Django admin on services: what a service refuses is said in the form, with the person's edits still in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.db.models import CASCADE, PROTECT, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from owui.lib.errors import UserError
from rbac.models import GroupAncestry
from rbac.sharing import GroupGrant, UserGrant

M = TypeVar("M", bound=Model)
#: bookkeeping of ours that says nothing to anybody
_INTERNAL = (GroupAncestry,)
#: relations that only say who made a row
_AUTHORS = ("created_by", "granted_by", "added_by", "updated_by")


class ServiceAdmin(admin.ModelAdmin[M]):
    """Shows what a service refuses as an error of the form or a message on the page, and deletes through `remove`."""

    def remove(self, request: HttpRequest, obj: M) -> None:
        raise NotImplementedError

    def delete_model(self, request: HttpRequest, obj: M) -> None:
        self.remove(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[M]) -> None:
        for obj in queryset:
            self.remove(request, obj)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except UserError as error:
            if request.method != "POST":
                raise
            # Django's own view runs in a transaction, so nothing of the refused change is left. It is asked again, with
            # a form that says why: what the person wrote stays in the fields.
            self.refused(request, error)
        response = super().changeform_view(request, *args, **kwargs)
        response.status_code = error_of(request).status
        return response

    def refused(self, request: HttpRequest, error: UserError) -> None:
        """Called before a refused form is shown again."""
        request._refused = error  # type: ignore[attr-defined]

    def get_form(self, request: HttpRequest, obj: M | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        error = getattr(request, "_refused", None)
        return _refusing(form, error.message) if error else form

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explained(request, super().changelist_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explained(request, super().delete_view, *args, **kwargs)

    def obstacles(self, request: HttpRequest, obj: M) -> list[str]:
        """What stops an object from being deleted, in words; besides what the database itself protects."""
        return []

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with the objects and what stays without them, counted; and what stops it. One statement for each
        relation: listing a thousand documents one by one helps nobody to decide."""
        objs = list(objs)
        sentences, stops = consequences(objs)
        stops = [*stops, *(text for obj in objs for text in self.obstacles(request, obj))]
        shown: list[Any] = [str(obj) for obj in objs]
        return (
            [*shown, sentences] if sentences else shown,
            {str(self.opts.verbose_name_plural): len(objs)},
            set(),
            stops,
        )

    def _explained(self, request: HttpRequest, view: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)  # type: ignore[no-any-return]
        except UserError as error:
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


def consequences(objs: list[Any]) -> tuple[list[str], list[str]]:
    """What deleting the objects means for those that point at them: what goes or stays, and what forbids it."""
    goes: list[str] = []
    stays: list[str] = []
    stops: list[str] = []
    for field, rule in _pointing_at(type(objs[0])) if objs else ():
        rows = field.model._base_manager.filter(**{f"{field.name}__in": objs}).order_by()
        if rule is PROTECT:
            name = field.model._meta.verbose_name
            stops += [_("%(what)s “%(name)s” needs it") % {"what": name, "name": row} for row in rows[:10]]
        elif number := rows.count():
            values = {"count": number, "what": capfirst(str(_plural(field.model)))}
            if rule is CASCADE:
                goes.append(_("%(what)s: %(count)d, removed with it") % values)
            else:
                stays.append(_("%(what)s: %(count)d, stay without it") % values)
    return goes + stays, stops


def _pointing_at(model: type[Model]) -> Iterator[tuple[Any, Any]]:
    """The foreign keys to a model that mean something to people, and what happens to their rows."""
    for relation in model._meta.get_fields(include_hidden=True):
        field: Any = getattr(relation, "field", None)
        rule = getattr(relation, "on_delete", None)
        if rule is not None and field.model not in _INTERNAL and field.name not in _AUTHORS:
            yield field, rule


def _plural(model: Any) -> Any:
    if issubclass(model, (UserGrant, GroupGrant)):
        shared = model._meta.get_field("content_object").related_model
        return _("grants on %(what)s") % {"what": shared._meta.verbose_name_plural}
    return model._meta.verbose_name_plural


def error_of(request: HttpRequest) -> UserError:
    """What was refused."""
    error: UserError = request._refused  # type: ignore[attr-defined]
    return error


def _refusing(form: Any, message: str) -> Any:
    """The same form, with an error that none of its fields can mend."""

    def clean(self: Any) -> Any:
        data = form.clean(self)
        self.add_error(None, message)
        return data

    return type(form)(form.__name__, (form,), {"clean": clean})
