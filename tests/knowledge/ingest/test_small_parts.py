import io
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.ingest.errors import IngestError
from knowledge.ingest.hashing import hash_bytes, hash_stream, hash_text
from knowledge.ingest.tables import parse_csv, rows_text
from knowledge.ingest.texts import decode, normalise


def test_hashes() -> None:
    data = b"abc" * 1_000_000
    assert hash_bytes(data) == hash_stream(io.BytesIO(data))
    assert hash_bytes(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_text_hash_ignores_white_space_and_unicode_form() -> None:
    assert hash_text("u\u0308ber  all\n") == hash_text(" über all")
    assert hash_text("a") != hash_text("b")
    assert hash_text("\ud800")


def test_fault_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(IngestError("Sentence.", "code")))
    assert (again.message, again.code, str(again)) == ("Sentence.", "code", "Sentence.")


@given(st.text(st.characters()))
def test_normalised_text_can_be_stored(text: str) -> None:
    clean = normalise(text)
    assert "\0" not in clean and "\r" not in clean
    clean.encode("utf-8")
    assert normalise(clean) == clean


def test_words_hyphenated_by_a_pdf_are_joined() -> None:
    assert normalise("clean\x02\ning and ves\ufffe\nsel and soft\u00adware") == "cleaning and vessel and software"


@given(st.binary())
def test_any_bytes_decode(data: bytes) -> None:
    assert isinstance(decode(data), str)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], ""),
        ([["only"]], "only"),
        ([["a", "b"], ["1", ""], ["", ""]], "a | b\na: 1"),
        ([["1", "2"], ["3", "4"]], "1 | 2\n3 | 4"),
        ([["a", "a"], ["3", "4"]], "a | a\n3 | 4"),
        ([["a"], ["1", "extra"]], "a\na: 1; extra"),
        ([["day", "at"], ["2026-01-02 00:00:00", "1899-12-31 04:05:00"]], "day | at\nday: 2026-01-02; at: 04:05:00"),
    ],
)
def test_rows(rows: list[list[str]], text: str) -> None:
    assert rows_text(rows) == text


def test_csv_quirks() -> None:
    assert parse_csv('a;b\n"1;x";"two\nlines"\n') == [["a", "b"], ["1;x", "two\nlines"]]
    assert parse_csv("just words\nand more\n") == [["just words"], ["and more"]]
    assert parse_csv('a,"unclosed\n') == [["a", "unclosed\n"]]
    assert len(parse_csv('a,"' + "x" * 200_000 + '"\n')[0][1]) == 200_000
