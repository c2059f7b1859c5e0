"""Text as the database and the search can take it."""

import codecs
import re
import unicodedata
from collections.abc import Callable

# PDF readers mark a hyphen at the end of a line with one of these; the word goes on in the next line.
_LINE_HYPHEN = re.compile("[\x02\ufffe]\n?|\u00ad\n?")
# PostgreSQL refuses NUL, UTF-8 has no lone surrogates; other control characters are only noise.
_DROPPED = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufeff\uffff]")
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_LINE_END = " \t\u00a0"
_GAP = re.compile(r"\n{3,}")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.I)
_XML_ENCODING = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]+)", re.I)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the shorter one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAMPLE = 64 * 1024


def normalise(text: str) -> str:
    """One form of line ends and characters, nothing the database refuses, no more than one empty line in a row."""
    text = _BREAKS.sub("\n", text)
    text = _LINE_HYPHEN.sub("", text)
    text = _DROPPED.sub("", text)
    # Not by an expression: it starts anew at each blank of a run, which takes minutes for a megabyte of them.
    text = "\n".join(line.rstrip(_LINE_END) for line in unicodedata.normalize("NFC", text).split("\n"))
    return _GAP.sub("\n\n", text).strip("\n")


def decode(data: bytes) -> str:
    """The text of bytes in an unknown encoding: its mark, UTF-8, what the file declares, then a guess. Never fails."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if (wide := _utf16_without_mark(data)) is not None:
        return data.decode(wide, "replace")
    candidates: tuple[Callable[[], str | None], ...] = (
        lambda: "utf-8",
        lambda: _declared(data),
        lambda: _guessed(data),
        lambda: "cp1252",
    )
    for candidate in candidates:
        if (name := candidate()) is None:
            continue
        try:
            return data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("latin-1")


def _utf16_without_mark(data: bytes) -> str | None:
    head = data[:4096]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) * 3 < len(head) // 2 or min(even, odd) * 20 > max(even, odd):
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _declared(data: bytes) -> str | None:
    found = _XML_ENCODING.search(data[:1024]) or _META_CHARSET.search(data[:4096])
    if not found:
        return None
    name = found.group(1).decode("ascii").lower()
    # What says Latin-1 on the web is Windows-1252, and browsers read it so.
    return "cp1252" if name in ("iso-8859-1", "latin-1", "latin1", "us-ascii") else name


def _guessed(data: bytes) -> str | None:
    # Only files that need a guess pay for the import and the time.
    from charset_normalizer import from_bytes

    best = from_bytes(data[:SAMPLE]).best()
    return best.encoding if best else None
