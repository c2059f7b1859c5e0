"""One document in, its pages of text out."""

import re
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from xml.etree import ElementTree

from knowledge.ingest.archive import check_archive
from knowledge.ingest.errors import IngestError
from knowledge.ingest.kinds import MARKDOWN_KINDS, ROW_KINDS, ZIP_KINDS, Kind
from knowledge.ingest.limits import Limits
from knowledge.ingest.mail import read_mail
from knowledge.ingest.slides import read_slides
from knowledge.ingest.sniff import sniff
from knowledge.ingest.tables import parse_csv, rows_text
from knowledge.ingest.texts import decode, normalise
from knowledge.ingest.word import read_word

if TYPE_CHECKING:
    from kreuzberg import ExtractionResult

T = TypeVar("T")

_HEAD = re.compile(r"<head\b.*?</head\s*>", re.I | re.S)
_TITLE = re.compile(r"<title\b[^>]*>(.*?)</title\s*>", re.I | re.S)
_INLINE_DATA = re.compile(r"!?\[([^\]\n]*)\]\(data:[^)\s]*\)")


@dataclass(frozen=True, slots=True)
class Page:
    """One page, slide or sheet that holds text. The number counts from one; where a format has no pages it is None."""

    number: int | None
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a document. Pages without text are left out, `page_count` counts them."""

    pages: tuple[Page, ...]
    content_type: str
    page_count: int | None

    @property
    def text(self) -> str:
        return " ".join(page.text for page in self.pages)

    @property
    def is_markdown(self) -> bool:
        return self.content_type in MARKDOWN_KINDS

    @property
    def is_rows(self) -> bool:
        return self.content_type in ROW_KINDS


def extract(data: bytes, filename: str, content_type: str | None = None, limits: Limits | None = None) -> Extracted:
    """Read a document in this process. Workers call `extract_isolated`: a parser may hang, crash or eat the memory."""
    limits = limits or Limits()
    kind = sniff(data, filename, content_type)
    if kind in ZIP_KINDS:
        check_archive(data, limits)
    pages, page_count = _read(kind, data, limits)
    return _checked(kind, pages, page_count, limits)


def _read(kind: Kind, data: bytes, limits: Limits) -> tuple[Iterable[Page], int | None]:
    match kind:
        case Kind.PDF:
            return _pdf(data)
        case Kind.PPTX:
            return _slides(data)
        case Kind.XLSX:
            return _sheets(data)
        case Kind.DOCX:
            return [Page(None, "", _office(Kind.DOCX, read_word, data))], None
        case Kind.ODT | Kind.EPUB | Kind.RTF:
            markup = "plain" if kind is Kind.RTF else "markdown"
            return [Page(None, "", _parse(data, kind, output_format=markup).content)], None
        case Kind.HTML:
            return [Page(None, "", _html(_decode(data, limits)))], None
        case Kind.EML:
            return [Page(None, "", read_mail(data, _html))], None
        case Kind.CSV:
            return [Page(None, "", rows_text(parse_csv(_decode(data, limits).replace("\0", ""))))], None
        case _:
            return [Page(None, "", _decode(data, limits))], None


def _checked(kind: Kind, pages: Iterable[Page], page_count: int | None, limits: Limits) -> Extracted:
    if page_count is not None and page_count > limits.pages:
        raise IngestError(
            f"This document has {page_count:,} pages; {limits.pages:,} are allowed. Split it and upload the parts.",
            "too_many_pages",
        )
    kept = tuple(
        Page(page.number, normalise(page.label), text) for page in pages if (text := normalise(page.text)).strip()
    )
    if sum(len(page.text) for page in kept) > limits.text_chars:
        raise _too_much_text(limits)
    if not kept:
        raise _no_text(kind)
    return Extracted(kept, kind.value, page_count)


def _no_text(kind: Kind) -> IngestError:
    if kind is Kind.PDF:
        return IngestError(
            "This PDF holds pictures of pages, but no text. Run text recognition (OCR) on it and upload the result.",
            "no_text",
        )
    return IngestError("This document holds no text. Check that you chose the right file.", "no_text")


def _too_much_text(limits: Limits) -> IngestError:
    return IngestError(
        f"This document holds more than {limits.text_chars:,} characters of text. Split it and upload the parts.",
        "too_much_text",
    )


def _decode(data: bytes, limits: Limits) -> str:
    # No encoding takes more than four bytes per character, so this refuses early without refusing wrongly.
    if len(data) > limits.text_chars * 4:
        raise _too_much_text(limits)
    return decode(data)


def _parse(data: bytes, kind: Kind, *, output_format: str = "plain") -> "ExtractionResult":
    # Loading the library takes longer than reading a text file, so only the formats that need it do.
    from kreuzberg import ConcurrencyConfig, ExtractionConfig, PageConfig, extract_bytes_sync
    from kreuzberg.exceptions import KreuzbergError

    config = ExtractionConfig(
        use_cache=False,
        output_format=output_format,
        pages=PageConfig(extract_pages=True),
        concurrency=ConcurrencyConfig(max_threads=1),
    )
    try:
        return extract_bytes_sync(data, kind.value, config)
    except KreuzbergError as fault:
        raise _parser_fault(kind, str(fault)) from fault


def _parser_fault(kind: Kind, detail: str) -> IngestError:
    if kind is Kind.PDF and "password" in detail.lower():
        return IngestError(
            "This PDF is protected by a password. Save a copy without the password and upload that.", "encrypted"
        )
    if kind is Kind.PDF and "No page boundaries" in detail:
        return IngestError("This PDF has no pages. Export it again and upload the new file.", "no_pages")
    return _damaged(kind)


def _damaged(kind: Kind) -> IngestError:
    return IngestError(
        f"This {kind.name} file is damaged or was not uploaded completely. Open it in its program, save it again and "
        "upload the new file.",
        "damaged",
    )


def _pdf(data: bytes) -> tuple[list[Page], int]:
    # The library's whole text leaves out lines that repeat on pages, its pages do not: so only pages are used.
    found = _parse(data, Kind.PDF).pages or []
    pages = [Page(page["page_number"], f"Page {page['page_number']}", page["content"]) for page in found]
    return pages, len(pages)


def _slides(data: bytes) -> tuple[list[Page], int]:
    texts = _office(Kind.PPTX, read_slides, data)
    pages = [Page(number, f"Slide {number}", text) for number, text in enumerate(texts, 1)]
    return pages, len(pages)


def _sheets(data: bytes) -> tuple[list[Page], int]:
    result = _parse(data, Kind.XLSX)
    names: list[str] = list(result.metadata.get("sheet_names") or [])
    pages = []
    for table in result.tables:
        at = table.page_number - 1
        name = names[at] if 0 <= at < len(names) else f"Sheet {at + 1}"
        pages.append(Page(None, name, rows_text(table.cells)))
    return pages, len(names) or len(pages)


def _office(kind: Kind, read: Callable[[bytes], T], data: bytes) -> T:
    try:
        return read(data)
    except (KeyError, ElementTree.ParseError, RecursionError, zipfile.BadZipFile) as fault:
        raise _damaged(kind) from fault


def _html(markup: str) -> str:
    # The library turns the head into a broken front matter block; the title is all that is wanted of it.
    title = _TITLE.search(markup)
    body = _TITLE.sub("", _HEAD.sub("", markup))
    text = _parse(body.encode("utf-8", "ignore"), Kind.HTML, output_format="markdown").content
    text = _INLINE_DATA.sub(r"\1", text)
    if not title:
        return text
    from html import unescape

    return f"{' '.join(unescape(title.group(1)).split())}\n\n{text}".strip()
