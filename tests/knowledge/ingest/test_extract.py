"""Every kind of document gives its sentence on the right page; bad input gives a sentence for people."""

import io
import re
import zipfile

import pptx
import pytest

from knowledge.ingest import archive
from knowledge.ingest.errors import IngestError
from knowledge.ingest.extract import Extracted, extract
from knowledge.ingest.kinds import Kind
from knowledge.ingest.limits import MEGABYTE, Limits
from tests.data import make

SENTENCE = "R&D: rinse the vessel while pH < 7 and > 5, see SOP-MFG-042."


def where(found: Extracted, words: str = SENTENCE) -> list[tuple[int | None, str]]:
    return [(page.number, page.label) for page in found.pages if words in page.text]


def fault(data: bytes, name: str, limits: Limits | None = None) -> IngestError:
    with pytest.raises(IngestError) as raised:
        extract(data, name, None, limits)
    assert raised.value.message.endswith(".") and len(raised.value.message) > 20
    return raised.value


def test_pdf_is_read_page_by_page() -> None:
    found = extract(make.pdf(["First page.", "", SENTENCE]), "sop.pdf", "application/pdf")
    assert where(found) == [(3, "Page 3")]
    assert found.page_count == 3
    assert [page.number for page in found.pages] == [1, 3]
    assert found.content_type == Kind.PDF and not found.is_markdown


def test_lines_repeated_on_each_page_of_a_pdf_are_kept() -> None:
    found = extract(make.pdf([f"ACME confidential\nText {n}" for n in range(6)]), "a.pdf")
    assert all("ACME confidential" in page.text for page in found.pages) and len(found.pages) == 6


def test_pdf_with_owner_password_only_can_be_read() -> None:
    assert where(extract(make.encrypted_pdf([SENTENCE], user=""), "a.pdf")) == [(1, "Page 1")]


def test_word_keeps_headings_tables_and_every_sign() -> None:
    data = make.word([SENTENCE, "Next."], heading="Cleaning", table=[["Step", "Limit"], ["1|2", "< 5 & > 3"]])
    found = extract(data, "sop.docx")
    assert where(found) == [(None, "")]
    assert found.text.startswith("# Cleaning\n\n")
    assert "| Step | Limit |\n| --- | --- |\n| 1\\|2 | < 5 & > 3 |" in found.text
    assert found.is_markdown


W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def word_body(body: str, namespace: str = W) -> bytes:
    content = f'<?xml version="1.0"?><w:document xmlns:w="{namespace}"><w:body>{body}</w:body></w:document>'
    return make.zip_of({"[Content_Types].xml": b"<Types/>", "word/document.xml": content.encode()})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<w:sdt><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent></w:sdt>", "in a control"),
        (
            "<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>",
            "new",
        ),
        ("<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:p>", "a\tb\nc"),
        ("<w:p><w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink></w:p>", "link"),
        (
            "<w:p><w:r><w:t>out</w:t><w:pict><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></w:pict>"
            "</w:r></w:p>",
            "out\n\nbox",
        ),
        (
            "<w:tbl><w:tr><w:sdt><w:sdtContent><w:tc><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc></w:sdtContent></w:sdt>"
            "</w:tr></w:tbl>",
            "| x |\n| --- |",
        ),
    ],
)
def test_word_structures(body: str, text: str) -> None:
    assert extract(word_body(body), "a.docx").text == text


def test_strict_word_files_are_read() -> None:
    data = word_body("<w:p><w:r><w:t>strict</w:t></w:r></w:p>", "http://purl.oclc.org/ooxml/wordprocessingml/main")
    assert extract(data, "a.docx").text == "strict"


def test_entities_in_word_are_refused_and_deep_nesting_is_survived() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
    assert fault(make.zip_of({"word/document.xml": bomb}), "a.docx").code == "damaged"
    deep = "<w:sdt>" * 20_000 + "</w:sdt>" * 20_000
    assert fault(word_body(deep), "a.docx").code in {"damaged", "no_text"}


def test_slides_keep_numbers_and_notes() -> None:
    found = extract(
        make.slides([("Start", "Nothing", ""), ("Rinse", "Body", SENTENCE), ("End", SENTENCE, "")]), "a.pptx"
    )
    assert where(found) == [(2, "Slide 2"), (3, "Slide 3")]
    assert found.page_count == 3
    assert found.pages[1].text == f"Rinse\n\nBody\n\nNotes:\n\n{SENTENCE}"


def test_slide_groups_and_tables() -> None:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    box = slide.shapes.add_group_shape().shapes.add_textbox(0, 0, 10, 10)
    box.text_frame.text = "in a group < 5\nsecond line"
    table = slide.shapes.add_table(1, 2, 0, 0, 10, 10).table
    table.cell(0, 0).text, table.cell(0, 1).text = "A&B", "c|d"
    out = io.BytesIO()
    show.save(out)
    assert extract(out.getvalue(), "a.pptx").text == "in a group < 5\nsecond line\n\n| A&B | c\\|d |"


def test_sheets_are_labelled_and_rows_name_their_columns() -> None:
    rows = [["code", "text"], ["SOP-1", SENTENCE], ["SOP-2", "line\nbreak"]]
    found = extract(make.workbook({"Empty": [], "Stock": rows, "More": [[1, 2], [3, 4]]}), "a.xlsx")
    assert where(found) == [(None, "Stock")]
    assert found.pages[0].text == f"code | text\ncode: SOP-1; text: {SENTENCE}\ncode: SOP-2; text: line break"
    assert found.pages[1].text == "1 | 2\n3 | 4"
    assert found.page_count == 3


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv(delimiter: str) -> None:
    text = delimiter.join(["id", "note"]) + "\n" + delimiter.join(["7", f'"{SENTENCE}"']) + "\n"
    assert extract(text.encode(), "a.csv").text == f"id | note\nid: 7; note: {SENTENCE}"


def test_html_drops_scripts_and_pictures() -> None:
    page = (
        "<!doctype html><html><head><title>Clean &amp; dry</title><style>p{}</style><script>evil()</script></head>"
        "<body><script>more()</script><h1>Part</h1><p>R&amp;D: pH &lt; 7 x_y</p>"
        "<img src='data:image/png;base64,AAAA' alt='plan'></body></html>"
    )
    text = extract(page.encode(), "a.html").text
    assert text == "Clean & dry\n\n# Part\n\nR&D: pH < 7 x_y\n\nplan"


def test_rich_text_and_opendocument() -> None:
    assert "Second" in extract(rb"{\rtf1\ansi First \b x\b0\par Second\par}", "a.rtf").text
    ns = "urn:oasis:names:tc:opendocument:xmlns:"
    content = (
        f'<office:document-content xmlns:office="{ns}office:1.0" xmlns:text="{ns}text:1.0"><office:body><office:text>'
        "<text:p>pH &lt; 7 R&amp;D</text:p></office:text></office:body></office:document-content>"
    )
    data = make.zip_of(
        {"mimetype": Kind.ODT.value.encode(), "content.xml": content.encode()}, compression=zipfile.ZIP_STORED
    )
    found = extract(data, "a.odt")
    assert found.content_type == Kind.ODT and "pH" in found.text


def test_book_keeps_chapters_and_tables() -> None:
    body = "<p>R&amp;D: pH &lt; 7</p><table><tr><th>Step</th></tr><tr><td>rinse</td></tr></table>"
    found = extract(make.epub({"b": f"<h1>Cleaning</h1>{body}", "a": "<h2>Drying</h2><p>warm</p>"}), "a.epub")
    assert found.content_type == Kind.EPUB and found.is_markdown
    # The library pads the columns of a table as it likes.
    text = re.sub(r"-+", "-", re.sub(" +", " ", found.text))
    assert text == "# Cleaning\n\nR&D: pH < 7\n\n| Step |\n| - |\n| rinse |\n\n## Drying\n\nwarm"


def test_mail_keeps_who_wrote_what() -> None:
    data = make.mail("Prüfung \U0001f600", SENTENCE, html="<p>other", attachment="plan ü.pdf")
    text = extract(data, "a.eml").text
    assert text.startswith("# Prüfung \U0001f600\n\nFrom: Alice <alice@example.org>\nTo: bob@example.org\n\n")
    assert SENTENCE in text and "other" not in text and text.endswith("Attachments: plan ü.pdf")
    assert "R&D **now**" in extract(make.mail("s", "", html="<p>R&amp;D <b>now</b>"), "a.eml").text


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.py", "a.json", "a.xml", "Makefile", "a.unknown", "noname"])
def test_plain_text_kinds(name: str) -> None:
    assert extract(f"# {SENTENCE}".encode(), name).text == f"# {SENTENCE}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings(encoding: str) -> None:
    text = "Die Prüfung größerer Behälter ist für alle Räume gültig und muß täglich geführt werden."
    assert extract(text.encode(encoding), "a.txt").text == text


def test_declared_encoding_is_believed() -> None:
    page = '<meta charset="windows-1251"><p>Промывка сосуда</p>'
    assert "Промывка сосуда" in extract(page.encode("cp1251"), "a.html").text


def test_text_is_fit_for_the_database() -> None:
    found = extract(b"a\0b\r\nc\rd\x0ce \n\n\n\nfinished\x07 well", "a.log")
    assert found.text == "ab\nc\nd\ne\n\nfinished well"


def test_supported_documents_under_a_wrong_name_are_read_as_what_they_are() -> None:
    assert extract(make.word([SENTENCE]), "a.pdf").content_type == Kind.DOCX
    assert extract(make.pdf([SENTENCE]), "a.txt").content_type == Kind.PDF
    assert extract(b"<html><p>Report", "a.docx").content_type == Kind.HTML


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"", "a.pdf", "empty_file"),
        (b"\0 \n", "a.txt", "empty_file"),
        (make.png(), "a.pdf", "unsupported_type"),
        (b"\x7fELF\2\1\1" + b"\0" * 60, "a.txt", "unsupported_type"),
        (b"MZ\x90\0\3" + b"\0" * 60, "a.docx", "unsupported_type"),
        (make.zip_of({"a.txt": b"x"}), "a.zip", "unsupported_type"),
        (make.zip_of({"a.txt": b"x"}), "a.docx", "unsupported_type"),
        (b"\x1f\x8b\x08\0", "a.csv", "unsupported_type"),
        (bytes(range(256)) * 8, "a.bin", "unsupported_type"),
        (bytes(range(256)) * 8, "a.pdf", "damaged"),
        (b"this is no pdf", "a.pdf", "damaged"),
        (b"%PDF-1.7 broken", "a.pdf", "damaged"),
        (make.pdf([SENTENCE])[:500], "a.pdf", "damaged"),
        (make.pdf_without_pages(), "a.pdf", "no_pages"),
        (make.scanned_pdf(), "a.pdf", "no_text"),
        (make.encrypted_pdf([SENTENCE]), "a.pdf", "encrypted"),
        (make.word([SENTENCE])[:-200], "a.docx", "damaged"),
        (make.word([SENTENCE])[:3000], "a.docx", "damaged"),
        (make.word([]), "a.docx", "no_text"),
        (make.workbook({"Empty": []}), "a.xlsx", "no_text"),
        (make.zip_of({"xl/workbook.xml": b"<broken"}), "a.xlsx", "damaged"),
        (make.zip_of({"ppt/presentation.xml": b"<broken"}), "a.pptx", "damaged"),
        (make.zip_of({"word/document.xml": b"<broken"}), "a.docx", "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "a.docx", "encrypted"),
        (make.epub({"a": "<p>x</p>"}, extra={"META-INF/rights.xml": b"<x/>"}), "a.epub", "encrypted"),
        (make.epub({"a": "<p>x</p>"})[:-100], "a.epub", "damaged"),
        (b"Content-Type: multipart/encrypted; boundary=x\n\n--x--", "a.eml", "encrypted"),
        (b"no mail at all", "a.eml", "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "a.doc", "unsupported_type"),
    ],
)
def test_bad_input(data: bytes, name: str, code: str) -> None:
    assert fault(data, name).code == code


def test_scanned_pdf_is_told_about_ocr() -> None:
    assert "OCR" in fault(make.scanned_pdf(), "a.pdf").message


def test_caps_on_pages_and_text() -> None:
    assert fault(make.pdf(["a", "b", "c"]), "a.pdf", Limits(pages=2)).code == "too_many_pages"
    assert fault(b"x" * 50, "a.txt", Limits(text_chars=49)).code == "too_much_text"
    assert fault(b"x" * 500, "a.txt", Limits(text_chars=100)).code == "too_much_text"


class TestZipBombs:
    LIMITS = Limits(unpacked_bytes=64 * MEGABYTE, ratio_free_bytes=MEGABYTE)

    @pytest.mark.parametrize(
        "document", [make.word([SENTENCE]), make.slides([("a", "b", "")]), make.workbook({"s": [["x"]]})]
    )
    def test_bomb_inside_a_good_document(self, document: bytes) -> None:
        bomb = make.with_member(document, "media/pad.bin", bytes(20 * MEGABYTE))
        assert fault(bomb, "a.docx", self.LIMITS).code == "too_large_unpacked"

    def test_absolute_cap(self) -> None:
        bomb = make.with_member(make.word([SENTENCE]), "media/pad.bin", bytes(3 * MEGABYTE))
        assert fault(bomb, "a.docx", Limits(unpacked_bytes=MEGABYTE)).code == "too_large_unpacked"

    def test_a_directory_that_lies_about_the_size_does_not_help(self) -> None:
        bomb = make.with_member(make.word([SENTENCE]), "media/pad.bin", bytes(20 * MEGABYTE))
        assert (
            fault(make.with_false_size(bomb, "media/pad.bin", 10), "a.docx", self.LIMITS).code == "too_large_unpacked"
        )
        small = make.with_member(make.word([SENTENCE]), "media/pad.bin", bytes(100_000))
        assert fault(make.with_false_size(small, "media/pad.bin", 10), "a.docx", self.LIMITS).code == "damaged"

    def test_too_many_members(self) -> None:
        data = make.zip_of({"word/document.xml": b"<x/>", **{f"m{n}": b"" for n in range(20)}})
        assert fault(data, "a.docx", Limits(members=20)).code == "too_large_unpacked"

    def test_unusual_packing_is_refused(self) -> None:
        data = make.zip_of({"word/document.xml": b"<x/>"}, compression=zipfile.ZIP_LZMA)
        assert fault(data, "a.docx").code == "unsupported_type"

    def test_good_documents_pass(self) -> None:
        for data in (make.word([SENTENCE] * 500), make.workbook({"s": [["same"] * 20] * 2000})):
            archive.check_archive(data, Limits())
