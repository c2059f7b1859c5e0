"""Rows of a table as text: one line per row, each with its column names, so that a row is understood by itself."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

# Spreadsheets store a day as midnight and a time of day on the day zero of their calendar.
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d) 00:00:00(?:\.0+)?")
_DAY_ZERO = re.compile(r"(?:1899-12-3[01]|1904-01-01) (\d\d:\d\d:\d\d)")
_NUMBER = re.compile(r"[-+]?[\d.,]+%?|\d{4}-\d\d-\d\d.*")
DELIMITERS = ",;\t|"


def rows_text(rows: Iterable[Sequence[str]]) -> str:
    """`name: bolt; stock: 12` per row where the first row looks like a header, else the cells between bars."""
    cleaned = [[_cell(value) for value in row] for row in rows]
    cleaned = [row for row in cleaned if any(row)]
    if not cleaned:
        return ""
    header = cleaned[0]
    if len(cleaned) == 1 or not _is_header(header):
        return "\n".join(" | ".join(value for value in row if value) for row in cleaned)
    lines = [" | ".join(name for name in header if name)]
    for row in cleaned[1:]:
        names = header + [""] * (len(row) - len(header))
        pairs = zip(names, row, strict=False)
        lines.append("; ".join(f"{name}: {value}" if name else value for name, value in pairs if value))
    return "\n".join(lines)


def parse_csv(text: str) -> list[list[str]]:
    """Rows of delimited text; the delimiter is the one that gives the same number of columns most often."""
    # The default of 128 KB per field would refuse honest files; the size of the text is already capped.
    csv.field_size_limit(max(len(text), 1))
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))


def _delimiter(text: str) -> str:
    # csv.Sniffer takes letters for delimiters on short files, and its patterns are slow on long lines.
    sample = text[:20_000]
    lines = [line for line in sample.splitlines() if line][:50]

    def score(delimiter: str) -> tuple[int, int]:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        if not counts or counts[0] < 2:
            return (0, 0)
        return (sum(count == counts[0] for count in counts), counts[0])

    best = max(DELIMITERS, key=score)
    return best if score(best) > (0, 0) else ","


def _cell(value: str) -> str:
    text = " ".join(value.split())
    if found := _MIDNIGHT.fullmatch(text) or _DAY_ZERO.fullmatch(text):
        return found.group(1)
    return text


def _is_header(row: Sequence[str]) -> bool:
    """Names are words, not figures, differ from each other, and nearly every column has one."""
    named = [value for value in row if value]
    return (
        len(named) * 2 > len(row)
        and len(set(named)) == len(named)
        and not any(_NUMBER.fullmatch(value) or len(value) > 100 for value in named)
    )
