"""The few words the renderer adds itself; the caller passes them in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape


def _alerts() -> dict[str, str]:
    return {kind: kind for kind in ("Note", "Tip", "Important", "Warning", "Caution")}


@dataclass(frozen=True, slots=True)
class Labels:
    copy: str = "Copy"
    source: str = "Source {number}"
    done: str = "done"
    open: str = "to do"
    alerts: dict[str, str] = field(default_factory=_alerts)


ENGLISH = Labels()


def text(value: str) -> str:
    return escape(value, quote=False)


def attribute(value: str) -> str:
    return escape(value, quote=True)


def words(value: str) -> frozenset[str]:
    return frozenset(value.split())
