"""What an answer took: tokens, the time to the first of them, their speed, and the model that spoke."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chat.engine import tokens
from inference.providers.events import Usage

#: more than any answer has; what a server says beyond it is nonsense that no column holds
_MOST = 2**31 - 1


@dataclass(slots=True)
class Meter:
    """Takes the times of one question to a model server."""

    digest: str = ""
    started: float = field(default_factory=time.perf_counter)
    first: float = 0.0
    thought: float = 0.0

    def thinking(self) -> None:
        """More of what the model thinks aloud came."""
        self.thought = time.perf_counter()

    def token(self) -> None:
        """Something of the answer came."""
        if not self.first:
            self.first = time.perf_counter()

    def measured(self, usage: Usage) -> Usage:
        """The server's counts with what was measured here, and with the speed, by the server's clock if it has one."""
        more: dict[str, Any] = {}
        if self.first:
            more["first_token_ms"] = round((self.first - self.started) * 1000)
            if speed := _speed(usage, time.perf_counter() - self.first):
                more["tokens_per_second"] = round(speed, 2)
        if self.thought and self.first:
            more["reasoning_ms"] = round((self.thought - self.first) * 1000)
        if self.digest:
            more["model_digest"] = self.digest
        return replace(usage, raw={**usage.raw, **more})


def _speed(usage: Usage, seconds: float) -> float:
    """Tokens a second: as Ollama or llama.cpp timed them, else from the first piece to the last."""
    taken = usage.raw.get("eval_duration")
    if isinstance(taken, int) and taken > 0:
        return usage.completion_tokens / taken * 1e9
    timings = usage.raw.get("timings")
    told = timings.get("predicted_per_second") if isinstance(timings, Mapping) else None
    if isinstance(told, (int, float)) and told > 0:
        return float(told)
    return (usage.completion_tokens - 1) / seconds if usage.completion_tokens > 1 and seconds > 0 else 0.0


def as_json(usage: Usage) -> dict[str, Any]:
    """The field's form: `prompt/completion_tokens` of the last model call, `input/output_tokens` of the whole reply."""
    return {
        **{name: value for name, value in usage.raw.items() if name != "choices"},
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
    }


def guessed(text: str, reasoning: str) -> dict[str, Any]:
    """What an answer took that ended before its server could say so."""
    count = round(tokens.of_text(text) + tokens.of_text(reasoning))
    return {"completion_tokens": count, "output_tokens": count, "estimated": True} if count else {}


def columns(usage: Mapping[str, Any]) -> dict[str, Any]:
    """What a turn's row keeps, for sums over many turns. Servers say what they like: only what fits is taken."""
    if not usage:
        return {}
    speed = usage.get("tokens_per_second")
    return {
        "prompt_tokens": _count(usage.get("prompt_tokens")),
        "completion_tokens": _count(usage.get("completion_tokens")),
        "first_token_ms": _count(usage.get("first_token_ms")),
        "tokens_per_second": float(speed) if isinstance(speed, (int, float)) else None,
        "model_digest": str(usage.get("model_digest") or "")[:128],
        "timings": timings_of(usage) or None,
    }


def timings_of(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The server's own times: llama.cpp's `timings`, Ollama's durations in nanoseconds."""
    told = usage.get("timings")
    if isinstance(told, Mapping):
        return dict(told)
    return {name: value for name, value in usage.items() if name.endswith("_duration")}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else None
