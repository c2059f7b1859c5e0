"""To a provider and back; its own way to tell that it signed a person out."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from accounts.oauth_web import COOKIE_PATH, MOST_ATTEMPTS, Kept, cookie_name, other_host, remember
from accounts.services import oauth
from accounts.services.oauth.logout import BadLogoutToken
from accounts.web import client_of, let_in, safe_next
from owui.lib.errors import Missing, UserError


@never_cache
@require_GET
async def login(request: HttpRequest, provider: str) -> HttpResponseBase:
    """Sends the browser to the provider, with the attempt in a cookie of its own."""
    target = safe_next(request.GET.get("next"))
    if elsewhere := await other_host(request):
        return HttpResponseRedirect(elsewhere)
    try:
        url, attempt = await oauth.begin(provider, base=base_of(request), next_url=target)
    except Missing:
        raise
    except UserError as error:
        return _refused(error)
    response = HttpResponseRedirect(url)
    kept = Kept(request)
    for name in kept.surplus(MOST_ATTEMPTS - 1):
        response.delete_cookie(name, path=COOKIE_PATH)
    response.set_cookie(
        cookie_name(attempt.state), attempt.sealed(), max_age=600, path=COOKIE_PATH, httponly=True,
        # Lax whatever the session's cookie is: the browser comes back by a link of the provider.
        samesite="Lax", secure=is_secure(request),
    )  # fmt: skip
    return response


@never_cache
@require_GET
async def callback(request: HttpRequest, provider: str) -> HttpResponseBase:
    """Where the provider sends the browser back to."""
    query = {name: request.GET.get(name, "") for name in ("state", "code", "error")}
    if "iss" in request.GET:
        query["iss"] = request.GET["iss"]
    try:
        arrival = await oauth.finish(provider, query, Kept(request).sealed, **client_of(request))
    except Missing:
        raise
    except UserError as error:
        response: HttpResponse = _refused(error)
    else:
        response = let_in(request, arrival.outcome, arrival.next)
        await remember(request, response, arrival)
    response.delete_cookie(cookie_name(query["state"]), path=COOKIE_PATH)
    return response


@csrf_exempt
@never_cache
@require_POST
async def backchannel_logout(request: HttpRequest) -> HttpResponseBase:
    """OpenID Connect Back-Channel Logout: the provider's server tells ours; no browser and no cookie is in it."""
    try:
        await oauth.logout_by_provider(request.POST.get("logout_token", ""))
    except BadLogoutToken as error:
        return JsonResponse({"error": error.code, "error_description": error.message}, status=400)
    except Missing:
        return JsonResponse({"detail": "Not Found"}, status=404)
    return JsonResponse({})


def _refused(error: UserError) -> HttpResponse:
    """The sign-in page with a reason that it knows; never with a text from outside."""
    return HttpResponseRedirect(f"{reverse('accounts:sign-in')}?{urlencode({'error': error.code})}")


def base_of(request: HttpRequest) -> str:
    return request.build_absolute_uri("/").rstrip("/")


def is_secure(request: HttpRequest) -> Any:
    return settings.BOOT.webui_auth_cookie_secure or request.is_secure()
