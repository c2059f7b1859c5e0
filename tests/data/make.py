"""Small documents of every kind we read, made when a test asks for them.

Nothing binary is kept in the repository: a reader can see what each file contains, and nobody has to trust a blob.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from email.message import EmailMessage

import docx
import openpyxl
import pikepdf
import pptx
from pptx.util import Inches
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas


def pdf(pages: Sequence[str]) -> bytes:
    """One PDF page per text; lines are drawn as they come."""
    out = io.BytesIO()
    sheet = canvas.Canvas(out, pagesize=A4)
    for text in pages:
        y = 800
        for line in text.splitlines():
            sheet.drawString(40, y, line)
            y -= 14
        sheet.showPage()
    sheet.save()
    return out.getvalue()


def encrypted_pdf(pages: Sequence[str], *, user: str = "secret", owner: str = "owner") -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf(pages))) as document:
        document.save(out, encryption=pikepdf.Encryption(user=user, owner=owner))
    return out.getvalue()


def pdf_without_pages() -> bytes:
    out = io.BytesIO()
    with pikepdf.new() as document:
        document.save(out)
    return out.getvalue()


def scanned_pdf(page_count: int = 2) -> bytes:
    """Pages that show lines and boxes, but hold no text: what a scanner without OCR makes."""
    out = io.BytesIO()
    sheet = canvas.Canvas(out, pagesize=A4)
    for _ in range(page_count):
        sheet.rect(100, 100, 200, 200, fill=1)
        sheet.showPage()
    sheet.save()
    return out.getvalue()


def word(paragraphs: Sequence[str], *, heading: str = "", table: Sequence[Sequence[str]] = ()) -> bytes:
    document = docx.Document()
    if heading:
        document.add_heading(heading, level=1)
    for text in paragraphs:
        document.add_paragraph(text)
    if table:
        grid = document.add_table(rows=len(table), cols=len(table[0]))
        for row, values in zip(grid.rows, table, strict=True):
            for cell, value in zip(row.cells, values, strict=True):
                cell.text = value
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def slides(texts: Sequence[tuple[str, str, str]]) -> bytes:
    """One slide per (title, body, notes)."""
    show = pptx.Presentation()
    for title, body, notes in texts:
        slide = show.slides.add_slide(show.slide_layouts[5])
        slide.shapes.title.text = title
        slide.shapes.add_textbox(Inches(1), Inches(2), Inches(6), Inches(1)).text_frame.text = body
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    out = io.BytesIO()
    show.save(out)
    return out.getvalue()


def workbook(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    book.close()
    return out.getvalue()


def epub(chapters: Mapping[str, str], *, extra: Mapping[str, bytes] | None = None) -> bytes:
    """A book; chapters are XHTML bodies by file name, read in their order."""
    items = "".join(f'<item id="{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in chapters)
    spine = "".join(f'<itemref idref="{n}"/>' for n in chapters)
    container = (
        '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    package = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Book</dc:title></metadata>'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    html = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head><body>{}</body></html>'
    members = {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": container.encode(),
        "book.opf": package.encode(),
        **{f"{name}.xhtml": html.format(body).encode() for name, body in chapters.items()},
    }
    return zip_of(members | dict(extra or {}), compression=zipfile.ZIP_STORED)


def mail(subject: str, text: str, *, html: str = "", attachment: str = "") -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "Alice <alice@example.org>", "bob@example.org"
    if text:
        message.set_content(text)
    if html and text:
        message.add_alternative(html, subtype="html")
    elif html:
        message.set_content(html, subtype="html")
    if attachment:
        message.add_attachment(b"\0\1\2", maintype="application", subtype="octet-stream", filename=attachment)
    return message.as_bytes()


def png() -> bytes:
    """A one-pixel image."""

    def block(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + block(b"IDAT", zlib.compress(b"\0\0")) + block(b"IEND", b"")


def zip_of(members: Mapping[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def with_member(archive: bytes, name: str, data: bytes) -> bytes:
    """The archive with one more member, such as a bomb inside an otherwise good document."""
    out = io.BytesIO(archive)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as target:
        target.writestr(name, data)
    return out.getvalue()


def with_false_size(archive: bytes, name: str, claimed: int) -> bytes:
    """The archive whose central directory and local header lie about the uncompressed size of one member."""
    data = bytearray(archive)
    encoded = name.encode()
    for signature, size_at, name_at in ((b"PK\x01\x02", 24, 46), (b"PK\x03\x04", 22, 30)):
        at = data.find(signature)
        while at != -1:
            if data[at + name_at : at + name_at + len(encoded)] == encoded:
                data[at + size_at : at + size_at + 4] = struct.pack("<I", claimed)
            at = data.find(signature, at + 4)
    return bytes(data)
