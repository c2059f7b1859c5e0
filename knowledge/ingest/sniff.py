"""What a file really is, and what it may be called."""

import io
import re
import unicodedata
import zipfile
from pathlib import PurePosixPath

from knowledge.ingest.errors import IngestError
from knowledge.ingest.kinds import BINARY_KINDS, EXTENSIONS, MEDIA_TYPES, Kind

NAME_LIMIT = 200
# A longer "extension" is part of the name; cutting the name must not keep it whole.
EXTENSION_LIMIT = 20

_IMAGE = (
    "a picture; text can only be read from documents. Export it as a PDF with recognised text (OCR) and upload that."
)
_SOUND = "a sound or video file. Upload a transcript instead."
_PROGRAM = "a program. Programs are not accepted."
_ARCHIVE = "an archive. Unpack it and upload the documents inside."
_FONT_OR_DATA = "a binary data file. Export its content as PDF, CSV or text and upload that."

_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", _IMAGE),
    (b"\xff\xd8\xff", _IMAGE),
    (b"GIF87a", _IMAGE),
    (b"GIF89a", _IMAGE),
    (b"II*\0", _IMAGE),
    (b"MM\0*", _IMAGE),
    (b"\0\0\1\0", _IMAGE),
    (b"8BPS", _IMAGE),
    (b"\x7fELF", _PROGRAM),
    (b"\xfe\xed\xfa\xce", _PROGRAM),
    (b"\xfe\xed\xfa\xcf", _PROGRAM),
    (b"\xce\xfa\xed\xfe", _PROGRAM),
    (b"\xcf\xfa\xed\xfe", _PROGRAM),
    (b"\xca\xfe\xba\xbe", _PROGRAM),
    (b"\0asm", _PROGRAM),
    (b"OggS", _SOUND),
    (b"fLaC", _SOUND),
    (b"ID3", _SOUND),
    (b"\x1a\x45\xdf\xa3", _SOUND),
    (b"\x1f\x8b", _ARCHIVE),
    (b"BZh", _ARCHIVE),
    (b"\xfd7zXZ\0", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"Rar!\x1a\x07", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (b"SQLite format 3\0", _FONT_OR_DATA),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_MAIN_PARTS = {"word/document.xml": Kind.DOCX, "ppt/presentation.xml": Kind.PPTX, "xl/workbook.xml": Kind.XLSX}
# A comment ends at its first mark: were it free to go on, many comments would be tried in every combination.
_HTML_START = re.compile(rb"\s*(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S)
# Log files now and then hold a zero byte.
STRAY_ZEROS = 2
# Not tab, line ends, form feed and escape (colours in logs).
_CONTROL = (*range(1, 9), *range(14, 27), 28, 29, 30, 31)
_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")


def sniff(data: bytes, filename: str, content_type: str | None = None) -> Kind:
    """The kind of the document by its bytes, helped by its name where bytes cannot tell (CSV, Markdown, code).

    A supported document with the wrong extension is read as what it is. What we cannot read is refused with a sentence.
    """
    if not data.strip(b"\0 \t\r\n"):
        raise IngestError("This file is empty. Upload a file that has content.", "empty_file")
    named = kind_of_name(filename) or _kind_of_media_type(content_type)
    kind = _by_signature(data)
    if kind is not None:
        return kind
    if _is_binary(data):
        raise _unreadable(named)
    if _HTML_START.match(data[:4096]) and named in (None, Kind.TEXT, *BINARY_KINDS):
        return Kind.HTML  # web programs export tables and pages as HTML under office names
    if named in BINARY_KINDS:
        raise _unreadable(named)
    return named or Kind.TEXT


def kind_of_name(filename: str) -> Kind | None:
    """The kind the extension promises; files such as `Makefile` go by their whole name."""
    path = PurePosixPath(filename.lower())
    return EXTENSIONS.get(path.suffix.lstrip(".") or path.name.lstrip("."))


def clean_filename(name: str) -> str:
    """The base name, safe to store, to show and to send in a header. Never empty.

    Control and format characters go (bidi overrides make `exe.pdf` look like `fdp.exe`), as do lone surrogates.
    """
    base = re.split(r"[/\\]", name)[-1]
    kept = "".join(char for char in base if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    kept = " ".join(unicodedata.normalize("NFC", kept).split()).lstrip(". ").rstrip(". ")
    stem, dot, extension = kept.rpartition(".")
    if not dot or len(extension) > EXTENSION_LIMIT:
        return kept[:NAME_LIMIT].rstrip(". ") or "unnamed"
    return f"{stem[: NAME_LIMIT - len(extension) - 1].rstrip('. ') or 'unnamed'}.{extension}"


def _kind_of_media_type(content_type: str | None) -> Kind | None:
    return MEDIA_TYPES.get((content_type or "").partition(";")[0].strip().lower())


def _by_signature(data: bytes) -> Kind | None:
    # Some producers put a few bytes before the PDF header; readers accept it within the first kilobyte.
    if b"%PDF-" in data[:1024] and not data.startswith((*ZIP_STARTS, _OLE)):
        return Kind.PDF
    if data.startswith(b"{\\rtf"):
        return Kind.RTF
    if data.startswith(ZIP_STARTS):
        return _kind_of_zip(data)
    if data.startswith(_OLE):
        raise _ole_fault(data)
    for start, what in _REFUSED:
        if data.startswith(start):
            raise IngestError(f"This file is {what}", "unsupported_type")
    if data[4:8] == b"ftyp":
        is_picture = data[8:12] in (b"heic", b"heix", b"mif1", b"avif")
        raise IngestError(f"This file is {_IMAGE if is_picture else _SOUND}", "unsupported_type")
    if data.startswith(b"RIFF"):
        raise IngestError(f"This file is {_IMAGE if data[8:12] == b'WEBP' else _SOUND}", "unsupported_type")
    # Two letters alone are too little: a text may begin with "MZ" or "BM". Both formats have zero bytes early.
    if data.startswith(b"MZ") and b"\0" in data[:64]:
        raise IngestError(f"This file is {_PROGRAM}", "unsupported_type")
    if data.startswith(b"BM") and b"\0" in data[:16]:
        raise IngestError(f"This file is {_IMAGE}", "unsupported_type")
    if data[257:262] == b"ustar":
        raise IngestError(f"This file is {_ARCHIVE}", "unsupported_type")
    return None


def _kind_of_zip(data: bytes) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as fault:
        raise IngestError(
            "This document is damaged or was not uploaded completely. Open it in its program, save it again and upload "
            "the new file.",
            "damaged",
        ) from fault
    for part, kind in _MAIN_PARTS.items():
        if part in names:
            return kind
    if "mimetype" in names:
        # Both formats store it first and uncompressed so that it can be seen without unpacking anything.
        if "content.xml" in names and Kind.ODT.value.encode() in data[:256]:
            return Kind.ODT
        if "META-INF/container.xml" in names and Kind.EPUB.value.encode() in data[:256]:
            if "META-INF/rights.xml" in names:
                raise IngestError(
                    "This book is protected against copying (DRM). Upload a copy without the protection.", "encrypted"
                )
            return Kind.EPUB
    if names & {"xl/workbook.bin", "content.xml", "META-INF/container.xml"}:
        raise IngestError(
            "This kind of document cannot be read. Save it as PDF, DOCX, XLSX or PPTX and upload that.",
            "unsupported_type",
        )
    raise IngestError(f"This file is {_ARCHIVE}", "unsupported_type")


def _ole_fault(data: bytes) -> IngestError:
    # Office puts an encrypted DOCX, XLSX or PPTX into the old container, in a stream of this name.
    if "EncryptedPackage".encode("utf-16-le") in data:
        return IngestError(
            "This document is protected by a password. Save a copy without the password and upload that.", "encrypted"
        )
    return IngestError(
        "This file has an old Office format (DOC, XLS, PPT, MSG). Save it as DOCX, XLSX, PPTX or PDF and upload that.",
        "unsupported_type",
    )


def _is_binary(data: bytes) -> bool:
    """Whether the bytes cannot be text. Zero bytes are normal in UTF-16, where nearly every other byte is one."""
    head = data[:8192]
    if data.startswith(_BOMS):
        return False
    zeros = head.count(0)
    if zeros <= STRAY_ZEROS or zeros * 100 < len(head):
        control = sum(head.count(code) for code in _CONTROL)
        return control * 20 > len(head)
    even, odd = head[::2].count(0), head[1::2].count(0)
    return not (min(even, odd) * 20 < max(even, odd) and zeros * 4 > len(head))


def _unreadable(named: Kind | None) -> IngestError:
    if named in BINARY_KINDS:
        return IngestError(
            f"This file is damaged: its name says {named.name}, its content does not. Open it in its program, save it "
            "again and upload the new file.",
            "damaged",
        )
    return IngestError(f"This file is {_FONT_OR_DATA}", "unsupported_type")
