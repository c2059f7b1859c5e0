"""`<details type="reasoning|tool_calls|code_interpreter">` as chats of other systems keep them inside an answer's text.

The text is cut at them; what they hold is given away as plain values, for whoever writes the folds of the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from .source import Fence

OPENING = re.compile(r'<details((?:\s+[\w-]+(?:="[^"]*")?)*)\s*>\s*(.*)')
ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
SUMMARY = re.compile(r"\s*<summary>([^\n]*?)</summary>")
_QUOTED = re.compile(r"^> ?", re.MULTILINE)
CLOSING = "</details>"
KINDS = frozenset({"reasoning", "tool_calls", "code_interpreter"})


@dataclass(frozen=True, slots=True)
class Fold:
    """What was thought, what a tool was asked and answered, or what a program printed."""

    kind: str
    summary: str = ""
    text: str = ""  # Markdown
    name: str = ""  # of a tool
    seconds: int | None = None
    values: dict[str, str] = field(default_factory=dict)  # arguments, result, output: text or JSON, made readable


def split(source: str) -> list[str | Fold]:
    """Text and folds in their order. What only looks like a fold, or stands in a code block, stays text."""
    out: list[str | Fold] = []
    after = False
    for raw, fold in cut(source):
        if fold is not None:
            # A text before it ends with the line.
            if out and isinstance(out[-1], str):
                out[-1] = out[-1].removesuffix("\n")
            out.append(fold)
        else:
            rest, _end, lines = raw.partition("\n")
            out.append(lines if after and not rest.strip() else raw)
        after = fold is not None
    return [part for part in out if part] or [source]


def cut(source: str) -> Iterator[tuple[str, Fold | None]]:
    """The source in pieces, each as it is written, and what a fold among them holds."""
    if "<details" not in source:
        yield source, None
        return
    lines, fence = source.split("\n"), Fence()
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    index = done = 0
    # Where there is no further closing line, looking for one again would cost the square of the length.
    last = max((number for number, line in enumerate(lines) if line.startswith(CLOSING)), default=-1)
    while index < len(lines):
        line = lines[index]
        fenced = fence.line(line)
        found = None if fenced or index >= last else OPENING.fullmatch(line)
        attributes = dict(ATTRIBUTE.findall(found[1])) if found else {}
        if found is None or attributes.get("type") not in KINDS:
            index += 1
            continue
        closing = next(number for number in range(index + 1, last + 1) if lines[number].startswith(CLOSING))
        start, end = starts[index], starts[closing] + len(CLOSING)
        if start > done:
            yield source[done:start], None
        yield source[start:end], _fold(attributes, "\n".join([found[2], *lines[index + 1 : closing]]))
        done, index = end, closing + 1
    if done < len(source):
        yield source[done:], None


def _fold(attributes: dict[str, str], body: str) -> Fold:
    summary = SUMMARY.match(body)
    text = body[summary.end() :] if summary else body
    kind, seconds = attributes["type"], attributes.get("duration", "")
    return Fold(
        kind=kind,
        summary=unescape(summary[1]).strip() if summary else "",
        text=(_QUOTED.sub("", unescape(text)) if kind == "reasoning" else text).strip(),
        name=unescape(attributes.get("name", "")),
        seconds=round(float(seconds)) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", seconds) else None,
        values=dict(_values(attributes)),
    )


def _values(attributes: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name in ("arguments", "result", "output"):
        if (value := unescape(attributes.get(name, ""))) and (shown := readable(value)):
            yield name, shown


def readable(value: str) -> str:
    """JSON, sometimes JSON in a JSON text, on lines of its own; anything else as it is."""
    found: Any = value
    for _again in range(2):
        if isinstance(found, str):
            try:
                found = json.loads(found)
            except (ValueError, RecursionError):
                break
    if isinstance(found, str):
        return found
    try:
        return json.dumps(found, indent=2, ensure_ascii=False)
    except RecursionError:
        return value
