"""`\\ce{…}` of mhchem as LaTeX the converter knows: formulas, charges, states, arrows, bonds. What it does not know is
left to the converter as it is, which then shows the source."""

from __future__ import annotations

import re

_START = re.compile(r"\\ce\s*\{")
_ARROWS = {
    "<=>>": r"\rightleftharpoons ",
    "<<=>": r"\rightleftharpoons ",
    "<=>": r"\rightleftharpoons ",
    "<-->": r"\leftrightarrow ",
    "<->": r"\leftrightarrow ",
    "->": r"\rightarrow ",
    "<-": r"\leftarrow ",
}
_TOKEN = re.compile(
    r"(?P<arrow><=>>|<<=>|<=>|<-->|<->|->|<-)(?:\[(?P<above>[^\]]*)\](?:\[(?P<below>[^\]]*)\])?)?"
    r"|(?P<text>\\[a-zA-Z]+\s*|\{[^{}]*\})"
    r"|\^\{(?P<raised>[^{}]*)\}|\^(?P<charge>\d*[+-]|[\w.]+)"
    r"|_\{(?P<lowered>[^{}]*)\}|_(?P<low>\w)"
    r"|(?P<state>\((?:s|l|g|aq|cr|am)\))"
    r"|(?P<plus>(?<=\s)\+(?=\s))|(?P<up>\s\^(?=\s|$))|(?P<down>\sv(?=\s|$))"
    r"|(?P<letters>[A-Za-z]+)|(?P<number>\d+(?:[./]\d+)?)|(?P<sign>[+-](?=[\s\])^]|$))"
    r"|(?P<bond>[=#-])|(?P<dot>[*.])|(?P<bracket>[()\[\]])|(?P<space>\s+)|(?P<comma>,)"
)


def expand(latex: str) -> str:
    """`latex` with every `\\ce{…}` written out."""
    out: list[str] = []
    done = 0
    while found := _START.search(latex, done):
        end = _closing(latex, found.end())
        written = _written(latex[found.end() : end]) if end >= 0 else None
        if written is None:
            return latex
        out += (latex[done : found.start()], "{", written, "}")
        done = end + 1
    return "".join([*out, latex[done:]]) if out else latex


def _closing(latex: str, start: int) -> int:
    depth = 1
    for index in range(start, len(latex)):
        depth += (latex[index] == "{") - (latex[index] == "}")
        if depth == 0:
            return index
    return -1


def _written(source: str) -> str | None:
    out: list[str] = []
    position, after_atom = 0, False
    while position < len(source):
        found = _TOKEN.match(source, position)
        if found is None:
            return None
        kind, value = found.lastgroup or "", found.group()
        if found["arrow"]:
            out.append(_arrow(found))
        else:
            out.append(_piece(kind, found[kind], value, after_atom))
        after_atom = kind in ("letters", "raised", "charge", "lowered", "low") or value in (")", "]")
        position = found.end()
    return "".join(out)


def _arrow(found: re.Match[str]) -> str:
    sign = _ARROWS[found["arrow"]]
    if found["above"] is None:
        return sign
    above = _written(found["above"]) or ""
    sign = f"\\overset{{{above}}}{{{sign}}}"
    return f"\\underset{{{_written(found['below']) or ''}}}{{{sign}}}" if found["below"] else sign


def _piece(kind: str, inner: str, value: str, after_atom: bool) -> str:
    if kind == "letters":
        return f"\\text{{{value}}}"
    if kind == "number":
        return f"_{{{value}}}" if after_atom else f"{value}\\,"
    if kind in ("raised", "charge"):
        return f"^{{{inner}}}"
    if kind == "sign":
        return f"^{{{value}}}" if after_atom else value
    if kind in ("lowered", "low"):
        return f"_{{{inner}}}"
    fixed = {"plus": "+", "up": r"\uparrow ", "down": r"\downarrow ", "dot": r"\cdot ", "space": " "}
    if kind in fixed:
        return fixed[kind]
    if kind == "state":
        return f"\\text{{{value}}}"
    if kind == "bond":
        return {"#": r"\equiv "}.get(value, value)
    return value
