"""A stored answer cut into what one can change in it, and put together again: nothing that was left alone moves.

What stands between folds is text; of a fold (`folds.py`) it is its thoughts, its body, and what its attributes hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape, unescape
from typing import Any

from .folds import ATTRIBUTE, CLOSING, OPENING, SUMMARY, Fold, cut

TEXT = "text"
_VALUES = ("arguments", "result", "output")
_CLOSING_LINE = re.compile(rf"^(?={CLOSING})", re.MULTILINE)
#: a value is JSON, or JSON in a JSON text
_DEEPEST = 2


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to change. `key` names it in the answer it was cut from."""

    key: str
    name: str  # text, arguments, result, output
    value: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Text (`kind` is empty), or a fold."""

    kind: str
    name: str
    parts: tuple[Part, ...]


def pieces(source: str) -> list[Piece]:
    """What can be changed, in order. The last one is always text: the answer itself, empty perhaps."""
    out = []
    found = _cut(source)
    for index, (raw, fold) in enumerate(found):
        if fold is not None:
            out.append(Piece(fold.kind, fold.name, tuple(_parts(index, raw, fold))))
        elif raw.strip() or index == len(found) - 1:
            out.append(Piece("", "", (Part(f"{index}.{TEXT}", TEXT, raw.strip("\n")),)))
    return out


def join(source: str, changes: Mapping[str, str]) -> str:
    """The answer with other words in some places, by the keys of its parts. Thoughts without a word are gone."""
    return "".join(_changed(index, raw, fold, changes) for index, (raw, fold) in enumerate(_cut(source)))


def _cut(source: str) -> list[tuple[str, Fold | None]]:
    """Everything of the source, in order; a text comes last."""
    found = list(cut(source))
    return found if found and found[-1][1] is None else [*found, ("", None)]


def _parts(index: int, raw: str, fold: Fold) -> list[Part]:
    parts = [Part(f"{index}.{name}", name, fold.values[name]) for name in _VALUES if name in fold.values]
    if fold.text or fold.kind != "tool_calls":
        parts.insert(0, Part(f"{index}.{TEXT}", TEXT, fold.text))
    return parts


def _changed(index: int, raw: str, fold: Fold | None, changes: Mapping[str, str]) -> str:
    asked = {name: _clean(changes[key]) for name in (TEXT, *_VALUES) if (key := f"{index}.{name}") in changes}
    if fold is None:
        return raw if asked.get(TEXT, raw.strip("\n")) == raw.strip("\n") else _around(raw, asked[TEXT])
    for name, value in asked.items():
        if name == TEXT and value.strip() != fold.text:
            if fold.kind == "reasoning" and not value.strip():
                return ""
            raw = _with_text(raw, fold.kind, value.strip("\n"))
        elif name != TEXT and value != fold.values.get(name, ""):
            raw = _with_value(raw, name, value)
    return raw


def _clean(value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


def _around(raw: str, text: str) -> str:
    """Other text between the empty lines that were there; after a fold it begins on a line of its own."""
    if not raw.strip("\n"):
        return f"{raw or chr(10)}{text}"
    start = len(raw) - len(raw.lstrip("\n"))
    return raw[:start] + text + raw[len(raw.rstrip("\n")) :]


def _with_text(raw: str, kind: str, text: str) -> str:
    found = OPENING.match(raw)
    assert found is not None
    start = found.start(2)
    summary = SUMMARY.match(raw, start)
    head = raw[: summary.end() if summary else start].rstrip("\n")
    if kind == "reasoning":
        body = "\n".join(f"> {escape(line, quote=False)}" for line in text.split("\n"))
    else:
        body = _CLOSING_LINE.sub(" ", text)  # such a line would end the fold
    return f"{head}\n{body}\n{CLOSING}"


def _with_value(raw: str, name: str, value: str) -> str:
    found = OPENING.match(raw)
    assert found is not None
    places = [m for m in ATTRIBUTE.finditer(raw, found.start(1), found.end(1)) if m[1] == name]
    stored = escape(_as_before(unescape(places[-1][2]), value), quote=True).replace("\n", "&#10;")
    return raw[: places[-1].start(2)] + stored + raw[places[-1].end(2) :]


def _as_before(former: str, value: str) -> str:
    """JSON stays JSON, as deep in JSON texts as it was, and text stays text. What is no JSON any more becomes one."""
    depth = 0
    found: Any = former
    while depth < _DEEPEST and isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            break
        depth += 1
    out, around = value, depth
    if depth and not isinstance(found, str):
        try:
            out, around = json.dumps(json.loads(value), ensure_ascii=False), depth - 1
        except (ValueError, RecursionError):
            around = 1
    for _level in range(around):
        out = json.dumps(out, ensure_ascii=False)
    return out
