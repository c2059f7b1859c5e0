"""One paced reply: a single timer per stream; late ticks catch up in one write."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

STATS = {"requests": 0, "tokens": 0, "active": 0, "cut": 0, "chat": 0, "embedded": 0}
#: tokens in one write of an unpaced stream
_BURST = 64
#: Seconds between two steps. As in servers that batch, all answers move on together: each on its own would cost one
#: wake-up of this process a token, which is most of what a token costs here.
STEP = 0.01


class Peer(Protocol):
    """The connection a reply is written to."""

    paused: bool
    loop: asyncio.AbstractEventLoop
    write: Callable[[bytes], None]

    def reply_done(self) -> None: ...


def token_text(number: int, stamp: bool) -> str:
    return f" @{number}-{time.monotonic_ns() // 1000}@" if stamp else f" w{number}"


class Stream:
    """Writes `n` tokens at `tps` a second (0: as fast as they are taken), the first after `ttft` seconds."""

    def __init__(
        self, peer: Peer, frame: Callable[[str], bytes], tail: bytes, *, n: int, tps: float, ttft: float, stamp: bool
    ) -> None:
        self.peer, self.frame, self.tail = peer, frame, tail
        self.n, self.tps, self.stamp = n, tps, stamp
        self.sent, self.done = 0, False
        self.start = peer.loop.time() + ttft
        STATS["active"] += 1
        self.timer: asyncio.Handle = peer.loop.call_at(self.start, self.tick)

    def tick(self) -> None:
        if self.done or self.peer.paused:
            return
        due = self.sent + _BURST
        if self.tps > 0:
            due = int((self.peer.loop.time() - self.start) * self.tps + 1e-6) + 1
        due = min(self.n, due)
        out = [self.frame(token_text(number, self.stamp)) for number in range(self.sent, due)]
        self.sent = max(self.sent, due)
        STATS["tokens"] += len(out)
        if self.sent >= self.n:
            self.finish()
            self.peer.write(b"".join([*out, self.tail]))
            self.peer.reply_done()
            return
        self.peer.write(b"".join(out))
        if self.tps > 0:
            due_at = math.ceil((self.start + self.sent / self.tps) / STEP) * STEP
            self.timer = self.peer.loop.call_at(due_at, self.tick)
        else:
            self.timer = self.peer.loop.call_soon(self.tick)

    def resume(self) -> None:
        if not self.done:
            self.timer.cancel()
            self.timer = self.peer.loop.call_soon(self.tick)

    def finish(self) -> None:
        self.done = True
        STATS["active"] -= 1

    def cut(self) -> None:
        """The reader is gone."""
        if not self.done:
            self.timer.cancel()
            STATS["cut"] += 1
            self.finish()
