"""How many tokens a prompt has, near enough to know what fits: no tokenizer is the right one for every server.

The guess rests on sizes alone, and is too high for most. What each server counted for earlier prompts corrects
it, so that after the first answers of a model it is right within a few per cent for the texts of the house.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

#: English has 3.4 to 4.5 signs a token, source code 3 to 3.5, German 2.6 (a small vocabulary) to 4 (a large one)
SIGNS_A_TOKEN = 3.3
#: each byte beyond the first of a sign: Cyrillic has one a sign, Chinese two
BEYOND_ASCII = 0.55
PER_MESSAGE = 4
PER_IMAGE = 1000
#: prompts shorter than this say little about the language of a house
TELLING = 200
_LOWEST, _HIGHEST, _KEPT = 0.75, 2.5, 500

Key = tuple[str, str]
_ratios: dict[Key, float] = {}


def of_text(text: str) -> float:
    """Tokens of a text, before correction."""
    size = len(text)
    if text.isascii():
        return size / SIGNS_A_TOKEN
    return size / SIGNS_A_TOKEN + BEYOND_ASCII * (len(text.encode("utf-8", "surrogatepass")) - size)


def of_message(message: Mapping[str, Any]) -> float:
    """Tokens of a message in OpenAI's form. Pictures count the same whatever their bytes."""
    content, total = message.get("content"), float(PER_MESSAGE)
    if isinstance(content, str):
        total += of_text(content)
    elif isinstance(content, list):
        for part in content:
            is_text = isinstance(part, Mapping) and part.get("type") == "text"
            total += of_text(str(part.get("text") or "")) if is_text else PER_IMAGE
    for name in ("tool_calls", "reasoning_content"):
        if value := message.get(name):
            total += of_text(value if isinstance(value, str) else orjson.dumps(value, default=str).decode())
    return total


def of_tools(tools: Iterable[Mapping[str, Any]]) -> float:
    """Tokens of the definitions a request brings."""
    return sum(of_text(orjson.dumps(tool, default=str).decode()) for tool in tools)


def has_images(messages: Iterable[Mapping[str, Any]]) -> bool:
    return any(isinstance(message.get("content"), list) for message in messages)


def correction(key: Key) -> float:
    """What to multiply a guess with for a model of a server; 1 while nothing is known."""
    return _ratios.get(key, 1.0)


def learn(key: Key, guessed: float, counted: int, *, exact: bool = False) -> None:
    """Takes in what a server counted for a prompt. Some count only what they had not read before: no prompt is
    believed to have fewer tokens than any language makes of it.

    :param exact: forget what was learned from other prompts
    """
    if guessed < TELLING or counted <= 0:
        return
    seen = min(_HIGHEST, max(_LOWEST, counted / guessed))
    before = _ratios.pop(key, None)
    _ratios[key] = seen if before is None or exact else 0.7 * before + 0.3 * seen
    while len(_ratios) > _KEPT:
        del _ratios[next(iter(_ratios))]


def forget() -> None:
    """For tests."""
    _ratios.clear()
