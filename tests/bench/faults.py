"""What breaks under load: workers killed at random moments, nodes restarted behind a proxy."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress

import aiohttp

from tests.bench.load import tabs
from tests.bench.readers import Ask, Reply, Tab, stream
from tests.bench.report import Report
from tests.bench.site import BenchSite, Node, wait_for
from tests.ports import free_ports
from tests.real.servers import Real, missing

_TOKEN = re.compile(r"@(\d+)-\d+@")
_ANSWERS = """
SELECT m.id, m.chat_id, m.state, m.content, extract(epoch FROM t.finished_at)
FROM chat_message m JOIN chat_turn t ON t.message_id = m.id WHERE m.author = 'assistant' AND m.created_at >= %s
"""


async def kills(site: BenchSite, tokens: Sequence[str], report: Report, *, rounds: int, streams: int = 200) -> None:
    """`kill -9` of one of two workers under so many streams, at random moments."""
    rng, ask = random.Random(os.getpid()), Ask(100, 20, timeout=60)
    counts = {"done": 0, "interrupted": 0}
    wrong: list[str] = []
    waits: list[float] = []
    continued = 0
    with site.fresh() as node:
        for _ in range(rounds):
            await _until(lambda: len(site.runners()) >= 2, 60)
            began = site.sql("SELECT now()")[0][0]
            killed, replies = await _killed_under(site, node, tokens[:streams], ask, rng)
            with suppress(TimeoutError):  # what still runs is in the table
                await _until(lambda: not _running(site, began), 60)
            rows = site.sql(_ANSWERS, began)
            for message, _chat, state, content, finished in rows:
                counts[state] = counts.get(state, 0) + 1
                numbers = [int(number) for number in _TOKEN.findall(content)]
                if numbers != list(range(ask.n if state == "done" else len(numbers))):
                    wrong.append(f"{state} {message} holds {len(numbers)} tokens, or not each once")
                if state == "interrupted":
                    waits.append(float(finished) - killed)
            wrong += [fault for reply in replies if reply.turn for fault in reply.faults]
            stopped = [row for row in rows if row[2] == "interrupted"]
            for row in rng.sample(stopped, min(2, len(stopped))):
                continued += 1
                wrong += await _continued(site, node, tokens, row)
    what, states = f"{rounds} × kill -9 of a worker, {streams} streams", set(counts) - {"done", "interrupted"}
    note = ", ".join(f"{count} {state}" for state, count in counts.items()) + (f"; first: {wrong[0]}" if wrong else "")
    report.add(what, "answers with wrong text, or readers with a fault", len(wrong), 0, note=note)
    report.add(what, "answers in any other state", sum(counts[state] for state in states), 0)
    report.add(what, "killed to marked interrupted, longest, s", max(waits, default=0.0), 5)
    report.add(what, "continued answers", continued, note="each goes on from its text")


async def _killed_under(
    site: BenchSite, node: Node, tokens: Sequence[str], ask: Ask, rng: random.Random
) -> tuple[float, list[Reply]]:
    """One round. When the kill was, by the clock of the database too, and what the readers saw."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        pages = await tabs(node.url, tokens, http)

        async def reader(page: Tab) -> Reply:
            await asyncio.sleep(rng.uniform(0, 1.5))
            return await page.ask(ask, may_be_cut=True)

        readers = [asyncio.create_task(reader(page)) for page in pages]
        await asyncio.sleep(rng.uniform(0.5, 5))
        killed = time.time()
        os.kill(rng.choice(list(site.runners())), signal.SIGKILL)
        replies = await asyncio.gather(*readers)
        for page in pages:
            await page.close()
    return killed, replies


def _running(site: BenchSite, began: object) -> int:
    sql = "SELECT count(*) FROM chat_message WHERE state = 'running' AND created_at >= %s"
    return int(site.sql(sql, began)[0][0])


async def _continued(site: BenchSite, node: Node, tokens: Sequence[str], row: tuple[object, ...]) -> list[str]:
    """Continues an interrupted answer; what is wrong with that."""
    message, chat, _state, former, _finished = row
    owner = site.sql(
        "SELECT substring(u.email from 'u(\\d+)@')::int FROM chat_chat c JOIN accounts_user u ON u.id = c.owner_id"
        " WHERE c.id = %s",
        chat,
    )[0][0]
    async with aiohttp.ClientSession() as http:
        page = Tab(node.url, tokens[owner], http)
        path = f"{node.url}/c/{chat}/messages/{message}/continue"
        async with http.post(path, headers=page.headers) as response:
            if response.status != 200:
                return [f"continue: HTTP {response.status}"]
    read = lambda: site.sql("SELECT state, content FROM chat_message WHERE id = %s", message)[0]  # noqa: E731
    await _until(lambda: read()[0] != "running", 60)
    state, text = read()
    is_good = state == "done" and text.startswith(former) and len(text) > len(former)
    return [] if is_good else [f"continue: {state}, {len(former)} and then {len(text)} characters"]


async def rolling(site: BenchSite, tokens: Sequence[str], report: Report, *, streams: int = 100) -> None:
    """Two nodes behind nginx are restarted one after the other, under page and REST readers."""
    if lacking := missing("nginx"):
        report.say(f"no rolling restart: not installed: {', '.join(lacking)}")
        return
    ask, faults, moved, took = Ask(150, 10, timeout=90), [], 0, 0.0
    ports = [free_ports(), free_ports()]
    nodes = [site.node(f"node-{i}", workers=1, port=port) for i, port in enumerate(ports)]
    try:
        with Real() as real:
            nginx = real.start("nginx", *ports, env={"API_RATE": "1000r/s"})
            front = f"https://localhost:{nginx.port}"
            tls = ssl.create_default_context(cafile=str(nginx.ca))
            for index in (0, 1):
                readers = asyncio.create_task(_readers(front, tls, tokens[:streams], ask))
                await asyncio.sleep(4)
                began = time.monotonic()
                nodes[index].process.send_signal(signal.SIGTERM)
                await asyncio.sleep(1)
                # New questions meanwhile are the other node's.
                late = asyncio.create_task(_readers(front, tls, tokens[streams : streams + 20], Ask(30, 10)))
                await asyncio.to_thread(nodes[index].process.wait, 60)
                took = max(took, time.monotonic() - began)
                replies = [*await readers, *await late]
                faults += [reply.faults[0] for reply in replies if reply.faults]
                moved += sum(reply.reconnects for reply in replies)
                site.stop(nodes[index])
                nodes[index] = await asyncio.to_thread(site.node, f"node-{index}", workers=1, port=ports[index])
                wait_for(f"{nodes[index].url}/ready")
    finally:
        for node in list(site.nodes):
            site.stop(node)
    what = f"rolling restart of two nodes behind nginx, {streams} streams"
    note = f"{moved} readers went on at the other node" + (f"; first: {faults[0][:120]}" if faults else "")
    report.add(what, "readers with a fault", len(faults), 0, note=note)
    report.add(what, "SIGTERM to the end of a node, longest, s", took, 38)


async def _readers(front: str, tls: ssl.SSLContext, tokens: Sequence[str], ask: Ask) -> list[Reply]:
    """Half of them pages, half programs."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        pages = [await Tab(front, token, http, tls=tls).open() for token in tokens[::2]]
        found = await asyncio.gather(
            *(page.ask(ask) for page in pages),
            *(stream(f"{front}/api/chat/completions", ask, token, tls) for token in tokens[1::2]),
        )
        for page in pages:
            await page.close()
    return list(found)


async def _until(condition: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):  # type: ignore[arg-type]
        if time.monotonic() > end:
            raise TimeoutError(f"something did not come true in {seconds:.0f} s")
        await asyncio.sleep(0.2)
