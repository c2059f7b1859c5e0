"""Ten thousand pages that connect, attach to a running answer and drop, on one real worker: what is left afterwards.

`RECONNECTS=10000 .venv/bin/python -m pytest -s tests/bench/reconnects.py`: with the database and broker of a test run.
"""

from __future__ import annotations

import asyncio
import time

import psutil

from tests.processes.server import Site, environ
from tests.processes.talk import Page, ask, attach, opened

AT_ONCE = 60


async def storm(site: Site, number: int) -> float:
    """Connects so many times; the seconds it took."""
    with site.browser() as browser:
        answer = await asyncio.to_thread(ask, browser, "go [[n=1000000 tps=20]]")
    left = iter(range(number))

    async def visitor() -> None:
        for at in left:
            async with opened(site, open_timeout=60, compression=None) as connection:
                await attach(connection, Page(answer.message, answer.turn))
                if at % 2:
                    await connection.recv()
                connection.transport.abort()

    began = time.monotonic()
    await asyncio.gather(*(visitor() for _ in range(AT_ONCE)))
    seconds = time.monotonic() - began
    with site.browser() as browser:
        await asyncio.to_thread(browser.post, f"/c/{answer.chat}/messages/{answer.message}/stop")
    return seconds


def state(site: Site) -> dict[str, float]:
    worker = psutil.Process(next(iter(site.runners())))
    connections = site.rows("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")[0][0]
    return {
        "memory MB": worker.memory_info().rss / 2**20,
        "files": worker.num_fds(),
        "threads": worker.num_threads(),
        "database connections": connections,
        "cpu s": sum(worker.cpu_times()[:2]),
    }


def test_reconnects_leave_nothing() -> None:
    number = int(environ.get("RECONNECTS") or 10_000)
    site = Site(workers=1)
    try:
        asyncio.run(storm(site, 200))  # what is made once is made now
        time.sleep(3)
        before = state(site)
        seconds = asyncio.run(storm(site, number))
        time.sleep(3)
        after = state(site)
        errors = sum(site.log("web").count(word) for word in ("ERROR", "Traceback"))
    finally:
        site.stop()
    print(f"\n{number} reconnects in {seconds:.0f} s ({60 * number / seconds:.0f} a minute); errors logged: {errors}")
    for name, was in before.items():
        print(f"{name:22} {was:10.1f} {after[name]:10.1f}")
    print(f"CPU a reconnect: {1000 * (after['cpu s'] - before['cpu s']) / number:.1f} ms")
    assert errors == 0
    assert after["files"] <= before["files"] + 10
    assert after["memory MB"] < before["memory MB"] + 40
