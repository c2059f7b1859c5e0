"""How often a running answer is read: several tokens at once cost little more than one.

What all readers of tokens pay for each look (a wake-up, parsing, a frame, a system call) is paid for each token when
tokens come one by one. So after its first words an answer is read again only some time after the last look, the longer
the more answers are open in this process and the later its timers come. Until then the bytes wait in the transport,
whose buffer is bounded: a server that is faster is held back. With many answers open they wait in the kernel, so that
no token wakes this process for itself; the end of an answer is then seen with the next look, and else at once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Self

#: seconds between two looks: with nothing else to do, for each open answer, and at most
SHORTEST, EACH, LONGEST = 0.04, 0.005, 0.2
#: seconds more for each second that a timer comes late: a process that cannot keep up looks more rarely, by itself
FOR_LATE = 3.0
#: looks begin at multiples of so many seconds
TICK = 0.03
#: open answers from which on the bytes wait in the kernel
MANY = 12
_open = 0
_late = 0.0


def gap() -> float:
    """Seconds between two looks at an answer now."""
    return min(LONGEST, SHORTEST + EACH * _open + FOR_LATE * _late)


def _next_tick(moment: float) -> float:
    """The next moment at which this process looks: many answers of one wake-up cost less than each its own."""
    return math.ceil(moment / TICK) * TICK


def _note_late(seconds: float) -> None:
    """How late timers come of late: the mean of the last dozens of them."""
    global _late
    _late += (min(seconds, 1.0) - _late) / 32


class Pace:
    """The pace of one answer, open within a `with` block.

    :param on_end: takes a function to be called when all bytes are there; None when nobody can tell
    :param transport: what the bytes come by; None when nobody can tell
    """

    def __init__(
        self,
        on_end: Callable[[Callable[[], None]], None] | None,
        transport: asyncio.ReadTransport | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._looked_at = 0.0
        self._rest: asyncio.Future[None] | None = None
        self._is_over = False
        if on_end is not None:
            on_end(self._end)

    async def rest(self) -> None:
        """Waits until it is time for the next look."""
        now, due = self._loop.time(), _next_tick(self._looked_at + gap())
        if due > now and not self._is_over:
            self._rest = self._loop.create_future()
            timer = self._loop.call_at(due, self._due, due)
            held = self._hold() if _open >= MANY else None
            try:
                await self._rest
            finally:
                timer.cancel()
                self._rest = None
                if held is not None and not held.is_closing():
                    held.resume_reading()

    def _hold(self) -> asyncio.ReadTransport | None:
        """The transport, which reads nothing now; None when it is at its end or held by somebody else."""
        transport = self._transport
        if transport is None or transport.is_closing() or not transport.is_reading():
            return None
        transport.pause_reading()
        return transport

    def looked(self) -> None:
        self._looked_at = self._loop.time()

    def __enter__(self) -> Self:
        global _open
        _open += 1
        return self

    def __exit__(self, *_fault: object) -> None:
        global _open
        _open -= 1

    def _end(self) -> None:
        self._is_over = True
        self._wake()

    def _due(self, moment: float) -> None:
        _note_late(self._loop.time() - moment)
        self._wake()

    def _wake(self) -> None:
        if self._rest is not None and not self._rest.done():
            self._rest.set_result(None)
