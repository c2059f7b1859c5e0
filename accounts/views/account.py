"""Pages about oneself: profile, appearance, password, key."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import preferences, services, tokens
from accounts.config import ApiKeyConfig
from accounts.forms import PasswordForm, ProfileForm, ServiceForm
from accounts.middleware import identity_of
from accounts.web import go, me, refusal_status, signed_in
from owui.lib.errors import UserError
from rbac.permissions import may


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def settings_page(request: HttpRequest) -> HttpResponseBase:
    user = me(request)
    form = ProfileForm(request.POST if request.method == "POST" else None, initial={"name": user.name, "bio": user.bio})
    if form.is_bound and form.is_valid():
        services.update_profile(user, **form.cleaned_data)
        return go(request, reverse("accounts:settings"))
    return _settings(request, form=form, status=refusal_status(request) if form.is_bound else 200)


def _settings(
    request: HttpRequest,
    *,
    form: ServiceForm | None = None,
    password_form: ServiceForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = me(request)
    allowed = settings.BOOT.enable_password_auth and user.has_usable_password()
    context = {
        "form": form or ProfileForm(initial={"name": user.name, "bio": user.bio}),
        "password_form": (password_form or PasswordForm()) if allowed else None,
        "has_api_key": tokens.has_api_key(user),
        "may_set_interface": may(user, preferences.INTERFACE),
        "api_keys_allowed": ApiKeyConfig.load().enable and may(user, "features.api_keys"),
    }
    return render(request, "accounts/settings.html", context, status=status)


@require_POST
@signed_in
def theme(request: HttpRequest) -> HttpResponseBase:
    preferences.set_theme(me(request), request.POST.get("theme", ""))
    return HttpResponse(status=204)


@never_cache
@sensitive_post_parameters("old", "new")
@require_http_methods(["GET", "POST"])
@signed_in
def password_change(request: HttpRequest) -> HttpResponseBase:
    if request.method == "GET":
        return go(request, reverse("accounts:settings"))
    form = PasswordForm(request.POST)
    refused: UserError | None = None
    if form.is_valid():
        identity = identity_of(request)
        try:
            services.change_password(me(request), **form.cleaned_data, keep=identity.session if identity else None)
        except UserError as error:
            form.refuse(refused := error)
        else:
            return go(request, reverse("accounts:settings"))
    return _settings(request, password_form=form, status=refusal_status(request, refused))


@never_cache
@require_http_methods(["POST", "DELETE"])
@signed_in
def api_key(request: HttpRequest) -> HttpResponseBase:
    """The section of the settings page; a new key is shown this once."""
    user, key = me(request), ""
    if request.method == "DELETE":
        services.delete_api_key(user, by=user)
    else:
        key = services.create_api_key(user)
    context = {"api_key": key, "has_api_key": bool(key), "api_keys_allowed": True}
    return render(request, "accounts/_api_key.html", context)
