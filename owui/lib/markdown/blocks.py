"""The code blocks of a stored answer, and an answer with other code in one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyromark

from .folds import cut

_OPENING = re.compile(r"[ \t]*(`{3,}|~{3,})(.*)")
_MARKER = re.compile(r"[^>\s]")


@dataclass(frozen=True, slots=True)
class Block:
    """Code as people see it, and its place in the UTF-8 text of the answer."""

    code: str
    start: int
    end: int
    is_fenced: bool


def code_blocks(source: str) -> list[Block]:
    """All but those in folds, in order."""
    found: list[Block] = []
    offset = 0
    for raw, fold in cut(source):
        if fold is None:
            found += _blocks(raw, offset)
        offset += len(raw.encode())
    return found


def _blocks(text: str, offset: int) -> Iterator[Block]:
    body: list[str] | None = None
    is_fenced = False
    event: Any
    for event, place in pyromark.events_with_range(text):
        if isinstance(event, str):
            continue
        ((name, value),) = event.items()
        if name == "Start" and isinstance(value, dict) and "CodeBlock" in value:
            body, is_fenced = [], isinstance(value["CodeBlock"], dict)
        elif name == "Text" and body is not None:
            body.append(value)
        elif name == "End" and value == "CodeBlock" and body is not None:
            yield Block("".join(body), offset + place["start"], offset + place["end"], is_fenced)
            body = None


def replaced(source: str, block: Block, code: str) -> str:
    """The answer with other code in a fenced block; what is around it, list or quotation, stays around it."""
    data = source.encode()
    before, raw, after = (
        data[: block.start].decode(),
        data[block.start : block.end].decode(),
        data[block.end :].decode(),
    )
    lines = raw.split("\n")
    opening = _OPENING.match(lines[0])
    assert opening is not None
    mark, info = opening[1], opening[2]
    longest = max((len(run) for run in re.findall(rf"{re.escape(mark[0])}{{3,}}", code)), default=0)
    fence = mark[0] * max(len(mark), longest + 1) if longest else mark
    head = before[before.rfind("\n") + 1 :] + lines[0][: opening.start(1)]
    # Under `1. ` stand three spaces, under `> ` another `> `.
    margin = _MARKER.sub(" ", head)
    inner = [f"{margin}{line}".rstrip() if not line else f"{margin}{line}" for line in code.split("\n")] if code else []
    new = "\n".join([f"{lines[0][: opening.start(1)]}{fence}{info}", *inner, f"{margin}{fence}"])
    return before + new + ("\n" if raw.endswith("\n") else "") + after
