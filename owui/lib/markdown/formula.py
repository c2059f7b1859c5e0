"""LaTeX to MathML: bounded, never raising, and serialised here rather than by the library.

latex2mathml un-escapes its own output, so `\\text{<script>}` would come out as a tag. Only elements, attributes and
values from the lists below are written, all text is escaped; the sanitiser afterwards is the second lock.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from xml.etree.ElementTree import Element

from latex2mathml.converter import Converter

from . import chemistry
from .labels import attribute, text, words

LIMIT = 2_000
_DEPTH = 40
ELEMENTS = words(
    """math mi mn mo ms mtext mspace mrow mfrac msqrt mroot mstyle mpadded mphantom msub msup msubsup munder mover
    munderover mmultiscripts mprescripts mtable mtr mtd menclose"""
)
ATTRIBUTES = words(
    """display displaystyle scriptlevel mathvariant mathcolor stretchy fence separator form lspace rspace minsize
    maxsize movablelimits largeop symmetric accent accentunder width height depth voffset linethickness columnalign
    columnlines columnspacing rowlines rowspacing rowalign frame notation linebreak"""
)
_VALUE = re.compile(r"[\w#.%+ -]{1,120}")
# Macros multiply text without bound, links and styles have no place in a formula.
_REFUSED = re.compile(r"\\(?:re)?newcommand|\\[gex]?def\b|\\let\b|\\href|\\style|\\class|\\require|\\providecommand")
_UNKNOWN = re.compile(r"\\[a-zA-Z]")
_COMMENT = re.compile(r"(?<!\\)%[^\n]*")


class _Refused(Exception):
    pass


def _write(node: Element, out: list[str], depth: int) -> None:
    if depth > _DEPTH * 3 or node.tag not in ELEMENTS:
        raise _Refused
    # The library writes an unknown command as its own name; then the source reads better than half a formula.
    content = unescape(node.text or "")
    if _UNKNOWN.match(content):
        raise _Refused
    attributes = "".join(
        f' {key}="{attribute(value)}"'
        for key, value in node.attrib.items()
        if key in ATTRIBUTES and _VALUE.fullmatch(value)
    )
    out.append(f"<{node.tag}{attributes}>{text(content)}")
    for child in node:
        _write(child, out, depth + 1)
    out.append(f"</{node.tag}>")
    if node.tail and node.tail.strip():
        out.append(text(unescape(node.tail)))


def _too_deep(latex: str) -> bool:
    depth = 0
    for match in re.finditer(r"\\.|\\left\b|\\right\b|[{}^_]|\\begin|\\end", latex):
        piece = match.group()
        depth += piece == "{"
        depth -= piece == "}"
        if depth > _DEPTH:
            return True
    return latex.count("\\left") > _DEPTH or latex.count("\\begin") > _DEPTH or latex.count("\\sqrt") > _DEPTH * 2


@lru_cache(maxsize=512)
def _mathml(latex: str, display: bool) -> str | None:
    if not latex.strip() or len(latex) > LIMIT or _REFUSED.search(latex) or _too_deep(latex):
        return None
    try:
        plain = chemistry.expand(_COMMENT.sub("", latex))
        tree = Converter(display="block" if display else "inline").convert_to_element(plain)
        out: list[str] = []
        _write(tree, out, 0)
    except Exception:  # the library raises whatever its parser meets; a formula must never break an answer
        return None
    return "".join(out)


def render(latex: str, source: str, *, display: bool) -> str:
    """MathML of `latex`, or `source` as it was written when that does not work."""
    found = _mathml(latex.strip(), display)
    if found is None:
        return f'<code class="math-error">{text(source)}</code>'
    return found
