"""What pages and REST share about a browser: its cookie, its address, and who may open a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from functools import wraps
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import rotate_token
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _

from accounts.backends.passkeys import Place
from accounts.middleware import await_person, person_of
from accounts.models import Session, User
from accounts.services import PATIENCE, Entered, Pending
from accounts.tokens import COOKIE
from owui.audit.middleware import request_info
from owui.config.sections import UiConfig
from owui.lib.errors import UserError
from owui.lib.guards import refuse_keys

#: the cookie of a sign-in that waits for its second factor
CHALLENGE = "mfa_challenge"
_AsyncView = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def client_of(request: HttpRequest) -> dict[str, Any]:
    """Address and browser of the caller, for the session list and the audit log."""
    info = request_info(request)
    ip: str | None
    try:
        ip = str(ip_address(info.ip))
    except ValueError:
        ip = None  # what a proxy forwarded is no address
    return {"user_agent": info.user_agent, "ip": ip}


def set_token_cookie(request: HttpRequest, response: HttpResponse, token: str, session: Session) -> None:
    """The session cookie: HttpOnly, SameSite; Secure by setting or when the request came over TLS."""
    age = int((session.expires_at - session.created_at).total_seconds()) if session.expires_at else 10 * 365 * 86400
    response.set_cookie(
        COOKIE,
        token,
        max_age=age,
        httponly=True,
        secure=settings.BOOT.webui_auth_cookie_secure or request.is_secure(),
        samesite=same_site(),
    )


def same_site() -> Any:
    """The cookie's SameSite, as the boot setting says it."""
    return settings.SESSION_COOKIE_SAMESITE


def me(request: HttpRequest) -> User:
    """The person on the request, behind one of the doors below."""
    user: Any = request.user
    return user  # type: ignore[no-any-return]


def safe_next(target: str | None) -> str:
    """A path on this server, or the start page: never another site, whatever a link says."""
    if target and target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        return target
    return "/"


def refusal_status(request: HttpRequest, error: UserError | None = None) -> int:
    """htmx swaps 422 and nothing else of the 4xx; browsers and programs get the refusal's own code."""
    if getattr(request, "htmx", False):
        return 422
    return error.status if error else 400


def enter(request: HttpRequest, token: str, session: Session, target: str) -> HttpResponse:
    """Lets a person in whose proof was accepted: a new CSRF token, the session's cookie, on to the page."""
    rotate_token(request)
    response = go(request, target)
    set_token_cookie(request, response, token, session)
    if CHALLENGE in request.COOKIES:
        response.delete_cookie(CHALLENGE)
    return response


def let_in(request: HttpRequest, outcome: Entered | Pending, target: str) -> HttpResponse:
    """What a page of any way of signing in answers after `services.begin_session`: in, or on to the second factor."""
    if isinstance(outcome, Entered):
        return enter(request, outcome.token, outcome.session, target)
    query = f"?{urlencode({'next': target})}" if target != "/" else ""
    response = go(request, f"{reverse('accounts:second-factor')}{query}")
    set_challenge_cookie(request, response, outcome.challenge)
    return response


def set_challenge_cookie(request: HttpRequest, response: HttpResponse, challenge: str) -> None:
    """Which sign-in of this browser waits for its second factor. Lax: a provider may be what leads back here."""
    response.set_cookie(
        CHALLENGE,
        challenge,
        max_age=int(PATIENCE.total_seconds()),
        httponly=True,
        secure=settings.BOOT.webui_auth_cookie_secure or request.is_secure(),
        samesite="Lax",
    )


def public_url(request: HttpRequest) -> str:
    """Where browsers reach this site: as it is configured, else as this browser says."""
    return UiConfig.load().url.rstrip("/") or f"{request.scheme}://{request.get_host()}"


def place_of(request: HttpRequest) -> Place:
    """The site as passkeys know it."""
    parts = urlsplit(public_url(request))
    return Place(parts.hostname or "", f"{parts.scheme}://{parts.netloc}")


def json_refusals(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """For views that a script of our pages calls: a refusal is `{"detail": text}`."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except UserError as error:
            return JsonResponse({"detail": error.message}, status=error.status)

    return page


def sent_json(request: HttpRequest) -> dict[str, Any]:
    """The object in the body of such a call."""
    try:
        found = json.loads(request.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(_("The request could not be understood. Reload the page and try again."))
    return found


def go(request: HttpRequest, url: str) -> HttpResponse:
    """A redirect that also works for a request made by htmx, which would otherwise swap the target page in."""
    if getattr(request, "htmx", False):
        response = HttpResponse(status=200)
        response["HX-Redirect"] = url
        return response
    return HttpResponseRedirect(url)


def signed_in(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A page for verified people: strangers go to sign-in and come back, pending accounts to the waiting page."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = request.user
        if not user.is_authenticated:
            target = request.get_full_path() if request.method == "GET" and not getattr(request, "htmx", False) else "/"
            return go(request, f"{reverse('accounts:sign-in')}?{urlencode({'next': target})}")
        if user.role not in ("user", "admin"):
            return go(request, reverse("accounts:pending"))
        return view(request, *args, **kwargs)

    return page


def signed_in_human(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The same door, shut for API keys: for pages about keys, passwords, second factors and sessions."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        bool(request.user.pk)  # reads the lazy user
        refuse_keys(request)
        return view(request, *args, **kwargs)

    return signed_in(page)


def asigned_in(view: _AsyncView) -> _AsyncView:
    """The same door for async views."""

    @wraps(view)
    async def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        away = _elsewhere(request, await request.auser())
        return away or await view(request, *args, **kwargs)

    return page


class TurnedAway(Exception):
    """Somebody met the door inside; `answer` leads to where they have to go first."""

    def __init__(self, answer: HttpResponse) -> None:
        super().__init__()
        self.answer = answer


def door_inside(view: _AsyncView) -> _AsyncView:
    """For async views that ask who is there themselves, by `insider`, inside the hop to the database that they take
    anyway: the door above is a hop of its own. Nothing is done before it is asked."""

    @wraps(view)
    async def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        await_person(request)
        try:
            return await view(request, *args, **kwargs)
        except TurnedAway as away:
            return away.answer

    return page


def insider(request: HttpRequest) -> User:
    """The person on the request, behind the same door. For a thread.

    :raises TurnedAway: for strangers and those who wait for approval; `door_inside` answers it
    """
    user: Any = person_of(request)
    if (away := _elsewhere(request, user)) is not None:
        raise TurnedAway(away)
    return user  # type: ignore[no-any-return]


def _elsewhere(request: HttpRequest, user: Any) -> HttpResponse | None:
    """Where somebody has to go first."""
    if not user.is_authenticated:
        return go(request, reverse("accounts:sign-in"))
    if user.role not in ("user", "admin"):
        return go(request, reverse("accounts:pending"))
    return None
