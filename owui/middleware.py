"""Django's middleware, with its hooks on the event loop.

Django sends each hook of an async request through a thread, for middleware that waits for something. These only
compute: two dozen changes of thread cost a small request more than all else it does. The settings name Django's own
classes, which is what Django's deploy checks look at; only `Handler`, behind which the site runs, exchanges them.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.locale import LocaleMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin

#: methods for which the CSRF check reads no form
_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")


class OnLoop(MiddlewareMixin):
    """Runs the hooks where the request is. They must not wait: no database, no file, no network."""

    async def __acall__(self, request: HttpRequest) -> Any:
        before: Any = getattr(self, "process_request", None)
        after: Any = getattr(self, "process_response", None)
        response = before(request) if before else None
        if response is None:
            answer: Any = self.get_response(request)
            response = await answer
        return after(request, response) if after else response


class Security(OnLoop, SecurityMiddleware):
    pass


class Csp(OnLoop, CSPMiddleware):
    pass


class Sessions(OnLoop, SessionMiddleware):
    """Sessions lie in a signed cookie; a store that waits would hold up all requests."""


class Locale(OnLoop, LocaleMiddleware):
    pass


class Common(OnLoop, CommonMiddleware):
    pass


class Csrf(OnLoop, CsrfViewMiddleware):
    """The check of a form goes through a thread: it reads the form, and that may be an upload of any size."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        if self.async_mode:
            self.process_view: Any = self._check

    async def _check(self, request: HttpRequest, callback: Any, *arguments: Any) -> Any:
        check = super().process_view
        if request.method in _SAFE or getattr(callback, "csrf_exempt", False):
            return check(request, callback, *arguments)
        return await sync_to_async(check, thread_sensitive=True)(request, callback, *arguments)


class Messages(OnLoop, MessageMiddleware):
    pass


class XFrameOptions(OnLoop, XFrameOptionsMiddleware):
    pass


ON_LOOP = {
    f"{cls.__bases__[1].__module__}.{cls.__bases__[1].__name__}": f"{__name__}.{cls.__name__}"
    for cls in (Security, Csp, Sessions, Locale, Common, Csrf, Messages, XFrameOptions)
}


class Handler(ASGIHandler):
    """Django's handler of HTTP, with what is in `ON_LOOP` instead of what the settings name."""

    def load_middleware(self, is_async: bool = False) -> None:
        named = settings.MIDDLEWARE
        settings.MIDDLEWARE = [ON_LOOP.get(name, name) for name in named]
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = named
