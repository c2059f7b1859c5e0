"""Texts to vectors, through the embedding server that the settings name."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime

from django.utils.translation import gettext as _

from accounts.models import User
from inference.forwarding import NOTHING, About, for_person
from inference.providers import get_provider
from inference.providers.base import ConnectionInfo
from inference.providers.errors import BadAnswer, ConnectionMisconfigured, ProviderError
from knowledge.config import RagConfig

PARALLEL = 4
QUERY_SECONDS = 30.0
PAUSES = (0.3, 1.5)
# A server that wants a longer rest is left alone, and the worker does something else meanwhile.
LONGEST_PAUSE = 5.0


def connection_of(config: RagConfig, *, seconds: float | None = None) -> ConnectionInfo:
    """Where to embed. `ConnectionMisconfigured` when no embedding server is set up."""
    address, key = {
        "openai": (config.openai_api_base_url, config.openai_api_key),
        "ollama": (config.ollama_base_url, config.ollama_api_key),
    }.get(config.embedding_engine, ("", ""))
    if not address or not config.embedding_model:
        raise ConnectionMisconfigured(
            _("No embedding server is set up, so documents cannot be searched. An administrator sets one in Documents.")
        )
    limit = seconds or float(config.embedding_timeout)
    return ConnectionInfo(
        kind=config.embedding_engine,
        base_url=address.rstrip("/"),
        api_key=key,
        connect_timeout=min(10.0, limit),
        idle_timeout=limit,
        total_timeout=limit,
    )


def window_size(config: RagConfig) -> int:
    """How many texts are on their way at once: what a killed worker has to do again at most."""
    parallel = (config.embedding_concurrent_requests or PARALLEL) if config.enable_async_embedding else 1
    return config.embedding_batch_size * parallel


async def embed_texts(
    config: RagConfig, texts: Sequence[str], *, user: User | None = None, about: About = NOTHING
) -> list[list[float]]:
    """Unit vectors of texts of documents, in order; all batches side by side, so give `window_size` texts at most.

    :param user: whose document it is, for servers that are to know who asks
    """
    connection = await for_person(connection_of(config), user, about)
    size = config.embedding_batch_size
    prepared = [_prepared(config.embedding_content_prefix, text) for text in texts]
    batches = [prepared[at : at + size] for at in range(0, len(prepared), size)]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_embed(connection, config.embedding_model, batch, PAUSES)) for batch in batches]
    except BaseExceptionGroup as errors:
        # One refusal says what is wrong; the batches beside it were stopped.
        first = errors.exceptions[0]
        raise first from None
    vectors = [vector for task in tasks for vector in task.result()]
    check_lengths(vectors)
    return vectors


def check_lengths(vectors: Sequence[Sequence[float]]) -> None:
    """Each request is checked for itself; a server whose replicas run different models shows only between them."""
    if len(lengths := {len(vector) for vector in vectors}) > 1:
        found = ", ".join(str(length) for length in sorted(lengths))
        raise BadAnswer(f"The embedding server gives vectors of different lengths ({found}): it runs different models.")


async def embed_queries(
    config: RagConfig, queries: Sequence[str], *, user: User | None = None, about: About = NOTHING
) -> list[list[float]]:
    """Unit vectors of questions, in one request; somebody waits for it, so it gives up early."""
    limited = connection_of(config, seconds=min(QUERY_SECONDS, float(config.embedding_timeout)))
    connection = await for_person(limited, user, about)
    prepared = [_prepared(config.embedding_query_prefix, query) for query in queries]
    return await _embed(connection, config.embedding_model, prepared, PAUSES[:1])


async def _embed(
    connection: ConnectionInfo, model: str, texts: Sequence[str], pauses: Sequence[float]
) -> list[list[float]]:
    provider = get_provider(connection.kind)
    for pause in (*pauses, None):
        try:
            return [_unit(vector) for vector in await provider.embed(connection, model, texts)]
        except ProviderError as error:
            wished = wished_pause(error)
            if pause is None or not error.retryable or wished > LONGEST_PAUSE:
                raise
            await asyncio.sleep(max(pause, wished))
    raise AssertionError("unreachable")


def wished_pause(error: ProviderError) -> float:
    """After how many seconds the server wants to be asked again (Retry-After, seconds or a date); 0 without a wish."""
    if error.retry_after.isdecimal():
        return float(error.retry_after)
    try:
        when = parsedate_to_datetime(error.retry_after)
    except ValueError:
        return 0.0
    return max(0.0, when.timestamp() - time.time())


def _prepared(prefix: str, text: str) -> str:
    return prefix + text.replace("\r", " ").replace("\n", " ")


def _unit(vector: list[float]) -> list[float]:
    """Length one: half precision keeps three digits, and overflows on models that do not normalise."""
    norm = math.sqrt(sum(x * x for x in vector))
    return [x / norm for x in vector] if norm else vector
