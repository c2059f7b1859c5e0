"""What the servers offer now. The lists of all servers are kept in the process.

A warm cache answers without any network: an old list is given at once and a new one asked for meanwhile, and a model
that was there is used whatever the age of the list.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings

from inference.connections import Connection, Setup, load_setup
from inference.providers import get_provider
from inference.providers.base import ModelInfo
from inference.providers.errors import ProviderError
from owui.lib.aio import in_thread

log = logging.getLogger(__name__)

MAX_AGE = 60.0


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A model that a server offers. Several Ollama servers may offer the same one; then they share the work."""

    id: str
    upstream_id: str
    name: str
    kind: str
    owned_by: str
    raw: Mapping[str, Any]
    connections: tuple[Connection, ...]

    def pick(self, index: int | None = None) -> Connection:
        """The connection with that place, or any; LookupError when the model is not there."""
        if index is None:
            return random.choice(self.connections)  # noqa: S311
        found = [c for c in self.connections if c.index == index]
        if not found:
            raise LookupError(index)
        return found[0]


@dataclass(frozen=True, slots=True)
class Lists:
    """What all servers said at one moment; `faults` says why a server's list is missing."""

    setup: Setup
    models: Mapping[str, LiveModel]
    faults: Mapping[str, str]
    loaded_at: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        return time.monotonic() - self.loaded_at


_lists: Lists | None = None
_asking: tuple[Setup, asyncio.Task[Lists]] | None = None


async def live_models(*, refresh: bool = False) -> Mapping[str, LiveModel]:
    """All models the servers offer, by the id people see. Never raises because of a server."""
    return (await current(await in_thread(load_setup)(), refresh=refresh)).models


async def current(setup: Setup, *, refresh: bool = False) -> Lists:
    """The lists for these settings, at most `MAX_AGE` seconds old unless it is to be kept."""
    known = _lists
    if refresh or known is None or known.setup != setup or (known.age > MAX_AGE and not setup.is_kept):
        return await asyncio.shield(_ask(setup))
    if known.age > setup.ttl and not setup.is_kept:
        _ask(setup)
    return known


def offered_ids() -> frozenset[str]:
    """The ids the servers offered when they were last asked; nobody is asked now."""
    known = _lists
    return frozenset(known.models) if known else frozenset()


def forget() -> None:
    """The next question goes to the servers: after models were pulled or deleted there, and between tests."""
    global _lists, _asking
    _lists = _asking = None


async def find(setup: Setup, model_id: str) -> LiveModel | None:
    """A live model; one that was there is used at once, an unknown one is looked for if the list may be outdated."""
    known = _lists
    if known is not None and known.setup == setup and model_id in known.models:
        if known.age > setup.ttl and not setup.is_kept:
            _ask(setup)
        return known.models[model_id]
    is_stale = known is None or known.setup != setup or known.age > setup.ttl
    return (await current(setup, refresh=is_stale)).models.get(model_id)


def at_hand(setup: Setup, model_id: str) -> LiveModel | None:
    """A live model as it was listed last, for threads; None when it would have to be asked for."""
    known = _lists
    return known.models.get(model_id) if known is not None and known.setup == setup else None


def _ask(setup: Setup) -> asyncio.Task[Lists]:
    """The one question to all servers that is under way in this loop."""
    global _asking
    loop = asyncio.get_running_loop()
    if _asking is not None:
        asked, task = _asking
        if asked == setup and not task.done() and task.get_loop() is loop:
            return task
    task = loop.create_task(_ask_all(setup), name="model-lists")
    task.add_done_callback(_log_failure)
    _asking = (setup, task)
    return task


def _log_failure(task: asyncio.Task[Lists]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the lists of models could not be read", exc_info=error)


async def _ask_all(setup: Setup) -> Lists:
    global _lists
    connections = setup.connections()
    started = time.monotonic()
    before = _lists.faults if _lists is not None else {}
    answers = await asyncio.gather(*(_ask_one(connection) for connection in connections))
    models: dict[str, LiveModel] = {}
    faults: dict[str, str] = {}
    for connection, answer in zip(connections, answers, strict=True):
        if isinstance(answer, str):
            faults[connection.info.base_url] = answer
            if before.get(connection.info.base_url) != answer:
                log.warning("%s", answer)
            continue
        for info in answer:
            _add(models, connection, info)
    found = Lists(setup, models, faults, started)
    if _lists is None or _lists.loaded_at <= started:
        _lists = found
    return found


async def _ask_one(connection: Connection) -> list[ModelInfo] | str:
    """A server's models, or why there are none."""
    timeout = settings.BOOT.aiohttp_client_timeout_model_list
    try:
        return await get_provider(connection.kind).list_models(connection.info, timeout=timeout)
    except ProviderError as error:
        return error.message


def _add(models: dict[str, LiveModel], connection: Connection, info: ModelInfo) -> None:
    shown = connection.shown_id(info.id)
    known = models.get(shown)
    if known is None:
        models[shown] = LiveModel(
            id=shown,
            upstream_id=info.id,
            name=shown if info.name == info.id else info.name,
            kind=connection.kind,
            owned_by=connection.kind,
            raw=info.raw,
            connections=(connection,),
        )
    elif known.kind == connection.kind == "ollama" and known.upstream_id == info.id:
        models[shown] = replace(known, connections=(*known.connections, connection))
