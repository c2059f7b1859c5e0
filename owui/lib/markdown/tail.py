"""Makes the unfinished end of an answer quiet to look at.

Text that is still being written flickers when Markdown is taken by the letter: `**bo` shows asterisks that vanish, a
`-` under a paragraph makes it a heading until the list item's text arrives, a table is a line of pipes until its second
line. So the open end is completed as it will most likely go on. Nothing that is kept depends on this.
"""

from __future__ import annotations

import re

from .source import FENCE, Fence

_LONE_MARK = re.compile(
    r"[ \t>]*(?:-+|=+|[*+_]+|#{1,6}|\d{1,9}[.)]?|`{1,2}|~{1,2}|\||[-*+] \[[ xX]?\]?|\[\^?[\w]*)?[ \t]*"
)
_ROW = re.compile(r"[ \t>]*\|")
_RULE = re.compile(r"[ \t>]*\|[ \t|:-]*")
_CODE = re.compile(r"(`+)[^`]+\1(?!`)")
_HALF_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*)?$")
_OPEN_BRACKET = re.compile(r"!?\[(?![ xX]\])(\^?[\d, ]*$)?([^\[\]]*)$")
_END_MARKS = re.compile(r"(?<!\\)[*_~`!\\]+$")
_SINGLE = re.compile(r"(?<![*\w\\])\*(?![\s*])|(?<=[^\s*\\])\*(?!\*)")
_WINDOW = 2_000


def settle(source: str) -> str:
    """`source` with its last line completed for display."""
    head, newline, last = source.rpartition("\n")
    fence = Fence()
    if "```" in head or "~~~" in head:
        for line in head.split("\n"):
            fence.line(line)
    if fence.mark:
        # Half a closing fence would show as code for a moment.
        return head + newline if re.fullmatch(r"[ \t>]*[`~]+[ \t]*", last) else source
    if FENCE.match(last):
        return source
    previous = head.rpartition("\n")[2]
    if _ROW.match(last) or (not last.strip() and _ROW.match(previous)):
        return _table(head + newline, previous, last)
    if last and _LONE_MARK.fullmatch(last):
        return head + newline
    if len(last) > _WINDOW:
        return source
    return head + newline + _inline(last)


def _table(head: str, previous: str, last: str) -> str:
    if not last.strip():
        last, head = previous, head[: len(head) - len(previous) - len(last) - 1]
        previous = head.rstrip("\n").rpartition("\n")[2] if head.endswith("\n") else ""
        if head.endswith("\n\n"):
            previous = ""
    if _ROW.match(previous):
        before_rule = _RULE.fullmatch(last) and not _RULE.fullmatch(previous)
        if not before_rule:
            return head + last
        # The second line counts only when it is whole: stand in for it until then.
        above = head.rstrip("\n").rpartition("\n")[0].rpartition("\n")[2]
        return head + _rule(previous) if not _ROW.match(above) else head + last
    return f"{head}{last}\n{_rule(last)}"


def _rule(row: str) -> str:
    prefix = row[: row.index("|")]
    cells = row.strip().strip("|").replace("\\|", "").count("|") + 1
    return prefix + "|" + "---|" * cells


def _inline(line: str) -> str:
    bare = _CODE.sub("", line)
    if bare.count("`") % 2:
        # Inside code nothing else counts.
        return line.rstrip("`") + "`" if not line.endswith("`") else line.rstrip("`")
    line = _HALF_LINK.sub(r"\1", line) if not line.endswith("]") else line
    line = _OPEN_BRACKET.sub(lambda found: "" if found[1] is not None else found[2], line)
    if not _closers(line):
        return line
    # The line may end in marks that have nothing to show yet, or in half a closing one.
    line = _END_MARKS.sub("", line).rstrip()
    return line + _closers(line)


def _closers(line: str) -> str:
    """The emphasis marks that `line` leaves open, in the order that closes them."""
    bare = _CODE.sub("", line)
    singles = _SINGLE.findall(bare.replace("**", "\x00"))
    return "~~" * (bare.count("~~") % 2) + "*" * (len(singles) % 2) + "**" * (bare.count("**") % 2)
