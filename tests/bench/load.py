"""Rounds of a streaming load: so many readers start within a ramp, each asks once and reads to the end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from tests.bench.common import Meter, pct
from tests.bench.meters import Lateness
from tests.bench.readers import Ask, Reply, Tab, stream
from tests.bench.site import BenchSite, Node

REST, PAGE, DIRECT = "REST", "page", "model server alone"


@dataclass
class Round:
    """What came of a round."""

    path: str
    ask: Ask
    replies: list[Reply]
    cpu: dict[str, float]
    seconds: float
    late_ms: float
    #: cores that the load itself used
    load_cpu: float = 0.0

    @property
    def faults(self) -> list[str]:
        return [reply.faults[0] for reply in self.replies if reply.faults]

    @property
    def good(self) -> list[Reply]:
        return [reply for reply in self.replies if not reply.faults]

    @property
    def tokens(self) -> int:
        return sum(reply.next for reply in self.replies)

    def first_added(self, q: float) -> float:
        return pct([reply.first_added(self.ask) for reply in self.good], q)

    def held(self, q: float) -> float:
        return pct([held * 1000 for reply in self.good for held in reply.held], q)


async def tabs(base_url: str, tokens: Sequence[str], http: aiohttp.ClientSession) -> list[Tab]:
    """Open pages, some at a time."""
    opened: list[Tab] = []
    for start in range(0, len(tokens), 25):
        opened += await asyncio.gather(*(Tab(base_url, t, http).open() for t in tokens[start : start + 25]))
    return opened


async def one_round(
    site: BenchSite, node: Node, path: str, tokens: Sequence[str], ask: Ask, *, ramp: float = 2.0, each: int = 1
) -> Round:
    """Everybody asks `each` times, one after the other.

    :param tokens: one reader for each
    """
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    pages = await tabs(node.url, tokens, http) if path == PAGE else []
    rng = random.Random(1)
    starts = [rng.uniform(0, ramp) if len(tokens) > 1 else 0.0 for _ in tokens]

    async def reader(index: int) -> list[Reply]:
        await asyncio.sleep(starts[index])
        return [await answer(index) for _ in range(each)]

    async def answer(index: int) -> Reply:
        if path == PAGE:
            return await pages[index].ask(ask)
        if path == DIRECT:
            return await stream(f"{site.upstream}/v1/chat/completions", ask)
        return await stream(f"{node.url}/api/chat/completions", ask, tokens[index])

    loop = asyncio.get_running_loop()
    async with Meter(site.pids()) as meter, Lateness() as late:
        began, spent = loop.time(), time.process_time()
        found = await asyncio.gather(*(reader(index) for index in range(len(tokens))))
        seconds, spent = loop.time() - began, time.process_time() - spent
    for page in pages:
        await page.close()
    await http.close()
    replies = [reply for some in found for reply in some]
    return Round(path, ask, replies, meter.cpu, seconds, late.p95_ms, spent / seconds)
