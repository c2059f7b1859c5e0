"""Telling apart what a model thinks from what it answers, when both come in one text with tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inference.providers.events import ReasoningDelta, TextDelta

PAIRS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reason>", "</reason>"),
    ("<reasoning>", "</reasoning>"),
    ("<thought>", "</thought>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)


def pairs_of(wanted: Any) -> Sequence[tuple[str, str]] | None:
    """The parameter `reasoning_tags` as pairs: a pair of one's own or a list of such, False for none at all, and the
    usual ones for everything else."""
    if wanted is False:
        return None
    given = [wanted] if _is_pair(wanted) else wanted if isinstance(wanted, list) else []
    own = [(pair[0].strip(), pair[1].strip()) for pair in given if _is_pair(pair)]
    return own or PAIRS


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(v, str) and v.strip() for v in value)


class ReasoningSplitter:
    """Feeds on text deltas, gives text and reasoning deltas.

    Only a tag at the very start of the answer opens a thought: later ones are what the answer talks about.
    A tag may be cut anywhere between two deltas; what might still become one is held back.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]] = PAIRS) -> None:
        self._pairs = pairs
        self._held = ""
        self._closing = ""
        self._state = "start"
        self._at_edge = False

    def feed(self, text: str) -> list[TextDelta | ReasoningDelta]:
        if self._state == "answer":
            text = self._trimmed(text)
            return [TextDelta(text)] if text else []
        self._held += text
        return self._start() if self._state == "start" else self._thinking()

    def finish(self) -> list[TextDelta | ReasoningDelta]:
        """What was still held back when the answer ended."""
        held, self._held = self._held, ""
        if self._state == "thinking":
            held = self._trimmed(held)
            return [ReasoningDelta(held)] if held else []
        return [TextDelta(held)] if held else []

    def _trimmed(self, text: str) -> str:
        """Without the line breaks that stand between a tag and what it marks, in however many pieces they come."""
        if self._at_edge:
            text = text.lstrip("\n")
            self._at_edge = not text
        return text

    def _start(self) -> list[TextDelta | ReasoningDelta]:
        bare = self._held.lstrip()
        for opening, closing in self._pairs:
            if bare.startswith(opening):
                self._state, self._closing, self._held = "thinking", closing, bare[len(opening) :]
                self._at_edge = True
                return self._thinking()
        if any(opening.startswith(bare) for opening, _closing in self._pairs):
            return []
        self._state, held, self._held = "answer", self._held, ""
        return [TextDelta(held)]

    def _thinking(self) -> list[TextDelta | ReasoningDelta]:
        thought, found, rest = self._held.partition(self._closing)
        if found:
            thought = self._trimmed(thought)
            self._state, self._held, self._at_edge = "answer", "", True
            rest = self._trimmed(rest)
            out: list[TextDelta | ReasoningDelta] = [ReasoningDelta(thought)] if thought else []
            return out + ([TextDelta(rest)] if rest else [])
        keep = _possible_tail(self._held, self._closing)
        thought, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        thought = self._trimmed(thought)
        return [ReasoningDelta(thought)] if thought else []


def _possible_tail(text: str, tag: str) -> int:
    """Length of the longest end of `text` that could be the beginning of `tag`."""
    for size in range(min(len(tag) - 1, len(text)), 0, -1):
        if tag.startswith(text[-size:]):
            return size
    return 0
