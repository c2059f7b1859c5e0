"""Signs of instructions that a document or a tool's answer holds for the model.

Each sign (`signs.toml`) is a pattern with a weight, the probability that a passage which shows it means the model;
the signs of a passage are joined as independent ones. No list of patterns is complete: this is one wall of several.
Passages are also fenced in the prompt, and the model is told not to follow them (`knowledge/context.py`); what a person
may not read cannot be talked out of a model, as it never gets there. How well it does: `manage.py eval_screening`.

All patterns are one automaton of RE2: one pass over a text, in linear time, whatever a hostile text holds.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import re2

#: from here on a passage is held back
HELD_FROM = 0.5
#: a passage is looked through up to here; chunks are far shorter
MOST_CHARS = 50_000

_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
#: the alphabet of tags, which nothing shows and models read
_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")
_SPACED = re.compile(r"\b[a-z][ .\-_*][a-z][ .\-_*](?:[a-z][ .\-_*]){3,}[a-z]\b")
_is_spaced = re2.compile(_SPACED.pattern).search
#: a list of words in a pattern
_WORDS = re.compile(r"\{([A-Z]+)\}")
_LATIN = re.compile("[A-Za-z]")
#: letters of other alphabets that look like ours, where they stand beside ours
_ALIKE = str.maketrans("аеорсухіјѕԁһӏոαεορυνικτ", "aeopcyxijsdhlnaeopuvikt")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`score` from 0 to 1; `signs` what was found, strongest first, for people."""

    score: float = 0.0
    signs: tuple[str, ...] = ()

    @property
    def is_held(self) -> bool:
        return self.score >= HELD_FROM


CLEAN = Verdict()


def screen(text: str) -> Verdict:
    """How much a passage looks like an instruction to the model. Reads at most `MOST_CHARS` characters."""
    text = text[:MOST_CHARS]
    found: dict[str, float] = {}
    if hidden := _TAGS.findall(text):
        # Nobody writes so by chance: it is not seen, and it is read.
        found["hidden"] = 0.9
        text += " " + "".join(chr(ord(letter) - 0xE0000) for part in hidden for letter in part)
    signs, automaton = _signs()
    for place in automaton.Match(_normal(text)) or ():
        name, weight = signs[place]
        found[name] = max(weight, found.get(name, 0.0))
    if not found:
        return CLEAN
    doubt = 1.0
    for weight in found.values():
        doubt *= 1.0 - weight
    return Verdict(round(1.0 - doubt, 3), tuple(sorted(found, key=lambda name: -found[name])))


@cache
def _signs() -> tuple[tuple[tuple[str, float], ...], Any]:
    """Name and weight of each sign, and all their patterns as one."""
    held = tomllib.loads(Path(__file__).with_name("signs.toml").read_text(encoding="utf-8"))
    options = re2.Options()
    options.max_mem, options.log_errors = 64 << 20, False
    automaton = re2.Set.SearchSet(options)
    for sign in held["sign"]:
        automaton.Add(_WORDS.sub(lambda match: held["words"][match[1]], sign["pattern"]))
    automaton.Compile()
    return tuple((sign["name"], sign["weight"]) for sign in held["sign"]), automaton


def _normal(text: str) -> str:
    """Small letters of one alphabet, without what only hides words: invisible characters, gaps between letters."""
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
        text = " ".join(word.translate(_ALIKE) if _LATIN.search(word) else word for word in text.split())
    text = " ".join(text.lower().split())
    return _SPACED.sub(lambda match: re.sub(r"[ .\-_*]", "", match[0]), text) if _is_spaced(text) else text
