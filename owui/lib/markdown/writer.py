"""pyromark events to HTML.

Written here rather than taken from `pyromark.html`: raw HTML becomes text instead of passing through, images and links
are judged, citations and formulas are placed while it is still known what is text and what is code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from . import clean, code, formula
from .labels import Labels, attribute, text
from .source import CLOSE, JOINER, OPEN, Span, restore

# The parser gives dicts with one key; naming their many types here would say less than the names do.
Event = tuple[Any, Any]

WORD_JOINER = "\u2060"
# Deeper containers are flattened: no reader needs them and browsers and sanitisers slow down on them.
_DEPTH = 40
_TEXT = re.compile(
    rf"{OPEN}(?P<span>\d+){CLOSE}|{JOINER}"
    r"|\[\^(?P<note>[\w-]{1,40})\]"
    r"|\[(?P<cite>\d{1,4}(?:\s{0,2},\s{0,2}\d{1,4}){0,20})\]"
    rf"|(?P<url>https?://[^\s<>\"'`|{OPEN}-{JOINER}\u3000-\u303f\uff00-\uffef]+)"
)
# The tags models use inside cells and formulas, without attributes; everything else in angle brackets is text.
_TAG = re.compile(r"<(?P<close>/?)(?P<name>br|sub|sup|kbd|u|mark|s|small)\s*/?>", re.IGNORECASE)
_SIMPLE = {"Emphasis": "em", "Strong": "strong", "Strikethrough": "del", "Item": "li", "Paragraph": "p"}
_ALIGN = {"None": "", "Left": ' class="left"', "Center": ' class="center"', "Right": ' class="right"'}


class Writer:
    """Writes one run of complete blocks. `breaks` keeps the newlines people type."""

    def __init__(
        self, labels: Labels, citations: int, spans: list[Span], *, breaks: bool = False, open_end: int = -1
    ) -> None:
        self.labels = labels
        self.citations = citations
        self.spans = spans
        self.breaks = breaks
        self.open_end = open_end  # code that reaches this offset is still being written, and stays plain
        self.list_start: int | None = None  # the number a list cut in two goes on with; 0 for bullets
        self.outline: tuple[int, ...] = ()  # the levels of the headings that what follows stands under
        self.out: list[str] = []
        self.closers: list[str] = []
        self.links = 0
        self.tags: list[str] = []
        self.aligns: tuple[str, ...] = ()
        self.cell = 0
        self.cell_tag = "td"
        self.alt: list[str] | None = None
        self.images = 0
        self.code: list[str] | None = None
        self.info = ""

    def write(self, events: Iterable[Event]) -> str:
        for event, span in events:
            if isinstance(event, str):
                self._bare(event)
                continue
            ((kind, value),) = event.items()
            if kind == "Text":
                self._text(value)
            elif kind == "Start":
                self._start(value, span)
            elif kind == "End":
                self._end(value)
            elif kind == "Code":
                self._code(value)
            elif kind in ("Html", "InlineHtml"):
                self._html(value)
            elif kind == "FootnoteReference":
                self._text(f"[^{value}]")
            elif kind == "TaskListMarker":
                label = self.labels.done if value else self.labels.open
                checked = ' checked=""' if value else ""
                self.out.append(f'<input type="checkbox" disabled="" aria-label="{attribute(label)}"{checked}> ')
        return "".join(self.out)

    def _bare(self, event: str) -> None:
        if self.alt is not None:
            self.alt.append(" ")
        elif event == "Rule":
            self.out.append("<hr>\n")
        elif event == "HardBreak" or self.breaks:
            self.out.append("<br>\n")
        else:
            self.out.append("\n")

    # Text

    def _text(self, value: str) -> None:
        if self.code is not None:
            self.code.append(restore(value, self.spans))
            return
        if self.alt is not None:
            self.alt.append(restore(value, self.spans))
            return
        done = 0
        for found in _TEXT.finditer(value):
            self.out.append(text(value[done : found.start()]))
            done = found.end()
            if found["span"]:
                self.out.append(self._span(int(found["span"])))
            elif found["note"]:
                self.out.append(f'<sup class="footnote-ref">{text(found["note"])}</sup>')
            elif found["cite"]:
                self.out.append(self._cite(found.group(), found["cite"]))
            elif found["url"]:
                done = found.start() + self._url(found["url"])
        self.out.append(text(value[done:]))

    def _span(self, index: int) -> str:
        if index >= len(self.spans):
            return ""
        span = self.spans[index]
        return formula.render(span.latex, span.source, display=span.display)

    def _cite(self, source: str, numbers: str) -> str:
        wanted = [int(number) for number in numbers.split(",")]
        if self.links or not all(1 <= number <= self.citations for number in wanted):
            return text(source)
        buttons = "".join(
            f'<button type="button" data-cite="{number}" '
            f'aria-label="{attribute(self.labels.source.format(number=number))}">{number}</button>'
            for number in wanted
        )
        # The number stays at its word: no space before it, and no new line.
        if self.out:
            self.out[-1] = self.out[-1].rstrip(" ")
        return f'{WORD_JOINER}<sup class="cite">{buttons}</sup>'

    def _url(self, url: str) -> int:
        """A bare address becomes a link; says how many characters of it were used."""
        url = url.rstrip(".,;:!?*_~")
        while url.endswith((")", "]")) and url.count("(") + url.count("[") < url.count(")") + url.count("]"):
            url = url[:-1].rstrip(".,;:!?*_~")
        if self.links or not clean.remote(url):
            self.out.append(text(url))
        else:
            self.out.append(f'<a href="{attribute(url)}">{text(url)}</a>')
        return len(url)

    def _code(self, value: str) -> None:
        value = restore(value, self.spans)
        if self.alt is not None:
            self.alt.append(value)
        else:
            self.out.append(f"<code>{text(value)}</code>")

    def _html(self, value: str) -> None:
        value = restore(value, self.spans)
        if self.alt is not None:
            return
        done = 0
        for found in _TAG.finditer(value):
            self.out.append(text(value[done : found.start()]))
            done = found.end()
            name = found["name"].lower()
            if name == "br":
                self.out.append("<br>")
            elif not found["close"]:
                self.tags.append(name)
                self.out.append(f"<{name}>")
            elif self.tags and self.tags[-1] == name:
                self.tags.pop()
                self.out.append(f"</{name}>")
            else:
                self.out.append(text(found.group()))
        self.out.append(text(value[done:]))

    def _close_tags(self) -> None:
        while self.tags:
            self.out.append(f"</{self.tags.pop()}>")

    # Containers

    def _open(self, before: str, after: str) -> None:
        if len(self.closers) >= _DEPTH:
            before = after = ""
        self.out.append(before)
        self.closers.append(after)

    def _start(self, tag: Any, span: dict[str, int]) -> None:
        if isinstance(tag, str):
            self._start_simple(tag)
            return
        ((kind, value),) = tag.items()
        if kind == "Link":
            self._link(value)
        elif kind == "Image":
            self._image(value)
        elif self.alt is not None:
            self._open("", "")
        elif kind == "Heading":
            number = int(value["level"][1])
            # The page has its own h1 and h2: an answer's headings go below them without a gap, wherever the model
            # begins to count; the class keeps the look that was meant.
            self.outline = (*(above for above in self.outline if above < number), number)
            name = f"h{min(6, 2 + len(self.outline))}"
            self._open(f'<{name} class="md-h{number}">', f"</{name}>\n")
        elif kind == "CodeBlock":
            self.code = []
            self.info = "" if value == "Indented" else restore(value["Fenced"], self.spans)
            self._open("", "open" if span["end"] >= self.open_end >= 0 else "")
        elif kind == "List":
            self._list(value)
        elif kind == "BlockQuote":
            self._quote(value)
        elif kind == "Table":
            self.aligns = value
            self._open('<div class="table-scroll" tabindex="0"><table>', "</tbody></table></div>\n")
        elif kind == "FootnoteDefinition":
            label = text(restore(value, self.spans))
            self._open(f'<div class="footnote"><sup>{label}</sup>\n', "</div>\n")
        else:
            self._open("", "")

    def _start_simple(self, tag: str) -> None:
        if self.alt is not None:
            self._open("", "")
        elif tag == "TableHead":
            self.cell, self.cell_tag = 0, "th"
            self._open("<thead><tr>", "</tr></thead><tbody>\n")
        elif tag == "TableRow":
            self.cell, self.cell_tag = 0, "td"
            self._open("<tr>", "</tr>\n")
        elif tag == "TableCell":
            align = _ALIGN[self.aligns[self.cell]] if self.cell < len(self.aligns) else ""
            self.cell += 1
            self._open(f"<{self.cell_tag}{align}>", f"</{self.cell_tag}>")
        elif tag == "HtmlBlock":
            self._open('<div class="html-source">', "</div>\n")
        else:
            name = _SIMPLE[tag]
            newline = "\n" if name in ("p", "li") else ""
            self._open(f"<{name}>", f"</{name}>{newline}")

    def _list(self, start: int | None) -> None:
        more = ""
        if self.list_start is not None and not self.closers:
            more = ' class="list-more"'
            start = self.list_start if start is not None else None
        self.list_start = None
        if start is None:
            self._open(f"<ul{more}>\n", "</ul>\n")
        else:
            number = "" if start == 1 else f' start="{start}"'
            self._open(f"<ol{more}{number}>\n", "</ol>\n")

    def _quote(self, kind: str | None) -> None:
        if kind is None:
            self._open("<blockquote>\n", "</blockquote>\n")
            return
        title = text(self.labels.alerts.get(kind, kind))
        self._open(
            f'<blockquote class="alert alert-{kind.lower()}">\n<p class="alert-title">{title}</p>\n',
            "</blockquote>\n",
        )

    def _link(self, value: dict[str, str]) -> None:
        url = restore(value["dest_url"], self.spans)
        if self.alt is not None or self.links or not clean.link(url):
            self._open("", "")
            self.links += 1
            return
        title = restore(value["title"], self.spans)
        extra = f' title="{attribute(title)}"' if title else ""
        self._open(f'<a href="{attribute(url)}"{extra}>', "</a>")
        self.links += 1

    def _image(self, value: dict[str, str]) -> None:
        self.images += 1
        if self.alt is not None:
            self._open("", "")
            return
        self.alt = []
        self._open("", restore(value["dest_url"], self.spans))

    def _end(self, tag: Any) -> None:
        closer = self.closers.pop()
        if tag == "Image":
            self.images -= 1
            if self.images == 0:
                self._picture(closer)
            return
        if tag == "Link":
            self.links -= 1
        if tag == "CodeBlock" and self.code is not None:
            body = "".join(self.code)
            self.code = None
            self.out.append(code.block(body, self.info, self.labels, plain=closer == "open"))
            return
        if self.alt is None:
            if self.tags and tag not in ("Emphasis", "Strong", "Strikethrough", "Link"):
                self._close_tags()
            self.out.append(closer)

    def _picture(self, url: str) -> None:
        alt = "".join(self.alt or ()).replace(JOINER, "")
        self.alt = None
        if clean.image(url):
            self.out.append(f'<img src="{attribute(url)}" alt="{attribute(alt)}" loading="lazy">')
        elif self.links or not clean.remote(url):
            self.out.append(text(alt))
        else:
            self.out.append(f'<a href="{attribute(url)}">{text(alt or url)}</a>')
