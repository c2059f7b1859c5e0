"""News of running turns from the process that writes them to those that have readers.

A process with a reader asks the writing process (`turn.read`); from then on it is sent what is new, the news of all its
turns in one message, until the turn ends or nobody reads there any more. Nothing is sent for turns that nobody reads
elsewhere. All this is best effort: what does not come is in the log in the database, which `chat.follow` reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from chat.engine.events import Logged, Numbered
from chat.live import LiveTurn
from chat.nodes import nodes
from inference.providers import pace

log = logging.getLogger(__name__)
#: seconds between two messages to one process, at least; the first after a silence goes at once
GAP = 0.05
#: seconds that a word may wait for a look at its answer and for a message together, where both can be kept within
BOTH = 0.25
#: what is kept for a reader that does not take it; then it reads the log
MOST_KEPT = 5_000


class Inbox:
    """What came of one turn and its reader has not taken yet."""

    def __init__(self, turn_id: uuid.UUID) -> None:
        self.turn_id = turn_id
        #: whether the writing process has said anything since it was last asked
        self.is_served = False
        self._pending: list[tuple[int, Sequence[Any]]] = []
        self._count = 0
        self._is_doubted = False
        self._news: asyncio.Future[None] | None = None

    def put(self, first_seq: int, events: Sequence[Any]) -> None:
        """More of the turn, or nothing: then the writing process has heard that it is read here."""
        self.is_served = True
        self._count += len(events)
        if self._count > MOST_KEPT:
            self._pending, self._count = [], 0
            self.doubt()
        elif events:
            self._pending.append((first_seq, events))
            self._wake()

    def doubt(self) -> None:
        """Something is to be seen in the database."""
        self._is_doubted = True
        self._wake()

    async def next(self, after: int, timeout: float) -> list[Numbered] | None:
        """What follows a position; None for "ask the database": a gap, the end, or silence."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while True:
            if fresh := self._take(after):
                return fresh
            if self._is_doubted:
                self._is_doubted = False
                return None
            left = end - loop.time()
            if left <= 0:
                return None
            self._news = loop.create_future()
            timer = loop.call_later(left, self._wake)
            try:
                await self._news
            finally:
                timer.cancel()
                self._news = None

    def _take(self, after: int) -> list[Numbered]:
        """Everything that fits on, in one piece; a gap leaves the rest to the log."""
        out: list[Numbered] = []
        pending, self._pending, self._count = self._pending, [], 0
        for first_seq, events in pending:
            if first_seq > after + 1:
                self._is_doubted, self.is_served = True, False
                break
            fresh = behind(first_seq, events, after)
            if fresh:
                after = fresh[-1][0]
                out += fresh
        return out

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


class Wire:
    """Both ends in one process.

    :param running: gives the turns that are written here
    :param tell: says something to the process of an id; false when the broker is away
    """

    def __init__(
        self,
        running: Callable[[uuid.UUID], LiveTurn | None],
        tell: Callable[[str, dict[str, Any]], Awaitable[bool]] = nodes.tell,
    ) -> None:
        self._running, self._tell = running, tell
        self._inboxes: dict[uuid.UUID, set[Inbox]] = defaultdict(set)
        self._dirty: set[LiveTurn] = set()
        self._task: asyncio.Task[None] | None = None
        self._asked: set[asyncio.Task[Any]] = set()

    def handlers(self) -> dict[str, Callable[[dict[str, Any]], None]]:
        """By the kind of what other processes say."""
        return {
            "turn.read": self._on_read,
            "turn.left": self._on_left,
            "turn.news": self._on_news,
            "turn.over": self._on_over,
        }

    # ------------------------------------------------------------------------------------------------------- reading
    def open(self, turn_id: uuid.UUID) -> Inbox:
        inbox = Inbox(turn_id)
        self._inboxes[turn_id].add(inbox)
        return inbox

    async def ask(self, inbox: Inbox, writer: uuid.UUID, after: int) -> bool:
        """Asks the writing process for everything behind a position, and for all that follows. False when the broker
        is away."""
        inbox.is_served = False
        return await self._tell(writer.hex, {"kind": "turn.read", "turn_id": inbox.turn_id.hex, "after": after})

    def close(self, inbox: Inbox, writer: uuid.UUID | None) -> None:
        """The reader is gone.

        :param writer: the process that may still send; None after the end of the turn
        """
        inboxes = self._inboxes.get(inbox.turn_id)
        if inboxes is None:
            return
        inboxes.discard(inbox)
        if not inboxes:
            del self._inboxes[inbox.turn_id]
            if writer is not None:
                self._soon(writer.hex, {"kind": "turn.left", "turn_id": inbox.turn_id.hex})

    def _on_news(self, message: dict[str, Any]) -> None:
        for turn_id, first_seq, events in message["news"]:
            inboxes = self._inboxes.get(uuid.UUID(turn_id))
            for inbox in inboxes or ():
                inbox.put(first_seq, events)
            if inboxes is None:
                # What was said when the last reader left did not arrive.
                self._soon(message["origin"], {"kind": "turn.left", "turn_id": turn_id})

    def _on_over(self, message: dict[str, Any]) -> None:
        for inbox in self._inboxes.get(uuid.UUID(message["turn_id"]), ()):
            inbox.doubt()

    # ------------------------------------------------------------------------------------------------------- writing
    def told(self, turn: LiveTurn) -> None:
        """A turn that is read elsewhere has news."""
        self._dirty.add(turn)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._deliver(), name="turn-wire")

    async def settle(self) -> None:
        """Waits until everything that was said is sent."""
        if self._task is not None:
            with contextlib.suppress(Exception):
                await self._task

    def _on_read(self, message: dict[str, Any]) -> None:
        turn, node, after = self._running(uuid.UUID(message["turn_id"])), message["origin"], int(message["after"])
        if turn is None:
            # It has ended, or has not begun: the database knows.
            self._soon(node, {"kind": "turn.over", "turn_id": message["turn_id"]})
            return
        turn.elsewhere[node] = min(after, turn.elsewhere.get(node, after))
        if len(turn.log) > turn.elsewhere[node]:
            self.told(turn)
        else:
            self._soon(node, {"kind": "turn.news", "news": [[message["turn_id"], after + 1, []]]})

    def _on_left(self, message: dict[str, Any]) -> None:
        turn = self._running(uuid.UUID(message["turn_id"]))
        if turn is not None:
            turn.elsewhere.pop(message["origin"], None)

    def _soon(self, node: str, message: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self._tell(node, message))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _deliver(self) -> None:
        while self._dirty:
            turns, self._dirty = self._dirty, set()
            try:
                await asyncio.gather(*(self._send(node, news) for node, news in _letters(turns).items()))
            except Exception:
                log.exception("telling other processes of running turns")
            await asyncio.sleep(_pause())

    async def _send(self, node: str, news: list[tuple[LiveTurn, int, list[Logged]]]) -> None:
        content = [[turn.turn_id.hex, first_seq, events] for turn, first_seq, events in news]
        if not await self._tell(node, {"kind": "turn.news", "news": content}):
            return  # the next news, or the reader's next question, begins where this one did
        for turn, first_seq, events in news:
            # Meanwhile a reader may have asked for more.
            if turn.elsewhere.get(node) == first_seq - 1:
                turn.elsewhere[node] = first_seq - 1 + len(events)


def _pause() -> float:
    """Seconds until the next message: as long as answers are left alone, as more often there is little to tell."""
    look = pace.gap()
    return max(GAP, min(look, BOTH - look))


def _letters(turns: set[LiveTurn]) -> dict[str, list[tuple[LiveTurn, int, list[Logged]]]]:
    """By process, what it has not been sent."""
    letters: dict[str, list[tuple[LiveTurn, int, list[Logged]]]] = defaultdict(list)
    for turn in turns:
        for node, sent in turn.elsewhere.items():
            if events := turn.after(sent):
                letters[node].append((turn, sent + 1, events))
    return letters


def behind(first_seq: int, events: Sequence[Sequence[Any]], after: int) -> list[Numbered]:
    """A batch as numbered events, without those up to a position."""
    return [(seq, (e[0], e[1])) for seq, e in enumerate(events, start=first_seq) if seq > after]
