import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.ingest.errors import IngestError
from knowledge.ingest.kinds import Kind
from knowledge.ingest.sniff import NAME_LIMIT, clean_filename, sniff


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\eve\\plan v2.docx", "plan v2.docx"),
        ("a/b\\c.txt", "c.txt"),
        ("nul\0byte\r\n.pdf", "nulbyte.pdf"),
        ("fdp\u202efdp.exe", "fdpfdp.exe"),
        (".env", "env"),
        ("...", "unnamed"),
        ("", "unnamed"),
        ("/", "unnamed"),
        ("\u202e\u2066", "unnamed"),
        ("  spaced   out .pdf ", "spaced out.pdf"),
        ("u\u0308ber.md", "über.md"),
        ("x\ud800.txt", "x.txt"),
        ("a" * 300 + ".pdf", "a" * 196 + ".pdf"),
        ("a." + "b" * 300, ("a." + "b" * 300)[:200]),
    ],
)
def test_clean_filename(name: str, clean: str) -> None:
    assert clean_filename(name) == clean


@given(st.text(st.characters(), max_size=400))
def test_clean_filename_always_gives_a_safe_name(name: str) -> None:
    clean = clean_filename(name)
    assert 0 < len(clean) <= NAME_LIMIT
    assert not clean.startswith(".") and not set(clean) & set("/\\")
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in clean)
    assert clean_filename(clean) == clean


@pytest.mark.parametrize(
    ("data", "name", "content_type", "kind"),
    [
        (b"text", "noname", "text/markdown; charset=utf-8", Kind.MARKDOWN),
        (b"text", "noname", "application/octet-stream", Kind.TEXT),
        (b"a,b", "a.CSV", None, Kind.CSV),
        (b"MZ is how this note begins", "a.txt", None, Kind.TEXT),
        (b"BM is short for many things", "a.txt", None, Kind.TEXT),
        (b"<html>", "a.py", None, Kind.CODE),
        (b"\n<!-- x --><!DOCTYPE html>", "a.txt", None, Kind.HTML),
        (b"junk %PDF-1.4", "a.pdf", None, Kind.PDF),
        (b"key = 1", ".env", None, Kind.CODE),
    ],
)
def test_kinds(data: bytes, name: str, content_type: str | None, kind: Kind) -> None:
    assert sniff(data, name, content_type) is kind


@given(st.binary(max_size=2000), st.sampled_from(["a.pdf", "a.docx", "a.txt", "a", "a.csv"]))
def test_any_bytes_give_a_kind_or_a_sentence(data: bytes, name: str) -> None:
    try:
        assert isinstance(sniff(data, name), Kind)
    except IngestError as fault:
        assert fault.message.endswith(".") and fault.code
