"""Pages of text into pieces small enough to embed."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from knowledge.ingest.extract import Extracted, Page
from knowledge.ingest.measures import Characters, Measure, Tokens
from knowledge.ingest.sections import Section, sections

# How rows of tables and code begin in Markdown.
_BLOCKS = ("|", "```", "~~~")


@dataclass(frozen=True, slots=True)
class SplitSettings:
    size: int = 1000
    overlap: int = 100
    min_size_target: int = 0
    splitter: Literal["character", "token"] = "character"
    markdown_headers: bool = True
    encoding: str = "cl100k_base"
    """Which tokens are counted when the splitter is `token`."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("The chunk size must be at least 1.")
        if self.overlap < 0 or self.min_size_target < 0:
            raise ValueError("The chunk overlap and the minimum chunk size cannot be below 0.")
        if self.overlap >= self.size:
            raise ValueError(f"The chunk overlap ({self.overlap}) must be smaller than the chunk size ({self.size}).")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of one page: `page_text[start_index : start_index + len(text)] == text`."""

    position: int
    text: str
    page: int | None
    label: str
    start_index: int
    headings: tuple[str, ...]


class Span(NamedTuple):
    start: int
    end: int


def split(extracted: Extracted, settings: SplitSettings) -> list[Piece]:
    """Pieces in reading order. Every character that is not white space is in a piece; no piece is larger than `size`.

    Pieces of a table hold whole rows and do not overlap: each row names its columns, so nothing is lost between two.
    """
    markdown = settings.markdown_headers and extracted.is_markdown
    measure: Measure = (
        Tokens(settings.size, settings.encoding, markdown=markdown)
        if settings.splitter == "token"
        else Characters(settings.size, markdown=markdown)
    )
    pieces: list[Piece] = []
    for page in extracted.pages:
        for section in _sections(page, extracted, settings, measure):
            spans = (
                _row_spans(page.text, section, measure)
                if extracted.is_rows
                else _text_spans(page.text, section, settings.overlap, measure)
            )
            for start, end in spans:
                text = page.text[start:end]
                pieces.append(Piece(len(pieces), text, page.number, page.label, start, section.headings))
    return pieces


def _sections(page: Page, extracted: Extracted, settings: SplitSettings, measure: Measure) -> Iterator[Section]:
    if not (settings.markdown_headers and extracted.is_markdown):
        yield Section(0, len(page.text), ())
        return
    found = sections(page.text)
    if not settings.min_size_target:
        yield from found
        return
    # One pass forward: a section below the target takes in the next while both fit. Headings stay those of the first.
    waiting: Section | None = None
    for section in found:
        if waiting is None:
            waiting = section
        elif not measure.reaches(page.text[waiting.start : waiting.end], settings.min_size_target) and measure.fits(
            page.text[waiting.start : section.end].strip()
        ):
            waiting = Section(waiting.start, section.end, waiting.headings)
        else:
            yield waiting
            waiting = section
    if waiting is not None:
        yield waiting


def _text_spans(text: str, section: Section, overlap: int, measure: Measure) -> Iterator[Span]:
    whole = _stripped(text, section.start, section.end)
    if whole is None:
        return
    if measure.fits(text[whole.start : whole.end]):
        yield whole
        return
    # The overlap is put before a piece, so the piece itself leaves room for it; never more than half, or large
    # overlaps would turn a page into thousands of pieces that differ by a word.
    overlap = min(overlap, measure.size // 2)
    limit = whole.start
    for start, end in measure.cut(text, whole.start, whole.end, measure.size - overlap):
        core = _stripped(text, start, end)
        if core is None:
            continue
        # A row of a table says little by half, and a fence repeated without its beginning turns code inside out.
        begins_block = measure.markdown and text.startswith(_BLOCKS, core.start)
        yield Span(core.start if begins_block else measure.reach_back(text, limit, core, overlap), core.end)
        limit = core.start


def _row_spans(text: str, section: Section, measure: Measure) -> Iterator[Span]:
    """Whole rows, as many as fit. A row that is larger than a piece is cut like other text, and only that row."""
    starts = [section.start]
    while (found := text.find("\n", starts[-1], section.end)) != -1:
        starts.append(found + 1)
    rows = [row for start, end in pairwise([*starts, section.end]) if (row := _stripped(text, start, end))]
    at = 0
    while at < len(rows):
        start = rows[at].start
        stop = at
        while stop < len(rows) and measure.fits(text[start : rows[stop].end]):
            stop += 1
        if stop > at:
            yield Span(start, rows[stop - 1].end)
            at = stop
        else:
            yield from _text_spans(text, Section(start, rows[at].end, ()), 0, measure)
            at += 1


def _stripped(text: str, start: int, end: int) -> Span | None:
    part = text[start:end]
    if not (kept := part.strip()):
        return None
    start += len(part) - len(part.lstrip())
    return Span(start, start + len(kept))
