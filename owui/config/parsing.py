"""Text of an environment variable to a value: booleans, numbers, lists and JSON as they are written in practice.

Empty text is the same as unset for every type: compose files write `NAME=${NAME:-}` for "not given".
"""

from __future__ import annotations

import json
import logging
import types
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from owui import env

log = logging.getLogger(__name__)

UNSET: Any = type("Unset", (), {"__repr__": lambda self: "UNSET", "__bool__": lambda self: False})()


class Kind(Enum):
    """How a setting is written as text, and which form field shows it."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    CHOICE = "choice"
    LIST = "list"
    JSON = "JSON"


def kind_of(annotation: Any) -> Kind:
    """The kind of a field's type; `X | None` counts as X, and whatever is not simple is JSON."""
    if get_origin(annotation) in (Union, types.UnionType):
        others = [part for part in get_args(annotation) if part is not type(None)]
        return kind_of(others[0]) if len(others) == 1 else Kind.JSON
    if get_origin(annotation) is Literal:
        return Kind.CHOICE
    if get_origin(annotation) in (list, tuple) and str in get_args(annotation):
        return Kind.LIST
    simple = {bool: Kind.BOOLEAN, int: Kind.INTEGER, float: Kind.NUMBER, str: Kind.TEXT}
    return simple.get(annotation, Kind.JSON)


def parse(text: str, kind: Kind, separator: str = ",") -> Any:
    """The value of a text, UNSET when it is empty; ValueError when it makes no sense."""
    if not text.strip():
        return UNSET
    match kind:
        case Kind.BOOLEAN:
            return env.truth(text)
        case Kind.INTEGER:
            return int(text)
        case Kind.NUMBER:
            return float(text)
        case Kind.LIST:
            return parse_list(text, separator)
        case Kind.JSON:
            return parse_json(text)
        case _:
            return text


def parse_list(text: str, separator: str = ",") -> list[str]:
    """Entries between separators, blanks and empty entries dropped; a JSON list of texts is accepted as well."""
    if text.strip().strip("'\"").startswith("["):
        try:
            value = parse_json(text)
        except ValueError:
            value = None
        if isinstance(value, list):
            return [str(entry) for entry in value]
    return [entry.strip() for entry in text.split(separator) if entry.strip()]


def parse_json(text: str) -> Any:
    r"""JSON that is plain, wrapped in quotes, or has `\"` for quotes, as env files and set-up scripts write it."""
    text = text.strip()
    candidates = [text]
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        candidates.append(text[1:-1])
    # Plain readings go first, so that a correct text with escapes inside its strings is never rewritten.
    candidates += [candidate.replace('\\"', '"') for candidate in list(candidates)]
    for candidate in candidates:
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        # `"{\"a\": 1}"` is a valid JSON text that holds JSON: what was meant is inside.
        if isinstance(value, str) and value.strip()[:1] in ("{", "["):
            try:
                return json.loads(value)
            except ValueError:
                continue
        return value
    raise ValueError("not valid JSON")


def from_env(names: tuple[str, ...], kind: Kind, separator: str = ",") -> Any:
    """The value of the first variable that is set, else UNSET; an unusable text is logged and counts as unset."""
    for name in names:
        text = env.raw(name)
        if text is None or not text.strip():
            continue
        try:
            return parse(text, kind, separator)
        except ValueError as error:
            # The text itself is not logged: it may be a secret.
            log.error("%s has an unusable value (%s); its default is used.", name, _reason(error, kind))
            return UNSET
    return UNSET


def _reason(error: ValueError, kind: Kind) -> str:
    return str(error) if kind is Kind.JSON else f"it is not of the type {kind.value}"
