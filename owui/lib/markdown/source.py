"""What happens to the source before the Markdown parser sees it.

CommonMark knows no `\\(…\\)`, lets `$$` blocks fall apart into lists and headings, and does not close `**` after
Chinese punctuation. So formulas are taken out line by line and stand in the text as a placeholder; where the parser
finds a placeholder in code or in an address, the source is put back. A decision about a line depends on that line and
earlier ones only - or, for a display formula, waits until its end is seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# Non-characters: no real text contains them, and the ones that come in are replaced.
OPEN, CLOSE, JOINER = "\ufdd0", "\ufdd1", "\ufdd2"
_RESERVED = re.compile(f"[\x00{OPEN}-{JOINER}\ud800-\udfff]")
_PLACEHOLDER = re.compile(f"{OPEN}(\\d+){CLOSE}|{JOINER}")

# A display formula longer than this is not one; until then the text from its start on waits.
_HOLD_LINES, _HOLD_CHARS = 60, 2_000
LINE_LIMIT = 20_000

FENCE = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(`{3,}|~{3,})(.*)")
_DISPLAY = re.compile(r"([ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)(\$\$|\\\[)(.*)", re.DOTALL)
_INTEREST = re.compile(r"[$]|\\[(\[]|\*\*")
_MARK = re.compile(r"`+|\\.|\$\$?|\*\*")
_BOLD_EDGE = re.compile(r"[^\w\s*]")


@dataclass(frozen=True, slots=True)
class Span:
    latex: str
    source: str
    display: bool


@dataclass(slots=True)
class Prepared:
    text: str
    starts: list[int]  # for each line of `text`, where it starts in the source
    spans: list[Span] = field(default_factory=list)
    # Lines, by their place in the source, before which a fence was thought open. The parser knows better: where it
    # starts a top-level block on such a line, reading begins anew there.
    fenced: set[int] = field(default_factory=set)
    held: int | None = None  # where in the source an unfinished display formula starts


def normalise(value: str) -> str:
    return _RESERVED.sub("\ufffd", value.replace("\r\n", "\n").replace("\r", "\n"))


def restore(value: str, spans: list[Span]) -> str:
    """Puts the source back where a placeholder landed in something that is not text."""
    if OPEN not in value and JOINER not in value:
        return value

    def source(found: re.Match[str]) -> str:
        if found[1] is None or int(found[1]) >= len(spans):
            return ""
        return spans[int(found[1])].source

    return _PLACEHOLDER.sub(source, value)


class Fence:
    """Whether the lines so far leave a fenced code block open, wherever it is nested."""

    __slots__ = ("mark",)

    def __init__(self) -> None:
        self.mark = ""

    def line(self, line: str) -> bool:
        """Takes the next line; true if it belongs to a fence."""
        found = FENCE.match(line)
        if found is None:
            return bool(self.mark)
        run, rest = found[1], found[2]
        if self.mark:
            if run[0] == self.mark[0] and len(run) >= len(self.mark) and not rest.strip():
                self.mark = ""
        elif run[0] == "~" or "`" not in rest:
            self.mark = run
        else:
            return False
        return True


def prepare(source: str, *, final: bool) -> Prepared:
    lines = source.split("\n")
    starts = [0]
    for line in lines[:-1]:
        starts.append(starts[-1] + len(line) + 1)
    if not _INTEREST.search(source):
        return Prepared(source, starts)
    out: list[str] = []
    kept: list[int] = []
    spans: list[Span] = []
    fence = Fence()
    fenced: set[int] = set()
    index = 0
    while index < len(lines):
        line = lines[index]
        kept.append(starts[index])
        if fence.mark:
            fenced.add(starts[index])
        if fence.line(line) or not _INTEREST.search(line):
            out.append(line)
            index += 1
            continue
        found = _DISPLAY.match(line)
        if found and (end := _display(lines, index, found, spans, out)):
            if end < 0:
                if not final:
                    kept.pop()
                    return Prepared("".join(f"{line}\n" for line in out), kept, spans, fenced, starts[index])
            else:
                index = end
                continue
        out.append(_line(line, spans) if len(line) <= LINE_LIMIT else line)
        index += 1
    return Prepared("\n".join(out), kept, spans, fenced)


def _display(lines: list[str], first: int, found: re.Match[str], spans: list[Span], out: list[str]) -> int:
    """A display formula over several lines from `first`: the line after it, 0 for none, -1 for not known yet."""
    prefix, mark, rest = found[1], found[2], found[3]
    closer = "$$" if mark == "$$" else "\\]"
    if closer in rest:
        return 0  # on one line: an ordinary span
    quoted = ">" in prefix
    content = [rest]
    size = len(rest)
    for index in range(first + 1, len(lines)):
        line = lines[index]
        if FENCE.match(line):
            return 0
        if closer in line:
            before, _, after = line.partition(closer)
            content.append(before.lstrip(" >") if quoted else before)
            source = "\n".join([mark + rest, *lines[first + 1 : index], before + closer])
            after = _line(after, spans)
            out.append(f"{prefix}{OPEN}{len(spans)}{CLOSE}{after}")
            spans.append(Span("\n".join(content), source, True))
            return index + 1
        content.append(line.lstrip(" >") if quoted else line)
        size += len(line) + 1
        if index - first >= _HOLD_LINES or size > _HOLD_CHARS:
            return 0
    return -1


def _line(line: str, spans: list[Span]) -> str:
    """Formulas of one line become placeholders; linear, for each kind of end is looked for at most once in vain."""
    parts: list[str] = []
    missing: set[str] = set()
    done = position = 0
    while found := _MARK.search(line, position):
        mark = found.group()
        start, position = found.span()
        if mark[0] == "`":
            if mark not in missing:
                end = _run(line, mark, position)
                if end < 0:
                    missing.add(mark)
                else:
                    position = end
            continue
        if mark == "**":
            end = _bold(line, position, parts, done, missing)
            if end:
                # The closing mark is written here: the next search must not take it for an opening one.
                done = position = end
            continue
        closer = {"\\(": "\\)", "\\[": "\\]", "$$": "$$", "$": "$"}.get(mark)
        if closer is None or closer in missing:
            continue
        end = line.find(closer, position)
        if end < 0:
            missing.add(closer)
            continue
        content = line[position:end]
        after = end + len(closer)
        if not content.strip() or (mark == "$" and not _dollars(line, start, end)):
            continue
        parts += (line[done:start], f"{OPEN}{len(spans)}{CLOSE}")
        spans.append(Span(content, line[start:after], mark in ("\\[", "$$")))
        done = position = after
    if not parts:
        return line
    parts.append(line[done:])
    return "".join(parts)


def _run(line: str, run: str, position: int) -> int:
    """The end of the code span that `run` opens, or -1."""
    while (end := line.find(run, position)) >= 0:
        after = end + len(run)
        if line[end - 1] != "`" and line[after : after + 1] != "`":
            return after
        while line[after : after + 1] == "`":
            after += 1
        position = after
    return -1


def _dollars(line: str, start: int, end: int) -> bool:
    """`$x$` is a formula, `$5 and $6` and `$HOME/$USER` are not."""
    before, first = line[start - 1 : start], line[start + 1]
    last, after = line[end - 1], line[end + 1 : end + 2]
    wordy = any(side.isascii() and side.isalnum() for side in (before, after))
    return not (wordy or first.isspace() or last.isspace() or last == "\\")


def _bold(line: str, position: int, parts: list[str], done: int, missing: set[str]) -> int:
    """`**“…。**然后`: CommonMark sees no closing mark between punctuation and a letter. An invisible letter helps."""
    if "**" in missing:
        return 0
    end = line.find("**", position)
    if end < 0:
        missing.add("**")
        return 0
    content = line[position:end]
    if not content.strip() or content[0].isspace() or content[-1].isspace() or "*" in content or "`" in content:
        return 0
    before, after = line[position - 3 : position - 2], line[end + 2 : end + 3]
    if (content + before + after).isascii() or "$" in content or "\\" in content or after == "*" or before == "*":
        return 0
    left = before and _BOLD_EDGE.match(content[0]) and before.isalnum()
    right = after and _BOLD_EDGE.match(content[-1]) and after.isalnum()
    if not left and not right:
        parts.append(line[done : end + 2])
        return end + 2
    parts += (line[done:position], JOINER if left else "", content, JOINER if right else "", "**")
    return end + 2
