"""`make bench-ingest`: how fast documents become searchable, what one costs, and what a worker holds in memory.

Stores made-up texts of 2 to 20 kB with the service that the web calls while Celery workers read, cut and embed them by a
fake embedding server, all on a database and broker of its own. The time is from the first upload to the last live one.

    make bench-ingest                                   # 1,000 documents
    make bench-ingest ARGS="--documents 10000"          # is the memory flat?
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil

from tests.bench.common import document, table
from tests.bench.site import ROOT, BenchSite, wait_for
from tests.ports import free_ports

DIMENSIONS = 384
#: documents a second, CPU seconds a document in the worker, its memory in MB
RATE, COST, MEMORY = 45.0, 0.03, 300.0
#: uploads at once, as from a page that was given a folder
UPLOADS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32, help="RAG_EMBEDDING_BATCH_SIZE")
    parser.add_argument("--here", action="store_true", help="in the migrated, empty database of DATABASE_URL")
    parser.add_argument("--embedder", type=int, default=0, help="be the fake embedding server on this port")
    options = parser.parse_args()
    if options.embedder:
        embed(options.embedder)
    elif options.here:
        measure(options.documents)
    else:
        run(options)


def run(options: argparse.Namespace) -> None:
    with BenchSite() as site:
        port = free_ports()
        site.run("-m", "tests.bench.ingest", "--embedder", str(port))
        wait_for(f"http://127.0.0.1:{port}/health")
        site.env |= {
            "RAG_EMBEDDING_ENGINE": "openai",
            "RAG_EMBEDDING_MODEL": "bench",
            "RAG_OPENAI_API_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "RAG_EMBEDDING_BATCH_SIZE": str(options.batch),
        }
        log = (site.home / "worker.log").open("ab")
        worker = site.run(
            *("-m", "celery", "--app", "owui.celery", "worker", "--beat", "--pool", "prefork"),
            *("--concurrency", str(options.workers), "--loglevel", "WARNING"),
            *("--schedule", str(site.home / "beat"), "--without-gossip", "--without-mingle"),
            env=site.env,
            stdout=log,
            stderr=log,
        )
        command = [sys.executable, "-m", "tests.bench.ingest", "--here", *sys.argv[1:]]
        done = subprocess.run(command, cwd=ROOT, env=site.env | {"BENCH_WORKER": str(worker.pid)}, check=False)
        print((site.home / "worker.log").read_text(errors="replace")[-2000:])
    raise SystemExit(done.returncode)


def measure(documents: int) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "owui.settings")
    django.setup()
    from django.db import connection

    from accounts.models import User
    from knowledge import services
    from knowledge.models import Chunk, Document, KnowledgeBase

    owner = User.objects.create_user(f"{uuid.uuid4()}@bench.test", "benchmark", name="Owner", role="admin")
    base = KnowledgeBase.objects.create(owner=owner, name="Bench")
    family = Family(int(os.environ["BENCH_WORKER"]))
    warm(services, owner, base, family)
    began, at_start, own = time.monotonic(), family.seconds(), time.process_time()
    early = 0.0

    def upload(number: int) -> None:
        name, text, _question, _answer = document(number)
        services.add_document(
            file=io.BytesIO(text.encode()), filename=name, content_type="text/plain", by=owner, knowledge_base=base
        )
        connection.close()  # back to the pool, as at the end of a request

    with ThreadPoolExecutor(UPLOADS) as pool:
        for number, _none in enumerate(pool.map(upload, range(documents))):
            if number % 50 == 0:
                family.look()
            if number == min(1000, documents - 1):
                early = family.peak
    uploaded, own = time.monotonic() - began, time.process_time() - own
    settle(family)
    wall = time.monotonic() - began
    cost = (family.seconds() - at_start) / documents
    failed = Document.objects.filter(state="failed").count()
    rate = documents / wall
    row: dict[str, Any] = {
        "documents": documents,
        "chunks": Chunk.objects.count(),
        "failed": failed,
        "documents/s": rate,
        "upload alone s": uploaded,
        "upload CPU-s/doc": f"{own / documents:.4f}",
        "worker CPU-s/doc": f"{cost:.4f}",
        "worker MB at 1,000": early,
        "worker MB peak": family.peak,
    }
    print(table([row]))
    missed = [
        name
        for name, is_missed in (
            ("documents/s", rate < RATE),
            ("CPU-s", cost > COST),
            ("MB", family.peak > MEMORY),
            ("failed", failed > 0),
        )
        if is_missed
    ]
    print(f"\nload average now {os.getloadavg()[0]:.1f}; bars missed: {', '.join(missed) or 'none'}")
    raise SystemExit(bool(missed))


def settle(family: Family) -> None:
    """Until no document is in work; a minute without progress is an end too."""
    from knowledge.models import Document

    left, since = -1, time.monotonic()
    while now := Document.objects.exclude(state__in=("live", "failed")).count():
        family.look()
        if now != left:
            left, since = now, time.monotonic()
        elif time.monotonic() - since > 60:
            states = list(Document.objects.exclude(state="live").values_list("state", "error")[:5])
            sys.exit(f"{now} documents stand still: {states}")
        time.sleep(0.25)


def warm(services: Any, owner: Any, base: Any, family: Family) -> None:
    """The first documents pay for imports and connections of the workers."""
    for number in range(8):
        text = document(1_000_000 + number)[1]
        services.add_document(file=io.BytesIO(text.encode()), filename="w.txt", by=owner, knowledge_base=base)
    settle(family)


class Family:
    """A worker with its processes: processor time of all, memory of the largest."""

    def __init__(self, pid: int) -> None:
        self.process = psutil.Process(pid)
        self.peak = 0.0

    def seconds(self) -> float:
        total = 0.0
        for member in (self.process, *self.process.children(recursive=True)):
            times = member.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def look(self) -> None:
        for member in (self.process, *self.process.children(recursive=True)):
            try:
                self.peak = max(self.peak, member.memory_info().rss / 1e6)
            except psutil.NoSuchProcess:
                continue


def embed(port: int) -> None:
    """Vectors as fast as they can be written, each of its text alone."""
    import hashlib

    import numpy as np
    import orjson
    from aiohttp import web

    async def embeddings(request: web.Request) -> web.Response:
        texts = orjson.loads(await request.read())["input"]
        data = []
        for index, text in enumerate(texts):
            seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
            vector = np.random.default_rng(seed).standard_normal(DIMENSIONS, dtype=np.float32)
            data.append({"index": index, "embedding": vector})
        body = orjson.dumps({"data": data}, option=orjson.OPT_SERIALIZE_NUMPY)
        return web.Response(body=body, content_type="application/json")

    async def health(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.add_routes([web.post("/v1/embeddings", embeddings), web.get("/health", health)])
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main()
