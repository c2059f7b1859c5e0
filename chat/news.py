"""News of pages, gathered for a moment: what lists and other tabs show of a chat.

Each question and each answer is news for the lists of its owner's pages. One by one they would cost the broker and
every process several messages a reply; gathered they are one message a moment, however many people write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

KIND, GATHERED = "chat.message", "chat.messages"
#: seconds that news wait for more
EVERY = 0.1

Ops = list[list[Any]]


class Gathered:
    """What is still to be told, by person."""

    def __init__(self) -> None:
        self._ops: dict[str, Ops] = {}

    def __bool__(self) -> bool:
        return bool(self._ops)

    def add(self, people: Sequence[str], ops: Sequence[list[Any]]) -> None:
        for person in people:
            waiting = self._ops.setdefault(person, [])
            for op in ops:
                if op[0] == "mark":  # how a chat stands in a list: the last word counts
                    waiting[:] = [other for other in waiting if other[:3] != op[:3]]
                waiting.append(op)

    def take(self) -> Mapping[str, Ops]:
        taken, self._ops = self._ops, {}
        return taken


def of_person(person: str, ops: Ops) -> dict[str, Any]:
    """What a socket hears."""
    return {"kind": KIND, "user_ids": [person], "ops": ops}
