"""Pages before one is in: sign in, sign up, sign out, wait for approval."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import services, tokens, trusted
from accounts.config import OAuthConfig, SignInConfig
from accounts.forms import GOOD_NEWS, REASONS, UNKNOWN_REASON, ForgotForm, ResetForm, SignInForm, SignUpForm
from accounts.middleware import identity_of
from accounts.oauth_web import forget, leave, straight_to
from accounts.services import passkeys, resets
from accounts.services.oauth import sign_out_address
from accounts.ways import ways
from accounts.web import CHALLENGE, client_of, go, let_in, me, refusal_status, safe_next, same_site
from owui.config.sections import UiConfig
from owui.lib.errors import UserError


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponseBase:
    target = safe_next(request.POST.get("next") or request.GET.get("next"))
    if services.is_alone():
        if request.user.is_authenticated:
            return go(request, target)
        outcome: Any = services.sign_in_alone(host=request.get_host(), **client_of(request))
        return let_in(request, outcome, target)
    if door := _other_door(request, target):
        return door
    if request.method == "POST":
        form = SignInForm(request.POST)
        refused: UserError | None = None
        if form.is_valid():
            try:
                outcome = services.sign_in(**form.cleaned_data, **client_of(request))
            except UserError as error:
                form.refuse(refused := error)
            else:
                return let_in(request, outcome, target)
        return _sign_in_page(request, form, target, refusal_status(request, refused))
    if request.user.is_authenticated:
        return go(request, target)
    if "mfa" in request.GET and request.COOKIES.get(CHALLENGE):
        return go(request, reverse("accounts:second-factor"))  # where the field's clients expect to be led
    reason = request.GET.get("error")
    if not services.has_users() and services.signup_open() and not reason and not ways():
        return go(request, reverse("accounts:sign-up"))  # an empty server: the first account comes first
    if straight := straight_to(request, target):
        return go(request, straight)
    return _sign_in_page(
        request, SignInForm(notice=str(REASONS.get(reason, UNKNOWN_REASON)) if reason else ""), target, 200
    )


def _other_door(request: HttpRequest, target: str) -> HttpResponse | None:
    """Where a proxy signs people in, or the directory is the only way, their own page is the door."""
    found, query = ways(), f"?{urlencode({'next': target})}" if target != "/" else ""
    if trusted.is_on() and (trusted.asserted_of(request) or not found):
        return go(request, reverse("accounts:header-sign-in") + query)
    is_plain = request.method == "GET" and not request.user.is_authenticated and not request.GET.keys() - {"next"}
    is_only = [way.key for way in found] == ["ldap"] and not SignInConfig.load().enable_login_form
    return go(request, found[0].url + query) if is_plain and is_only else None


def _sign_in_page(request: HttpRequest, form: SignInForm, target: str, status: int) -> HttpResponse:
    wanted = SignInConfig.load().enable_login_form or "form" in request.GET or form.is_bound
    context: dict[str, Any] = {
        "form": form if wanted and settings.BOOT.enable_password_auth and not trusted.is_on() else None,
        "said": form,
        "signup_open": services.signup_open(),
        "way_list": ways(next_url=target),
        "reset_offered": resets.offered(),
        "passkeys_offered": passkeys.offered(),
        "notice": SignInConfig.load().sign_in_notice,
        "is_done": request.GET.get("error") in GOOD_NEWS,
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
        status = refusal_status(request)
        if form.is_valid():
            try:
                user = services.sign_up(**form.cleaned_data, ip=client_of(request)["ip"])
                outcome = services.begin_session(user, auth_method="password", **client_of(request))
            except UserError as error:
                form.refuse(error)
                status = refusal_status(request, error)
            else:
                return let_in(request, outcome, "/")
    elif not services.signup_open():
        return go(request, f"{reverse('accounts:sign-in')}?{urlencode({'error': 'signup_closed'})}")
    context = {"form": form, "is_first": not services.has_users()}
    return render(request, "accounts/sign_up.html", context, status=status)


@never_cache
@require_http_methods(["GET", "POST"])
def forgot(request: HttpRequest) -> HttpResponseBase:
    """Asks for a mail. The answer is the same whether or not there is such an account."""
    if not resets.offered():
        return go(request, reverse("accounts:sign-in"))
    form = ForgotForm(request.POST if request.method == "POST" else None)
    refused: UserError | None = None
    if form.is_bound and form.is_valid():
        try:
            services.request_reset(email=form.cleaned_data["email"], ip=client_of(request)["ip"])
        except UserError as error:
            form.refuse(refused := error)
        else:
            return render(request, "accounts/forgot.html", {"email": form.cleaned_data["email"]})
    status = refusal_status(request, refused) if form.is_bound else 200
    return render(request, "accounts/forgot.html", {"form": form}, status=status)


@never_cache
@sensitive_post_parameters("new")
@require_http_methods(["GET", "POST"])
def reset(request: HttpRequest) -> HttpResponseBase:
    """The page that the mail leads to."""
    token = request.POST.get("token") or request.GET.get("token", "")
    form = ResetForm(request.POST if request.method == "POST" else None)
    refused: UserError | None = None
    try:
        user = services.find_reset(token)
        if form.is_bound and form.is_valid():
            services.reset_password(token=token, new=form.cleaned_data["new"])
            return go(request, f"{reverse('accounts:sign-in')}?{urlencode({'error': 'password_changed'})}")
    except UserError as error:
        if error.code == "reset_over":
            return go(request, f"{reverse('accounts:sign-in')}?{urlencode({'error': 'reset_over'})}")
        form.refuse(refused := error)
    status = refusal_status(request, refused) if form.is_bound else 200
    return render(request, "accounts/reset.html", {"form": form, "token": token, "email": user.email}, status=status)


def _after_sign_out() -> str:
    if away := settings.BOOT.webui_auth_signout_redirect_url:
        return str(away)
    if trusted.is_on():
        return f"{reverse('accounts:header-sign-in')}?signed_out=1"
    # Not at once to the provider and in again.
    return reverse("accounts:sign-in") + ("?signed_out=1" if OAuthConfig.load().auto_redirect else "")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponseBase:
    identity = identity_of(request)
    address = ""
    if identity is not None:
        address = sign_out_address(identity.session, request.build_absolute_uri("/"))
        services.sign_out(identity.user, identity.session)
    response = leave(request, address) if address else go(request, _after_sign_out())
    response.delete_cookie(tokens.COOKIE, samesite=same_site())
    forget(response)
    return response


@never_cache
@require_http_methods(["GET"])
def pending(request: HttpRequest) -> HttpResponseBase:
    if not request.user.is_authenticated:
        return go(request, reverse("accounts:sign-in"))
    if me(request).role != "pending":
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
