"""Rendering while the text is still coming.

The parser itself says where top-level blocks start, and a block that has a successor never changes again. So after
each full line everything before the last block is given away as finished, and only the open rest is kept. Whether a
block is finished depends on full lines alone, hence never on how the text was cut into pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyromark

from . import clean
from .growing import FENCE_START, OpenFence, Prose, Tail
from .labels import ENGLISH, Labels, text
from .source import Prepared, normalise, prepare
from .tail import settle
from .writer import Event, Writer

_OPTIONS = (
    pyromark.Options.ENABLE_TABLES
    | pyromark.Options.ENABLE_TASKLISTS
    | pyromark.Options.ENABLE_STRIKETHROUGH
    | pyromark.Options.ENABLE_FOOTNOTES
    | pyromark.Options.ENABLE_GFM
)
# A list longer than this is given away in parts, between two items: models answer in one long list.
LIST_PART = 2_000
# An open block longer than this is parsed only now and then; what came since shows as plain text.
LONG_BLOCK = 8_000
_GROWTH = 4
_WINDOW = 16_384
_DEFINITION = re.compile(r"^[ >]{0,12}\[[^\]\n]{1,200}\]:", re.MULTILINE)
_NEW_BLOCK = re.compile(r"\n[ \t]*\n(?=[^\s>])")
_FORMULA, _SOURCE, _WAITED = '<div class="math-source">', '<div class="html-source" data-grow>', "</div>\n"
_BLANK_START = re.compile(r"(?:[ \t]*\n)+")


@dataclass(frozen=True, slots=True)
class Patch:
    """`append` goes behind the finished blocks once.

    Where `grow` is None, the renderer's `tail` takes the place of the tail before. Otherwise the tail is the one before
    plus this text, so that a long block costs what is new in it: at the end of the one `[data-grow]` element, or, where
    there is none, behind the last text.
    """

    append: str
    grow: str | None = None


@dataclass(slots=True)
class _Block:
    start: int  # in the source
    events: list[Event]
    items: list[int]  # where the items of a list start
    number: int | None  # what a numbered list starts with


class IncrementalRenderer:
    def __init__(
        self,
        citations: int = 0,
        *,
        labels: Labels = ENGLISH,
        breaks: bool = False,
        definitions: dict[str, tuple[str, str]] | None = None,
    ) -> None:
        self._citations = citations
        self._labels = labels
        self._breaks = breaks
        self._definitions = dict(definitions or {})
        self._markdown = pyromark.Markdown(options=_OPTIONS, broken_link_callback=self._reference)
        self._open = ""
        self._carriage = False
        self._scanned = 0  # length of the full lines looked at last
        self._list_start: int | None = None
        self._outline: tuple[int, ...] = ()  # the headings that the next one stands under
        self._tail = Tail()
        self._parsed = 0  # how long a long block was when it was parsed last
        self._covered = 0  # how much of it shows, as parsed or as prose that grew
        self._pending = 0  # and how much shows behind that as it is
        self._fence: OpenFence | None = None
        self._prose: Prose | None = None  # where the tail can grow without being parsed
        self.has_definitions = False

    @classmethod
    def resume(cls, so_far: str, citations: int = 0, *, labels: Labels = ENGLISH) -> tuple[IncrementalRenderer, Patch]:
        """A renderer as it is after `so_far`, and one patch with everything up to there."""
        renderer = cls(citations, labels=labels)
        return renderer, renderer.feed(so_far)

    @property
    def tail(self) -> str:
        """The open rest as HTML."""
        return self._tail.html

    def feed(self, value: str) -> Patch:
        if self._prose is not None and (fresh := self._prose.take(value)) is not None:
            return Patch("", fresh)
        return self._patch(self._take(value))

    def finish(self) -> Patch:
        done = self._take("\n" if self._carriage else "")
        done += self._advance(final=True)
        self._open, self._fence, self._tail = "", None, Tail()
        return Patch(done)

    def whole(self, value: str) -> str:
        """All of a finished text at once, without the cost of an open rest."""
        return self._take(value) + self.finish().append

    def _take(self, value: str) -> str:
        self._take_over()
        # Half of a \r\n waits for the other half.
        if self._carriage:
            value = "\r" + value
        self._carriage = value.endswith("\r")
        value = normalise(value[:-1] if self._carriage else value)
        done = ""
        for start in range(0, len(value), _WINDOW):
            piece = value[start : start + _WINDOW]
            self._open += piece
            if "\n" in piece:
                done += self._advance(final=False)
        return done

    def _take_over(self) -> None:
        """What came as plain prose is source like any other from here on."""
        if self._prose is None:
            return
        self._open += self._prose.source
        self._covered = len(self._open) - self._prose.held
        self._prose = None

    # Finished blocks

    def _advance(self, *, final: bool) -> str:
        done: list[str] = []
        while self._open:
            if blank := _BLANK_START.match(self._open):
                self._cut(blank.end())
                continue
            if self._fence is None and (found := FENCE_START.match(self._open)):
                self._fence = OpenFence(found, self._labels)
            if self._fence is not None and not final:
                end = self._fence.end(self._open)
                if end < 0:
                    break
                done.append(self._render(self._open[:end]))
                self._cut(end)
                continue
            full = self._open if final else self._open[: self._open.rfind("\n") + 1]
            if not full or not (final or self._due(full)):
                break
            self._scanned = len(full)
            if not self._finished(full, final, done):
                break
        return "".join(done)

    def _due(self, full: str) -> bool:
        seen = self._scanned
        if len(full) <= max(seen, LONG_BLOCK) or len(full) >= seen + seen // _GROWTH:
            return len(full) > seen
        return bool(_NEW_BLOCK.search(full, max(0, seen - 2)))

    def _finished(self, full: str, final: bool, done: list[str]) -> bool:
        """Gives away what is finished in `full`; true if something may be left to do."""
        prepared = prepare(full, final=final)
        blocks = list(self._blocks(prepared))
        # A definition further down must not reach a block that could have been given away before it came.
        defining = bool(_DEFINITION.search(full))
        if defining and blocks:
            self._remember(full[: blocks[0].start])
        for index, block in enumerate(blocks):
            if index and block.start in prepared.fenced:
                self._cut(block.start)
                return True
            last = index + 1 == len(blocks)
            end = blocks[index + 1].start if not last else len(full)
            part = next((item for item in block.items if item - block.start >= LIST_PART and item < end), None)
            if part is not None:
                self._split_list(block, part, full, done)
                return True
            if last and not final:
                if block.start:
                    self._cut(block.start)
                    self._scanned = len(full) - block.start
                # A fence is followed line by line from here on, without the parser.
                return bool(FENCE_START.match(self._open))
            if defining:
                done.append(self._render(full[block.start : end]))
            else:
                done.append(self._write(block.events, prepared))
            self._list_start = None
        if final:
            self._cut(len(full))
        return False

    def _split_list(self, block: _Block, part: int, full: str, done: list[str]) -> None:
        items = sum(1 for item in block.items if item < part)
        number = self._list_start if self._list_start is not None else (block.number or 0)
        done.append(self._render(full[block.start : part]))
        self._cut(part)
        self._list_start = number + items

    def _cut(self, end: int) -> None:
        self._open = self._open[end:]
        self._scanned = 0
        self._parsed = self._covered = self._pending = 0
        self._fence = None

    def _blocks(self, prepared: Prepared) -> Iterator[_Block]:
        """The top-level blocks with their places in the source."""
        data = prepared.text.encode()
        line = position = depth = 0
        block: _Block | None = None

        def place(offset: int) -> int:
            nonlocal line, position
            if offset < position:
                return prepared.starts[data.count(b"\n", 0, offset)]
            line += data.count(b"\n", position, offset)
            position = offset
            return prepared.starts[line]

        for entry in self._markdown.events_with_range(prepared.text, merge_text=True):
            event, span = entry
            kind: Any = None if isinstance(event, str) else event.get("Start")
            if depth == 0:
                if block is not None:
                    yield block
                listed = isinstance(kind, dict) and "List" in kind
                block = _Block(place(span["start"]), [], [], kind["List"] if listed else None)
            elif depth == 1 and kind == "Item" and block is not None:
                block.items.append(place(span["start"]))
            if kind is not None:
                depth += 1
            elif not isinstance(event, str) and "End" in event:
                depth -= 1
            if block is not None:
                block.events.append(entry)
        if block is not None:
            yield block

    def _render(self, source: str, *, open_end: bool = False) -> str:
        prepared = prepare(source, final=True)
        events = self._markdown.events_with_range(prepared.text, merge_text=True)
        if not open_end and _DEFINITION.search(source):
            self._remember(prepared.text)
        return self._write(events, prepared, open_end=open_end)

    def _write(self, events: Any, prepared: Prepared, *, open_end: bool = False) -> str:
        """One block at a time through the sanitiser, so that what it repairs never depends on the neighbours."""
        writer = Writer(
            self._labels,
            self._citations,
            prepared.spans,
            breaks=self._breaks,
            open_end=len(prepared.text.encode()) if open_end else -1,
        )
        writer.list_start = self._list_start
        writer.outline = self._outline
        html = writer.write(events)
        if not open_end:
            self._outline = writer.outline
        return clean.clean(html)

    def _reference(self, link: Any) -> tuple[str, str] | None:
        return self._definitions.get(" ".join(link["reference"].casefold().split()))

    def _remember(self, source: str) -> None:
        for label, found in islice(self._markdown.reference_definitions(source).items(), 1_000):
            self.has_definitions = True
            self._definitions.setdefault(" ".join(label.casefold().split()), (found["dest"], found["title"] or ""))

    # The open rest

    def _patch(self, done: str) -> Patch:
        rest = self._open
        if self._fence is None and (found := FENCE_START.match(rest)):
            self._fence = OpenFence(found, self._labels)
        if self._fence is not None:
            grow = self._fence.show(rest)
            self._tail = self._fence.tail
            return Patch(done, None if done else grow)
        if LONG_BLOCK < self._parsed <= len(rest) < self._parsed + self._parsed // _GROWTH:
            return Patch(done, self._wait(rest))
        settled = settle(rest) if rest.strip() else ""
        html = self._show(settled)
        self._prose = Prose.at_end(rest, html) if settled == rest and not self._carriage else None
        self._tail = self._prose.tail if self._prose is not None else Tail(html)
        self._parsed, self._covered, self._pending = len(rest), len(rest), 0
        return Patch(done)

    def _wait(self, rest: str) -> str | None:
        """Shows what is new in a long block as plain text; returns it where the tail grows by it."""
        is_first, fresh = not self._pending, rest[self._covered + self._pending :]
        if is_first and fresh:
            self._tail = Tail(self._tail.html + _SOURCE, _WAITED)
        self._pending += len(fresh)
        self._tail.add(text(fresh))
        return None if is_first and fresh else text(fresh)

    def _show(self, settled: str) -> str:
        if not settled:
            return ""
        prepared = prepare(settled, final=False)
        if prepared.held is None:
            return self._render(settled, open_end=True)
        before, formula = settled[: prepared.held], settled[prepared.held :]
        shown = self._render(before, open_end=True) if before.strip() else ""
        return shown + _FORMULA + text(formula) + _WAITED


def collect_definitions(source: str) -> dict[str, tuple[str, str]]:
    """The link definitions of a whole text, so that a finished answer may use them before they come."""
    if not _DEFINITION.search(source):
        return {}
    renderer = IncrementalRenderer()
    renderer._remember(normalise(source))
    return renderer._definitions
