"""Start and end of an ASGI process: the turn runner, the audit sealer, the shared HTTP client."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from typing import Any

from django.db import DatabaseError

from accounts import oauth_warnings
from accounts.services import check_alone, ensure_configured_admin
from chat.after import afterwards
from chat.nodes import nodes
from chat.runner import runner
from owui import warm
from owui.audit.sealer import seal_forever
from owui.lib import ending
from owui.lib.aio import end, in_thread
from owui.lib.errors import UserError
from owui.lib.http import close_client

log = logging.getLogger(__name__)


def _configured_admin() -> None:
    """WEBUI_ADMIN_EMAIL may be set after the first migration; a database that is away stops nothing here."""
    try:
        ensure_configured_admin()
    except (DatabaseError, UserError) as error:
        log.warning("The configured administrator could not be made: %s", error)


def _refusal() -> str:
    """Why this process must not serve; empty when it may. A database that is away stops nothing here: each sign-in asks
    the same again."""
    try:
        check_alone()
    except UserError as error:
        return error.message
    except DatabaseError as error:
        log.warning("Whether there are accounts cannot be asked yet: %s", error)
    return ""


def _warn() -> None:
    """What an operator should know of the sign-in providers that are configured."""
    try:
        oauth_warnings.tell()
    except DatabaseError as error:
        log.warning("The sign-in providers could not be looked at: %s", error)


def begin_drain() -> None:
    """The process was asked to end: no load balancer shall send anybody any more, and the time of answers that are
    being written begins to run. Without it the end of the lifespan does the same, later."""
    ending.begin()
    runner.drain()


class Draining:
    """Says with every answer of a process that ends that the connection ends too, so that the next question of the
    proxy behind it goes to another node."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if not ending.is_asked() or scope["type"] != "http":
            await self.application(scope, receive, send)
            return

        async def last(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self.application(scope, receive, last)


class Lifespan:
    """The ASGI lifespan protocol."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        stop = asyncio.Event()
        sealer: asyncio.Task[None] | None = None
        tidier: asyncio.Task[None] | None = None
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                if refusal := await in_thread(_refusal)():
                    log.critical(refusal)
                    await send({"type": "lifespan.startup.failed", "message": refusal})
                    return
                await in_thread(_configured_admin)()
                await in_thread(_warn)()
                warm.prepare()
                # Threads hand the interpreter over ten times sooner than by default: the loop waits for it behind each
                # thread that computes, and so do answers that begin.
                sys.setswitchinterval(0.0005)
                await nodes.start()
                await runner.start()
                afterwards.start()
                sealer = asyncio.create_task(seal_forever(stop), name="audit-sealer")
                tidier = asyncio.create_task(warm.tidy(), name="tidy")
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                stop.set()
                await runner.stop()
                await afterwards.stop()
                await nodes.stop()
                if tidier is not None:
                    await end([tidier])
                if sealer is not None:
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.wait_for(sealer, 5)
                await close_client()
                await send({"type": "lifespan.shutdown.complete"})
                return
