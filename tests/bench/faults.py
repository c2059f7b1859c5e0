"""What breaks under load: workers killed at random moments, nodes restarted behind a proxy."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import ssl
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

import aiohttp

from tests.bench.load import tabs
from tests.bench.readers import Ask, Reply, Tab, stream
from tests.bench.report import Report
from tests.bench.site import BenchSite, Node, children_of, wait_for
from tests.ports import free_ports
from tests.real.servers import Real, missing

T = TypeVar("T")
_TOKEN = re.compile(r"@(\d+)-\d+@")
_ANSWERS = """
SELECT m.id, m.chat_id, m.state, m.content, extract(epoch FROM t.finished_at)
FROM chat_message m JOIN chat_turn t ON t.message_id = m.id WHERE m.author = 'assistant' AND m.created_at >= %s
"""


@dataclass
class Kills:
    """What came of the rounds so far."""

    states: dict[str, int] = field(default_factory=lambda: {"done": 0, "interrupted": 0})
    wrong: list[str] = field(default_factory=list)
    #: seconds from each kill to the change of state in the database, of every answer it interrupted
    waits: list[float] = field(default_factory=list)
    continued: int = 0
    broken: list[str] = field(default_factory=list)


async def kills(site: BenchSite, tokens: Sequence[str], report: Report, *, rounds: int, streams: int = 200) -> None:
    """`kill -9` of one of two workers under so many streams, at random moments."""
    seed, found = random.randrange(10**6), Kills()
    rng = random.Random(seed)
    report.say(f"{rounds} kills, seed {seed}")
    with site.fresh() as node:
        for number in range(1, rounds + 1):
            try:
                await _round_of_kills(site, node, tokens, streams, rng, found, report, number)
            except Exception as error:  # the other rounds still say something
                found.broken.append(f"kill {number}: {type(error).__name__}: {error}")
                report.say(traceback.format_exc(), f"the log of the node ends with\n{site.log_of(node)[-3000:]}")
                if node.process.poll() is not None:
                    report.say(f"the node ended with {node.process.poll()}")
                    break
    what, others = f"{rounds} × kill -9 of a worker, {streams} streams", set(found.states) - {"done", "interrupted"}
    note = ", ".join(f"{count} {state}" for state, count in found.states.items())
    note += f"; first: {found.wrong[0]}" if found.wrong else ""
    report.add(what, "answers with wrong text, or readers with a fault", len(found.wrong), 0, note=note)
    report.add(what, "answers in any other state", sum(found.states[state] for state in others), 0)
    report.add(what, "killed to marked interrupted, longest, s", max(found.waits, default=0.0), 5)
    report.add(what, "killed to marked interrupted, median, s", median(found.waits or [0.0]))
    report.add(what, "continued answers", found.continued, note="each goes on from its text")
    report.add(what, "rounds that broke off", len(found.broken), 0, note="; ".join(found.broken)[:400])


async def _round_of_kills(
    site: BenchSite,
    node: Node,
    tokens: Sequence[str],
    streams: int,
    rng: random.Random,
    found: Kills,
    report: Report,
    number: int,
) -> None:
    ask = Ask(100, 20, timeout=60)
    await _until(lambda: len(_workers(site, node)) >= 2, 60, "two workers that beat")
    began = (await asyncio.to_thread(site.sql, "SELECT now()"))[0][0]
    killed, replies = await _killed_under(site, node, tokens[:streams], ask, rng)
    try:
        await _until(lambda: not _running(site, began), 60, "an end of every answer")
    except TimeoutError as error:  # what still runs is in the table
        report.say(f"kill {number}: {error}")
    rows, waits = await asyncio.to_thread(site.sql, _ANSWERS, began), []
    for message, _chat, state, content, finished in rows:
        found.states[state] = found.states.get(state, 0) + 1
        numbers = [int(token) for token in _TOKEN.findall(content)]
        if numbers != list(range(ask.n if state == "done" else len(numbers))):
            found.wrong.append(f"{state} {message} holds {len(numbers)} tokens, or not each once")
        if state == "interrupted":
            waits.append(float(finished) - killed)
    found.waits += waits
    faults = [fault for reply in replies if reply.turn for fault in reply.faults]
    found.wrong += faults
    said = f"marked after {median(waits):.2f} s (median), {max(waits):.2f} s (longest)" if waits else "none running"
    report.say(
        f"kill {number}: {len(rows)} answers, {len(waits)} interrupted, {said}; {len(faults)} faults", *faults[:3]
    )
    stopped = [row for row in rows if row[2] == "interrupted"]
    for row in rng.sample(stopped, min(2, len(stopped))):
        found.continued += 1
        found.wrong += await _continued(site, node, tokens, row)


def _workers(site: BenchSite, node: Node) -> list[int]:
    """Process ids of the node's workers that run turns: those that were killed are still in the table for a while."""
    return sorted(site.runners().keys() & {process.pid for process in children_of(node.pid)})


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
        try:
            await asyncio.sleep(rng.uniform(0.5, 5))
            workers = await asyncio.to_thread(_workers, site, node)
            if not workers:
                raise RuntimeError("no worker has said in 3 s that it lives, so there is none to kill")
            killed = time.time()
            os.kill(rng.choice(workers), signal.SIGKILL)
            replies = await _within(90, "the answers of all readers", asyncio.gather(*readers))
        finally:
            for task in readers:
                task.cancel()
            closing = asyncio.gather(*(page.close() for page in pages), return_exceptions=True)
            await _within(30, "the end of all sockets", closing)
    return killed, replies


def _running(site: BenchSite, began: object) -> int:
    sql = "SELECT count(*) FROM chat_message WHERE state = 'running' AND created_at >= %s"
    return int(site.sql(sql, began)[0][0])


async def _continued(site: BenchSite, node: Node, tokens: Sequence[str], row: tuple[object, ...]) -> list[str]:
    """Continues an interrupted answer; what is wrong with that."""
    message, chat, _state, former, _finished = row
    owners = await asyncio.to_thread(
        site.sql,
        "SELECT substring(u.email from 'u(\\d+)@')::int FROM chat_chat c JOIN accounts_user u ON u.id = c.owner_id"
        " WHERE c.id = %s",
        chat,
    )
    read = lambda: site.sql("SELECT state, content FROM chat_message WHERE id = %s", message)[0]  # noqa: E731
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as http:
            page = Tab(node.url, tokens[owners[0][0]], http)
            path = f"{node.url}/c/{chat}/messages/{message}/continue"
            async with http.post(path, headers=page.headers) as response:
                if response.status != 200:
                    return [f"continue: HTTP {response.status}"]
        await _until(lambda: read()[0] != "running", 60, f"the end of the continued answer {message}")
    except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is one
        return [f"continue: {type(error).__name__}: {error}"]
    state, text = await asyncio.to_thread(read)
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
                replies = [*await _within(150, "the readers", readers), *await _within(150, "late readers", late)]
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


async def _until(condition: Callable[[], object], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        await asyncio.sleep(0.2)


async def _within(seconds: float, what: str, work: Awaitable[T]) -> T:
    try:
        return await asyncio.wait_for(work, seconds)
    except TimeoutError as error:
        raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}") from error
