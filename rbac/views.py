"""The access dialog: who may read and change an object, and whom else one may add."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from owui.lib.errors import Missing, UserError
from rbac import services
from rbac.forms import AccessDialogForm, with_hidden_reads
from rbac.grants import READ, Grant, denials_of, grants_of, version_of
from rbac.permissions import FEATURES_OF_TYPES, may, require_feature
from rbac.sentences import Difference, compare, named_grants, reach
from rbac.services import Conflict
from rbac.sharing import SharedResource, resource_types
from rbac.shortcuts import get_writable
from rbac.web import verified_only


def _resource(request: HttpRequest, resource_type: str, pk: uuid.UUID) -> SharedResource:
    """The object, for people who may change it; for all others it is not there."""
    model = resource_types().get(resource_type)
    if model is None:
        raise Missing
    user: Any = request.user
    if feature := FEATURES_OF_TYPES.get(resource_type):
        require_feature(user, feature)
    found: SharedResource = get_writable(model.objects.all(), user, pk, denied=404)
    return found


@never_cache
@require_http_methods(["GET", "POST"])
@verified_only
def access_dialog(request: HttpRequest, resource_type: str, pk: uuid.UUID) -> HttpResponseBase:
    resource = _resource(request, resource_type, pk)
    if request.method == "GET":
        return _dialog(request, resource, _stored(resource))
    form = AccessDialogForm(request.POST, resource.general_access)
    form.name_rows()
    try:
        if form.errors:
            raise UserError(" ".join(form.errors), status=422)
        _save(form, resource, request.user)
    except Conflict as conflict:
        # The form keeps what the person wants; saving it again is a decision made in sight of the other version.
        shown = {**_sent(form), "version": version_of(*conflict.theirs)}
        differences = compare(conflict.theirs, conflict.yours)
        return _dialog(request, resource, shown, error=conflict.message, status=409, differences=differences)
    except UserError as refused:
        return _dialog(request, resource, _sent(form), error=refused.message, status=refused.status)
    response = HttpResponse()
    response["HX-Trigger"] = "access-changed"
    return response


def _save(form: AccessDialogForm, resource: SharedResource, by: Any) -> None:
    grants = with_hidden_reads(form.grants, grants_of([resource])[resource.pk])
    services.set_grants(resource, grants, denials=form.denials, version=form.version, by=by)


def _stored(resource: SharedResource) -> dict[str, Any]:
    """What the dialog shows when it is opened."""
    named = named_grants([resource])[resource.pk]
    return {
        "general_access": resource.general_access,
        "grant_list": [grant for grant in named if not grant.is_denied],
        "denial_list": [grant for grant in named if grant.is_denied],
        "version": version_of(grants_of([resource])[resource.pk], denials_of([resource])[resource.pk]),
    }


def _sent(form: AccessDialogForm) -> dict[str, Any]:
    """What the dialog shows when it could not be saved: the person's own edits."""
    return {
        "general_access": form.general_access,
        "grant_list": form.rows,
        "denial_list": form.denial_rows,
        "version": form.version or "",
    }


def _dialog(
    request: HttpRequest,
    resource: SharedResource,
    shown: dict[str, Any],
    *,
    error: str = "",
    status: int = 200,
    differences: list[Difference] | None = None,
) -> HttpResponse:
    user: Any = request.user
    context = {
        **shown,
        "resource_label": resource.label,
        "resource_type": resource.resource_type,
        "resource_id": str(resource.pk),
        "audiences": _audiences(resource, user),
        "may_deny": user.role == "admin" and (settings.ENABLE_DENY_GRANTS or bool(shown["denial_list"])),
        "deny_on": settings.ENABLE_DENY_GRANTS,
        "differences": differences,
        "error": error,
        "time_zone": timezone.get_current_timezone_name(),
    }
    if error and getattr(request, "htmx", False) and status != 409:
        status = 422
    response = render(request, "rbac/_access_dialog.html", context, status=status)
    if error:
        response["HX-Retarget"] = "#dialogs"
    return response


def _audiences(resource: SharedResource, user: Any) -> dict[str, bool]:
    """Whom the person may add; what is granted already stays in the dialog all the same."""
    everyone, anyone = Grant("user", "*", READ), Grant("anyone", "*", READ)
    allowed = services.allowed_audiences(type(resource), [everyone, anyone], user)
    key = "chat.share" if resource.sharing_key == "chats" else f"sharing.{resource.sharing_key}"
    named = user.role == "admin" or (
        bool(resource.sharing_key)
        and may(user, key)
        and (may(user, "access_grants.allow_users") or may(user, "access_grants.allow_groups"))
    )
    return {"everyone": everyone in allowed, "anyone": anyone in allowed, "named": named}


@never_cache
@require_GET
@verified_only
def reach_list(request: HttpRequest, resource_type: str, pk: uuid.UUID) -> HttpResponseBase:
    """Who can see it and why, asked for when the fold is opened."""
    resource = _resource(request, resource_type, pk)
    return render(request, "rbac/_reach_list.html", {"reach_list": reach(resource)})


@never_cache
@require_GET
@verified_only
def principal_list(request: HttpRequest) -> HttpResponseBase:
    """People and groups that match a few letters, as far as the person may share with them."""
    query = request.GET.get("q", "").strip()[:100]
    user: Any = request.user
    context = {
        "search": services.search_principals(query, by=user) if query else [],
        "query": query,
        # Which list of the dialog the results are for.
        "part": "denied_" if request.GET.get("part") == "denied" else "",
    }
    return render(request, "rbac/_principal_list.html", context)
