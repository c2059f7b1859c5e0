"""What is done for the index in the background. A search is right without it, only slower."""

from __future__ import annotations

import logging

from django.db import connection, transaction
from django.db.models import Max

from knowledge.models import Chunk, EmbeddingSpace

log = logging.getLogger(__name__)

# pgvector indexes halfvec up to here.
INDEXED_DIMENSIONS = 4000
# Where fewer chunks may be read, reading the signs of all of them is quick enough and misses nothing.
GRAPH_CHUNKS = 250_000
# The graph is built anew when so much of the space is newer than it.
NEWER = 0.2
# A graph is built in memory or takes hours; each vector takes about so much besides its numbers.
NODE_BYTES, MOST_MEMORY_MB = 400, 2000
_GRAPH_LOCK = 0x6F776768

_CROWDED = """
SELECT DISTINCT space_id, knowledge_base_id, crowd FROM (
  SELECT space_id, knowledge_base_id, language, floor(log(8, greatest(chunk_count, 8))) AS level, count(*) AS count,
    CASE WHEN max(max(created_at)) OVER (PARTITION BY space_id, knowledge_base_id) < now() - interval '1 minute'
         THEN 2 ELSE 8 END AS crowd,
    bool_or(id %% 60 = extract(minute FROM now()) AND 0.8 * chunk_count > (SELECT count(*) FROM knowledge_wordslot
      WHERE key BETWEEN segment.id << 24 AND (segment.id << 24) | 16777215)) AS is_holed
  FROM knowledge_wordsegment AS segment WHERE knowledge_base_id IS NOT NULL GROUP BY 1, 2, 3, 4
) AS levels WHERE count >= crowd OR is_holed LIMIT %s
"""


def merge_words(limit: int = 1000) -> int:
    """Merges the segments of bases that have many of a size (of two on, where nothing came for a minute), and those
    that lost a fifth of their chunks; a base is one transaction. Holes are looked for once an hour.

    :return: how many segments were merged
    """
    with connection.cursor() as cursor:
        cursor.execute(_CROWDED, [limit])
        crowded = cursor.fetchall()
    merged = 0
    for space, base, crowd in crowded:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT knowledge_words_merge(%s, %s, 16000000, %s)", [space, base, crowd])
            merged += cursor.fetchone()[0]
    return merged


def build_graphs() -> int:
    """Builds the HNSW index of the active space where it is due; its number, 0 or 1."""
    space = EmbeddingSpace.objects.filter(is_active=True, dimensions__lte=INDEXED_DIMENSIONS).first()
    if space is None:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(chunk_count), 0), (SELECT count(*) FROM (SELECT FROM knowledge_chunk "
            "WHERE space_id = %s AND id > %s LIMIT %s) AS newer) FROM knowledge_wordsegment WHERE space_id = %s",
            [space.pk, space.graph_until or 0, GRAPH_CHUNKS, space.pk],
        )
        total, newer = cursor.fetchone()
        if total < GRAPH_CHUNKS or newer < min(NEWER * total, GRAPH_CHUNKS):
            return 0
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_GRAPH_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        try:
            build_graph(space)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_GRAPH_LOCK])
    return 1


def build_graph(space: EmbeddingSpace) -> None:
    """An HNSW index over the chunks that are there now. Later ones are not put into it one by one, which would cost a
    millisecond each while documents come in: a search reads them by their signs until the next build.

    What a build that was broken off left behind is dropped by the next.
    """
    newest: int = Chunk.objects.filter(space=space).aggregate(newest=Max("pk"))["newest"] or 0
    megabytes = Chunk.objects.filter(space=space).count() * (2 * space.dimensions + NODE_BYTES) // 1_000_000
    name = f"chunk_graph_{space.pk}_{newest}"
    aside = "" if connection.in_atomic_block else "CONCURRENTLY"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('maintenance_work_mem', %s, %s)",
            [f"{min(64 + megabytes, MOST_MEMORY_MB)}MB", connection.in_atomic_block],
        )
        cursor.execute(f"DROP INDEX {aside} IF EXISTS {name}")
        cursor.execute(
            f"CREATE INDEX {aside} {name} ON knowledge_chunk "
            f"USING hnsw ((embedding::halfvec({space.dimensions:d})) halfvec_cosine_ops) "
            f"WHERE space_id = {space.pk:d} AND id <= {newest:d}"
        )
        cursor.execute("RESET maintenance_work_mem")
        EmbeddingSpace.objects.filter(pk=space.pk).update(graph_until=newest)
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE starts_with(indexname, %s) AND indexname <> %s",
            [f"chunk_graph_{space.pk}_", name],
        )
        for (old,) in cursor.fetchall():
            cursor.execute(f"DROP INDEX {aside} IF EXISTS {old}")
    log.info("HNSW index %s over %s MB of vectors is built", name, megabytes)
