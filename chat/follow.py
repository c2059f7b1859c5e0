"""Reading a turn from any position, in any process.

In the process that runs it: from memory. Elsewhere: from the saved log, with the broker's news in between. Whatever
the broker loses (a restart, a reader that came late) is seen as a gap in the numbers and read from the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator
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
        async for batch in _remote(turn_id, after):
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
                yield [(after + 1, (FINISH, {"state": state, "error": ""}))]
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

    async def open(self) -> None:
        with contextlib.suppress(*BROKER_ERRORS):
            async with asyncio.timeout(2):
                self.channel = await self.layer.new_channel()
                await self.layer.group_add(self.group, self.channel)
                return
        self.channel = ""

    async def next(self, after: int, timeout: float) -> list[Numbered] | None:
        """The next batch that follows a position; None for "ask the database": a gap, the end, or silence."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    if not self.channel:
                        await asyncio.sleep(timeout)
                    message = await self.layer.receive(self.channel)
                    if message["type"] != "turn.news":
                        return None
                    first, events = message["first_seq"], message["events"]
                    if first > after + 1:
                        # The rows up to there are saved within half a second.
                        await asyncio.sleep(0.1)
                        return None
                    fresh = [(seq, (e[0], e[1])) for seq, e in enumerate(events, start=first) if seq > after]
                    if fresh:
                        return fresh
        except TimeoutError:
            return None
        except BROKER_ERRORS:
            await asyncio.sleep(min(timeout, 0.5))
            return None

    async def close(self) -> None:
        with contextlib.suppress(*BROKER_ERRORS):
            if self.channel:
                async with asyncio.timeout(2):
                    await self.layer.group_discard(self.group, self.channel)
