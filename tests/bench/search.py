"""`make bench-search`: what one hybrid search costs and finds, by how much the reader may see, beside its bars.

Fills a database of its own with made-up chunks in 50 bases (words by Zipf's law, vectors of 384 dimensions with and
without cluster structure), asks each question as people with different grants, and compares what is found with the exact
answer, computed apart from the database. Times are those of the whole call, one after the other.

    make bench-search                                  # 10,000 and 100,000 chunks
    make bench-search ARGS="--chunks 1000000 --graph"  # a million, with HNSW for who may read most of them
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import time
import uuid
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil

from tests.bench.common import table
from tests.bench.site import ROOT, BenchSite

DIMENSIONS, WORDS, VOCABULARY, CLUSTERS = 384, 74, 60_000, 2_000
BASES, PER_DOCUMENT = 50, 13
#: what share of all chunks a reader sees: a tenth, as five bases of fifty; the small shares are small bases
SHARES = {"100 %": 1.0, "10 %": 0.1, "1 %": 0.01, "0.1 %": 0.001}
#: p50 and p95 in ms, by the number of chunks, for who reads a tenth
BARS = {100_000: (15, 40), 1_000_000: (30, 100)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--unclustered", action="store_true", help="vectors without structure only")
    parser.add_argument("--graph", action="store_true", help="build the HNSW index too")
    parser.add_argument("--here", action="store_true", help="in the migrated, empty database of DATABASE_URL")
    parser.add_argument("--keep", action="store_true", help="leave the last rows where they are")
    options = parser.parse_args()
    if options.here:
        measure(options)
        return
    with BenchSite() as site:
        command = [sys.executable, "-m", "tests.bench.search", "--here", *sys.argv[1:]]
        raise SystemExit(subprocess.run(command, cwd=ROOT, env=site.env, check=False).returncode)


def measure(options: argparse.Namespace) -> None:
    import django

    django.setup()
    rows: list[dict[str, Any]] = []
    kinds = (False,) if options.unclustered else (True, False)
    worlds = [(chunks, is_clustered) for chunks in options.chunks for is_clustered in kinds]
    for chunks, is_clustered in worlds:
        world = World(chunks, is_clustered)
        world.fill()
        if options.graph:
            world.build_graph()
        for share in SHARES:
            if chunks * SHARES[share] >= 100:
                rows.append(world.ask(share, options.questions))
                print(rows[-1], flush=True)
        if not (options.keep and (chunks, is_clustered) == worlds[-1]):
            world.empty()
    print("\n" + table(rows))
    missed = [row for row in rows if row["missed"]]
    print(f"\nload average now {os.getloadavg()[0]:.1f}; {len(missed)} of {len(rows)} rows miss a bar")
    raise SystemExit(bool(missed))


class World:
    """The chunks, as arrays here and as rows in the database."""

    def __init__(self, chunks: int, is_clustered: bool) -> None:
        self.random = np.random.default_rng(7)
        self.count, self.is_clustered = chunks, is_clustered
        share = self.random.permutation(chunks)
        small = [max(1, chunks // 100), max(1, chunks // 1000)]
        rest = np.array_split(share[sum(small) :], BASES - 2)
        self.members = [share[: small[0]], share[small[0] : sum(small)], *rest]
        self.words = self._words(chunks)
        self.vectors = self._vectors(chunks).astype(np.float16)

    def _words(self, rows: int) -> Any:
        """Numbers of words; the n-th is met 1/n times as often as the first. The commonest 20 stand for stop words."""
        weights = 1 / np.arange(20, VOCABULARY + 20)
        bounds = np.cumsum(weights / weights.sum())
        return np.searchsorted(bounds, self.random.random((rows, WORDS))).clip(0, VOCABULARY - 1).astype(np.int32)

    def _vectors(self, rows: int) -> Any:
        made = self.random.standard_normal((rows, DIMENSIONS), dtype=np.float32)
        if self.is_clustered:
            centres = self.random.standard_normal((CLUSTERS, DIMENSIONS), dtype=np.float32)
            made = 0.6 * made + centres[self.random.integers(0, CLUSTERS, rows)]
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    def fill(self) -> None:
        """Rows as ingestion leaves them, a base at a time; then what autovacuum would have done by tomorrow."""
        from django.db import connection

        from accounts.models import User
        from knowledge.models import Document, KnowledgeBase, KnowledgeBaseUserGrant
        from knowledge.spaces import activate_space
        from rbac.services.grants import permission_ids

        began = time.monotonic()
        self.owner = User.objects.create_user(f"{uuid.uuid4()}@bench.test", "benchmark", name="Owner", role="user")
        self.space = activate_space(engine="openai", model="bench", dimensions=DIMENSIONS)
        self.bases = [KnowledgeBase.objects.create(owner=self.owner, name=f"Base {n}") for n in range(BASES)]
        self.chunk_ids = np.zeros(self.count, dtype=np.int64)
        next_id = 1
        for base, members in zip(self.bases, self.members, strict=True):
            documents = [
                Document(owner=self.owner, filename=f"f{n}", state="live", text_hash=str(n))
                for n in range(0, len(members), PER_DOCUMENT)
            ]
            Document.objects.bulk_create(documents, batch_size=2000)
            self.chunk_ids[members] = np.arange(next_id, next_id + len(members))
            lines = io.StringIO()
            for place, row in enumerate(members):
                text = " ".join(f"w{word}q" for word in self.words[row])
                vector = ",".join(f"{x:.5g}" for x in self.vectors[row])
                document = documents[place // PER_DOCUMENT].pk
                lines.write(f"{next_id + place}\t{document}\t{base.pk}\t{self.space.pk}\t{place % PER_DOCUMENT}\t0\t")
                lines.write(f"{text}\t[]\t[{vector}]\n")
            next_id += len(members)
            with (
                connection.cursor() as cursor,
                cursor.copy(
                    "COPY knowledge_chunk (id, document_id, knowledge_base_id, space_id, position, start_index, text, "
                    "headings, embedding) FROM STDIN"
                ) as copy,
            ):
                copy.write(lines.getvalue())
        self._grant(User, KnowledgeBaseUserGrant, permission_ids(KnowledgeBase)["read"])
        self.filled = time.monotonic() - began
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
            cursor.execute(
                "SELECT pg_total_relation_size('knowledge_chunk') / 1e6, pg_total_relation_size('knowledge_posting') / 1e6"
            )
            print(f"{self.count:,} chunks in {self.filled:.0f} s; MB of chunks, of postings:", cursor.fetchone())

    def _grant(self, users: Any, grants: Any, permission: Any) -> None:
        shares = {"100 %": range(BASES), "10 %": range(2, 2 + BASES // 10), "1 %": [0], "0.1 %": [1]}
        self.readers = {}
        for share, numbers in shares.items():
            reader = users.objects.create_user(f"{uuid.uuid4()}@bench.test", "benchmark", name=share, role="user")
            for number in numbers:
                grants.objects.create(user=reader, content_object=self.bases[number], permission_id=permission)
            self.readers[share] = SimpleNamespace(
                user=reader, rows=np.concatenate([self.members[number] for number in numbers])
            )

    def build_graph(self) -> None:
        from knowledge.retrieval.tending import build_graph

        began = time.monotonic()
        build_graph(self.space)
        print(f"HNSW of {self.count:,} chunks in {time.monotonic() - began:.0f} s")

    def empty(self) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE knowledge_document, knowledge_knowledgebase, knowledge_wordsegment, "
                           "knowledge_wordslot, knowledge_posting CASCADE")  # fmt: skip
            cursor.execute("UPDATE knowledge_embeddingspace SET graph_until = NULL")

    # ------------------------------------------------------------------------------------------------------- questions
    def _questions(self, rows: Any, count: int) -> list[tuple[str, Any, Any]]:
        """Ten words, six of them from one readable chunk, and a vector somewhere near the chunk's."""
        asked = []
        for row in self.random.choice(rows, count):
            own = self.random.choice(np.unique(self.words[row]), 6, replace=False)
            words = np.unique(np.concatenate([own, self._words(1)[0, :4]]))
            noise = self.random.standard_normal(DIMENSIONS, dtype=np.float32)
            noise *= (0.5 if self.is_clustered else 2.0) / np.linalg.norm(noise)
            asked.append((" ".join(f"w{word}q" for word in words), words, self.vectors[row].astype(np.float32) + noise))
        return asked

    def ask(self, share: str, count: int) -> dict[str, Any]:
        from django.db import connection

        from knowledge.config import RagConfig
        from knowledge.retrieval.search import Options, search, search_stages

        reader = self.readers[share]
        config = RagConfig.load().model_copy(update={"embedding_engine": "openai", "embedding_model": "bench"})
        hybrid = Options(k=10, k_reranker=10, hybrid=True)
        asked = self._questions(reader.rows, count)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backend = psutil.Process(cursor.fetchone()[0])
        for text, _words, vector in asked[:10]:
            search(reader.user, [text], [vector], config=config, options=hybrid)
        times, own, before = [], time.process_time(), sum(backend.cpu_times()[:2])
        for text, _words, vector in asked:
            began = time.perf_counter()
            search(reader.user, [text], [vector], config=config, options=hybrid)
            times.append((time.perf_counter() - began) * 1000)
        own, server = time.process_time() - own, sum(backend.cpu_times()[:2]) - before
        by_vector, by_words, way = [], [], ""
        exact = Exact(self, reader.rows)
        for text, words, vector in asked:
            stages = search_stages(reader.user, text, vector, config=config, options=hybrid)
            way = stages.way
            by_vector.append(overlap([c.hit.chunk_id for c in stages.vector], exact.nearest(vector)))
            by_words.append(exact.worth([c.hit.chunk_id for c in stages.words], words))
        row: dict[str, Any] = {
            "chunks": self.count,
            "vectors": "clustered" if self.is_clustered else "unclustered",
            "reader sees": share,
            "way": way,
            "p50 ms": float(np.percentile(times, 50)),
            "p95 ms": float(np.percentile(times, 95)),
            "server CPU-ms": own / count * 1000,
            "PostgreSQL CPU-ms": server / count * 1000,
            "vectors recall@10": float(np.mean(by_vector)),
            "words recall@10": float(np.mean(by_words)),
        }
        p50, p95 = BARS.get(self.count, (1e9, 1e9)) if share == "10 %" else (1e9, 1e9)
        is_graph = way == "graph" and not self.is_clustered  # what no index of this kind can do
        row["missed"] = (
            row["p50 ms"] > p50
            or row["p95 ms"] > p95
            or (row["vectors recall@10"] < 0.95 and not is_graph)
            or row["words recall@10"] < 0.95
        )
        return row


class Exact:
    """The true answers among some rows."""

    def __init__(self, world: World, rows: Any) -> None:
        rows = rows[np.argsort(world.chunk_ids[rows])]
        self.ids, self.words = world.chunk_ids[rows], world.words[rows]
        self.vectors = world.vectors[rows].astype(np.float32)

    def nearest(self, vector: Any) -> list[int]:
        return list(self.ids[np.argsort(-(self.vectors @ vector), kind="stable")[:10]])

    def worth(self, found: list[int], words: Any) -> float:
        """How many of the first ten score as well as the true ten by BM25 (k1 = 1.2; every chunk is of the same length,
        so b does not matter): many chunks score the same to the last digit of an index."""
        score = np.zeros(len(self.ids))
        for word in words:
            times = (self.words == word).sum(axis=1)
            held = (times > 0).sum()
            score += np.log(1 + (len(score) - held + 0.5) / (held + 0.5)) * times * 2.2 / (times + 1.2)
        least = np.sort(score)[::-1][:10]
        least = least[least > 0]
        if not len(least):
            return 1.0
        places = np.searchsorted(self.ids, found[:10])
        return float((score[places] >= 0.99 * least[-1]).sum() / len(least))


def overlap(found: list[int], wanted: list[int]) -> float:
    return len(set(found[:10]) & set(wanted)) / max(1, len(wanted))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "owui.settings")
    main()
