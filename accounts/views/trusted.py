"""The door where a proxy in front of us signs people in."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.trusted import asserted_of, is_on
from accounts.web import client_of, go, let_in, safe_next
from owui.lib.errors import UserError


@never_cache
@require_http_methods(["GET"])
def sign_in(request: HttpRequest) -> HttpResponseBase:
    """Lets in whom the proxy names. After a sign-out it waits for a click, or nobody could ever sign out."""
    target = safe_next(request.GET.get("next"))
    if not is_on():
        return go(request, reverse("accounts:sign-in"))
    if request.user.is_authenticated:
        return go(request, target)
    asserted, error = asserted_of(request), ""
    if "signed_out" not in request.GET:
        try:
            return let_in(request, services.sign_in_by_header(asserted, **client_of(request)), target)
        except UserError as refused:
            error = refused.message if asserted else ""
    context = {"asserted": asserted, "error": error, "next": target if target != "/" else ""}
    return render(request, "accounts/trusted.html", context, status=200 if not error else 403)
