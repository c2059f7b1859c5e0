"""Who may call a REST operation at all. Object rights come after, from the choke-point.

The field's levels: "current" is any valid session, also a pending one; "verified" user or admin; "admin". The person is
put on the request by the authentication middleware; these classes only look at the role.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from owui.lib.errors import ACCESS_PROHIBITED, UserError

_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")


def _same_site(request: HttpRequest) -> bool:
    """A cookie travels with requests that other sites cause; a bearer token does not. So a changing request that is
    signed in by cookie must say that it comes from our own pages."""
    origin = request.headers.get("origin")
    if origin:
        scheme = "https" if request.is_secure() else "http"
        return origin == f"{scheme}://{request.get_host()}" or origin in settings.CSRF_TRUSTED_ORIGINS
    return request.headers.get("sec-fetch-site") in ("same-origin", "none")


def _check(request: HttpRequest, user: Any, roles: tuple[str, ...]) -> Any:
    failure = getattr(request, "auth_failure", None)
    if failure is not None:
        raise failure
    identity = getattr(request, "_identity", None)
    if identity is None:
        raise UserError("Not authenticated", status=401, code="not_authenticated")
    if identity.by_cookie and request.method not in _SAFE and not _same_site(request):
        raise UserError("This request did not come from a page of this server.", status=403, code="cross_site")
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
