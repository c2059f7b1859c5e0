"""A turn while it runs in this process: its log in memory, and who waits for news."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from chat.engine.events import Logged, Outcome
from chat.selectors import Attached


class LiveTurn:
    """The growing log of one running turn. Sequence numbers count from 1 and never repeat.

    :param own: what a page of the turn's person needs to show it; None where the chat is somebody else's
    :param told: called with news while processes elsewhere read it
    """

    def __init__(
        self,
        turn_id: uuid.UUID,
        chat_id: uuid.UUID,
        message_id: uuid.UUID,
        user_id: uuid.UUID,
        *,
        own: Attached | None = None,
        told: Callable[[LiveTurn], None] = lambda turn: None,
    ) -> None:
        self.turn_id, self.chat_id, self.message_id, self.user_id = turn_id, chat_id, message_id, user_id
        self.own = own
        self.log: list[Logged] = []
        self.saved = 0
        self.finished = False
        self.stop_reason = self.stop_error = ""
        #: type and id of the knowledge that went into the answer
        self.used: set[tuple[str, str]] = set()
        #: the engine's part, which a stop cancels, and the part that saves the end, which nothing does
        self.work: asyncio.Task[Outcome] | None = None
        self.task: asyncio.Task[None] | None = None
        #: the processes that have readers, and the number up to which each was sent the log
        self.elsewhere: dict[str, int] = {}
        self._told = told
        self._waiting: list[asyncio.Future[None]] = []

    def add(self, event: Logged) -> None:
        """One event more, told at once: how often a model server is read (`inference.providers.pace`) is how often
        there is something to tell."""
        self.log.append(event)
        self._tell()

    def close(self) -> None:
        """No more events will come."""
        self.finished = True
        self._tell()

    def after(self, seq: int) -> list[Logged]:
        """The events behind a position."""
        return self.log[seq:]

    async def news(self, seq: int) -> None:
        """Waits until there are events behind a position, or the turn is finished."""
        while len(self.log) <= seq and not self.finished:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        if self.elsewhere:
            self._told(self)
