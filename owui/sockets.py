"""Who is behind a socket: the same look-up as for pages and REST, and the same origin rule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import parse_cookie
from django.utils import translation

from accounts.languages import language_for
from accounts.tokens import Identity, identify, raw_path
from accounts.trusted import ASSERTED, Asserted, check_same
from owui.audit.middleware import nearest_stranger
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from rbac.sharing import is_verified
from rbac.watch import watch

UNAUTHORISED, FOREIGN_ORIGIN, TOO_MANY = 4401, 4403, 4429


def _origin_allowed(headers: dict[str, str]) -> bool:
    """Browsers always send Origin with a socket; programs send none and must then bring a bearer token. Pages of other
    sites only where CORS_ALLOW_ORIGIN or WEBUI_URL names them: a socket is opened with the cookie, like a form."""
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host") or origin in settings.CSRF_TRUSTED_ORIGINS


def _identify(
    headers: dict[str, str], cookies: dict[str, str], path: str, address: str, asserted: Asserted | None
) -> Identity | None:
    try:
        identity = identify(headers, cookies, path, address)
        check_same(identity, asserted)
    except UserError:
        return None
    return identity if identity is not None and is_verified(identity.user) else None


class TokenAuthSocket:
    """ASGI middleware: puts `user`, `identity` and, as `rights_mark`, the moment of reading them into the scope,
    or refuses the handshake."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        cookies = parse_cookie(headers.get("cookie", ""))
        if not _origin_allowed(headers):
            await _refuse(receive, send, FOREIGN_ORIGIN)
            return
        peer = (scope.get("client") or ("",))[0] or ""
        mark = watch.mark()
        address = nearest_stranger(peer, headers.get("x-forwarded-for", ""))
        identity = await in_thread(_identify)(headers, cookies, raw_path(scope), address, scope.get(ASSERTED))
        if identity is None or (identity.by_cookie and "origin" not in headers):
            await _refuse(receive, send, UNAUTHORISED)
            return
        # What is drawn for this socket is for one reader, and the tasks that draw it inherit the language.
        translation.activate(await in_thread(language_for)(identity.user, cookies, headers.get("accept-language", "")))
        await self.app({**scope, "user": identity.user, "identity": identity, "rights_mark": mark}, receive, send)


async def _refuse(receive: Any, send: Any, code: int) -> None:
    """Accepts and closes with a code of ours, so that the page can tell "signed out" from "server away"."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": code})
