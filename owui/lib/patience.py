"""An end for readers that take nothing.

A server takes nothing more from us when a peer does not read (uvicorn above 64 KB: `await send` waits), so nothing is
piled up for it. But it waits for ever: a peer that is alive and never reads would hold its socket, its answer and the
connection to the model server until the process ends. Closing does not help, as that waits for what was written before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any

log = logging.getLogger(__name__)
App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class Patience:
    """ASGI middleware: cuts a connection whose peer has not taken one message for so many seconds. A browser sees a
    connection that broke: its page connects again and gets what is then."""

    def __init__(self, app: App, seconds: float) -> None:
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        async def patient(message: Any) -> None:
            sending = send(message)
            try:
                waiting = sending.send(None)
            except StopIteration:
                return  # as nearly always: a timer for each message would cost as much as the message
            try:
                async with asyncio.timeout(self.seconds) as limit:
                    await _Rest(sending, waiting)
            except TimeoutError:
                if not limit.expired():
                    raise
                log.warning("%s: the reader took nothing for %g seconds and is cut off", scope["path"], self.seconds)
                _cut(send)
                # Now that the connection is lost the server says so in the way it always does.
                await send(message)

        await self.app(scope, receive, patient)


class _Rest:
    """The rest of a coroutine that has begun and waits for something."""

    def __init__(self, work: Coroutine[Any, Any, None], waiting: Any) -> None:
        self.work, self.waiting = work, waiting

    def __await__(self) -> Generator[Any, Any, None]:
        waiting = self.waiting
        while True:
            try:
                value = yield waiting
            except BaseException as error:
                step = partial(self.work.throw, error)
            else:
                step = partial(self.work.send, value)
            try:
                waiting = step()
            except StopIteration:
                return


def _cut(send: Any) -> None:
    """Throws away what the peer did not take. ASGI has no word for that; uvicorn's `send` is a method of what owns the
    transport. With another server the task waits on, as it did before."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
