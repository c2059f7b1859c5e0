from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from owui.config.parsing import UNSET, Kind, from_env, kind_of, parse, parse_json, parse_list


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("true", Kind.BOOLEAN, True),
        ("TRUE", Kind.BOOLEAN, True),
        (" True ", Kind.BOOLEAN, True),
        ("false", Kind.BOOLEAN, False),
        ("1", Kind.BOOLEAN, False),
        ("yes", Kind.BOOLEAN, False),
        ("12", Kind.INTEGER, 12),
        (" -3 ", Kind.INTEGER, -3),
        ("0.25", Kind.NUMBER, 0.25),
        ("2", Kind.NUMBER, 2.0),
        ("", Kind.INTEGER, UNSET),
        ("  ", Kind.NUMBER, UNSET),
        ("", Kind.TEXT, UNSET),
        ("", Kind.BOOLEAN, UNSET),
        (" keeps blanks ", Kind.TEXT, " keeps blanks "),
    ],
)
def test_simple_values(text: str, kind: Kind, value: Any) -> None:
    assert parse(text, kind) == value


@pytest.mark.parametrize(("text", "kind"), [("twelve", Kind.INTEGER), ("1.5", Kind.INTEGER), ("x", Kind.NUMBER)])
def test_nonsense_is_an_error(text: str, kind: Kind) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text, kind)


@pytest.mark.parametrize(
    ("text", "separator", "value"),
    [
        ("a,b", ",", ["a", "b"]),
        (" a , ,b,", ",", ["a", "b"]),
        ("http://a:1/x,y;http://b", ";", ["http://a:1/x,y", "http://b"]),
        ('["a", "b"]', ",", ["a", "b"]),
        ("'[\"a\"]'", ",", ["a"]),
        ("[broken", ",", ["[broken"]),
    ],
)
def test_lists(text: str, separator: str, value: list[str]) -> None:
    assert parse_list(text, separator) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": ["b", 1]}',
        '\'{"a": ["b", 1]}\'',
        '"{\\"a\\": [\\"b\\", 1]}"',
        '{\\"a\\": [\\"b\\", 1]}',
        '\'{\\"a\\": [\\"b\\", 1]}\'',
        ' {"a": ["b", 1]} ',
    ],
)
def test_json_in_all_the_forms_of_env_files(text: str) -> None:
    assert parse_json(text) == {"a": ["b", 1]}


def test_escapes_inside_correct_json_are_kept() -> None:
    assert parse_json('{"a": "say \\"hi\\""}') == {"a": 'say "hi"'}


def test_bad_json_is_logged_and_counts_as_unset(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setenv("LAB_JSON", '{"password": "hunter2"')
    assert from_env(("LAB_JSON",), Kind.JSON) is UNSET
    assert "LAB_JSON" in caplog.text
    assert "hunter2" not in caplog.text


def test_the_first_variable_that_says_something_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_NEW", "")
    monkeypatch.setenv("LAB_OLD", "5")
    assert from_env(("LAB_NEW", "LAB_OLD"), Kind.INTEGER) == 5


def test_a_mounted_secret_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("LAB_KEY_FILE", str(tmp_path / "key"))
    assert from_env(("LAB_KEY",), Kind.TEXT) == "from a file"


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (bool, Kind.BOOLEAN),
        (int | None, Kind.INTEGER),
        (float, Kind.NUMBER),
        (str | None, Kind.TEXT),
        (Literal["a", "b"], Kind.CHOICE),
        (list[str], Kind.LIST),
        (list[dict[str, Any]], Kind.JSON),
        (dict[str, str], Kind.JSON),
    ],
)
def test_kinds(annotation: Any, kind: Kind) -> None:
    assert kind_of(annotation) is kind
