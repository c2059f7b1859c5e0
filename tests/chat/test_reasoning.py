"""Thoughts and answers in one text, told apart however the text is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chat.engine.deltas import Deltas
from chat.engine.reasoning import PAIRS, ReasoningSplitter, pairs_of
from inference.providers.events import ReasoningDelta, TextDelta


def split(pieces: list[str]) -> tuple[str, str]:
    splitter = ReasoningSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.finish()
    thoughts = "".join(e.text for e in events if isinstance(e, ReasoningDelta))
    answer = "".join(e.text for e in events if not isinstance(e, ReasoningDelta))
    return thoughts, answer


def test_each_kind_of_tag_opens_a_thought() -> None:
    for opening, closing in PAIRS:
        assert split([f"{opening}\nhm{closing}\n\nYes."]) == ("hm", "Yes.")


def test_tag_in_the_middle_is_what_the_answer_talks_about() -> None:
    assert split(["Use the <think> tag."]) == ("", "Use the <think> tag.")


def test_unclosed_thought_stays_a_thought() -> None:
    assert split(["<think>still going </thi"]) == ("still going </thi", "")


def test_text_that_only_begins_like_a_tag_is_kept() -> None:
    assert split(["<th"]) == ("", "<th")
    assert split(["<", "b", "old>"]) == ("", "<bold>")


@given(st.text(alphabet="ab<>/think \n", max_size=40), st.text(alphabet="xy<>/ \n", max_size=40), st.data())
def test_the_cutting_never_matters(thought: str, answer: str, data: st.DataObject) -> None:
    whole = f"<think>{thought}</think>{answer}"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    edges = [0, *cuts, len(whole)]
    pieces = [whole[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    got, expected = split(pieces), split([whole])
    assert (got[0], got[1].lstrip("\n")) == (expected[0], expected[1].lstrip("\n"))


def test_tags_of_ones_own_take_the_place_of_the_usual_ones() -> None:
    assert pairs_of(["<a>", "</a>"]) == [("<a>", "</a>")]
    assert pairs_of([["<a>", "</a>"], ["<b>", "</b>"]]) == [("<a>", "</a>"), ("<b>", "</b>")]
    assert pairs_of(False) is None
    for usual in (None, True, "", [], ["<a>", ""], ["<a>"], {"a": 1}):
        assert pairs_of(usual) == PAIRS
    deltas = Deltas(pairs_of(["<a>", "</a>"]))
    events = [*deltas.feed(TextDelta("<a>hm</a>Yes <think>")), *deltas.finish()]
    assert events == [ReasoningDelta("hm"), TextDelta("Yes <think>")]


def test_pieces_are_joined_where_that_is_wanted() -> None:
    deltas = Deltas(None, size=3)
    given = [ReasoningDelta("r"), *(TextDelta(str(number)) for number in range(6))]
    out = [deltas.feed(event) for event in given]
    assert out == [[], [], [ReasoningDelta("r"), TextDelta("01")], [], [], [TextDelta("234")], []]
    assert deltas.finish() == [TextDelta("5")]
