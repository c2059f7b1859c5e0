"""Which models there are now, and which server answers for one of them.

The lists of all servers are kept in the process. A warm cache answers without any network: an old list is given at once
and a new one asked for meanwhile, and a model that was there is used whatever the age of the list. What a person may use
is never cached: `resolve_for` asks the database each time, in one hop.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from inference.connections import Connection, Setup, load_setup
from inference.models import AIModel
from inference.providers import get_provider
from inference.providers.base import ConnectionInfo, ModelInfo
from inference.providers.errors import ProviderError
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from rbac.sharing import Person, is_verified

log = logging.getLogger(__name__)

NOT_FOUND = "Model not found"
MAX_AGE = 60.0
MAX_HOPS = 3
CHAIN = "base_model__base_model__base_model"


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
class Catalogue:
    """The lists of all servers at one moment; `faults` says why a server's list is missing."""

    setup: Setup
    models: Mapping[str, LiveModel]
    faults: Mapping[str, str]
    loaded_at: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        return time.monotonic() - self.loaded_at


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model a person may use now: where to send the request and what the preset adds to it.

    `params` are the preset's over its base's, the system prompt under `system`; `row` has its bases loaded and is None
    for a model that nobody registered.
    """

    model_id: str
    name: str
    connection: ConnectionInfo
    upstream_id: str
    live: LiveModel
    params: Mapping[str, Any]
    meta: Mapping[str, Any]
    row: AIModel | None

    @property
    def system(self) -> str:
        """The preset's system prompt."""
        return str(self.params.get("system") or "")


_catalogue: Catalogue | None = None
_asking: tuple[Setup, asyncio.Task[Catalogue]] | None = None


async def live_models(*, refresh: bool = False) -> Mapping[str, LiveModel]:
    """All models the servers offer, by the id people see. Never raises because of a server."""
    return (await current(await in_thread(load_setup)(), refresh=refresh)).models


async def current(setup: Setup, *, refresh: bool = False) -> Catalogue:
    """The catalogue for these settings, at most `MAX_AGE` seconds old unless it is to be kept."""
    known = _catalogue
    if refresh or known is None or known.setup != setup or (known.age > MAX_AGE and not setup.is_kept):
        return await asyncio.shield(_ask(setup))
    if known.age > setup.ttl and not setup.is_kept:
        _ask(setup)
    return known


def offered_ids() -> frozenset[str]:
    """The ids the servers offered when they were last asked; nobody is asked now."""
    known = _catalogue
    return frozenset(known.models) if known else frozenset()


def forget() -> None:
    """The next question goes to the servers: after models were pulled or deleted there, and between tests."""
    global _catalogue, _asking
    _catalogue = _asking = None


async def resolve_for(user: Person, model_id: str, *, status: int = 400) -> Resolved:
    """The model, if the person may use it: at most two statements, and no network while the cache is warm.

    :param status: of the refusal, which is the same for unknown, inactive and not granted models
    """
    setup, row, is_open = await in_thread(_look_up)(user, model_id)
    if row is None and not is_open:
        raise UserError(NOT_FOUND, status=status, code="model")
    chain = [] if row is None else bases_of(row)
    base_id = chain[-1].model_id if chain else model_id
    live = await _find(setup, base_id)
    if live is None:
        if row is None:
            raise UserError(NOT_FOUND, status=status, code="model")
        text = _("The server of “%(name)s” does not offer it at the moment. Choose another model, or try again later.")
        raise UserError(text % {"name": row.name}, status=502, code="model_offline")
    return Resolved(
        model_id=model_id,
        name=row.name if row else live.name,
        connection=live.pick().info,
        upstream_id=live.upstream_id,
        live=live,
        params=_merged([r.params for r in chain]),
        meta=_merged([r.meta for r in chain]),
        row=row,
    )


def sees_unregistered(user: Person) -> bool:
    """Models without a row are for administrators only; BYPASS_ADMIN_ACCESS_CONTROL=False leaves them that."""
    return is_verified(user) and (user.role == "admin" or bool(settings.BYPASS_MODEL_ACCESS_CONTROL))


def bases_of(row: AIModel) -> list[AIModel]:
    """The row and the bases it stands on, nearest first. The rows must have been loaded with `CHAIN`."""
    chain = [row]
    while chain[-1].base_model_id and len(chain) <= MAX_HOPS:
        base = chain[-1].base_model
        assert base is not None
        chain.append(base)
    return chain


def _look_up(user: Person, model_id: str) -> tuple[Setup, AIModel | None, bool]:
    """The settings, the usable row, and whether the bare model may be used without one."""
    setup = load_setup()
    row = AIModel.objects.usable_by(user).filter(model_id=model_id).select_related(CHAIN).order_by().first()
    is_open = row is None and sees_unregistered(user) and not AIModel.objects.filter(model_id=model_id).exists()
    return setup, row, is_open


async def _find(setup: Setup, model_id: str) -> LiveModel | None:
    """A live model; one that was there is used at once, an unknown one is looked for if the list may be outdated."""
    known = _catalogue
    if known is not None and known.setup == setup and model_id in known.models:
        if known.age > setup.ttl and not setup.is_kept:
            _ask(setup)
        return known.models[model_id]
    is_stale = known is None or known.setup != setup or known.age > setup.ttl
    return (await current(setup, refresh=is_stale)).models.get(model_id)


def _merged(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """The nearest layer wins; what it leaves empty comes from below."""
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged |= {name: value for name, value in (layer or {}).items() if value not in (None, "", [], {})}
    return merged


def _ask(setup: Setup) -> asyncio.Task[Catalogue]:
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


def _log_failure(task: asyncio.Task[Catalogue]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the lists of models could not be read", exc_info=error)


async def _ask_all(setup: Setup) -> Catalogue:
    global _catalogue
    connections = setup.connections()
    started = time.monotonic()
    before = _catalogue.faults if _catalogue is not None else {}
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
    found = Catalogue(setup, models, faults, started)
    if _catalogue is None or _catalogue.loaded_at <= started:
        _catalogue = found
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
        models[shown] = LiveModel(
            known.id, known.upstream_id, known.name, known.kind, known.owned_by, known.raw,
            (*known.connections, connection),
        )  # fmt: skip
