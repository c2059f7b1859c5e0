"""A page in Python: what `static/owui/socket.js`, `ops.js` and `morph.js` make of frames.

`tests/browser/test_exact.py` shows the same frames to the real scripts in a browser.
"""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from typing import Any

from lxml import html as lxml_html

PARTS = ("status", "reasoning", "blocks", "tail", "error", "sources", "foot")
_VOID = {"br", "hr", "img", "input", "wbr"}


class _Tidy(HTMLParser):
    """HTML without the blank text between blocks: those may be there or not, nobody sees them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = "".join(f" {name}={value or ''!r}" for name, value in sorted(attrs))
        self.out.append(f"<{tag}{named}>")
        self.depth += tag not in _VOID

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            self.depth -= 1
            self.out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self.depth or data.strip():
            self.out.append(escape(data))


def tidy(html: str) -> str:
    parser = _Tidy()
    parser.feed(html)
    parser.close()
    return "".join(parser.out)


class Page:
    """The answer of one turn, as a page has it."""

    def __init__(self, message_id: Any, article: str) -> None:
        self.message_id = message_id
        self.load(article)

    def load(self, article: str) -> None:
        """The article as a template made it: a reload, or a fragment that htmx swapped in."""
        root = lxml_html.fragment_fromstring(article.strip())
        self.turn, self.seq = root.get("data-turn"), int(root.get("data-seq") or 0)
        self.html = {part: _inner(root.get_element_by_id(f"message-{self.message_id}-{part}")) for part in PARTS}

    def receive(self, frame: dict[str, Any]) -> bool:
        """Takes in a frame; true when the page has to attach again."""
        if self.turn != frame["turn"] or frame["seq"] <= self.seq:
            return False
        if "after" in frame and frame["after"] != self.seq:
            return True
        self.seq = frame["seq"]
        for op, name, *rest in frame["ops"]:
            part = name.removeprefix(f"message-{self.message_id}").removeprefix("-")
            if op == "append":
                self.html[part] += rest[0].strip()
            elif op == "replace":
                self.html[part] = rest[0].strip()
            elif op == "grow":
                self.html[part] = grown(self.html[part], rest[0])
            elif op == "attr":
                if rest[0] == "data-turn":
                    self.turn = rest[1]
            else:
                raise AssertionError(op)
        return False

    @property
    def shown(self) -> dict[str, str]:
        """What a person sees, byte for byte."""
        return {part: tidy(_inner(lxml_html.fragment_fromstring(html, "div"))) for part, html in self.html.items()}

    @property
    def text(self) -> str:
        return "".join(lxml_html.fragment_fromstring(self.html["blocks"] + self.html["tail"], "div").itertext())


def grown(html: str, text: str) -> str:
    """More text (escaped): in the one open element, which holds nothing else, or behind the last text there is."""
    if opening := re.search(r'data-grow(="")?>', html):
        end = html.index("</", opening.end())
    else:
        closing = re.search(r"(?:</\w+>\s*)+\Z", html)
        end = closing.start() if closing else len(html)
    return html[:end] + text + html[end:]


def _inner(element: Any) -> str:
    children = "".join(lxml_html.tostring(child, encoding="unicode") for child in element)
    return (escape(element.text or "") + children).strip()
