"""How far an apply is, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, TypeVar

T = TypeVar("T")
EVERY = 0.1


class Progress:
    """One line that is written over; nothing at all where nobody looks (a pipe, a log)."""

    def __init__(self, out: TextIO | None = None, *, is_shown: bool | None = None) -> None:
        self.out = out or sys.stderr
        self.is_shown = self.out.isatty() if is_shown is None else is_shown
        self._last = 0.0

    def step(self, text: str) -> None:
        """Says what is being done now."""
        if self.is_shown:
            self.out.write(f"\r\033[K{text}")
            self.out.flush()
            self._last = time.monotonic()

    def over(self, items: Iterable[T], text: str, total: int) -> Iterator[T]:
        """The items again, counted on the way."""
        for number, item in enumerate(items, start=1):
            if self.is_shown and (number == total or time.monotonic() - self._last > EVERY):
                self.step(f"{text}: {number:,} of {total:,}")
            yield item

    def end(self) -> None:
        if self.is_shown:
            self.out.write("\r\033[K")
            self.out.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.end()
