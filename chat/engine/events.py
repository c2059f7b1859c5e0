"""What happens in a turn, as plain values, and the compact form they have in the event log.

A logged event is a pair `[kind, value]`; its place in the log is its sequence number, counted from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TEXT, REASONING, STATUS, SOURCES, USAGE, FINISH = "t", "r", "s", "c", "u", "f"
Logged = tuple[str, Any]
#: an event with its sequence number
Numbered = tuple[int, Logged]


@dataclass(frozen=True, slots=True)
class Status:
    """What the engine is doing, in the field's form; shown above the answer."""

    action: str
    description: str
    done: bool = False
    error: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"action": self.action, "description": self.description, "done": self.done}
        return out | ({"error": True} if self.error else {}) | self.extra


@dataclass(frozen=True, slots=True)
class Sources:
    """What the answer may cite: the field's `sources` list, and the rows to keep with the message."""

    sources: list[dict[str, Any]]
    citations: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a turn. `state` is done, stopped, interrupted or failed; `error` is for people, `status` the model
    server's own when it refused, `body` its error object and `retry_after` its wish, for programs."""

    state: str
    error: str = ""
    status: int | None = None
    body: dict[str, Any] = field(default_factory=dict)
    retry_after: str = ""


@dataclass(slots=True)
class Transcript:
    """What a list of logged events adds up to."""

    text: str = ""
    reasoning: str = ""
    statuses: list[dict[str, Any]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)

    def add(self, events: list[Logged]) -> Transcript:
        text, reasoning = [self.text], [self.reasoning]
        for kind, value in events:
            if kind == TEXT:
                text.append(value)
            elif kind == REASONING:
                reasoning.append(value)
            elif kind == STATUS:
                self.statuses.append(value)
            elif kind == SOURCES:
                self.sources = value
            elif kind == USAGE:
                self.usage = value
        self.text, self.reasoning = "".join(text), "".join(reasoning)
        return self
