"""Sign-in with the user name and password of the organisation's directory."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.config import DirectoryConfig
from accounts.forms import DirectorySignInForm
from accounts.web import client_of, go, let_in, refusal_status, safe_next
from owui.lib.errors import UserError


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponseBase:
    target = safe_next(request.POST.get("next") or request.GET.get("next"))
    if not services.directory_is_on():
        return go(request, f"{reverse('accounts:sign-in')}?{urlencode({'next': target})}")
    if request.method == "GET" and request.user.is_authenticated:
        return go(request, target)
    form = DirectorySignInForm(request.POST if request.method == "POST" else None)
    status = 200
    if form.is_bound:
        status = refusal_status(request)
        if form.is_valid():
            try:
                outcome = services.sign_in_by_directory(**form.cleaned_data, **client_of(request))
            except UserError as error:
                form.refuse(error)
                status = refusal_status(request, error)
            else:
                return let_in(request, outcome, target)
    context: dict[str, Any] = {
        "form": form,
        "label": DirectoryConfig.load().server_label,
        "next": target if target != "/" else "",
    }
    return render(request, "accounts/directory.html", context, status=status)
