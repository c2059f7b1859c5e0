"""What stands in a question besides its words."""

from __future__ import annotations

import re

# A pasted page is no question: its first words are enough.
QUESTION_CHARS = 4000
MOST_CODES = 40
_CODE = re.compile(r"(?=[\w./-]*\d)(?=[\w./-]*[^\W\d_])\w+(?:[-_./]\w+)+")


def asked(question: str) -> str:
    """The question as PostgreSQL takes it."""
    return question[:QUESTION_CHARS].replace("\0", "")


def codes_of(question: str) -> list[str]:
    """Document numbers, part numbers and the like: `SOP-MFG-042`, `v1.2b`, `EU/2023/17`."""
    return [code.casefold() for code in _CODE.findall(asked(question))][:MOST_CODES]
