"""The access dialog: who may read and change an object, and whom else one may add."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from owui.lib.errors import Missing, Refused
from rbac import services
from rbac.grants import READ, Grant, parse_grants, wildcards_of
from rbac.permissions import FEATURES_OF_TYPES, may, require_feature
from rbac.sentences import named_grants, reach
from rbac.sharing import Access, SharedResource, resource_types
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
    error = ""
    if request.method == "POST":
        try:
            services.set_grants(resource, _asked_for(request, resource), by=request.user)  # type: ignore[arg-type]
        except Refused as refused:
            error = refused.message
        else:
            response = HttpResponse()
            response["HX-Trigger"] = "access-changed"
            return response
    context = {
        "resource_label": resource.label,
        "resource_type": resource_type,
        "resource_id": str(resource.pk),
        "general_access": resource.general_access,
        "allows_anyone": resource.allows_anyone,
        "grant_list": named_grants([resource])[resource.pk],
        "audiences": _audiences(resource, request.user),
        "error": error,
    }
    status = (422 if getattr(request, "htmx", False) else 403) if error else 200
    return render(request, "rbac/_access_dialog.html", context, status=status)


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


def _asked_for(request: HttpRequest, resource: SharedResource) -> list[Grant]:
    """The grants that the form describes: the general rule, and pairs of `principal` and `permission`."""
    access = request.POST.get("general_access", resource.general_access)
    general = wildcards_of(access if access in Access.values else resource.general_access)
    items = []
    pairs = zip(request.POST.getlist("principal"), request.POST.getlist("permission"), strict=False)
    for principal, permission in pairs:
        kind, _colon, principal_id = principal.partition(":")
        if principal_id != "*":
            items.append({"principal_type": kind, "principal_id": principal_id, "permission": permission})
    return [*general, *parse_grants(items)]


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
    context = {"search": services.search_principals(query, by=user) if query else [], "query": query}
    return render(request, "rbac/_principal_list.html", context)
