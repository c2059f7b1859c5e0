"""Pages of the administration about access as a whole: the permission matrix, the access map, the history.

For administrators only; they stand behind the door of Django admin.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from owui.audit.admin import CappedPaginator
from owui.audit.record import record
from owui.lib.errors import UserError
from rbac import access_history, access_map
from rbac.matrix import columns_of, sections_of
from rbac.models import Group
from rbac.permissions import PERMISSIONS
from rbac.services.matrix import DEFAULT, MatrixConflict, change_permissions
from rbac.sharing import SharedResource, resource_types

app_name = "governance"
#: groups of one page of the matrix: with the default nine columns, and fewer fields than Django takes in one form
MATRIX_GROUPS = 8
MAP_GROUPS = MAP_OBJECTS = 50
HISTORY_ROWS = 50


def administrators(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Whoever is staff but no active administrator is refused."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not (request.user.is_active and getattr(request.user, "role", "") == "admin"):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return page


def _page(request: HttpRequest, template: str, title: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    everything = {**admin.site.each_context(request), "title": title, **context}
    return TemplateResponse(request, f"admin/{template}.html", everything, status=status)


def _paged(rows: Any, size: int, number: str | None, paginator: type[Paginator[Any]] = Paginator) -> Page[Any]:
    return paginator(rows, size).get_page(number)


def _groups(query: str) -> Any:
    rows = Group.objects.order_by("name", "pk")
    return rows.filter(name__icontains=query) if query else rows


def _asked(request: HttpRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "").strip()[:200]


# ---------------------------------------------------------------------------------------------------- permission matrix
@require_http_methods(["GET", "HEAD", "POST"])
@administrators
def permission_matrix(request: HttpRequest) -> HttpResponse:
    query = _asked(request, "q")
    groups = _paged(_groups(query), MATRIX_GROUPS, request.GET.get("p"))
    if request.method != "POST":
        return _matrix(request, query, groups)
    seen, wanted = _sent_keys(request)
    try:
        names = change_permissions(seen, wanted, by=request.user)  # type: ignore[arg-type]
    except MatrixConflict as conflict:
        # On what is stored now, each change that this editor made and nothing that he did not touch.
        mine = {c: wanted[c] ^ seen[c] for c in wanted}
        ticked = {c: (now - mine[c]) | (wanted[c] & mine[c]) for c, now in conflict.now.items()}
        return _matrix(request, query, groups, error=conflict, ticked=ticked, seen=seen)
    except UserError as error:
        return _matrix(request, query, groups, error=error, ticked=wanted)
    if names:
        text = ngettext("Saved. %(count)d column was changed: %(names)s.", "Saved. %(count)d columns were changed: "
                        "%(names)s.", len(names))  # fmt: skip
        messages.success(request, text % {"count": len(names), "names": ", ".join(names)})
    else:
        messages.info(request, _("Nothing was different, so nothing was saved."))
    return HttpResponseRedirect(request.get_full_path())


def _matrix(
    request: HttpRequest,
    query: str,
    groups: Page[Any],
    *,
    error: UserError | None = None,
    ticked: dict[str, frozenset[str]] | None = None,
    seen: dict[str, frozenset[str]] | None = None,
) -> HttpResponse:
    columns = columns_of(groups.object_list)
    context = {
        "columns": columns,
        "sections": sections_of(columns, ticked, seen),
        "groups": groups,
        "query": query,
        "query_link": urlencode({"q": query}) if query else "",
        "error": error.message if error else "",
        "has_unknown": any(column.unknown for column in columns),
        "width": len(columns) + 1,
    }
    return _page(request, "permission_matrix", _("Permission matrix"), context, error.status if error else 200)


def _sent_keys(request: HttpRequest) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """What the editor saw and what he wants, by column: fields `saw:<column>` and `on=<column>:<key>`."""
    seen: dict[str, frozenset[str]] = {}
    for name in request.POST:
        kind, _colon, column = name.partition(":")
        if kind == "saw" and (column == DEFAULT or _uuid(column)):
            seen[column] = frozenset(key for key in request.POST[name].split(",") if key in PERMISSIONS)
    ticked: dict[str, set[str]] = {column: set() for column in seen}
    for value in request.POST.getlist("on"):
        column, _colon, key = value.partition(":")
        if column in ticked and key in PERMISSIONS:
            ticked[column].add(key)
    return seen, {column: frozenset(keys) for column, keys in ticked.items()}


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


# ----------------------------------------------------------------------------------------------------------- access map
def _type(kind: str) -> type[SharedResource]:
    if kind not in resource_types():
        raise Http404(_("There is nothing of this kind."))
    return resource_types()[kind]


@require_safe
@administrators
def map_page(request: HttpRequest) -> HttpResponse:
    kind = _asked(request, "type") or "knowledge"
    model, group_query, query = _type(kind), _asked(request, "group"), _asked(request, "q")
    groups = _paged(_groups(group_query), MAP_GROUPS, request.GET.get("gp"))
    user: Any = request.user
    resources = _paged(access_map.named_like(model, user, query), MAP_OBJECTS, request.GET.get("p"))
    asked = {"type": kind, "group": group_query, "q": query}
    context = {
        "kind": kind,
        "kinds": sorted(((name, cls._meta.verbose_name_plural) for name, cls in resource_types().items()), key=str),
        "kind_label": model._meta.verbose_name_plural,
        "group_query": group_query,
        "query": query,
        "groups": groups,
        "resources": resources,
        "lines": access_map.map_lines(list(groups.object_list), list(resources.object_list)),
        "is_tree": model.extra_access.__func__ is not SharedResource.extra_access.__func__,  # type: ignore[attr-defined]
        "groups_link": urlencode({**asked, "p": resources.number}),
        "objects_link": urlencode({**asked, "gp": groups.number}),
        "asked": urlencode(asked),
    }
    return _page(request, "access_map", _("Access map"), context)


@require_POST
@administrators
def map_export(request: HttpRequest) -> HttpResponse:
    """What the map shows, all pages of it, as a file. It leaves the house, so it is audited."""
    user: Any = request.user
    kind, group_query, query = _asked(request, "type"), _asked(request, "group"), _asked(request, "q")
    model = _type(kind)
    text = access_map.as_csv(model, access_map.named_like(model, user, query), _groups(group_query))
    with transaction.atomic():
        record(
            "access.exported",
            by=user,
            object_type=kind,
            detail={"group": group_query, "name": query, "lines": text.count("\n") - 1},
        )
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="access-{kind}.csv"'
    return response


# ---------------------------------------------------------------------------------------------------- history of access
@require_safe
@administrators
def history(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    kind, at = _asked(request, "kind"), _asked(request, "at")
    search = access_history.Search(
        text=_asked(request, "q"),
        of=_uuid(_asked(request, "of")),
        kind=kind if kind in access_history.KINDS else "",
        moment=access_history.moment_of(at) if at else None,
    )
    rows = _paged(access_history.found(search, user), HISTORY_ROWS, request.GET.get("p"), CappedPaginator)
    asked = {"q": search.text, "of": search.of or "", "kind": search.kind, "at": at if search.moment else ""}
    context = {
        "search": search,
        "kinds": access_history.KINDS,
        "at": at,
        "bad_moment": bool(at) and search.moment is None,
        "rows": rows,
        "entries": access_history.in_words(rows.object_list, user),
        "about": _about(search.of),
        "asked": urlencode({name: value for name, value in asked.items() if value}),
        "time_zone": timezone.get_current_timezone_name(),
    }
    return _page(request, "access_history", _("History of access"), context)


def _about(pk: uuid.UUID | None) -> str:
    """The page from which one came here: where the object can be changed."""
    if pk is None:
        return ""
    models: list[Any] = [get_user_model(), Group, *resource_types().values()]
    for model in models:
        if model in admin.site._registry and model._default_manager.filter(pk=pk).exists():
            return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])
    return ""


urlpatterns = [
    path("permissions/", admin.site.admin_view(permission_matrix), name="matrix"),
    path("map/", admin.site.admin_view(map_page), name="map"),
    path("map/export/", admin.site.admin_view(map_export), name="map-export"),
    path("history/", admin.site.admin_view(history), name="history"),
]
