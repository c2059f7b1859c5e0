"""Fields in prompts: `{{name | type:prop="v":required}}`, asked for in a form before the prompt goes into a message."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_VARIABLE = re.compile(r"\{\{\s*([^{}|\s][^{}|]{0,98}?)\s*(?:\|\s*([^{}]{0,2000}?)\s*)?\}\}")
#: a colon that stands in no quotes and no brackets
_PIECE = re.compile(r"""((?:"(?:\\.|[^"\\])*"|'[^']*'|\[[^\]]*\]|[^:])+)""")
INPUTS = (
    "text", "number", "checkbox", "date", "datetime-local", "color", "email", "range", "tel", "time", "url", "month",
)  # fmt: skip
TYPES = (*INPUTS, "textarea", "select")
ATTRIBUTES = ("placeholder", "min", "max", "step", "minlength", "maxlength", "pattern")
#: filled in by the browser
CLIPBOARD = "CLIPBOARD"
MOST_FIELDS = 50


@dataclass(frozen=True, slots=True)
class Field:
    """One question of the form. `attributes` go to the control as they are."""

    name: str
    type: str = "text"
    label: str = ""
    default: str = ""
    required: bool = False
    options: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


def parts_of(text: str, values: Mapping[str, str]) -> tuple[list[str | dict[str, str]], list[Field]]:
    """A prompt as a list of texts and, where a value is still to come, of `{"name": …}`; and the form's fields.

    What is filled in is not looked at again: nobody's name or bio makes a field.
    """
    parts: list[str | dict[str, str]] = []
    fields: dict[str, Field] = {}
    end = 0
    for match in _VARIABLE.finditer(text):
        name, definition = match[1], match[2]
        if name not in fields and name != CLIPBOARD and name not in values and len(fields) >= MOST_FIELDS:
            continue
        parts.append(text[end : match.start()])
        end = match.end()
        if name in values and definition is None:
            parts.append(values[name])
            continue
        parts.append({"name": name})
        # The first that says what it is counts; a bare one is a line of text.
        if name != CLIPBOARD and (name not in fields or definition):
            fields[name] = _field(name, definition or "")
    parts.append(text[end:])
    return [part for part in parts if part], list(fields.values())


def _field(name: str, definition: str) -> Field:
    kind, *properties = [piece.strip() for piece in _PIECE.findall(definition)] or ["text"]
    found: dict[str, Any] = {}
    for piece in properties:
        key, equals, value = piece.partition("=")
        found[key.strip()] = _value(value.strip()) if equals else True
    options = found.get("options")
    return Field(
        name=name,
        type=kind if kind in TYPES else "text",
        label=_text(found.get("label")) or name.replace("_", " ").capitalize(),
        default=_text(found.get("default")),
        required=found.get("required") in (True, "true"),
        options=tuple(str(option) for option in options) if isinstance(options, list) else (),
        attributes={key: _text(found[key]) for key in ATTRIBUTES if key in found},
    )


def _text(value: Any) -> str:
    return "" if value is None or value is True else str(value)


def _value(raw: str) -> Any:
    if raw[:1] in '"[' and raw:
        try:
            return json.loads(raw)
        except ValueError:
            return raw.strip('"[]')
    return raw.strip("'")
