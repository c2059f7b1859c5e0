"""What a run costs: CPU and memory of process trees, SQL statements, and whether the load itself kept up."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.bench.common import Meter, pct
from tests.bench.site import BenchSite, Node

_LOGGED = re.compile(r"LOG: +(?:execute [^:]+|statement): (.*)")
_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


class Lateness:
    """How late a timer of this process comes: the load is no bottleneck while that stays small."""

    EVERY = 0.02

    async def __aenter__(self) -> Lateness:
        self.seconds: list[float] = []
        self._task = asyncio.create_task(self._tick(), name="lateness")
        return self

    async def _tick(self) -> None:
        while True:
            due = time.monotonic() + self.EVERY
            await asyncio.sleep(self.EVERY)
            self.seconds.append(time.monotonic() - due)

    async def __aexit__(self, *_error: object) -> None:
        self._task.cancel()

    @property
    def p95_ms(self) -> float:
        return pct(self.seconds, 95) * 1000


def loop_ms() -> float:
    """Milliseconds of a fixed loop, the best of five: how fast this machine is now, for figures of different days."""
    best = 1e9
    for _ in range(5):
        begin, total = time.perf_counter(), 0
        for number in range(3_000_000):
            total += number
        best = min(best, time.perf_counter() - begin)
    return best * 1000


async def idle_cpu(site: BenchSite, seconds: float = 5.0) -> dict[str, float]:
    """CPU that each process tree uses in a second while nobody asks for anything."""
    async with Meter(site.pids()) as meter:
        await asyncio.sleep(seconds)
    return {name: cpu / seconds for name, cpu in meter.cpu.items()}


def workers_mb(node: Node) -> tuple[float, float]:
    """Memory of a node's workers together: as `ps` counts it, and with shared pages counted once."""
    rss = pss = 0
    for process in psutil.Process(node.pid).children(recursive=True):
        if "resource_tracker" in " ".join(process.cmdline()):
            continue
        full = process.memory_full_info()
        rss, pss = rss + full.rss, pss + full.pss
    return rss / 1e6, pss / 1e6


class Statements:
    """The SQL statements of a stretch of time, from PostgreSQL's own log, without what the processes do by themselves.

    What they do by themselves is learned in an idle stretch: heartbeats, sweeps, the audit sealer.
    """

    def __init__(self, site: BenchSite) -> None:
        self.site = site
        self.background: set[str] = set()

    @contextmanager
    def logged(self) -> Iterator[list[str]]:
        """Every statement of the block, filled in at its end."""
        found: list[str] = []
        self._switch("all")
        start = self.site.postgres_log.stat().st_size
        try:
            yield found
        finally:
            self._switch("none")
        with self.site.postgres_log.open("rb") as log:
            log.seek(start)
            lines = log.read().decode(errors="replace").splitlines()
        found += [match[1].strip() for line in lines if (match := _LOGGED.search(line))]
        found[:] = [text for text in found if "log_statement" not in text and "pg_reload_conf" not in text]

    def _switch(self, value: str) -> None:
        self.site.sql(f"ALTER SYSTEM SET log_statement = '{value}'")
        self.site.sql("SELECT pg_reload_conf()")
        time.sleep(0.5)  # each backend reads it before its next statement

    async def learn(self, seconds: float = 5.0) -> None:
        with self.logged() as found:
            await asyncio.sleep(seconds)
        self.background = {_shape(text) for text in found} - set(_CONTROL)

    def of_replies(self, found: list[str]) -> tuple[list[str], int]:
        """The statements that are no background, and how many transactions they were in."""
        own = [text for text in found if _shape(text) not in self.background]
        data = [text for text in own if not text.startswith(_CONTROL)]
        return data, sum(text.startswith("BEGIN") for text in own)


def _shape(text: str) -> str:
    """A statement without its values."""
    return re.sub(r"'[^']*'|\$?\b\d+\b", "?", text)


def grouped(statements: list[str]) -> list[tuple[int, str]]:
    return [(count, shape[:160]) for shape, count in Counter(map(_shape, statements)).most_common()]
