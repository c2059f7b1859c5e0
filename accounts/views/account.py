"""Pages about oneself: profile, appearance, password, key. Other subjects add their sections to `accounts.panels`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import preferences, services
from accounts.config import SignInConfig
from accounts.context import theme_of
from accounts.forms import PasswordForm, ProfileForm
from accounts.middleware import identity_of
from accounts.panels import panels, register
from accounts.web import go, me, refusal_status, signed_in, signed_in_human
from owui.lib.errors import UserError
from owui.lib.pictures import NONE_CHOSEN
from rbac.permissions import may


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def settings_page(request: HttpRequest) -> HttpResponseBase:
    """All sections; a POST saves the profile."""
    if request.method == "GET":
        return settings_with(request)
    form = ProfileForm(request.POST, request.FILES)
    refused: UserError | None = None
    if form.is_valid():
        try:
            services.update_profile(me(request), **form.changes())
        except UserError as error:
            form.refuse(refused := error)
        else:
            return go(request, reverse("accounts:settings"))
    return settings_with(request, status=refusal_status(request, refused), profile_form=form)


def settings_with(request: HttpRequest, *, status: int = 200, **instead: Any) -> HttpResponse:
    """The settings page.

    :param instead: forms with their errors, in the place of fresh ones
    """
    return render(request, "accounts/settings.html", {"panel_list": panels(request, **instead)}, status=status)


def _profile(request: HttpRequest) -> dict[str, Any]:
    user = me(request)
    return {
        "profile_form": ProfileForm(initial={"name": user.name, "bio": user.bio}),
        "picture_url": f"/api/v1/users/{user.pk}/profile/image" if user.profile_image_url != NONE_CHOSEN else "",
    }


def _appearance(request: HttpRequest) -> dict[str, Any] | None:
    user = me(request)
    return {"theme": theme_of({"ui": preferences.interface_of(user)})} if may(user, preferences.INTERFACE) else None


def _password(request: HttpRequest) -> dict[str, Any] | None:
    is_shown = SignInConfig.load().enable_password_change_form and settings.BOOT.enable_password_auth
    return {"password_form": PasswordForm()} if is_shown and me(request).has_usable_password() else None


register("profile", _("Profile"), "accounts/_profile.html", _profile, order=10)
register("appearance", _("Appearance"), "accounts/_appearance.html", _appearance, order=20)
register("password", _("Password"), "accounts/_password.html", _password, order=30)


def _about(request: HttpRequest) -> dict[str, Any]:
    return {}


register("about", _("About"), "accounts/_about.html", _about, order=90)


@require_POST
@signed_in
def theme(request: HttpRequest) -> HttpResponseBase:
    preferences.set_theme(me(request), request.POST.get("theme", ""))
    return HttpResponse(status=204)


@never_cache
@sensitive_post_parameters("old", "new")
@require_http_methods(["GET", "POST"])
@signed_in_human
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
            return go(request, f"{reverse('accounts:settings')}#password")
    return settings_with(request, status=refusal_status(request, refused), password_form=form)
