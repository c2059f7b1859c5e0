"""Who may open a page of this app: verified people; others are shown the door."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url

from rbac.sharing import is_verified


def go(request: HttpRequest, url: str) -> HttpResponse:
    """A redirect that htmx obeys too, instead of swapping the target page in."""
    if getattr(request, "htmx", False):
        response = HttpResponse(status=200)
        response["HX-Redirect"] = url
        return response
    return HttpResponseRedirect(url)


def verified_only(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Pending and signed-out people go to the sign-in page, which sends those who wait on to theirs."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user: Any = request.user
        if is_verified(user):
            return view(request, *args, **kwargs)
        if getattr(request, "htmx", False):
            response = HttpResponse(status=200)
            response["HX-Redirect"] = resolve_url(settings.LOGIN_URL)
            return response
        return redirect_to_login("/", settings.LOGIN_URL)

    return page
