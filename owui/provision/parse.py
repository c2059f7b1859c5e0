"""YAML text to values that know their lines.

Built from parser events instead of PyYAML's own tree: that one recurses, expands nothing in a countable way, and lets a
second key win silently. Here depth and size are bounded, an alias costs what it stands for, and only texts, numbers,
true, false and null exist (YAML 1.2: `no` and `on` are texts).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from owui.lib.errors import UserError

LARGEST_FILE = 32 * 1024 * 1024
MOST_VALUES = 1_000_000
DEEPEST = 40
MOST_PROBLEMS = 200

# What PyYAML writes as a number and nothing it writes as a text: `08` and `1e5` stay texts.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+][0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None} | {
    form: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for form in (word, word.capitalize(), word.upper())
}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with a file, and where."""

    line: int
    column: int
    text: str


class BadFile(UserError):
    """A file that cannot be applied; `problems` has all of them, in the order of their lines."""

    code = "bad_file"

    def __init__(self, name: str, problems: list[Problem]) -> None:
        self.name = name
        self.problems = sorted(set(problems))
        shown = [f"{name}:{p.line}:{p.column}: {p.text}" for p in self.problems[:MOST_PROBLEMS]]
        if len(self.problems) > MOST_PROBLEMS:
            shown.append(f"... and {len(self.problems) - MOST_PROBLEMS} more.")
        super().__init__("\n".join(shown))


@dataclass(slots=True)
class Node:
    """A value of the file. `value` is a text, a number, a truth value, None, a list of nodes or a dict of nodes."""

    value: Any
    line: int
    column: int
    #: how many values it is when aliases are written out
    size: int = 1
    #: where each key of a mapping stands
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)

    def plain(self) -> Any:
        """The value without its places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def where(self, path: Path_, *, key: bool = False) -> tuple[int, int]:
        """Line and column of a path, or of the last part of it that is there.

        :param key: of the last part's key, rather than of its value
        """
        node, place = self, (self.line, self.column)
        for part in path:
            if isinstance(node.value, dict) and str(part) in node.value:
                place = node.keys[str(part)]
                node = node.value[str(part)]
                if not key and not isinstance(node.value, (dict, list)):
                    place = (node.line, node.column)
            elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                place = (node.line, node.column)
            else:
                break
        return place


@dataclass(slots=True)
class Source:
    """A file that was read: its name for messages, and its values."""

    name: str
    text: str
    root: Node


def read(path: str) -> Source:
    """The file's values; BadFile when it is no usable YAML."""
    name = Path(path).name
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    return from_bytes(data, name)


def from_bytes(data: bytes, name: str = "file") -> Source:
    """As `read`, for what was read already."""
    if len(data) > LARGEST_FILE:
        text = f"The file has more than {LARGEST_FILE // 1024 // 1024} MB. Split it into several files."
        raise BadFile(name, [Problem(1, 1, text)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise BadFile(name, [Problem(line, column, "The file is not UTF-8 text. Save it as UTF-8.")]) from error
    return Source(name, text, _Composer(name).compose(text))


class _Composer:
    """Puts events together without recursion."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node] = {}
        self.open: list[_Open] = []
        self.root: Node | None = None
        self.count = 0

    def compose(self, text: str) -> Node:
        documents = 0
        for event in self._events(text):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "A second document begins here (---). Put everything into one.")
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                done = self.open.pop()
                done.close(self)
                self._put(done.node, event)
        if self.root is None:
            self.problems.append(Problem(1, 1, "The file is empty."))
        elif not isinstance(self.root.value, dict):
            text = "The file must be a mapping that begins with `version: 1`."
            self.problems.append(Problem(self.root.line, self.root.column, text))
        if self.problems or self.root is None:
            raise BadFile(self.name, self.problems)
        return self.root

    def _events(self, text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            what = " ".join(part for part in (error.context, error.problem) if part)
            self.problems.append(Problem(line, column, f"This is not valid YAML: {what}."))
            raise BadFile(self.name, self.problems) from error
        except yaml.YAMLError as error:  # a character that YAML does not know
            self.problems.append(Problem(1, 1, f"This is not valid YAML: {str(error).splitlines()[0]}."))
            raise BadFile(self.name, self.problems) from error

    def _node(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.AliasEvent):
            known = self.anchors.get(str(event.anchor))
            if known is None:
                self._stop(event, f"The alias *{event.anchor} stands for nothing that is complete at this place.")
            else:
                self._put(known, event)
            return
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event, line, column), line, column)
            if event.anchor:
                self.anchors[event.anchor] = node
            self._put(node, event)
            return
        if event.tag:
            self.problems.append(Problem(line, column, f"Tags such as {event.tag} are not used here. Remove it."))
        if len(self.open) >= DEEPEST:
            self._stop(event, f"The file is nested more than {DEEPEST} deep.")
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        self.open.append(_Open(Node({} if is_mapping else [], line, column), event.anchor))

    def _put(self, node: Node, event: Any) -> None:
        self.count += node.size if isinstance(event, yaml.AliasEvent) else 1
        if self.count > MOST_VALUES:
            text = f"The file has more than {MOST_VALUES:,} values, its aliases written out. Split it, or use fewer."
            self._stop(event, text)
        if self.open:
            self.open[-1].add(node, event, self)
        else:
            self.root = node

    def _scalar(self, event: Any, line: int, column: int) -> Any:
        text = event.value
        if event.tag and event.tag not in ("!", "tag:yaml.org,2002:str"):
            self.problems.append(Problem(line, column, f"Tags such as {event.tag} are not used here. Remove it."))
        if "\0" in text:
            self.problems.append(Problem(line, column, "A text must not contain the character NUL."))
        if event.tag or not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _NUMBER.fullmatch(text) else text

    def _stop(self, event: Any, text: str) -> None:
        mark = event.start_mark
        self.problems.append(Problem(mark.line + 1, mark.column + 1, text))
        raise BadFile(self.name, self.problems)


class _Open:
    """A mapping or list whose end has not come yet."""

    def __init__(self, node: Node, anchor: str | None) -> None:
        self.node, self.anchor = node, anchor
        self.key: str | None = None
        self.merged: list[Node] = []

    def add(self, node: Node, event: Any, composer: _Composer) -> None:
        if isinstance(self.node.value, list):
            self.node.value.append(node)
            self.node.size += node.size
        elif self.key is None:
            self.key = self._key(node, event, composer)
        else:
            key, self.key = self.key, None
            if key == "<<" and self.is_plain:
                self.merged += node.value if isinstance(node.value, list) else [node]
            elif key in self.node.value:
                first = self.node.keys[key][0]
                text = f"The key {key!r} is there twice; the first is in line {first}."
                composer.problems.append(Problem(*self.place, text))
            else:
                self.node.value[key] = node
                self.node.keys[key] = self.place
                self.node.size += node.size

    def _key(self, node: Node, event: Any, composer: _Composer) -> str:
        self.place = (event.start_mark.line + 1, event.start_mark.column + 1)
        if not isinstance(event, yaml.ScalarEvent):
            composer.problems.append(Problem(node.line, node.column, "A key must be a plain text."))
            raise BadFile(composer.name, composer.problems)
        self.is_plain = bool(event.implicit[0])
        return str(event.value)

    def close(self, composer: _Composer) -> None:
        """Keys that are merged in (`<<: *base`) stand behind the mapping's own."""
        for other in self.merged:
            if not isinstance(other.value, dict):
                composer.problems.append(Problem(other.line, other.column, "Only a mapping can be merged with <<."))
                continue
            for key, node in other.value.items():
                if key not in self.node.value:
                    self.node.value[key] = node
                    self.node.keys[key] = other.keys[key]
                    self.node.size += node.size
        if self.anchor:
            composer.anchors[self.anchor] = self.node
