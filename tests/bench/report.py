"""One table: what was measured beside the bar and what Open WebUI 0.12.4 needs on the same machine."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Report:
    rows: list[tuple[str, str, str, str, str, str]] = field(default_factory=list)
    missed: int = 0
    began: float = field(default_factory=time.monotonic)

    def add(
        self, what: str, figure: str, value: float, bar: float | None = None, theirs: str = "", *, note: str = ""
    ) -> None:
        """A row; it is printed at once too, so that a run that is stopped has said something.

        :param bar: the most it may be; None for what has no bar
        """
        is_met = bar is None or value <= bar
        self.missed += not is_met
        shown = "" if bar is None else f"{'' if is_met else 'MISSED '}{bar:g}"
        self.rows.append((what, figure, _number(value), shown, theirs, note))
        self.say(f"[{time.monotonic() - self.began:4.0f} s] {what}: {figure} {_number(value)} (bar {shown}) {note}")

    def say(self, *lines: str) -> None:
        print(*lines, sep="\n", flush=True)

    def table(self) -> str:
        head = ("run", "figure", "measured", "at most", "Open WebUI", "notes")
        lines = [" | ".join(head), "|".join("---" for _ in head), *(" | ".join(row) for row in self.rows)]
        return "\n".join(f"| {line} |" for line in lines)


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
