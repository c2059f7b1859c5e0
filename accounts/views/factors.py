"""Pages of the second factor: at sign-in, and among one's own settings."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.backends import totp
from accounts.forms import CodeForm, FirstCodeForm
from accounts.models import Challenge, User
from accounts.web import CHALLENGE, client_of, enter, go, refusal_status, safe_next
from owui.lib.errors import UserError


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
    if enrolls:
        context |= app_context(challenge.user)
    status = refusal_status(request, refused) if form.is_bound else 200
    return render(request, "accounts/second_factor.html", context, status=status)


def _step(request: HttpRequest, challenge: Challenge, user: User, code: str, target: str) -> HttpResponse:
    client = client_of(request)
    if challenge.step == "enroll":
        codes = services.confirm_app(user, code=code, ip=client["ip"])
        done = services.finish(challenge, second_factor="totp", **client)
        page = enter(request, done.token, done.session, target)
        shown = render(request, "accounts/recovery_codes.html", {"code_list": codes, "next": target})
        shown.cookies.update(page.cookies)
        return shown
    kind = services.verify(user, code=code, ip=client["ip"])
    done = services.finish(challenge, second_factor=kind, **client)
    return enter(request, done.token, done.session, target)


def app_context(user: User) -> dict[str, Any]:
    """The picture and the text of a secret that waits for its first code; a new one when none does."""
    secret, address = services.pending_app(user) or services.start_app(user)
    spaced = " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
    # Drawn by our own library from our own text; it holds no style and no script.
    return {"app_secret": spaced, "app_picture": mark_safe(totp.picture(address))}  # noqa: S308
