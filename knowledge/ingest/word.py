"""Text of a DOCX file, as Markdown.

Read here and not by kreuzberg: its 4.x reader drops every `&`, `<` and `>` from the text (xberg-io/xberg #1212, #1242),
and an instruction that says "pH < 7" must not lose its sign. Content controls, which python-docx passes over, are read.
"""

import io
import re
import zipfile
from collections.abc import Iterator

from knowledge.ingest.ooxml import Element, parse_part

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_BREAKS = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
# Deleted and moved-away text is no part of the document; a fallback repeats what stands before it.
_SKIPPED = frozenset({f"{W}del", f"{W}moveFrom", f"{W}pPr", f"{W}rPr", FALLBACK})
_MAX_DEPTH = 200


def read_word(data: bytes) -> str:
    """Paragraphs, headings, lists and tables in reading order, then footnotes and endnotes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = set(archive.namelist())
        levels = _heading_levels(parse_part(archive, "word/styles.xml")) if "word/styles.xml" in names else {}
        blocks = list(_blocks(parse_part(archive, "word/document.xml"), levels, 0))
        for part in ("word/footnotes.xml", "word/endnotes.xml"):
            if part in names:
                blocks.extend(_blocks(parse_part(archive, part), levels, 0))
    return "\n\n".join(block for block in blocks if block.strip())


def _heading_levels(styles: Element) -> dict[str, int]:
    """Style id to heading level. Localised Word translates ids, but not the outline level and the built-in names."""
    levels: dict[str, int] = {}
    for style in styles.iter(f"{W}style"):
        name = style.find(f"{W}name")
        outline = style.find(f"{W}pPr/{W}outlineLvl")
        shown = (name.get(f"{W}val", "") if name is not None else "").lower()
        if found := re.fullmatch(r"heading ([1-9])", shown):
            levels[style.get(f"{W}styleId", "")] = int(found.group(1))
        elif shown == "title":
            levels[style.get(f"{W}styleId", "")] = 1
        elif outline is not None and (value := outline.get(f"{W}val", "")).isdigit() and int(value) < 9:
            levels[style.get(f"{W}styleId", "")] = int(value) + 1
    return levels


def _blocks(parent: Element, levels: dict[str, int], depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        return
    for child in parent:
        if child.tag == f"{W}p":
            yield _paragraph(child, levels)
            # Text boxes hang inside a paragraph and hold paragraphs of their own.
            for box in _boxes(child):
                yield from _blocks(box, levels, depth + 1)
        elif child.tag == f"{W}tbl":
            yield _table(child, levels, depth + 1)
        elif child.tag not in _SKIPPED:
            yield from _blocks(child, levels, depth + 1)


def _paragraph(paragraph: Element, levels: dict[str, int]) -> str:
    text = "".join(_runs(paragraph)).strip()
    if not text:
        return ""
    style = paragraph.find(f"{W}pPr/{W}pStyle")
    level = levels.get(style.get(f"{W}val", ""), 0) if style is not None else 0
    if level:
        return f"{'#' * min(level, 6)} {' '.join(text.split())}"
    return f"- {text}" if paragraph.find(f"{W}pPr/{W}numPr") is not None or _is_list(style) else text


def _is_list(style: Element | None) -> bool:
    return style is not None and style.get(f"{W}val", "").startswith("List")


def _runs(element: Element) -> Iterator[str]:
    for child in element:
        if child.tag in _SKIPPED or child.tag == f"{W}txbxContent":
            continue
        if child.tag == f"{W}t":
            yield child.text or ""
        elif child.tag in _BREAKS:
            yield _BREAKS[child.tag]
        else:
            yield from _runs(child)


def _boxes(element: Element) -> Iterator[Element]:
    for child in element:
        if child.tag == f"{W}txbxContent":
            yield child
        elif child.tag not in _SKIPPED:
            yield from _boxes(child)


def _table(table: Element, levels: dict[str, int], depth: int) -> str:
    rows = [[_cell(cell, levels, depth) for cell in _cells(row)] for row in _rows(table)]
    rows = [row for row in rows if any(row)]
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def _rows(table: Element) -> Iterator[Element]:
    yield from _direct(table, f"{W}tr")


def _cells(row: Element) -> Iterator[Element]:
    yield from _direct(row, f"{W}tc")


def _direct(parent: Element, tag: str) -> Iterator[Element]:
    """Children of the tag, seen through content controls but not through inner tables."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag in (f"{W}sdt", f"{W}sdtContent", f"{W}customXml", f"{W}ins"):
            yield from _direct(child, tag)


def _cell(cell: Element, levels: dict[str, int], depth: int) -> str:
    # One line per row: a table inside a cell becomes words.
    text = " ".join(_blocks(cell, {}, depth + 1))
    return " ".join(text.replace("|", "\\|").split())
