"""A turn while it runs in this process: its log in memory, coalesced, and who waits for news."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from chat.engine.events import REASONING, TEXT, Logged, Outcome


class LiveTurn:
    """The growing log of one running turn.

    Text is coalesced: the first piece goes out at once, later ones in batches of `interval()` seconds, so that the cost
    of telling readers does not grow with the speed of the model. Sequence numbers count from 1 and never repeat.
    """

    def __init__(
        self,
        turn_id: uuid.UUID,
        chat_id: uuid.UUID,
        message_id: uuid.UUID,
        user_id: uuid.UUID,
        *,
        interval: Callable[[], float],
    ) -> None:
        self.turn_id, self.chat_id, self.message_id, self.user_id = turn_id, chat_id, message_id, user_id
        self.log: list[Logged] = []
        self.saved = 0
        self.finished = False
        self.stop_reason = self.stop_error = ""
        #: type and id of the knowledge that went into the answer
        self.used: set[tuple[str, str]] = set()
        #: the engine's part, which a stop cancels, and the part that saves the end, which nothing does
        self.work: asyncio.Task[Outcome] | None = None
        self.task: asyncio.Task[None] | None = None
        self._interval = interval
        self._text: list[str] = []
        self._kind = TEXT
        self._flushed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def add_text(self, kind: str, text: str) -> None:
        """More text or reasoning; told at once when nobody was told for an interval, else with the next batch."""
        if kind != self._kind and self._text:
            self.flush()
        self._kind = kind
        self._text.append(text)
        if self._timer is None:
            wait = self._flushed_at + self._interval() - self._loop.time()
            if wait <= 0:
                self.flush()
            else:
                self._timer = self._loop.call_later(wait, self.flush)

    def add(self, event: Logged) -> None:
        """Any other event; told at once, after the text before it."""
        self.flush()
        self.log.append(event)
        self._tell()

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._text:
            self.log.append((self._kind, "".join(self._text)))
            self._text.clear()
            self._flushed_at = self._loop.time()
            self._tell()

    def close(self) -> None:
        """No more events will come."""
        self.flush()
        self.finished = True
        self._tell()

    def after(self, seq: int) -> list[Logged]:
        """The events behind a position."""
        return self.log[seq:]

    async def news(self, seq: int) -> None:
        """Waits until there are events behind a position, or the turn is finished."""
        while len(self.log) <= seq and not self.finished:
            event = self._news
            await event.wait()

    def _tell(self) -> None:
        event, self._news = self._news, asyncio.Event()
        event.set()


__all__ = ["REASONING", "TEXT", "LiveTurn"]
