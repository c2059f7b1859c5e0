"""What comes from a model on its way to readers: thoughts told from the answer, pieces joined where that is wanted."""

from __future__ import annotations

from collections.abc import Sequence

from chat.engine.reasoning import PAIRS, ReasoningSplitter
from inference.providers.events import ReasoningDelta, TextDelta

Delta = TextDelta | ReasoningDelta


class Deltas:
    """Feeds on a model's deltas and gives those for readers.

    :param pairs: tags around thoughts; none, and all is answer
    :param size: pieces to be joined into one (`stream_delta_chunk_size`)
    """

    def __init__(self, pairs: Sequence[tuple[str, str]] | None = PAIRS, size: int = 1) -> None:
        self._splitter = ReasoningSplitter(pairs) if pairs else None
        self._size = size
        self._held: list[Delta] = []

    def feed(self, event: Delta) -> list[Delta]:
        if isinstance(event, ReasoningDelta) or self._splitter is None:
            return self._joined([event])
        return self._joined(self._splitter.feed(event.text))

    def finish(self) -> list[Delta]:
        """What was held back."""
        rest = self._held + (self._splitter.finish() if self._splitter is not None else [])
        self._held = []
        return rest if self._size <= 1 else _merged(rest)

    def _joined(self, deltas: list[Delta]) -> list[Delta]:
        if self._size <= 1:
            return deltas
        self._held += deltas
        if len(self._held) < self._size:
            return []
        out, self._held = _merged(self._held), []
        return out


def _merged(deltas: Sequence[Delta]) -> list[Delta]:
    """Neighbours of one kind as one."""
    out: list[Delta] = []
    for delta in deltas:
        if out and type(out[-1]) is type(delta):
            out[-1] = type(delta)(out[-1].text + delta.text)
        else:
            out.append(delta)
    return out
