"""Broker and database that stand still under running answers, and go on."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from contextlib import suppress

import psutil

from tests.bench.load import PAGE, one_round
from tests.bench.readers import Ask
from tests.bench.report import Report
from tests.bench.site import BenchSite, children_of
from tests.bench.streaming import check_saved, noted, warm

#: seconds
BEFORE, AWAY = 6, 30


async def outages(site: BenchSite, tokens: list[str], report: Report, *, streams: int = 100) -> None:
    """Each away for 30 s under so many streams that run before, through and after it. Stopped, not ended: connections
    stay and nothing answers, which is worse than a port that refuses."""
    with site.fresh() as node:
        await warm(site, node, tokens)
        for name in ("valkey", "postgres"):
            pid = site.pids()[name]
            family = [psutil.Process(pid), *children_of(pid)]
            ask = Ask((BEFORE + AWAY + 6) * 10, 10, timeout=180)
            outage = asyncio.create_task(_away(family))
            run = await one_round(site, node, PAGE, tokens[:streams], ask, ramp=2)
            await outage
            what = f"page, {streams} streams, {name} away for {AWAY} s"
            report.add(what, "faulty replies", len(run.faults), 0, note=noted(run))
            report.add(what, "token held p50, ms", run.held(50))
            report.add(what, "token held p95, ms", run.held(95))
            check_saved(site, run, report, what)
            again = await one_round(site, node, PAGE, tokens[:streams], Ask(20, 10), ramp=2)
            report.add(what, "faulty replies afterwards", len(again.faults), 0, note=noted(again))


async def _away(processes: Iterable[psutil.Process]) -> None:
    await asyncio.sleep(BEFORE)
    family = list(processes)
    try:
        _send(family, signal.SIGSTOP)
        await asyncio.sleep(AWAY)
    finally:
        _send(family, signal.SIGCONT)


def _send(processes: Iterable[psutil.Process], what: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(what)
