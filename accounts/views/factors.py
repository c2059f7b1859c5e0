"""Pages of the second factor: at sign-in, and among one's own settings."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import panels, services
from accounts.backends import totp
from accounts.config import MfaConfig
from accounts.forms import CodeForm, FirstCodeForm, ProofForm
from accounts.middleware import identity_of
from accounts.models import Challenge, Session, User
from accounts.services import passkeys
from accounts.views.account import settings_with
from accounts.web import (
    CHALLENGE,
    client_of,
    enter,
    go,
    json_refusals,
    let_in,
    me,
    place_of,
    refusal_status,
    safe_next,
    sent_json,
    signed_in_human,
)
from owui.lib.errors import UserError

SECTION = "/settings#second-factor"


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
def sign_in_step(request: HttpRequest) -> HttpResponseBase:
    """After the first proof: the code, or setting up what gives codes."""
    target = safe_next(request.POST.get("next") or request.GET.get("next"))
    try:
        challenge = services.find_challenge(request.COOKIES.get(CHALLENGE, ""))
    except UserError:
        return go(request, f"{reverse('accounts:sign-in')}?{urlencode({'error': 'challenge_over'})}")
    assert challenge.user is not None
    enrolls = challenge.step == "enroll"
    form = (FirstCodeForm if enrolls else CodeForm)(request.POST if request.method == "POST" else None)
    refused: UserError | None = None
    if form.is_bound and form.is_valid():
        try:
            return _step(request, challenge, challenge.user, form.cleaned_data["code"], target)
        except UserError as error:
            form.refuse(refused := error)
    context: dict[str, Any] = {"form": form, "next": target if target != "/" else "", "email": challenge.user.email}
    context["has_passkey"] = challenge.user.passkeys.exists()
    if enrolls:
        context |= app_context(*services.first_app(challenge))
    status = refusal_status(request, refused) if form.is_bound else 200
    return render(request, "accounts/second_factor.html", context, status=status)


def _step(request: HttpRequest, challenge: Challenge, user: User, code: str, target: str) -> HttpResponse:
    client = client_of(request)
    if challenge.step == "enroll":
        codes = services.confirm_first_app(challenge, code=code, ip=client["ip"])
        done = services.finish(challenge, second_factor="totp", **client)
        page = enter(request, done.token, done.session, target)
        shown = render(request, "accounts/recovery_codes.html", {"code_list": codes, "next": target})
        shown.cookies.update(page.cookies)
        return shown
    kind = services.verify(user, code=code, ip=client["ip"])
    done = services.finish(challenge, second_factor=kind, **client)
    return enter(request, done.token, done.session, target)


def app_context(secret: str, address: str) -> dict[str, Any]:
    """The picture and the text of a secret that waits for its first code."""
    spaced = " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
    # Drawn by our own library from our own text; it holds no style and no script.
    return {"app_secret": spaced, "app_picture": mark_safe(totp.picture(address))}  # noqa: S308


# ------------------------------------------------------------------------------------------------------------ passkeys
@never_cache
@require_POST
@json_refusals
def passkey_question(request: HttpRequest) -> HttpResponseBase:
    """What the browser asks its passkeys at sign-in: as the second proof where one is awaited, else as the only one."""
    return JsonResponse(passkeys.ask(place_of(request), pending=_awaited(request)))


@never_cache
@require_POST
@json_refusals
def passkey_answer(request: HttpRequest) -> HttpResponseBase:
    sent, client = sent_json(request), client_of(request)
    target = safe_next(str(sent.get("next") or ""))
    outcome = passkeys.enter(
        place_of(request),
        challenge=str(sent.get("challenge_token")),
        answer=sent.get("credential"),
        pending=_awaited(request),
        **client,
    )
    page = let_in(request, outcome, target)
    response = JsonResponse({"location": page["Location"]})
    response.cookies.update(page.cookies)
    return response


def _awaited(request: HttpRequest) -> str:
    """The sign-in of this browser that waits for a second proof; empty when there is none."""
    challenge = request.COOKIES.get(CHALLENGE, "")
    try:
        services.find_challenge(challenge)
    except UserError:
        return ""
    return challenge


# --------------------------------------------------------------------------------------------------------- one's own
@never_cache
@sensitive_post_parameters("proof")
@require_POST
@signed_in_human
def confirm(request: HttpRequest) -> HttpResponseBase:
    """That it is still the same person, before factors are changed."""
    form = ProofForm(request.POST)
    refused: UserError | None = None
    if form.is_valid():
        try:
            services.prove(me(request), _session(request), **form.cleaned_data, ip=client_of(request)["ip"])
        except UserError as error:
            form.refuse(refused := error)
        else:
            return go(request, SECTION)
    return settings_with(request, status=refusal_status(request, refused), proof_form=form)


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in_human
def app(request: HttpRequest) -> HttpResponseBase:
    """Sets up an authenticator app, or another one instead."""
    services.check_fresh(_session(request))
    services.check_enabled()
    form = FirstCodeForm(request.POST if request.method == "POST" else None)
    refused: UserError | None = None
    if form.is_bound and form.is_valid():
        try:
            codes = services.confirm_app(me(request), **form.cleaned_data, ip=client_of(request)["ip"])
        except UserError as error:
            form.refuse(refused := error)
        else:
            return _codes(request, codes) if codes else go(request, SECTION)
    status = refusal_status(request, refused) if form.is_bound else 200
    waiting = services.pending_app(me(request)) or services.start_app(me(request))
    context = {"form": form, **app_context(*waiting)}
    return render(request, "accounts/app_setup.html", context, status=status)


@require_POST
@signed_in_human
def app_remove(request: HttpRequest) -> HttpResponseBase:
    services.check_fresh(_session(request))
    services.remove_app(me(request))
    return _back(request)


@never_cache
@require_POST
@signed_in_human
def codes_renew(request: HttpRequest) -> HttpResponseBase:
    services.check_fresh(_session(request))
    return _codes(request, services.renew_codes(me(request)))


@never_cache
@require_POST
@signed_in_human
@json_refusals
def passkey_options(request: HttpRequest) -> HttpResponseBase:
    services.check_fresh(_session(request))
    return JsonResponse(passkeys.ask_new(me(request), place_of(request)))


@never_cache
@require_POST
@signed_in_human
@json_refusals
def passkey_add(request: HttpRequest) -> HttpResponseBase:
    """Keeps the new passkey; the first one's recovery codes are fetched by the page that comes next."""
    services.check_fresh(_session(request))
    sent = sent_json(request)
    codes = passkeys.add(
        me(request),
        place_of(request),
        challenge=str(sent.get("challenge_token")),
        answer=sent.get("credential"),
        name=str(sent.get("name") or ""),
    )
    return JsonResponse({"location": SECTION, "codes": codes})


@require_POST
@signed_in_human
def passkey_remove(request: HttpRequest, pk: int) -> HttpResponseBase:
    services.check_fresh(_session(request))
    services.remove_passkey(me(request), pk=pk)
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    """To the section, shown anew: htmx would take the same path with an anchor for a place to scroll to."""
    response = go(request, SECTION)
    if "HX-Redirect" in response:
        del response["HX-Redirect"]
        response["HX-Refresh"] = "true"
    return response


def _session(request: HttpRequest) -> Session | None:
    identity = identity_of(request)
    return identity.session if identity else None


def _codes(request: HttpRequest, codes: list[str]) -> HttpResponse:
    return render(request, "accounts/recovery_codes.html", {"code_list": codes, "next": SECTION})


def section(request: HttpRequest) -> dict[str, Any] | None:
    """The section of the settings page; None while the second factor is off."""
    if not MfaConfig.load().enable:
        return None
    user, session = me(request), _session(request)
    return {
        "factors": services.factors_of(user),
        "is_fresh": services.is_fresh(session),
        "may_prove": user.has_usable_password() or services.has_factor(user),
        "must_have_factor": services.must_have_factor(user),
        "proof_form": ProofForm(),
    }


panels.register("second-factor", _("Second factor"), "accounts/_second_factor.html", section, order=40)
