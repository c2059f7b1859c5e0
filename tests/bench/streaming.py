"""The runs of the streaming engine, each a function that adds rows to the report."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.load import DIRECT, PAGE, REST, Round, one_round
from tests.bench.meters import Statements, grouped, idle_cpu, workers_mb
from tests.bench.readers import Ask
from tests.bench.report import Report
from tests.bench.site import BenchSite, Node

OURS = ("web", "postgres", "valkey")


def people(site: BenchSite, count: int = 500) -> list[str]:
    """Tokens of ordinary people who may use the model."""
    out = Path(site.home) / "tokens.json"
    site.seed("tests.bench.people", "--out", str(out), "--users", str(count))
    return list(json.loads(out.read_text()))


async def warm(site: BenchSite, node: Node, tokens: Sequence[str]) -> None:
    """The first requests of a process import and fill caches, which no later one does."""
    for path in (REST, PAGE):
        await one_round(site, node, path, tokens[:8], Ask(3, 30), ramp=0.2, each=2)


def noted(run: Round) -> str:
    fault = f"; first fault: {run.faults[0][:100]}" if run.faults else ""
    return f"load: {run.load_cpu:.2f} cores, {run.late_ms:.0f} ms late at p95{fault}"


async def crowd(site: BenchSite, tokens: Sequence[str], report: Report, *, streams: int = 500) -> None:
    """The browser path full: so many sockets, each with a stream of 10 tokens a second."""
    with site.fresh() as node:
        await warm(site, node, tokens)
        direct = await one_round(site, node, DIRECT, tokens[:streams], Ask(30, 10))
        run = await one_round(site, node, PAGE, tokens[:streams], Ask(100, 10), ramp=5)
        rss, pss = workers_mb(node)
        what = f"page, {streams} sockets and streams at 10 tokens/s"
        report.add(what, "faulty replies", len(run.faults), 0, note=noted(run))
        report.add(what, "token held p95, ms", run.held(95), 300, note=f"model server alone {direct.held(95):.0f}")
        report.add(what, "workers, MB", rss, 600, note=f"{pss:.0f} with shared pages counted once")
        cores = sum(run.cpu[name] for name in OURS) / run.seconds
        report.add(what, "cores used by the platform", cores, note=f"{run.tokens / run.seconds:.0f} tokens/s")
        check_saved(site, run, report, what)


def check_saved(site: BenchSite, run: Round, report: Report, what: str) -> None:
    """What lies in the database is what was written, word for word."""
    ids = [reply.message for reply in run.replies if reply.message]
    wrong = site.sql(
        "SELECT count(*) FROM chat_message m WHERE id = ANY(%s::uuid[]) AND (state <> 'done' OR ARRAY("
        "SELECT t[1]::int FROM regexp_matches(content, '@(\\d+)-\\d+@', 'g') WITH ORDINALITY AS found (t, place)"
        " ORDER BY place) <> ARRAY(SELECT generate_series(0, %s)))",
        ids,
        run.ask.n - 1,
    )
    report.add(what, "answers saved wrongly", int(wrong[0][0]), 0, note=f"of {len(ids)}")


async def burst(site: BenchSite, tokens: Sequence[str], report: Report, *, rounds: int = 3) -> None:
    """A class begins: 200 streams within two seconds. The middle one of three times, as each is two seconds long."""
    with site.fresh() as node:
        await warm(site, node, tokens)
        for path, theirs in ((REST, "10,300"), (PAGE, "50,000")):
            runs = [await one_round(site, node, path, tokens[:200], Ask(100, 30), ramp=2) for _ in range(rounds)]
            runs.sort(key=lambda run: run.first_added(95))
            run, what = runs[rounds // 2], f"{path}, burst of 200 in 2 s at 30 tokens/s"
            each = " ".join(f"{one.first_added(95):.0f}" for one in runs)
            note = f"each time: {each}; {noted(run)}"
            report.add(what, "first token added p95, ms", run.first_added(95), 250, theirs, note=note)
            report.add(what, "token held p95, ms", run.held(95))
            report.add(what, "faulty replies", sum(len(one.faults) for one in runs), 0)


async def single(site: BenchSite, tokens: Sequence[str], report: Report) -> None:
    """One person, one answer after the other."""
    with site.fresh() as node:
        await warm(site, node, tokens)
        for path, theirs in ((REST, "97"), (PAGE, "241")):
            run = await one_round(site, node, path, tokens[:1], Ask(10, 30), each=15)
            what = f"{path}, one user"
            report.add(what, "first token added median, ms", run.first_added(50), 25, theirs, note=noted(run))


async def cost(site: BenchSite, tokens: Sequence[str], report: Report, *, explain: bool = False) -> None:
    """CPU of the platform, database and broker included, split into the part of a reply and that of its tokens."""
    with site.fresh() as node:
        await warm(site, node, tokens)
        await asyncio.sleep(2)
        idle = await idle_cpu(site)
        report.add("at rest", "CPU of the platform, ms a second", 1000 * sum(idle[name] for name in OURS))
        for path, bars, theirs in ((REST, (12, 0.08), ("101", "0.12")), (PAGE, (18, 0.10), ("247", "1.25"))):
            short = await one_round(site, node, path, tokens[:10], Ask(1, 30), ramp=0.2, each=30)
            await asyncio.sleep(1)
            long = await one_round(site, node, path, tokens[:40], Ask(1000, 50), ramp=2)
            start = {name: short.cpu[name] / len(short.replies) for name in OURS}
            whole = {name: long.cpu[name] / len(long.replies) for name in OURS}
            further = {name: (whole[name] - start[name]) / (long.ask.n - 1) * 1000 for name in OURS}
            resting = sum(idle[name] for name in OURS) * long.seconds / long.tokens * 1000
            note = ", ".join(f"{name} {1000 * start[name]:.1f}" for name in OURS)
            report.add(f"{path}, n=1", "CPU per reply, ms", 1000 * sum(start.values()), bars[0], theirs[0], note=note)
            note = ", ".join(f"{name} {further[name]:.3f}" for name in OURS) + f"; of it at rest {resting:.3f}"
            value = sum(further.values())
            report.add(f"{path}, n=1000", "CPU per 1,000 further tokens, s", value, bars[1], theirs[1], note=note)
            faults = len(short.faults) + len(long.faults)
            report.add(f"{path}, n=1 and n=1000", "faulty replies", faults, 0, note=noted(long))
        await asyncio.sleep(3)
        await statements(site, node, tokens, report, explain=explain)


async def statements(
    site: BenchSite, node: Node, tokens: Sequence[str], report: Report, *, explain: bool = False
) -> None:
    """SQL statements of one reply, counted in PostgreSQL's own log; several replies, so that half ones show."""
    counter, count = Statements(site), 5
    await counter.learn()
    for path, bar, theirs in ((REST, 8, "103"), (PAGE, 15, "397")):
        with counter.logged() as found:
            run = await one_round(site, node, path, tokens[:1], Ask(5, 30), each=count)
            await asyncio.sleep(1.5)
        data, transactions = counter.of_replies(found)
        note = f"in {transactions / count:.1f} explicit transactions; {len(run.faults)} faulty"
        report.add(f"{path}, n=5", "SQL statements per reply", len(data) / count, bar, theirs, note=note)
        if explain:
            report.say(f"\n{path}:", *(f"  {number / count:4.1f}  {text}" for number, text in grouped(data)))


async def soak(site: BenchSite, tokens: Sequence[str], report: Report, *, minutes: float) -> None:
    """200 streams all the time; memory must not grow once everything has been seen."""
    with site.fresh() as node:
        await warm(site, node, tokens)
        points: list[tuple[float, float]] = []
        began = time.monotonic()
        faults, replies, end = [], 0, began + minutes * 60
        while time.monotonic() < end:
            run = await one_round(site, node, PAGE, tokens[:200], Ask(200, 10), ramp=2)
            faults += run.faults
            replies += len(run.replies)
            points.append((time.monotonic(), workers_mb(node)[0]))
            report.say(f"{(time.monotonic() - began) / 60:5.1f} min: {points[-1][1]:.0f} MB, {len(run.faults)} faults")
        what = f"page, {minutes:g} minutes at 200 streams"
        settled = points[len(points) // 3 :] if len(points) > 5 else points
        report.add(what, "faulty replies", len(faults), 0, note=f"of {replies}" + (f": {faults[0]}" if faults else ""))
        note = f"{points[0][1]:.0f} MB after the first round, {points[-1][1]:.0f} MB at the end"
        report.add(what, "memory's slope, MB an hour", _slope(settled) * 3600, 20, note=note)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares."""
    count = len(points)
    if count < 2:
        return float("nan")
    x, y = sum(p[0] for p in points) / count, sum(p[1] for p in points) / count
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)
