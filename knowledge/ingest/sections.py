"""Where the headings of a Markdown text are, and what stands under each."""

import re
from dataclasses import dataclass

_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)(?:[ \t]+#+)?[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")


@dataclass(frozen=True, slots=True)
class Section:
    """A range of the text and the headings above it, outermost first."""

    start: int
    end: int
    headings: tuple[str, ...]


def sections(text: str) -> list[Section]:
    """The text cut before each heading, headings kept. A heading with nothing under it joins its first subheading."""
    found: list[Section] = []
    path: list[tuple[int, str]] = []
    start = 0
    has_body = False
    fence = ""
    at = 0
    for line in text.splitlines(keepends=True):
        fence, is_code = _after_fence(fence, line)
        heading = None if is_code else _HEADING.match(line.rstrip("\n"))
        if heading is None:
            has_body = has_body or bool(line.strip())
        else:
            level = len(heading.group(1))
            joins = bool(path) and not has_body and path[-1][0] < level
            if not joins:
                if text[start:at].strip():
                    found.append(Section(start, at, tuple(name for _, name in path)))
                start = at
            path = [(above, name) for above, name in path if above < level] + [(level, heading.group(2).strip())]
            has_body = False
        at += len(line)
    if text[start:].strip():
        found.append(Section(start, len(text), tuple(name for _, name in path)))
    return found


def _after_fence(fence: str, line: str) -> tuple[str, bool]:
    """The open code fence after this line, and whether the line belongs to code."""
    mark = _FENCE.match(line.rstrip("\n"))
    if not fence:
        return (mark.group(1), True) if mark else ("", False)
    closes = mark and mark.group(1)[0] == fence[0] and len(mark.group(1)) >= len(fence) and not mark.group(2).strip()
    return ("" if closes else fence), True
