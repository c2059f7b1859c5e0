"""Pages that belong to no app."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from owui.lib.errors import ACCESS_PROHIBITED, error_response


def sign_in_for_admin(request: HttpRequest) -> HttpResponse:
    """Django admin has no sign-in of its own: one door for everybody."""
    if request.user.is_authenticated:
        return error_response(request, 403, ACCESS_PROHIBITED)
    target = request.GET.get("next", "/admin/")
    return HttpResponseRedirect(f"{reverse('accounts:sign-in')}?{urlencode({'next': target})}")
