"""The pulse of one web process: it says in the database that it lives, and marks the turns of processes that do not.

A thread of its own: neither a busy event loop nor a queue for the database makes a process look dead, and what a killed
one left is found while its pages come back all at once. One statement a second; two while somebody is silent.

Who is dead has one of two signs:

- Its process id is gone, in the place (host, boot, process id namespace) that its row names and that is ours too, and
  it has missed a beat. That is true at once, also for a process that has just started.
- It is silent for DEAD_AFTER, by the database's clock, and for as long each beat of ours came through in time. After a
  stall of the database or of this machine everybody is silent; the time begins anew then, longer by the stall, because
  connections come back the later the longer they were away.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from django.db import connection

from chat import turnlog
from chat.turnlog import AWAY, DEAD_AFTER, MARKED_AT_ONCE, Silent

log = logging.getLogger(__name__)
BEAT_EVERY, SOON, AT_ONCE = 1.0, 0.5, 0.02
#: beats of ours further apart than this mean that something stood still. One stall that is shorter, and the second
#: between two beats, are less than DEAD_AFTER: it cannot make anybody look dead
STALL = timedelta(seconds=1.5)
LONGEST_DOUBT = timedelta(seconds=60)
#: an event loop that answers nothing for so long writes no answers either
HUNG = 10.0
Ended = tuple[uuid.UUID, uuid.UUID]


class Pulse:
    """Beats from `start` to `end`. `marked` has the (turn id, chat id) of what was marked, for the event loop."""

    def __init__(self, runner_id: uuid.UUID, running: Callable[[], list[uuid.UUID]]) -> None:
        """:param running: the turns of this process; asked from the thread"""
        self.runner_id = runner_id
        self.marked: asyncio.Queue[Ended] = asyncio.Queue()
        self._running = running
        self._loop = asyncio.get_running_loop()
        self._heard_at = time.monotonic()
        self._last: datetime | None = None
        self._steady_from: datetime | None = None
        self._is_away = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def end(self) -> None:
        """No beat comes after this, unless the database holds one up."""
        self._ended.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, 3)

    def beat(self) -> turnlog.Look:
        return turnlog.beat(self.runner_id, host=here(), pid=os.getpid(), running=self._running())

    def _live(self) -> None:
        pause = 0.0
        while not self._ended.wait(pause):
            began = time.monotonic()
            try:
                pause = self._round() if self._is_heard() else BEAT_EVERY
                self._is_away = False
            except AWAY as error:
                if not self._is_away:
                    log.warning("This process cannot say that it lives: the database does not answer: %s", error)
                self._is_away, pause = True, SOON
            except Exception:
                log.exception("beating")
                pause = BEAT_EVERY
            finally:
                connection.close()
            pause = max(AT_ONCE, pause - (time.monotonic() - began))

    def _is_heard(self) -> bool:
        """Whether the event loop still answers; where it does not, others shall take this process for dead."""
        try:
            self._loop.call_soon_threadsafe(self._hear)
        except RuntimeError:  # it is closed
            self._ended.set()
            return False
        return time.monotonic() - self._heard_at < HUNG

    def _hear(self) -> None:
        self._heard_at = time.monotonic()

    def _round(self) -> float:
        """A beat, and what follows from the others' silence. Returns the seconds to the next one."""
        look = self.beat()
        is_steady = self._is_steady(look.moment)
        gone = [s.runner_id for s in look.silent if s.runner_id is not None and _is_gone(s)]
        silent = [s for s in look.silent if s.seconds is None or s.seconds >= DEAD_AFTER.total_seconds()]
        is_ours_lost = any(s.runner_id == self.runner_id for s in look.silent)
        if not (gone or is_ours_lost or (is_steady and silent)):
            return SOON if look.silent else BEAT_EVERY
        marked = turnlog.mark_interrupted(
            MARKED_AT_ONCE,
            dead_after=DEAD_AFTER if is_steady else None,
            gone=gone,
            runner_id=self.runner_id,
            running=self._running(),
        )
        for ended in marked:
            self._loop.call_soon_threadsafe(self.marked.put_nowait, ended)
        return AT_ONCE if len(marked) == MARKED_AT_ONCE else SOON

    def _is_steady(self, moment: datetime) -> bool:
        """Whether each of our beats came through in time, for as long as somebody must be silent to be dead.

        :param moment: that of the beat, by the database's clock: it jumps where a machine was asleep, too
        """
        last, self._last = self._last, moment
        gap = moment - last if last else timedelta()
        if self._steady_from is None or not timedelta() <= gap <= STALL:
            self._steady_from = moment + min(max(gap, timedelta()), LONGEST_DOUBT)
        return moment - self._steady_from >= DEAD_AFTER


def _is_gone(silent: Silent) -> bool:
    """Whether its process does not exist any more. False where that cannot be told from here."""
    if not _place() or silent.host != here() or silent.pid <= 0:
        return False
    try:
        os.kill(silent.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@lru_cache(maxsize=1)
def here() -> str:
    """Where the process ids of this process mean something."""
    return f"{socket.gethostname()} {_place()}".strip()


@lru_cache(maxsize=1)
def _place() -> str:
    """Boot and process id namespace: containers may share a host's name and not its processes. Empty where the system
    does not say."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
