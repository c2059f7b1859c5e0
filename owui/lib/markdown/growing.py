"""The open end where text only ever comes on: code in a fence, and plain prose.

Rendering and sending the open block anew with each token costs the square of its length. Most tokens are a word or
two, and all they do is stand behind the words before.
"""

from __future__ import annotations

import re

from . import code
from .labels import Labels, text
from .source import LINE_LIMIT

FENCE_START = re.compile(r" {0,3}(`{3,}(?=[^`\n]*\n)|~{3,})([^\n]*)\n")


class Tail:
    """HTML that grows at one point. The parts are joined only when somebody asks for all of it."""

    __slots__ = ("_closing", "_parts")

    def __init__(self, before: str = "", closing: str = "") -> None:
        self._parts, self._closing = [before], closing

    def add(self, html: str) -> None:
        self._parts.append(html)

    @property
    def html(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] + self._closing


# Characters that begin, continue or complete something other than text, here or in a step behind the parser: marks of
# Markdown and formulas, `/` of an address, what HTML escapes, line ends, white space that the sanitiser writes in its
# own way or that Python and browsers see differently, what `normalise` replaces.
_ACTIVE = (
    r"*_~`\[\]<>&\\$|#^{}/"
    "\x00-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
)
_INERT = re.compile(f"[^{_ACTIVE}]*")
# `)` may complete a link, `;` a character reference.
_CAREFUL = re.compile(f"[^{_ACTIVE});]*")
# What the text may end in: of a mark what follows may still make something, a `/` that was parsed is text.
_LAST = re.compile(f"[^{_ACTIVE} ]|/")
# A line has its place among the blocks once it holds something else than these; before that a `-` may be a list, a
# heading's underline or a table's second line.
_UNDECIDED = " \t>-*+0123456789.)|:=#_~`[]xX"
_END = re.compile(r"(?:</(?:p|li|ul|ol|blockquote|h[1-6])>\n*)+\Z")


class Prose:
    """An open end in plain text, outside emphasis, links, code and tables."""

    __slots__ = ("_held", "_inert", "_room", "_taken", "tail")

    def __init__(self, tail: Tail, held: str, inert: re.Pattern[str], room: int) -> None:
        self.tail = tail
        self._held, self._inert, self._room = held, inert, room
        self._taken: list[str] = []

    @classmethod
    def at_end(cls, source: str, html: str) -> Prose | None:
        """Where `html`, which the parser made of `source` as it is, can grow; None where only the parser knows.

        The rules are in `_ends_in_prose`; `tests/owui/test_markdown_growing.py` tries to break them.
        """
        shown = source.rstrip(" ")
        end = _END.search(html)
        if end is None or not _ends_in_prose(shown, html[: end.start()]):
            return None
        last = len(source) - source.rfind("\n") - 1
        # Beyond the limit formulas stay text: the parser must see the line that crosses it.
        room = LINE_LIMIT - last if last <= LINE_LIMIT else len(source) + LINE_LIMIT
        inert = _CAREFUL if "](" in source or "&" in source else _INERT
        return cls(Tail(html[: end.start()], end.group()), source[len(shown) :], inert, room)

    def take(self, piece: str) -> str | None:
        """The HTML that `piece` adds at the growing point; None if it has to be parsed."""
        if len(piece) > self._room or not self._inert.fullmatch(piece):
            return None
        self._room -= len(piece)
        self._taken.append(piece)
        # Spaces at the end of a line are no text until something follows them.
        piece = self._held + piece
        fresh = piece.rstrip(" ")
        self._held = piece[len(fresh) :]
        fresh = text(fresh)
        self.tail.add(fresh)
        return fresh

    @property
    def source(self) -> str:
        """All that was taken."""
        return "".join(self._taken)

    @property
    def held(self) -> int:
        """How many characters at the end do not show yet."""
        return len(self._held)


def _ends_in_prose(source: str, before: str) -> bool:
    # The last character of the source is the last of a text node: inert text can only follow it there.
    last = source[-1:]
    if not _LAST.fullmatch(last) or not before.endswith(last):
        return False
    first = source[source.rfind("\n") + 1 :].lstrip(_UNDECIDED)[:1]
    # `<div` may still become a block of HTML.
    if not first or first == "<":
        return False
    # A definition `[x]: …` vanishes once it is complete; an address goes on to the next white space.
    return "]:" not in source and "://" not in before.split()[-1]


class OpenFence:
    """A top-level code fence that is not closed yet: followed line by line, its HTML only ever extended."""

    def __init__(self, found: re.Match[str], labels: Labels) -> None:
        mark = found[1]
        self.indent = len(found.group()) - len(found.group().lstrip(" "))
        self.closing = re.compile(rf"^ {{0,3}}{mark[0]}{{{len(mark)},}}[ \t]*(?:\n|\Z)", re.MULTILINE)
        self.half = re.compile(rf" {{0,3}}{mark[0]}*[ \t]*")
        self.searched = found.end()
        self.shown_to = found.end()
        self.is_shown = False
        self.tail = Tail(code.opening(code.language(found[2]), labels, grow=True), code.CLOSING)

    def end(self, source: str) -> int:
        """Where the block ends in `source`, or -1 while it is open. Only full lines count."""
        full = source.rfind("\n") + 1
        found = self.closing.search(source, self.searched, full)
        if found:
            return found.end()
        self.searched = max(self.searched, full)
        return -1

    def show(self, source: str) -> str | None:
        """What came on since it was shown last; None the first time."""
        is_first, self.is_shown = not self.is_shown, True
        end = len(source)
        last = source.rfind("\n") + 1
        if self.half.fullmatch(source, last):
            end = last  # perhaps half of the closing fence
        fresh = ""
        if end > self.shown_to:
            piece = source[self.shown_to : end]
            if self.indent:
                end = max(last, self.shown_to)
                piece = re.sub(rf"^ {{0,{self.indent}}}", "", source[self.shown_to : end], flags=re.MULTILINE)
            fresh = text(piece)
            self.shown_to = end
        self.tail.add(fresh)
        return None if is_first else fresh
