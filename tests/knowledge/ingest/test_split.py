"""What holds for every text and every setting, and the cases people notice."""

import re
import time
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.ingest.extract import Extracted, Page, extract
from knowledge.ingest.kinds import Kind
from knowledge.ingest.measures import Tokens
from knowledge.ingest.split import Piece, SplitSettings, split
from tests.data import make


def document(*texts: str, kind: Kind = Kind.TEXT) -> Extracted:
    pages = tuple(Page(number, f"Page {number}", text) for number, text in enumerate(texts, 1) if text.strip())
    return Extracted(pages, kind.value, len(texts))


words = st.text(st.sampled_from("abc .\n#é漢\t\U0001f600`|"), max_size=400)
anything = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)
texts = st.lists(st.one_of(words, anything), max_size=3)
sizes = st.tuples(st.integers(1, 120), st.integers(0, 119)).filter(lambda pair: pair[1] < pair[0])


def check(found: Extracted, pieces: list[Piece]) -> None:
    assert [piece.position for piece in pieces] == list(range(len(pieces)))
    pages = {page.number: page.text for page in found.pages}
    uncovered = {number: {found.start() for found in re.finditer(r"\S", text)} for number, text in pages.items()}
    for piece in pieces:
        assert piece.text.strip()
        end = piece.start_index + len(piece.text)
        assert pages[piece.page][piece.start_index : end] == piece.text
        assert piece.label == f"Page {piece.page}"
        uncovered[piece.page] -= set(range(piece.start_index, end))
    assert not any(uncovered.values())
    order = [(piece.page, piece.start_index) for piece in pieces]
    assert order == sorted(order)


@settings(deadline=None, max_examples=200)
@given(texts, sizes, st.sampled_from([Kind.TEXT, Kind.CSV, Kind.CODE]), st.integers(0, 60), st.booleans())
def test_invariants(pages: list[str], size: tuple[int, int], kind: Kind, target: int, headers: bool) -> None:
    found = document(*pages, kind=kind)
    chosen = SplitSettings(size=size[0], overlap=size[1], min_size_target=target, markdown_headers=headers)
    pieces = split(found, chosen)
    check(found, pieces)
    assert all(len(piece.text) <= chosen.size for piece in pieces)
    for before, after in zip(pieces, pieces[1:], strict=False):
        if before.page == after.page:
            assert before.start_index + len(before.text) - after.start_index <= chosen.overlap


@settings(deadline=None, max_examples=50)
@given(texts, st.integers(8, 60), st.integers(0, 7))
def test_invariants_in_tokens(pages: list[str], size: int, overlap: int) -> None:
    found = document(*pages)
    pieces = split(found, SplitSettings(size=size, overlap=overlap, splitter="token"))
    check(found, pieces)
    measure = Tokens(size, "cl100k_base")
    assert all(measure.fits(piece.text) for piece in pieces)


@pytest.mark.parametrize(("size", "overlap"), [(100, 100), (100, 200), (0, 0), (10, -1)])
def test_bad_settings(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match=r"must|cannot"):
        SplitSettings(size=size, overlap=overlap)


def test_unknown_token_encoding() -> None:
    with pytest.raises(ValueError, match="cl100k_base"):
        split(document("x"), SplitSettings(splitter="token", encoding="nope"))


def test_prose_overlaps_at_words() -> None:
    text = " ".join(f"Word{number} stands here." for number in range(200))
    pieces = split(document(text), SplitSettings(size=200, overlap=50))
    assert len(pieces) > 10
    for before, after in zip(pieces, pieces[1:], strict=False):
        shared = before.start_index + len(before.text) - after.start_index
        assert 25 <= shared <= 50
        assert text[after.start_index - 1] == " "


@pytest.mark.parametrize(("splitter", "size"), [("character", 400), ("token", 120)])
def test_rows_of_tables_and_code_stay_whole(splitter: Literal["character", "token"], size: int) -> None:
    row = "| rinse the vessel number {0} | {0} mg per litre |"
    code = "\n\n".join(f"def step_{n}(vessel):\n    return vessel.rinse({n})" for n in range(5))
    rows = [row.format(n) for n in range(30)]
    fenced = f"```python\n{code}\n```"
    prose = " ".join(f"Word{number} stands here." for number in range(15))
    table = "\n".join(["| Step | Limit |", "| --- | --- |", *rows])
    text = f"# Cleaning\n\n{prose}\n\n{table}\n\n{prose}\n\n{fenced}\n\n{prose}"
    pieces = split(document(text, kind=Kind.MARKDOWN), SplitSettings(size=size, overlap=size // 10, splitter=splitter))
    lines = [line for piece in pieces for line in piece.text.splitlines() if line.startswith("|")]
    assert lines[2:] == rows
    assert sum(fenced in piece.text for piece in pieces) == 1
    assert all(piece.headings == ("Cleaning",) for piece in pieces)


def test_tokens_overlap_too() -> None:
    text = " ".join(f"Word{number} stands here." for number in range(300))
    pieces = split(document(text), SplitSettings(size=100, overlap=20, splitter="token"))
    shared = [a.start_index + len(a.text) - b.start_index for a, b in zip(pieces, pieces[1:], strict=False)]
    assert len(pieces) > 5 and min(shared) > 15


MARKDOWN = """Preface.

# Manual

## Cleaning

Rinse twice.

```sh
# no heading
```

## Drying ##

Use air.

# Annex
Table.
"""


def test_headings_cut_and_are_kept() -> None:
    pieces = split(document(MARKDOWN), SplitSettings())
    assert [(piece.text.split("\n")[0], piece.headings) for piece in pieces] == [
        ("Preface.", ()),
        ("# Manual", ("Manual", "Cleaning")),
        ("## Drying ##", ("Manual", "Drying")),
        ("# Annex", ("Annex",)),
    ]
    assert "# no heading" in pieces[1].text


def test_headings_are_only_metadata_when_switched_off_or_not_markdown() -> None:
    assert len(split(document(MARKDOWN), SplitSettings(markdown_headers=False))) == 1
    assert len(split(document(MARKDOWN, kind=Kind.CODE), SplitSettings())) == 1


def test_small_sections_are_joined_up_to_the_target() -> None:
    pieces = split(document(MARKDOWN), SplitSettings(min_size_target=60))
    assert [piece.headings for piece in pieces] == [(), ("Manual", "Drying")]
    assert split(document(MARKDOWN), SplitSettings(size=40, overlap=0, min_size_target=39))[0].text == "Preface."


def test_long_sections_keep_their_headings_on_every_piece() -> None:
    text = "# Top\n\n" + "Sentence about vessels. " * 100
    pieces = split(document(text), SplitSettings(size=300, overlap=30))
    assert len(pieces) > 5 and {piece.headings for piece in pieces} == {("Top",)}


def test_rows_stay_whole_where_they_fit() -> None:
    rows = [
        ["code", "text"],
        *([f"C{number}", "word " * (number % 40)] for number in range(200)),
        ["BIG", "long " * 200],
    ]
    found = extract(make.workbook({"S": rows}), "a.xlsx")
    lines = set(found.pages[0].text.split("\n"))
    pieces = split(found, SplitSettings(size=300, overlap=30))
    for piece in pieces:
        assert len(piece.text) <= 300 and piece.label == "S"
        if "long" not in piece.text:
            assert set(piece.text.split("\n")) <= lines


@pytest.mark.parametrize("text", ["x" * 400_000, "lorem ipsum " * 40_000, "漢字仮名" * 100_000])
def test_one_endless_line_does_not_take_forever(text: str) -> None:
    started = time.perf_counter()
    assert split(document(text), SplitSettings())
    assert time.perf_counter() - started < 5
