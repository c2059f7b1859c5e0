"""Who may call a REST operation at all. Object rights come after, from the choke-point.

The field's levels: "current" is any valid session, also a pending one; "verified" user or admin; "admin". The person is
put on the request by the authentication middleware; these classes only look at the role.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from owui.lib.errors import ACCESS_PROHIBITED, UserError

CROSS_SITE = "This request did not come from a page of this server."
NO_KEYS = "An API key cannot be used for this. Sign in as yourself."
_OWN = ("same-origin", "none")
_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")


def _same_site(request: HttpRequest) -> bool:
    """A cookie travels with requests that other sites cause; a bearer token does not. So a changing request that is
    signed in by cookie must say that it comes from our own pages."""
    origin = request.headers.get("origin")
    if origin:
        scheme = "https" if request.is_secure() else "http"
        return origin == f"{scheme}://{request.get_host()}" or origin in settings.CSRF_TRUSTED_ORIGINS
    return request.headers.get("sec-fetch-site") in _OWN


def refuse_cross_site(request: HttpRequest) -> None:
    """For operations that set or end a session without asking who is there: a page of another site must not sign its
    visitor in as somebody else, nor make the first account of a fresh server. Programs send neither header."""
    site = request.headers.get("sec-fetch-site")
    is_told = bool(site or request.headers.get("origin"))
    if is_told and site not in _OWN and not _same_site(request):
        raise UserError(CROSS_SITE, status=403, code="cross_site")


def refuse_embedded(request: HttpRequest) -> None:
    """For a GET that changes something: a picture or a link in an answer must not cause it, only a script of a page."""
    _refuse_for(request, "empty")


def refuse_pictures(request: HttpRequest) -> None:
    """For a GET of which the audit log tells: a link may lead to it, but a picture in somebody else's words must not
    write a line in the name of whoever looks at them."""
    _refuse_for(request, "empty", "document")


def _refuse_for(request: HttpRequest, *allowed: str) -> None:
    if request.headers.get("sec-fetch-dest", "empty") not in allowed:
        raise UserError(CROSS_SITE, status=403, code="cross_site")


def _check(request: HttpRequest, user: Any, roles: tuple[str, ...]) -> Any:
    failure = getattr(request, "auth_failure", None)
    if failure is not None:
        raise failure
    identity = getattr(request, "_identity", None)
    if identity is None:
        raise UserError("Not authenticated", status=401, code="not_authenticated")
    if identity.by_cookie and request.method not in _SAFE and not _same_site(request):
        raise UserError(CROSS_SITE, status=403, code="cross_site")
    if user.role not in roles:
        raise UserError(ACCESS_PROHIBITED, status=401, code="role")
    if roles == ("admin",) and getattr(user, "model_scope", None) is not None:
        # An administrator's key that is limited to models is for using these, and looks after nothing.
        raise UserError(ACCESS_PROHIBITED, status=403, code="api_key_models")
    return user


def refuse_keys(request: HttpRequest) -> None:
    """For what only a person may do, signed in as such: whoever holds a key must not get more out of it than it is,
    nor outlive it by a new key, password or session. To be asked after the person was read."""
    identity = getattr(request, "_identity", None)
    if identity is not None and identity.method == "api_key":
        raise UserError(NO_KEYS, status=403, code="api_key_human")


class Guard:
    """For sync operations: `auth=verified`."""

    def __init__(self, *roles: str, is_human: bool = False) -> None:
        self.roles = roles
        self.is_human = is_human

    def __call__(self, request: HttpRequest) -> Any:
        bool(request.user.pk)  # reads the lazy user
        return self._found(request, request.user)

    def _found(self, request: HttpRequest, user: Any) -> Any:
        found = _check(request, user, self.roles)
        if self.is_human:
            refuse_keys(request)
        return found


class AsyncGuard(Guard):
    """For async operations; the look-up is a hop."""

    async def __call__(self, request: HttpRequest) -> Any:
        return self._found(request, await request.auser())


current = Guard("admin", "user", "pending")
verified = Guard("admin", "user")
admin = Guard("admin")
#: the same without API keys: keys, passwords, second factors, sessions
human = Guard("admin", "user", is_human=True)
current_human = Guard("admin", "user", "pending", is_human=True)
averified = AsyncGuard("admin", "user")
