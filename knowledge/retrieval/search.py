"""Search: vectors, words, their fusion and the rights, in one statement (`sql/search.sql`)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from django.db import connection
from pgvector import HalfVector

from knowledge.config import RagConfig
from knowledge.models import EmbeddingSpace
from knowledge.retrieval.scope import Ids, array_of, readable, readable_chunks
from knowledge.retrieval.words import asked, codes_of
from knowledge.spaces import ReindexNeeded, active_space
from owui.lib.aio import in_thread
from rbac.sharing import Person

# Candidates of each half: duplicates fall out, and what only one half knows still has its place.
DEPTH = 50
_COLUMNS = (
    "chunk_id, document_id, knowledge_base_id, filename, page_position, page_number, page_label, start_index, text, "
    "headings, score, owner_id, position, vector_rank, word_rank, word_score, points, way"
)


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
    position: int = 0

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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk on its way through the stages; a rank counts from 1 and is None where the stage did not find it."""

    hit: Hit
    vector_rank: int | None
    word_rank: int | None
    word_score: float | None
    points: float


@dataclass(frozen=True, slots=True)
class Stages:
    """What each stage of one search found, best first. `fused` is what the search would return, uncut; `way` is how
    the vectors were searched: exact, coarse or graph."""

    way: str
    vector: list[Candidate]
    words: list[Candidate]
    fused: list[Candidate]


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
    scope: dict[str, Ids | None] = {"knowledge_base_ids": knowledge_base_ids, "document_ids": document_ids}
    rows = _found(user, queries, vectors, config, options, options.kept, "", **scope)
    if not rows and queries:
        _refuse_if_stale(user, vectors, config, **scope)
    return [_hit(row) for row in rows]


async def asearch(user: Person, queries: Sequence[str], vectors: Sequence[Sequence[float]], **how: Any) -> list[Hit]:
    """`search` from async code, in one hop."""
    return await in_thread(search)(user, queries, vectors, **how)


def search_stages(
    user: Person,
    query: str,
    vector: Sequence[float],
    *,
    config: RagConfig,
    options: Options | None = None,
    knowledge_base_ids: Ids | None = None,
    document_ids: Ids | None = None,
    way: str = "",
) -> Stages:
    """The same search with every candidate of each stage and its scores, for people who try settings.

    :param way: how to search vectors, instead of the way that the number of readable chunks asks for
    """
    options = options or Options.of(config)
    rows = _found(
        user, [query], [vector], config, options, 4 * DEPTH + 8 * options.k, way,
        knowledge_base_ids=knowledge_base_ids, document_ids=document_ids,
    )  # fmt: skip
    fused = [Candidate(_hit(row), *row[13:17]) for row in rows]
    return Stages(
        way=rows[0][17] if rows else way,
        vector=sorted((c for c in fused if c.vector_rank), key=lambda c: c.vector_rank or 0),
        words=sorted((c for c in fused if c.word_rank), key=lambda c: c.word_rank or 0),
        fused=fused,
    )


def _found(
    user: Person,
    queries: Sequence[str],
    vectors: Sequence[Sequence[float]],
    config: RagConfig,
    options: Options,
    kept: int,
    way: str,
    **ids: Ids | None,
) -> list[Sequence[Any]]:
    """The rows of the one statement. Which bases and documents may be read is answered inside it."""
    if not queries:
        return []
    scope = readable(user, **ids)
    bases, base_params = array_of(scope.bases)
    documents, document_params = array_of(scope.documents)
    codes = sorted({code for query in queries for code in codes_of(query)}) if options.word_weight > 0 else []
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM knowledge_search(%s, %s, {bases}, {documents}, %s, %s::text[], %s::halfvec[], "  # noqa: S608
            "%s, %s, %s, %s, %s::text[], %s)",
            [
                config.embedding_engine,
                config.embedding_model,
                *base_params,
                *document_params,
                scope.homeless,
                [asked(query) for query in queries],
                [HalfVector(list(vector)).to_text() for vector in vectors],
                options.word_weight,
                max(DEPTH, 4 * options.k),
                kept,
                options.threshold if options.hybrid else 0.0,
                codes,
                way,
            ],
        )
        rows: list[Sequence[Any]] = cursor.fetchall()
    return rows


def _hit(row: Sequence[Any]) -> Hit:
    return Hit(
        chunk_id=row[0],
        document_id=row[1],
        knowledge_base_id=row[2],
        filename=row[3],
        page_position=row[4],
        page_number=row[5],
        page_label=row[6] or "",
        start_index=row[7],
        text=row[8],
        headings=tuple(json.loads(row[9]) if isinstance(row[9], str) else row[9]),
        score=row[10],
        owner_id=row[11],
        position=row[12],
    )


def joined(hits: Sequence[Hit]) -> list[Hit]:
    """Hits that follow one another on a page as one passage, at the place of the better one: a model reads them in
    order, and what they share once."""
    places = {hit.chunk_id: place for place, hit in enumerate(hits)}
    passages: list[tuple[int, Hit]] = []
    for hit in sorted(hits, key=lambda hit: (str(hit.document_id), str(hit.knowledge_base_id), hit.position)):
        place = places[hit.chunk_id]
        if passages and _precedes(passages[-1][1], hit):
            place, before = min(place, passages[-1][0]), passages.pop()[1]
            shared = before.start_index + len(before.text) - hit.start_index
            text = before.text + (hit.text[shared:] if shared >= 0 else f"\n{hit.text}")
            hit = replace(before, text=text, score=max(before.score, hit.score), position=hit.position)
        passages.append((place, hit))
    return [hit for _place, hit in sorted(passages, key=lambda passage: passage[0])]


def _precedes(one: Hit, other: Hit) -> bool:
    """Whether the other begins where this one ends, in the same text."""
    if (one.document_id, one.page_position, one.headings) != (other.document_id, other.page_position, other.headings):
        return False
    shared = one.start_index + len(one.text) - other.start_index
    is_next = one.position + 1 == other.position and one.start_index < other.start_index
    return is_next and (shared < 0 or one.text.endswith(other.text[:shared]))


def _refuse_if_stale(user: Person, vectors: Sequence[Sequence[float]], config: RagConfig, **ids: Ids | None) -> None:
    """Nothing found, but there would be something in another model's space: say so instead of "no results"."""
    space = active_space(config)
    if space is None:
        return
    if any(len(vector) != space.dimensions for vector in vectors):
        raise ReindexNeeded(config.embedding_model)
    if any(branch.exists() for branch in readable_chunks(user, space, **ids)):
        return
    for other in EmbeddingSpace.objects.exclude(pk=space.pk):
        if any(branch.exists() for branch in readable_chunks(user, other, **ids)):
            raise ReindexNeeded(config.embedding_model)
