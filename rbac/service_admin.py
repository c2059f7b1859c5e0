"""Django admin on services: what a service refuses is said in the form, with the person's edits still in it."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from owui.lib.errors import UserError

M = TypeVar("M", bound=Model)


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

    def _explained(self, request: HttpRequest, view: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)  # type: ignore[no-any-return]
        except UserError as error:
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


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
