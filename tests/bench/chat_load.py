"""Readers of streamed answers, three ways: the model server alone, our REST, our page's socket."""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from tests.bench.common import Meter, Reply, pct, stream

CSRF = "b" * 32
_TURN = re.compile(r'data-turn="([0-9a-f-]{36})"')


@dataclass
class Load:
    """What is asked of whom."""

    base_url: str
    upstream: str
    token: str
    model: str = "mock-small"
    n: int = 100
    tps: float = 30
    ttft: float = 50
    ramp: float = 2.0
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        return f"Say something. [[n={self.n} tps={self.tps} ttft={self.ttft} stamp=1]]"

    @property
    def timeout(self) -> float:
        return self.ttft / 1000 + self.n / self.tps * 6 + 60


class Tab:
    """One page: a socket that stays open, and questions by HTTP form as the composer sends them."""

    def __init__(self, load: Load, http: aiohttp.ClientSession) -> None:
        self.load, self.http = load, http
        self.reply, self.done = Reply(), asyncio.get_running_loop().create_future()
        self.cookies = {"token": load.token, "csrftoken": CSRF}
        self.headers = {"Origin": load.base_url, "X-CSRFToken": CSRF, "HX-Request": "true"}
        self.headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())

    async def open(self) -> Tab:
        self.socket = await self.http.ws_connect(
            f"{self.load.base_url}/ws/chat", headers=self.headers, compress=0, max_msg_size=0
        )
        self.task = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        async for message in self.socket:
            now, data = time.monotonic(), message.data.encode()
            self.reply.take(now, data)
            if b'"data-turn",null' in data and not self.done.done():
                self.done.set_result(None)

    async def ask(self) -> Reply:
        self.reply, self.done = Reply(sent=time.monotonic()), asyncio.get_running_loop().create_future()
        form = {"text": self.load.prompt, "model": self.load.model}
        try:
            async with asyncio.timeout(self.load.timeout):
                url = f"{self.load.base_url}/c/new/messages"
                async with self.http.post(url, data=form, headers=self.headers) as response:
                    text, self.reply.status = await response.text(), response.status
                found = _TURN.search(text)
                if self.reply.status != 200 or found is None:
                    self.reply.error = f"HTTP {self.reply.status}: {text[:200]}"
                    return self.reply
                await self.socket.send_str(orjson.dumps({"type": "attach", "turn": found.group(1), "seq": 0}).decode())
                await self.done
        except (aiohttp.ClientError, TimeoutError) as error:
            self.reply.error = f"{type(error).__name__}: {error}"
        return self.reply

    async def close(self) -> None:
        await self.socket.close()
        self.task.cancel()


async def one_round(load: Load, path: str, users: int) -> dict[str, Any]:
    """All users start within the ramp and ask once; one row of figures."""
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    tabs = [await Tab(load, http).open() for _ in range(users)] if path == "socket" else []
    rng = random.Random(1)  # noqa: S311
    starts = [rng.uniform(0, min(load.ramp, users / 50)) for _ in range(users)]
    body = {"model": load.model, "stream": True, "messages": [{"role": "user", "content": load.prompt}]}

    async def user(index: int) -> Reply:
        await asyncio.sleep(starts[index])
        if path == "socket":
            return await tabs[index].ask()
        url = f"{load.upstream}/v1/chat/completions" if path == "direct" else f"{load.base_url}/api/chat/completions"
        return await stream(url, body, "" if path == "direct" else load.token, load.timeout)

    async with Meter(load.pids) as meter:
        replies = await asyncio.gather(*(user(i) for i in range(users)))
    for tab in tabs:
        await tab.close()
    await http.close()
    return _row(load, path, users, replies, meter)


def _row(load: Load, path: str, users: int, replies: list[Reply], meter: Meter) -> dict[str, Any]:
    good = [r for r in replies if not r.error and r.token_at]
    tokens = sum(len(r.token_at) for r in replies)
    held = [d * 1000 for r in good for d in r.delay]
    row: dict[str, Any] = {
        "path": path,
        "streams": users,
        "errors": len(replies) - len(good),
        "lost": sum(load.n - len(r.token_at) for r in good),
        "TTFT+ p50 ms": pct([r.ttft * 1000 - load.ttft for r in good], 50),
        "TTFT+ p95 ms": pct([r.ttft * 1000 - load.ttft for r in good], 95),
        "held p50 ms": pct(held, 50),
        "held p95 ms": pct(held, 95),
    }
    for name, cpu in meter.cpu.items():
        row[f"{name} CPU-s/1k tok"] = cpu / max(1, tokens) * 1000
        row[f"{name} peak MB"] = meter.peak_mb.get(name, 0)
    first = next((r.error for r in replies if r.error), "")
    return row | ({"first error": first[:120]} if first else {})
