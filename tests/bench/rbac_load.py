"""How long listings take for people in many groups, what they cost the server, and how many statements they ask.

    python -m tests.bench.rbac_load --base-url http://127.0.0.1:8080 --tokens tokens.json --pid server=123

Measures GET addresses for the people of a tokens file (`tests.bench.rbac_seed` writes one), one request at a time and
a few at once. Latency includes this client on the same machine; CPU is the server's alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.common import Meter, median_rows, parse_pids, pct, run, table

PATHS = [
    "/api/models",
    "/api/v1/models/list?page=1",
    "/openai/models",
    "/api/v1/knowledge/",
]


@dataclass
class Listing:
    """What is asked, by whom, of which processes."""

    base_url: str
    tokens: list[str]
    requests: int = 60
    warmup: int = 4
    pids: dict[str, int] = field(default_factory=dict)

    async def measure(self, path: str, at_once: int) -> dict[str, Any]:
        """One row: times of so many requests, `at_once` at a time, the people taking turns."""
        times: list[float] = []
        answers: list[bytes] = []
        errors = 0
        numbers = iter(range(self.requests))

        async def get(http: aiohttp.ClientSession, number: int) -> None:
            nonlocal errors
            headers = {"Authorization": f"Bearer {self.tokens[number % len(self.tokens)]}"}
            began = time.monotonic()
            async with http.get(path, headers=headers) as response:
                body = await response.read()
            times.append((time.monotonic() - began) * 1000)
            if response.status == 200:
                answers.append(body)
            else:
                errors += 1

        async def worker(http: aiohttp.ClientSession) -> None:
            for number in numbers:
                await get(http, number)

        async with aiohttp.ClientSession(self.base_url) as http:
            for number in range(self.warmup):
                await get(http, number)
            times.clear(), answers.clear()
            async with Meter(self.pids) as meter:
                await asyncio.gather(*(worker(http) for _ in range(at_once)))
        row: dict[str, Any] = {"endpoint": path, "at once": at_once}
        # The answers are read after the clock has stopped: parsing a megabyte would be in the next request's time.
        row["items"] = pct([_count(body) for body in answers[: len(self.tokens)]], 50)
        row |= {"kB": pct([len(body) for body in answers], 50) / 1000, "p50 ms": pct(times, 50)}
        row |= {"p95 ms": pct(times, 95), "errors": errors}
        return row | {f"{name} CPU-ms": cpu / len(times) * 1000 for name, cpu in meter.cpu.items()}


def _count(body: bytes) -> int:
    reply = json.loads(body)
    return len(reply if isinstance(reply, list) else reply.get("data", reply.get("items", reply.get("models", []))))


async def rounds(listing: Listing, paths: list[str], at_once: list[int], repeat: int) -> list[dict[str, Any]]:
    """The median of so many repeats for each address and concurrency."""
    return [
        median_rows([await listing.measure(path, number) for _ in range(repeat)])
        for path in paths
        for number in at_once
    ]


def tokens_of(path: Path, people: int) -> list[str]:
    return [user["token"] for user in json.loads(path.read_text())["users"]][:people]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", default="http://127.0.0.1:8080")
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--as-users", type=int, default=20, help="how many of the people take turns")
    parser.add_argument("--path", nargs="+", default=PATHS)
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--pid", nargs="*", default=[], help="processes to meter, children included: server=12 db=34")
    options = parser.parse_args()
    listing = Listing(
        options.base_url, tokens_of(options.tokens, options.as_users), options.requests, pids=parse_pids(options.pid)
    )
    print(table(run(rounds(listing, options.path, options.at_once, options.repeat))))


if __name__ == "__main__":
    main()
