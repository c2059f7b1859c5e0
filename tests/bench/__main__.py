"""`make bench`: what the streaming engine costs and survives, beside its bars and Open WebUI's figures.

Starts a site of its own (embedded database and broker, two web workers, a paced fake model server) on this machine, and
takes a few minutes. Figures are worth something on a machine that does nothing else.

    make bench                              # the short set
    make bench ARGS="--long"                # with 20 kills instead of 5, and 30 minutes at 200 streams
    make bench ARGS="--only cost --explain" # some runs; --explain lists the SQL statements of a reply
    make bench ARGS="--rbac"                # listings and the administration for people in many groups
    make bench ARGS="--page"                # the page of a long chat: server time, statements, weight, first paint
    make bench ARGS="--chats"               # list and search of somebody with 100,000 chats
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys

import uvloop

from tests.bench import faults, outages, streaming
from tests.bench.common import table
from tests.bench.meters import loop_ms
from tests.bench.rbac_load import PATHS, Listing, rounds, tokens_of
from tests.bench.report import Report
from tests.bench.site import ROOT, BenchSite

RUNS = ("single", "burst", "crowd", "cost", "rolling", "kills", "outages")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streaming", action="store_true", help="the streaming runs (the default)")
    parser.add_argument("--only", nargs="+", choices=[*RUNS, "soak"], default=[], help="these runs alone")
    parser.add_argument("--long", action="store_true", help="20 kills instead of 5, and 30 minutes at 200 streams")
    parser.add_argument("--kills", type=int, default=0, help="another number of kills")
    parser.add_argument("--minutes", type=float, default=30, help="another length of the long run")
    parser.add_argument("--explain", action="store_true", help="list the SQL statements of a reply")
    parser.add_argument("--rbac", action="store_true", help="listings for people in many groups, and the admin's pages")
    parser.add_argument("--page", action="store_true", help="the page of a chat of 1,000 messages")
    parser.add_argument("--chats", action="store_true", help="list and search of somebody with 100,000 chats")
    options = parser.parse_args()
    if options.chats:
        raise SystemExit(
            subprocess.run([sys.executable, "-m", "tests.bench.many_chats"], cwd=ROOT, check=False).returncode
        )
    with BenchSite() as site:
        if options.rbac or options.page:
            (rbac if options.rbac else page)(site)
            return
        report, before = Report(), loop_ms()
        uvloop.run(run(site, options, report))
    speed = f"a loop of 3 million additions took {before:.0f} ms before and {loop_ms():.0f} ms after"
    print(f"\n{report.table()}\n\n{speed}; load average now {os.getloadavg()[0]:.1f}; {report.missed} bars missed")


async def run(site: BenchSite, options: argparse.Namespace, report: Report) -> None:
    tokens = await asyncio.to_thread(streaming.people, site)
    chosen = options.only or [*RUNS, *(["soak"] if options.long else [])]
    for name in chosen:
        if name == "cost":
            await streaming.cost(site, tokens, report, explain=options.explain)
        elif name == "rolling":
            await faults.rolling(site, tokens, report)
        elif name == "kills":
            await faults.kills(site, tokens, report, rounds=options.kills or (20 if options.long else 5))
        elif name == "outages":
            await outages.outages(site, tokens, report)
        elif name == "soak":
            await streaming.soak(site, tokens, report, minutes=options.minutes)
        else:
            await getattr(streaming, name)(site, tokens, report)


def rbac(site: BenchSite) -> None:
    """10,000 people in 500 groups, 5,000 models, 5,000 knowledge bases, 100,000 grants; one web worker, a person in 20
    groups who reads 951 of the models."""
    node, tokens = site.node(workers=1), site.home / "tokens.json"
    site.seed("tests.bench.rbac_seed", "--out", str(tokens))
    # One person takes all turns: the figures are those of the number of models that he reads.
    pids = {name: pid for name, pid in site.pids().items() if name in ("web", "postgres")}
    listing = Listing(node.url, tokens_of(tokens, 1), pids=pids)
    print(table(asyncio.run(rounds(listing, PATHS, [1, 4], 3))), flush=True)
    command = [sys.executable, "-m", "tests.bench.admin_pages", "--tokens", str(tokens)]
    subprocess.run(command, cwd=ROOT, env=site.env, check=True)


def page(site: BenchSite) -> None:
    """One person, one web worker; exit code 1 when a bar is missed."""
    node, tokens = site.node(workers=1), site.home / "tokens.json"
    site.seed("tests.bench.people", "--out", str(tokens), "--users", "1", "--groups", "3")
    command = [sys.executable, "-m", "tests.bench.chat_page", "--tokens", str(tokens), "--url", node.url]
    sys.exit(subprocess.run(command, cwd=ROOT, env=site.env, check=False).returncode)


if __name__ == "__main__":
    main()
