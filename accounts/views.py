"""Pages: sign in, sign up, wait for approval, and one's own settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import rotate_token
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import preferences, services, tokens
from accounts.config import ApiKeyConfig, SignInConfig
from accounts.forms import REASONS, UNKNOWN_REASON, PasswordForm, ProfileForm, ServiceForm, SignInForm, SignUpForm
from accounts.middleware import identity_of
from accounts.models import Session, User
from accounts.web import client_of, go, same_site, set_token_cookie, signed_in
from owui.config.sections import UiConfig
from owui.lib.errors import UserError
from rbac.permissions import may


def safe_next(target: str | None) -> str:
    """A path on this server, or the start page: never another site, whatever a link says."""
    if target and target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        return target
    return "/"


def _me(request: HttpRequest) -> User:
    user: Any = request.user
    return user  # type: ignore[no-any-return]


def _refusal_status(request: HttpRequest, error: UserError | None = None) -> int:
    """htmx swaps 422 and nothing else of the 4xx; browsers and programs get the refusal's own code."""
    if getattr(request, "htmx", False):
        return 422
    return error.status if error else 400


def _enter(request: HttpRequest, token: str, session: Session, target: str) -> HttpResponse:
    rotate_token(request)
    response = go(request, target)
    set_token_cookie(request, response, token, session)
    return response


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponseBase:
    target = safe_next(request.POST.get("next") or request.GET.get("next"))
    if request.method == "POST":
        form = SignInForm(request.POST)
        refused: UserError | None = None
        if form.is_valid():
            try:
                _user, token, session = services.sign_in(**form.cleaned_data, **client_of(request))
            except UserError as error:
                form.refuse(refused := error)
            else:
                return _enter(request, token, session, target)
        return _sign_in_page(request, form, target, _refusal_status(request, refused))
    if request.user.is_authenticated:
        return go(request, target)
    if not services.has_users() and services.signup_open():
        return go(request, reverse("accounts:sign-up"))  # an empty server: the first account comes first
    reason = request.GET.get("error")
    return _sign_in_page(
        request, SignInForm(notice=str(REASONS.get(reason, UNKNOWN_REASON)) if reason else ""), target, 200
    )


def _sign_in_page(request: HttpRequest, form: SignInForm, target: str, status: int) -> HttpResponse:
    wanted = SignInConfig.load().enable_login_form or "form" in request.GET or form.is_bound
    context: dict[str, Any] = {
        "form": form if wanted and settings.BOOT.enable_password_auth else None,
        "signup_open": services.signup_open(),
        "sso_list": [],
        "next": target if target != "/" else "",
    }
    return render(request, "accounts/sign_in.html", context, status=status)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponseBase:
    if request.user.is_authenticated:
        return go(request, "/")
    form = SignUpForm(request.POST if request.method == "POST" else None)
    status = 200
    if form.is_bound:
        status = _refusal_status(request)
        if form.is_valid():
            try:
                user = services.sign_up(**form.cleaned_data)
                token, session = services.open_session(user, auth_method="password", **client_of(request))
            except UserError as error:
                form.refuse(error)
                status = _refusal_status(request, error)
            else:
                return _enter(request, token, session, "/")
    elif not services.signup_open():
        return go(request, f"{reverse('accounts:sign-in')}?{urlencode({'error': 'signup_closed'})}")
    context = {"form": form, "is_first": not services.has_users()}
    return render(request, "accounts/sign_up.html", context, status=status)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponseBase:
    identity = identity_of(request)
    if identity is not None:
        services.sign_out(identity.user, identity.session)
    response = go(request, reverse("accounts:sign-in"))
    response.delete_cookie(tokens.COOKIE, samesite=same_site())
    return response


@never_cache
@require_http_methods(["GET"])
def pending(request: HttpRequest) -> HttpResponseBase:
    if not request.user.is_authenticated:
        return go(request, reverse("accounts:sign-in"))
    if _me(request).role != "pending":
        return go(request, "/")
    config = UiConfig.load()
    context: dict[str, Any] = {
        "title": config.pending_user_overlay_title,
        "content": config.pending_user_overlay_content,
        "admin": services.contact() if config.show_admin_details else None,
    }
    response = render(request, "accounts/pending.html", context)
    # The page opens by itself after the approval, without script.
    response["Refresh"] = "20"
    return response


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def settings_page(request: HttpRequest) -> HttpResponseBase:
    user = _me(request)
    form = ProfileForm(request.POST if request.method == "POST" else None, initial={"name": user.name, "bio": user.bio})
    if form.is_bound and form.is_valid():
        services.update_profile(user, **form.cleaned_data)
        return go(request, reverse("accounts:settings"))
    return _settings(request, form=form, status=_refusal_status(request) if form.is_bound else 200)


def _settings(
    request: HttpRequest,
    *,
    form: ServiceForm | None = None,
    password_form: ServiceForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = _me(request)
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
    preferences.set_theme(_me(request), request.POST.get("theme", ""))
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
            services.change_password(_me(request), **form.cleaned_data, keep=identity.session if identity else None)
        except UserError as error:
            form.refuse(refused := error)
        else:
            return go(request, reverse("accounts:settings"))
    return _settings(request, password_form=form, status=_refusal_status(request, refused))


@never_cache
@require_http_methods(["POST", "DELETE"])
@signed_in
def api_key(request: HttpRequest) -> HttpResponseBase:
    """The section of the settings page; a new key is shown this once."""
    user, key = _me(request), ""
    if request.method == "DELETE":
        services.delete_api_key(user, by=user)
    else:
        key = services.create_api_key(user)
    context = {"api_key": key, "has_api_key": bool(key), "api_keys_allowed": True}
    return render(request, "accounts/_api_key.html", context)
