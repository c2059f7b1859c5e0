"""Reading a turn from any position, in any process.

In the process that runs it: from memory. Elsewhere: from the saved log, with the broker's news in between. Whatever
the broker loses (a restart, a reader that came late) is seen as a gap in the numbers and read from the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from channels.layers import get_channel_layer

from chat import turnlog
from chat.engine.events import FINISH, Logged
from chat.models import State
from chat.runner import runner
from owui.lib.aio import in_thread
from owui.lib.bus import BROKER_ERRORS

Numbered = tuple[int, Logged]
POLL = 1.0


async def follow(turn_id: uuid.UUID, after: int = 0) -> AsyncGenerator[list[Numbered], None]:
    """Yields batches of numbered events behind a position, each exactly once and in order, until the turn is over.

    A slow reader gets everything new in one larger batch; nothing is buffered for it.
    """
    live = runner.turns.get(turn_id)
    if live is None:
        async with aclosing(_remote(turn_id, after)) as batches:
            async for batch in batches:
                yield batch
        return
    while True:
        await live.news(after)
        events = live.after(after)
        if not events:
            return
        yield list(enumerate(events, start=after + 1))
        after += len(events)


async def _remote(turn_id: uuid.UUID, after: int) -> AsyncGenerator[list[Numbered], None]:
    news = _News(turn_id)
    await news.open()
    try:
        while True:
            saved, state = await in_thread(turnlog.read)(turn_id, after)
            if saved:
                after = saved[-1][0]
                yield saved
                if saved[-1][1][0] == FINISH:
                    return
            if state != State.RUNNING:
                # Somebody else ended it: what is in the message is not all in the log.
                yield [(after + 1, (FINISH, {"state": state, "error": "", "elsewhere": True}))]
                return
            # While the news fit on seamlessly the database is not asked at all.
            while True:
                batch = await news.next(after, timeout=POLL)
                if batch is None:
                    break
                after = batch[-1][0]
                yield batch
                if batch[-1][1][0] == FINISH:
                    return
    finally:
        await news.close()


class _News:
    """The broker's messages about one turn."""

    def __init__(self, turn_id: uuid.UUID) -> None:
        self.group = f"turn.{turn_id}"
        self.layer: Any = get_channel_layer()
        self.channel = ""
        self._waiting: asyncio.Task[Any] | None = None

    async def open(self) -> None:
        with contextlib.suppress(*BROKER_ERRORS):
            async with asyncio.timeout(2):
                channel = await self.layer.new_channel()
                await self.layer.group_add(self.group, channel)
                self.channel = channel

    async def next(self, after: int, timeout: float) -> list[Numbered] | None:
        """The next batch that follows a position; None for "ask the database": a gap, the end, or silence."""
        end = asyncio.get_running_loop().time() + timeout
        while True:
            message = await self._receive(end - asyncio.get_running_loop().time())
            if message is None or message["type"] != "turn.news":
                return None
            first, events = message["first_seq"], message["events"]
            if first > after + 1:
                # The rows up to there are saved within half a second.
                await asyncio.sleep(0.1)
                return None
            fresh = behind(first, events, after)
            if fresh:
                return fresh

    async def _receive(self, timeout: float) -> dict[str, Any] | None:
        """A message, or None after the time. The wait itself is never cancelled: the layer would give up the channel,
        and ask a broker that may be away to do so."""
        timeout = max(0.0, timeout)
        if not self.channel:
            await asyncio.sleep(timeout)
            return None
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self.layer.receive(self.channel))
        done, _pending = await asyncio.wait({self._waiting}, timeout=timeout)
        if not done:
            return None
        task, self._waiting = self._waiting, None
        try:
            message: dict[str, Any] = task.result()
        except BROKER_ERRORS:
            await asyncio.sleep(min(timeout, 0.5))
            return None
        return message

    async def close(self) -> None:
        if not self.channel:
            return
        with contextlib.suppress(*BROKER_ERRORS):
            async with asyncio.timeout(2):
                await self.layer.group_discard(self.group, self.channel)
        with contextlib.suppress(*BROKER_ERRORS):
            async with asyncio.timeout(2):
                await self._forget()

    async def _forget(self) -> None:
        """The layer forgets a channel, and unsubscribes from it, only when somebody's wait on it is cancelled."""
        while True:
            task = self._waiting or asyncio.ensure_future(self.layer.receive(self.channel))
            self._waiting = None
            await asyncio.sleep(0)
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
                return
            task.exception()


def behind(first_seq: int, events: Sequence[Sequence[Any]], after: int) -> list[Numbered]:
    """A batch as numbered events, without those up to a position."""
    return [(seq, (e[0], e[1])) for seq, e in enumerate(events, start=first_seq) if seq > after]
