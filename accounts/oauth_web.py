"""What the browser keeps of a sign-in by a provider: attempts on the way, and the provider's session afterwards."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.backends.oidc import presets
from accounts.config import OAuthConfig, SignInConfig
from accounts.services import Entered
from accounts.services.oauth import Arrival
from accounts.ways import Way, ways
from accounts.web import same_site
from owui.config.sections import UiConfig
from owui.lib.aio import in_thread

COOKIE_PATH = "/oauth"
#: a person may have some windows with a sign-in open; older attempts go
MOST_ATTEMPTS = 5
LONGEST_COOKIE = 3800
SESSION_COOKIE, ID_TOKEN_COOKIE = "oauth_session_id", "oauth_id_token"  # noqa: S105
_NAME = re.compile(r"oauth_attempt_[0-9a-f]{16}")


def cookie_name(state: str) -> str:
    """One cookie for each attempt, so that two windows do not disturb each other."""
    return f"oauth_attempt_{hashlib.sha256(state.encode()).hexdigest()[:16]}"


class Kept:
    """The attempts that a browser brought along."""

    def __init__(self, request: HttpRequest) -> None:
        self.cookies = request.COOKIES

    def sealed(self, state: str) -> str:
        return str(self.cookies.get(cookie_name(state), ""))

    def surplus(self, most: int) -> list[str]:
        """Attempts beyond so many. Which are the oldest, only their encrypted content says: any will do."""
        names = [name for name in self.cookies if _NAME.fullmatch(name)]
        return names[: max(0, len(names) - most)]


async def remember(request: HttpRequest, response: HttpResponse, arrival: Arrival) -> None:
    """The cookies beside the session's: this browser's session at the provider, and the ID token for older clients."""
    options: dict[str, Any] = {
        "httponly": True,
        "samesite": same_site(),
        "secure": settings.BOOT.webui_auth_cookie_secure or request.is_secure(),
        "max_age": _age(arrival),
    }
    response.set_cookie(SESSION_COOKIE, arrival.oauth_session_id, **options)
    wants = (await in_thread(OAuthConfig.load)()).enable_id_token_cookie
    if wants and arrival.id_token and len(arrival.id_token) <= LONGEST_COOKIE:
        response.set_cookie(ID_TOKEN_COOKIE, arrival.id_token, **options)
    else:
        response.delete_cookie(ID_TOKEN_COOKIE)


def _age(arrival: Arrival) -> int | None:
    if not isinstance(arrival.outcome, Entered):
        return None
    session = arrival.outcome.session
    return int((session.expires_at - session.created_at).total_seconds()) if session.expires_at else None


def forget(response: HttpResponse) -> None:
    """With the session's cookie go the provider's."""
    for name in (SESSION_COOKIE, ID_TOKEN_COOKIE):
        response.delete_cookie(name, samesite=same_site())


def leave(request: HttpRequest, address: str) -> HttpResponse:
    """On to the provider's own sign-out. A page that goes on by itself: a form of ours may only lead to ourselves
    (form-action), also by a redirect."""
    response = render(request, "accounts/signed_out.html", {"address": address})
    response["Refresh"] = f"0; url={address}"
    return response


async def other_host(request: HttpRequest) -> str:
    """The same page at WEBUI_URL, when the browser came by another name: the provider sends it back to that one, where
    a cookie set here would be missing. Once only: behind some proxies the names never agree."""
    url = (await in_thread(UiConfig.load)()).url
    if not url or "at" in request.GET or urlsplit(url).netloc == request.get_host():
        return ""
    return f"{url.rstrip('/')}{request.path}?{urlencode({**request.GET.dict(), 'at': '1'})}"


def providers() -> dict[str, str]:
    """Key to label, as `/api/config` names them."""
    return {key: provider.label for key, provider in presets.configured().items()}


def provider_ways() -> list[Way]:
    """The buttons of the sign-in page."""
    return [
        Way(key, _("Continue with %(name)s") % {"name": label}, reverse("accounts:oauth-login", args=[key]))
        for key, label in providers().items()
    ]


def straight_to(request: HttpRequest, target: str) -> str:
    """Where the sign-in page leads at once (OAUTH_AUTO_REDIRECT): the form is off, and one provider is the only way. A
    person who was refused or signed out sees the page."""
    if not OAuthConfig.load().auto_redirect or SignInConfig.load().enable_login_form:
        return ""
    if any(name in request.GET for name in ("form", "error", "signed_out")):
        return ""
    found = ways(next_url=target)
    return found[0].url if len(found) == 1 and found[0].key in providers() else ""
