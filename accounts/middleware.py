"""Puts the person on the request, for pages, REST and Django admin alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from accounts.languages import speak
from accounts.models import User
from accounts.tokens import COOKIE, Identity, identify, raw_path
from accounts.trusted import asserted_of, check_same
from owui.audit.middleware import client_ip
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from rbac.watch import Known, watch

#: seconds after which what was to end has ended
_MOMENT = 0.05
#: what a sign-in provider's session left beside ours
_OF_PROVIDER = ("oauth_id_token", "oauth_session_id")


def identity_of(request: HttpRequest) -> Identity | None:
    """Who is asking, read once a request, and answered in their language from then on. A bad credential is kept as
    `request.auth_failure` for the guards."""
    if not hasattr(request, "_identity"):
        request._identity = None  # type: ignore[attr-defined]
        request.auth_failure = None  # type: ignore[attr-defined]
        try:
            found = identify(request.headers, request.COOKIES, _raw_path(request), client_ip(request))
            check_same(found, asserted_of(request))
            request._identity = found  # type: ignore[attr-defined]
        except UserError as error:
            request.auth_failure = error  # type: ignore[attr-defined]
        found = request._identity  # type: ignore[attr-defined]
        speak(request, found.user if found else None)
    return request._identity  # type: ignore[attr-defined, no-any-return]


def known_of(request: HttpRequest, rights_end: float | None) -> Known | None:
    """What an answer to the request stands on, for the watch: who asks, and rights read since.

    :param rights_end: when, by `time.monotonic`, the first of these rights ends
    """
    mark, identity = getattr(request, "rights_mark", None), identity_of(request)
    if mark is None or identity is None:
        return None
    ends = [] if rights_end is None else [rights_end]
    if identity.expires_at is not None:
        left = (identity.expires_at - timezone.now()).total_seconds()
        ends.append(time.monotonic() + max(0.0, left) + _MOMENT)
    return Known(mark, min(ends, default=None))


def _raw_path(request: HttpRequest) -> str:
    """As it came over the wire: what a proxy before us and we ourselves may read differently is still to be seen."""
    return raw_path(request.scope) if isinstance(request, ASGIRequest) else request.path


def await_person(request: HttpRequest) -> None:
    """Before somebody asks who it is: rights are known from here on (`known_of`)."""
    if not hasattr(request, "rights_mark"):
        request.rights_mark = watch.mark()  # type: ignore[attr-defined]


def person_of(request: HttpRequest) -> User | AnonymousUser:
    """Who is asking, for a thread."""
    identity = identity_of(request)
    return identity.user if identity else AnonymousUser()


class TokenAuthenticationMiddleware(AuthenticationMiddleware):
    """`request.user` and `await request.auser()`; nothing is read until somebody asks.

    A subclass because Django admin insists on one; `__call__` is our own, since the mixin's costs async requests a hop.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self.is_async = iscoroutinefunction(get_response)

    def __call__(self, request: HttpRequest) -> Any:
        request.user = SimpleLazyObject(lambda: person_of(request))  # type: ignore[assignment]

        async def auser() -> User | AnonymousUser:
            await_person(request)
            return await in_thread(person_of)(request)

        request.auser = auser
        if self.is_async:
            return self._async(request)
        return self._clean(request, self.get_response(request))

    async def _async(self, request: HttpRequest) -> Any:
        answer: Any = self.get_response(request)
        return self._clean(request, await answer)

    @staticmethod
    def _clean(request: HttpRequest, response: Any) -> Any:
        """A dead cookie is taken away, so that the browser stops sending it."""
        failure = getattr(request, "auth_failure", None)
        if (
            failure is not None
            and failure.status == 401
            and COOKIE in request.COOKIES
            and COOKIE not in response.cookies
        ):
            for name in (COOKIE, *_OF_PROVIDER):
                if name in request.COOKIES:
                    response.delete_cookie(name, samesite=settings.SESSION_COOKIE_SAMESITE)
        return response
