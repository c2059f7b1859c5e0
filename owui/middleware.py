"""Django's middleware, with its hooks on the event loop.

Django sends each hook of an async request through a thread, for middleware that waits for something. These only
compute: two dozen changes of thread cost a small request more than all else it does. The settings name Django's own
classes, which is what Django's deploy checks look at; only `Handler`, behind which the site runs, exchanges them.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from asgiref.sync import SyncToAsync, sync_to_async
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.signals import request_finished
from django.http import HttpRequest
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.locale import LocaleMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import ResolverMatch, set_script_prefix
from django.utils.deprecation import MiddlewareMixin

#: methods for which the CSRF check reads no form
_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
#: bytes of a form that is read where the request is: less work than a change of threads
SMALL_FORM = 64 * 1024


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
    """The check reads the form, and that may be an upload of any size: then it goes through a thread."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        if self.async_mode:
            self.process_view: Any = self._check

    async def _check(self, request: HttpRequest, callback: Any, *arguments: Any) -> Any:
        check = super().process_view
        if request.method in _SAFE or getattr(callback, "csrf_exempt", False) or _is_small(request):
            return check(request, callback, *arguments)
        return await sync_to_async(check, thread_sensitive=True)(request, callback, *arguments)


def _is_small(request: HttpRequest) -> bool:
    length = request.META.get("CONTENT_LENGTH") or ""
    return length.isdecimal() and int(length) <= SMALL_FORM


class Messages(OnLoop, MessageMiddleware):
    pass


class XFrameOptions(OnLoop, XFrameOptionsMiddleware):
    pass


ON_LOOP = {
    f"{cls.__bases__[1].__module__}.{cls.__bases__[1].__name__}": f"{__name__}.{cls.__name__}"
    for cls in (Security, Csp, Sessions, Locale, Common, Csrf, Messages, XFrameOptions)
}


#: routes without arguments that are remembered by their path
_ROUTES = 1000


class Handler(ASGIHandler):
    """Django's handler of HTTP, with what is in `ON_LOOP` instead of what the settings name.

    Django's own starts two threads for each request, only to tell its start and its end: a thread of the request's own
    and one that waits for it. Here such a thread comes with the first sync view or hook that needs it, and then the end
    is told in it, because its database connection is given back there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._routes: dict[str, ResolverMatch] = {}

    def load_middleware(self, is_async: bool = False) -> None:
        named = settings.MIDDLEWARE
        settings.MIDDLEWARE = [ON_LOOP.get(name, name) for name in named]
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = named

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """As Django's, which stands on `request_started` (nothing is open in a thread that is not there yet)."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        set_script_prefix(get_script_prefix(scope))
        request, refusal = self.create_request(scope, body)
        if request is None:
            assert refusal is not None
            body.close()
            await self.send_response(refusal, send)
            await _end(refusal.close)
            return

        async def answer() -> Any:
            response = await self.run_get_response(request)
            # The reader may be gone half way.
            with suppress(asyncio.CancelledError):
                await self.send_response(response, send)
            return response

        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        answering = asyncio.create_task(answer())
        await asyncio.wait((leaving, answering), return_when=asyncio.FIRST_COMPLETED)
        try:
            for task in (leaving, answering):
                if not task.done():
                    task.cancel()
                with suppress(RequestAborted, asyncio.CancelledError):
                    await task
            response = None if answering.cancelled() else answering.result()
            await _end(response.close if response else partial(request_finished.send, sender=self.__class__))
        finally:
            body.close()

    def resolve_request(self, request: HttpRequest) -> Any:
        """There are three hundred routes, and Django tries them one after the other."""
        if hasattr(request, "urlconf"):
            return super().resolve_request(request)
        match = self._routes.get(request.path_info)
        if match is None:
            match = super().resolve_request(request)
            if not match.kwargs and not match.args and len(self._routes) < _ROUTES:
                self._routes[request.path_info] = match
        request.resolver_match = match
        return match


async def _end(close: Any) -> None:
    """Ends a request, in its own thread if it has one."""
    own = SyncToAsync.thread_sensitive_context.get(None)
    if own is not None and own in SyncToAsync.context_to_thread_executor:
        await sync_to_async(close)()
    else:
        close()
