"""A second look at what hybrid search found, by a server that reads question and passage together.

`POST url {model, query, documents, top_n}` with `{results: [{index, relevance_score}]}` as answer: the form that
llama.cpp, vLLM, TEI, Jina and Cohere share. Without an answer the search's own order stays.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from accounts.models import User
from inference.forwarding import NOTHING, About, for_person
from inference.providers.base import ConnectionInfo
from inference.providers.errors import ProviderError
from inference.providers.transport import request_json
from knowledge.config import RagConfig
from knowledge.retrieval.search import Hit, Options

log = logging.getLogger(__name__)
#: passages that the server reads for each that is kept, and at least
WIDER, LEAST = 4, 20


def is_reranked(config: RagConfig, options: Options) -> bool:
    return options.hybrid and config.reranking_engine == "external" and bool(config.external_reranker_url)


def wider(config: RagConfig, options: Options) -> Options:
    """What to ask the search for: with a reranker more than is kept, as it may bring up what stands far down."""
    if not is_reranked(config, options):
        return options
    count = min(200, max(LEAST, WIDER * options.k))
    return replace(options, k=count, k_reranker=count, threshold=0.0)


async def reranked(
    config: RagConfig,
    queries: Sequence[str],
    hits: Sequence[Hit],
    options: Options,
    *,
    user: User | None = None,
    about: About = NOTHING,
) -> list[Hit]:
    """The hits of `wider` in the server's order, cut as the options say. A hit's score is the server's (0 to 1) for the
    question that it fits best."""
    if not is_reranked(config, options) or not hits:
        return list(hits)
    try:
        connection = await for_person(_connection(config), user, about)
        best = [0.0] * len(hits)
        for query in queries:
            for place, score in enumerate(await _scores(config, connection, query, [hit.text for hit in hits])):
                best[place] = max(best[place], score)
    except ProviderError as error:
        log.warning("Passages are not reranked: %s", error.message)
        return [hit for hit in hits if hit.score >= options.threshold][: options.kept]
    order = sorted(range(len(hits)), key=lambda place: -best[place])
    found = [replace(hits[place], score=best[place]) for place in order if best[place] >= options.threshold]
    return found[: options.kept]


async def _scores(config: RagConfig, connection: ConnectionInfo, query: str, texts: Sequence[str]) -> list[float]:
    path = urlsplit(config.external_reranker_url).path or "/"
    scores: list[float] = []
    for first in range(0, len(texts), config.reranking_batch_size):
        some = list(texts[first : first + config.reranking_batch_size])
        body = {"model": config.reranking_model, "query": query, "documents": some, "top_n": len(some)}
        scores += _read(connection, await request_json(connection, "POST", path, body), len(some))
    # Some servers give probabilities, some give logits.
    return scores if all(0.0 <= score <= 1.0 for score in scores) else [_sigmoid(score) for score in scores]


def _read(connection: ConnectionInfo, answer: dict[str, Any], count: int) -> list[float]:
    """Scores in the order of the passages; one that the server left out is the least."""
    results = answer.get("results")
    if not isinstance(results, list):
        raise ProviderError(f"The reranker at {connection.base_url} gave no list of results.")
    scores = [-math.inf] * count
    for result in results:
        try:
            place, score = int(result["index"]), float(result["relevance_score"])
            if place < 0 or math.isnan(score):
                raise ValueError(place)
            scores[place] = score
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ProviderError(f"The reranker at {connection.base_url} gave a result that is none.") from error
    least = min((score for score in scores if score != -math.inf), default=0.0)
    return [least if score == -math.inf else score for score in scores]


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-min(max(value, -60.0), 60.0)))


def _connection(config: RagConfig) -> ConnectionInfo:
    parts = urlsplit(config.external_reranker_url)
    limit = float(config.external_reranker_timeout)
    return ConnectionInfo(
        kind="openai",
        base_url=f"{parts.scheme}://{parts.netloc}",
        api_key=config.external_reranker_api_key,
        connect_timeout=min(10.0, limit),
        idle_timeout=limit,
        total_timeout=limit,
    )
