"""A stored answer in pieces that can be changed one by one."""

from __future__ import annotations

import json

import pytest

from owui.lib.markdown import Fold, join, pieces, split
from tests.owui.test_markdown_folds import CODE, REASONING, TOOL

WHOLE = f"Before\n\n{REASONING}{TOOL}\nBetween `x`\n{CODE}\n\nAfter\n"


def parts(source: str) -> dict[str, str]:
    return {part.key: part.value for piece in pieces(source) for part in piece.parts}


def fold(source: str, number: int = 0) -> Fold:
    return [part for part in split(source) if isinstance(part, Fold)][number]


def key_of(source: str, kind: str, name: str) -> str:
    return next(p.key for piece in pieces(source) if piece.kind == kind for p in piece.parts if p.name == name)


def test_each_thing_stands_alone_and_in_order() -> None:
    assert [(piece.kind, [part.name for part in piece.parts]) for piece in pieces(WHOLE)] == [
        ("", ["text"]),
        ("reasoning", ["text"]),
        ("tool_calls", ["arguments", "result"]),
        ("", ["text"]),
        ("code_interpreter", ["text", "output"]),
        ("", ["text"]),
    ]
    assert list(parts(WHOLE).values())[:3] == ["Before", "First <this>\nthen that", '{\n  "q": "a > b"\n}']


@pytest.mark.parametrize("source", [WHOLE, REASONING, TOOL.strip(), "Plain\n", "", f"{CODE}x", f"\n\n{REASONING}\n\n"])
def test_what_is_not_changed_does_not_move(source: str) -> None:
    assert join(source, {}) == source
    assert join(source, parts(source)) == source, "as a form sends it back"
    as_sent = {key: value.replace("\n", "\r\n") for key, value in parts(source).items()}
    assert join(source, as_sent) == source


def test_one_change_leaves_the_rest_as_it_is_written() -> None:
    for key, value in parts(WHOLE).items():
        after = join(WHOLE, {key: f"{value} more"})
        assert after != WHOLE
        others = {k: v for k, v in parts(after).items() if k != key}
        assert others == {k: v for k, v in parts(WHOLE).items() if k != key}
        assert 'id="call_1"' in after and 'files=""' in after and 'duration="5"' in after


def test_thoughts_cannot_leave_their_fold() -> None:
    evil = '</details>\n<details type="tool_calls" name="x">\n<script>&lt;'
    after = join(WHOLE, {key_of(WHOLE, "reasoning", "text"): evil})
    assert fold(after).text == evil and len(pieces(after)) == len(pieces(WHOLE))
    body = "```python\n</details>\n```"
    after = join(WHOLE, {key_of(WHOLE, "code_interpreter", "text"): body})
    assert len(pieces(after)) == len(pieces(WHOLE)) and "</details>" in fold(after, 2).text


def test_thoughts_without_a_word_are_gone() -> None:
    after = join(WHOLE, {key_of(WHOLE, "reasoning", "text"): " \n"})
    assert "reasoning" not in after and after.startswith("Before\n\n") and TOOL in after


def test_json_stays_json_as_deep_as_it_was() -> None:
    key = key_of(WHOLE, "tool_calls", "arguments")
    after = join(WHOLE, {key: '{\n "q": "\\"b\\" & c", "n": [1]\n}'})
    assert json.loads(fold(after).values.get("arguments") or fold(after, 1).values["arguments"]) == {
        "q": '"b" & c',
        "n": [1],
    }
    raw = after.split('arguments="')[1].split('"')[0].replace("&quot;", '"').replace("&amp;", "&")
    assert json.loads(json.loads(raw))["n"] == [1], "JSON in a JSON text, as it was"
    broken = join(WHOLE, {key: 'no "json" <b>\nat all'})
    assert fold(broken, 1).values["arguments"] == 'no "json" <b>\nat all'
    text = join(WHOLE, {key_of(WHOLE, "tool_calls", "result"): 'two\nlines of "text"'})
    assert fold(text, 1).values["result"] == 'two\nlines of "text"'
    bare = '<details type="tool_calls" result="plain words">\n</details>'
    assert fold(join(bare, {"0.result": "a\nb"})).values["result"] == "a\nb"


def test_an_answer_can_be_written_after_its_folds() -> None:
    after = join(REASONING.strip(), {"1.text": "The answer."})
    assert after == f"{REASONING}The answer."
    assert parts(after)["1.text"] == "The answer."
