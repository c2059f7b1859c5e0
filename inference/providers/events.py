"""What a model says while it answers, as plain values: no ids, no storage, no wire format."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer; everything that arrived in one network read comes as one delta."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of what the model thinks aloud before answering. `<think>` tags inside the text are not looked for."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a call the model asks for; pieces with the same `index` belong together.

    `id` and `name` come with the first piece and may be None later; `arguments` are pieces of JSON text to be joined.
    """

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens counted by the server (0 where it does not say); `raw` is all it reported, llama.cpp's `timings` too."""

    prompt_tokens: int
    completion_tokens: int
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete: always the last event, once. `reason` is `stop`, `length`, `tool_calls` or the
    server's own word."""

    reason: str


StreamEvent = TextDelta | ReasoningDelta | ToolCallDelta | Usage | Finished
