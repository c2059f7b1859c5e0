"""Signals as something to wait for: one thread, no work inside handlers."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import time
from types import FrameType


class Stop(Exception):
    """Someone asked to stop: a signal, a closed standard input, or a parent that has gone."""


class Kill(Exception):
    """Asked a second time: end now."""


class Signals:
    """Handlers note, `wait` reports."""

    def __init__(self, *, follow_stdin: bool = False) -> None:
        self._first_at = 0.0
        self._is_second = False
        self._is_stopping = False
        self._parent = os.getppid() if follow_stdin else 0
        # A terminal or /dev/null says nothing about whoever started us; a pipe closes when they go.
        self._stdin = 0 if follow_stdin and _is_pipe(0) else -1
        self._reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note)
        # Any Python handler makes the wakeup descriptor readable when a child ends.
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._first_at:
            self._first_at = now
        elif now - self._first_at > 0.5:
            # make passes on a signal that its group already got, so a second one right away is the same one.
            self._is_second = True

    def wait(self, timeout: float) -> None:
        """Sleep until something happened; raise Stop once, and Kill for a second request."""
        watched = [self._reading] + ([self._stdin] if self._stdin >= 0 else [])
        if self._is_stopping:
            watched = [self._reading]
        ready, _, _ = select.select(watched, [], [], timeout)
        if self._reading in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reading, 4096)
        if self._is_second:
            raise Kill
        if self._is_stopping:
            return
        closed = self._stdin in ready and not os.read(self._stdin, 4096)
        orphaned = self._parent and os.getppid() != self._parent
        if self._first_at or closed or orphaned:
            self._is_stopping = True
            self._first_at = self._first_at or time.monotonic()
            raise Stop


def _is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
