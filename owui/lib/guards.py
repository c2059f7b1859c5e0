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
    if request.headers.get("sec-fetch-dest", "empty") != "empty":
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
    return user


class Guard:
    """For sync operations: `auth=verified`."""

    def __init__(self, *roles: str) -> None:
        self.roles = roles

    def __call__(self, request: HttpRequest) -> Any:
        bool(request.user.pk)  # reads the lazy user
        return _check(request, request.user, self.roles)


class AsyncGuard(Guard):
    """For async operations; the look-up is a hop."""

    async def __call__(self, request: HttpRequest) -> Any:
        user = await request.auser()
        return _check(request, user, self.roles)


current = Guard("admin", "user", "pending")
verified = Guard("admin", "user")
admin = Guard("admin")
averified = AsyncGuard("admin", "user")
