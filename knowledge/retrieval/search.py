"""Search: vectors, words, and their fusion."""

from __future__ import annotations

import math
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.db import connection, transaction
from django.db.models import F, FloatField
from django.db.models.functions import Cast
from pgvector import HalfVector
from pgvector.django import CosineDistance, HalfVectorField

from knowledge.config import RagConfig
from knowledge.models import EmbeddingSpace
from knowledge.retrieval.scope import Chunks, Ids, readable_chunks
from knowledge.retrieval.words import best_by_words, codes_of
from knowledge.spaces import INDEXED_DIMENSIONS, ReindexNeeded, active_space
from owui.lib.aio import in_thread
from rbac.sharing import Person

# Up to here reading all readable rows is as fast as the index and, unlike it, misses nothing. HNSW filtered to 10 % of
# the rows found 0.88 of the true first ten, to 2 % of them 0.80 (measured on 100,000 chunks).
EXACT_ROWS = 20_000
# Fusion of MiniLM and BM25 on SciFact: nDCG@10 0.719 with 10, 0.712 with the usual 60.
RRF = 10


@dataclass(frozen=True, slots=True)
class Options:
    """How to search; by default as the settings say."""

    k: int = 3
    hybrid: bool = False
    weight: float = 0.5
    threshold: float = 0.0
    k_reranker: int = 3

    @classmethod
    def of(
        cls,
        config: RagConfig,
        *,
        k: int | None = None,
        hybrid: bool | None = None,
        weight: float | None = None,
        threshold: float | None = None,
        k_reranker: int | None = None,
    ) -> Self:
        """Overrides of one request. Hybrid search can be switched off by a request, but on only by the settings."""
        return cls(
            k=min(max(1, config.top_k if k is None else k), 200),
            hybrid=config.enable_hybrid_search and hybrid is not False,
            weight=min(max(config.hybrid_bm25_weight if weight is None else weight, 0.0), 1.0),
            threshold=config.relevance_threshold if threshold is None else threshold,
            k_reranker=min(max(1, config.top_k_reranker if k_reranker is None else k_reranker), 200),
        )

    @property
    def kept(self) -> int:
        return min(self.k, self.k_reranker) if self.hybrid else self.k

    @property
    def word_weight(self) -> float:
        return self.weight if self.hybrid else 0.0


@dataclass(frozen=True, slots=True)
class Hit:
    """One chunk that was found. `score` is its likeness to the question, 0 to 1; the order is the search's."""

    chunk_id: int
    document_id: uuid.UUID
    knowledge_base_id: uuid.UUID | None
    filename: str
    page_position: int | None
    page_number: int | None
    page_label: str
    start_index: int
    text: str
    headings: tuple[str, ...]
    score: float
    owner_id: uuid.UUID | None

    @property
    def metadata(self) -> dict[str, Any]:
        """The field's chunk metadata."""
        data: dict[str, Any] = {
            "file_id": str(self.document_id),
            "name": self.filename,
            "source": self.filename,
            "created_by": str(self.owner_id) if self.owner_id else None,
            "start_index": self.start_index,
        }
        if self.page_number is not None:
            # The field counts pages from 0 and shows one more.
            data |= {"page": self.page_number - 1, "page_label": self.page_label or str(self.page_number)}
        elif self.page_label:
            data["page_label"] = self.page_label
        if self.headings:
            data["headings"] = list(self.headings)
        return data


@transaction.atomic
def search(
    user: Person,
    queries: Sequence[str],
    vectors: Sequence[Sequence[float]],
    *,
    config: RagConfig,
    options: Options | None = None,
    knowledge_base_ids: Ids | None = None,
    document_ids: Ids | None = None,
) -> list[Hit]:
    """The best chunks for some questions (each with its vector) among those that the person may read, best first.

    :raises ReindexNeeded: the readable documents were embedded by another model
    """
    options = options or Options.of(config)
    space = active_space(config)
    if space is None or not queries:
        return []
    for vector in vectors:
        if len(vector) != space.dimensions:
            raise ReindexNeeded(config.embedding_model)
    _tune()
    branches = readable_chunks(user, space, knowledge_base_ids, document_ids)
    counts = [branch.order_by()[: EXACT_ROWS + 1].count() for branch in branches]
    if not sum(counts):
        _refuse_if_stale(user, space, config, knowledge_base_ids, document_ids)
        return []
    # Each for itself: a few rows among many that do not match are what the index is worst at.
    ways = [
        (branch, count <= EXACT_ROWS or space.dimensions > INDEXED_DIMENSIONS)
        for branch, count in zip(branches, counts, strict=True)
        if count
    ]
    branches = [branch for branch, _exact in ways]
    # A document in several bases comes several times; candidates beyond k make up for what that pushes out.
    candidates = 4 * options.k
    points: dict[int, float] = defaultdict(float)
    for query, vector in zip(queries, vectors, strict=True):
        found: dict[int, float] = defaultdict(float)
        if options.word_weight < 1:
            for rank, (chunk_id, _distance) in enumerate(_nearest(ways, space, vector, candidates)):
                found[chunk_id] += (1 - options.word_weight) / (RRF + rank + 1)
        if options.word_weight > 0:
            for rank, chunk_id in enumerate(best_by_words(branches, query, candidates, sum(counts))):
                found[chunk_id] += options.word_weight / (RRF + rank + 1)
        for chunk_id, value in found.items():
            points[chunk_id] = max(points[chunk_id], value)
    codes = {code for query in queries for code in codes_of(query)} if options.word_weight > 0 else set()
    return _hits(branches, points, vectors, options, codes)


async def asearch(user: Person, queries: Sequence[str], vectors: Sequence[Sequence[float]], **how: Any) -> list[Hit]:
    """`search` from async code, in one hop."""
    return await in_thread(search)(user, queries, vectors, **how)


def _tune() -> None:
    """For this transaction only.

    Generic plans of prepared statements guess the number of readable bases. Whole tables are never worth reading here,
    and where the way through an index is chosen, sorting everything is not. Without iterative scans HNSW filters after
    the search and gives too few rows. With ef_search 100, 200, 400 it found 0.78, 0.90, 1.0 of the true first ten
    among 100,000 loosely clustered vectors, in 15, 15 and 26 ms.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = off; "
            "SET LOCAL hnsw.iterative_scan = strict_order; SET LOCAL hnsw.ef_search = 400"
        )


def _distance(space: EmbeddingSpace, vector: Sequence[float], exact: bool) -> CosineDistance:
    """Written as the index is only when the index is wanted."""
    column: Any = F("embedding") if exact else Cast("embedding", HalfVectorField(dimensions=space.dimensions))
    return CosineDistance(column, HalfVector(list(vector)))


def _nearest(
    ways: list[tuple[Chunks, bool]], space: EmbeddingSpace, vector: Sequence[float], limit: int
) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    for branch, exact in ways:
        rows = branch.annotate(distance=_distance(space, vector, exact)).order_by("distance")
        found += rows.values_list("pk", "distance")[:limit]
    return sorted(found, key=lambda row: row[1])[:limit]


def _hits(
    branches: list[Chunks],
    points: dict[int, float],
    vectors: Sequence[Sequence[float]],
    options: Options,
    codes: set[str],
) -> list[Hit]:
    """The chunks themselves, read under the same rights; texts that occur twice count once.

    Who names a document by its number means it: chunks that hold a code of the question come first in hybrid search.
    Fusion by rank alone buries them below texts that are a little like the question in both ways.
    """
    rows: dict[int, Any] = {}
    fields = (
        "pk", "document_id", "knowledge_base_id", "document__filename", "page__position", "page__number", "page__label",
        "start_index", "text", "headings", "document__owner_id",
    )  # fmt: skip
    distances = {
        f"distance_{number}": Cast(CosineDistance("embedding", HalfVector(list(vector))), FloatField())
        for number, vector in enumerate(vectors)
    }
    for branch in branches:
        for row in branch.filter(pk__in=list(points)).annotate(**distances).values_list(*fields, *distances):
            rows[row[0]] = row
    hits: list[Hit] = []
    seen: set[str] = set()
    vector_only = options.word_weight == 0
    scored = [(_score(row[len(fields) :]), row) for row in rows.values()]
    # By points, which is by rank; for several questions and vectors alone, by likeness.
    scored.sort(key=lambda item: (-_named(item[1], codes), -item[0] * vector_only, -points[item[1][0]], item[1][0]))
    for score, row in scored:
        if row[8] in seen or (options.hybrid and score < options.threshold):
            continue
        seen.add(row[8])
        hits.append(_hit(row, score))
        if len(hits) == options.kept:
            break
    return hits


def _named(row: Sequence[Any], codes: set[str]) -> int:
    """How many of the codes stand in the text or in the file's name."""
    place = f"{row[3]}\n{row[8]}".casefold() if codes else ""
    return sum(code in place for code in codes)


def _hit(row: Sequence[Any], score: float) -> Hit:
    chunk_id, document_id, kb_id, filename, position, number, label, start, text, headings, owner_id = row[:11]
    return Hit(
        chunk_id=chunk_id,
        document_id=document_id,
        knowledge_base_id=kb_id,
        filename=filename,
        page_position=position,
        page_number=number,
        page_label=label or "",
        start_index=start,
        text=text,
        headings=tuple(headings),
        score=score,
        owner_id=owner_id,
    )


def _score(distances: Sequence[float]) -> float:
    """Cosine likeness to the nearest question; a vector of zeros has no direction and is like nothing."""
    likeness = [1.0 - distance for distance in distances if distance is not None and not math.isnan(distance)]
    return min(max(likeness, default=0.0), 1.0) if likeness and max(likeness) > 0 else 0.0


def _refuse_if_stale(
    user: Person, space: EmbeddingSpace, config: RagConfig, knowledge_base_ids: Ids | None, document_ids: Ids | None
) -> None:
    """Nothing found, but there would be something in another model's space: say so instead of "no results"."""
    for other in EmbeddingSpace.objects.exclude(pk=space.pk):
        branches = readable_chunks(user, other, knowledge_base_ids, document_ids)
        if any(branch.exists() for branch in branches):
            raise ReindexNeeded(config.embedding_model)
