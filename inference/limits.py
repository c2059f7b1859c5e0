"""How many tokens a model can take in, where its server says so. Kept in the process: it changes when a server does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inference.providers.base import ConnectionInfo
from inference.providers.context import ContextInfo, context_info, listed_context
from inference.providers.errors import ProviderError

#: seconds that an answer is kept, and the lack of one
KNOWN, UNKNOWN = 300.0, 30.0
MAX_KEPT = 1000

Key = tuple[str, str, str]
_kept: dict[Key, tuple[ContextInfo, float]] = {}
_asking: dict[Key, asyncio.Task[ContextInfo]] = {}


@dataclass(frozen=True, slots=True)
class ContextLimit:
    """The limit of one model as one request uses it."""

    connection: ConnectionInfo
    model: str
    raw: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return (self.connection.base_url, self.model, str(self.raw.get("digest") or ""))

    async def ask(self) -> int | None:
        """Tokens of prompt and answer together; None where nobody knows. No network while the answer is kept.

        The parameter `num_ctx` is what Ollama is asked for, and what an administrator knows of other servers; no model
        holds more than its server says.
        """
        info = await _info(self)
        asked = _positive(self.params.get("num_ctx"))
        most = info.most if self.connection.kind == "ollama" else info.now or info.most
        limit = min(filter(None, (asked, most)), default=None) if asked else info.now
        return limit or _positive(self.params.get("compact_token_threshold"))

    def remember(self, limit: int) -> None:
        """What the server said when it refused a prompt."""
        _keep(self.key, ContextInfo(limit, limit), KNOWN)


def forget() -> None:
    """For tests."""
    _kept.clear()
    _asking.clear()


async def _info(limit: ContextLimit) -> ContextInfo:
    key = limit.key
    known = _kept.get(key)
    is_fresh = known is not None and known[1] > time.monotonic()
    if known is not None and is_fresh and known[0].now:
        return known[0]
    if listed := listed_context(limit.raw):
        return ContextInfo(listed, listed)
    if known is not None and is_fresh:
        return known[0]
    task = _asking.get(key)
    if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
        task = asyncio.create_task(_ask(limit), name="context-length")
        _asking[key] = task
        task.add_done_callback(lambda _done: _asking.pop(key, None))
    return await asyncio.shield(task)


async def _ask(limit: ContextLimit) -> ContextInfo:
    try:
        info = await context_info(limit.connection, limit.model, limit.raw)
    except ProviderError:
        info = ContextInfo()
    _keep(limit.key, info, KNOWN if info.now else UNKNOWN)
    return info


def _keep(key: Key, info: ContextInfo, seconds: float) -> None:
    _kept.pop(key, None)
    _kept[key] = (info, time.monotonic() + seconds)
    while len(_kept) > MAX_KEPT:
        del _kept[next(iter(_kept))]


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
