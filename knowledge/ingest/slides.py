"""Text of a PPTX file, slide by slide in the order they are shown, speaker notes with their slide.

Read here and not by kreuzberg: its 4.10 reader gives the notes to the slide whose file has the same number, which is
another slide as soon as one has no notes, and a citation would name the wrong one.
"""

import io
import zipfile
from collections.abc import Iterator

from knowledge.ingest.ooxml import RELATIONS, Element, parse_part, related

P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
# Placeholders that say the same on every slide.
_FURNITURE = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})
_MAX_DEPTH = 200


def read_slides(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        main = "ppt/presentation.xml"
        parts = related(archive, main)
        slides = []
        for entry in parse_part(archive, main).iter(f"{P}sldId"):
            _, part = parts[entry.get(f"{RELATIONS}id", "")]
            blocks = list(_blocks(parse_part(archive, part), 0))
            notes = [target for kind, target in related(archive, part).values() if kind == "notesSlide"]
            said = [block for target in notes for block in _blocks(parse_part(archive, target), 0)]
            slides.append("\n\n".join([*blocks, *(["Notes:", *said] if said else [])]))
    return slides


def _blocks(parent: Element, depth: int) -> Iterator[str]:
    """One text per shape or table, groups opened."""
    if depth > _MAX_DEPTH:
        return
    for child in parent:
        if child.tag == FALLBACK or _is_furniture(child):
            continue
        if child.tag in (f"{P}txBody", f"{A}txBody"):
            if text := "\n".join(line for line in map(_line, child.iter(f"{A}p")) if line):
                yield text
        elif child.tag == f"{A}tbl":
            yield "\n".join(_row(row) for row in child.iter(f"{A}tr"))
        else:
            yield from _blocks(child, depth + 1)


def _is_furniture(shape: Element) -> bool:
    placeholder = shape.find(f"{P}nvSpPr/{P}nvPr/{P}ph")
    return placeholder is not None and placeholder.get("type") in _FURNITURE


def _line(paragraph: Element) -> str:
    parts = ("\n" if node.tag == f"{A}br" else node.text or "" for node in paragraph.iter() if node.tag in _TEXT)
    return "".join(parts).strip()


def _row(row: Element) -> str:
    cells = (" ".join(" ".join(map(_line, cell.iter(f"{A}p"))).split()) for cell in row.iter(f"{A}tc"))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_TEXT = frozenset({f"{A}t", f"{A}br"})
