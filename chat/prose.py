"""Stored answers as HTML: the folds that imported chats hold, and the renderer's own words as the reader knows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from owui.lib.markdown import Fold, Labels, render, render_code, split

#: marks the place of a fold: a character that no text has, see `_joined`
_PLACE = "\ue0f0"


def labels() -> Labels:
    """The few words that the renderer itself puts into an answer, as the reader knows them."""
    return _labels_in(get_language() or "")


@lru_cache(maxsize=64)
def _labels_in(_language: str) -> Labels:
    alerts = {
        "Note": _("Note"),
        "Tip": _("Tip"),
        "Important": _("Important"),
        "Warning": _("Warning"),
        "Caution": _("Caution"),
    }
    return Labels(copy=_("Copy"), source=_("Source {number}"), done=_("done"), open=_("to do"), alerts=alerts)


def safe(html: str) -> SafeString:
    # Only what owui.lib.markdown returns comes here; it has been through the sanitiser.
    return mark_safe(html)  # noqa: S308


def answer_html(content: str, citations: int = 0) -> SafeString:
    """A stored answer. Chats that were imported may hold folds inside it."""
    parts = split(content)
    if len(parts) == 1 and isinstance(parts[0], str):
        return safe(render(content, citations=citations, labels=labels()))
    # What a text refers to may stand behind a fold, so all of it is one text, with a line in the place of each fold.
    folds = [part for part in parts if isinstance(part, Fold)]
    html = render(_joined(parts), citations=citations, labels=labels())
    pieces = re.split(rf"<p>{_PLACE}\d+{_PLACE}</p>\n?", html)
    if len(pieces) != len(folds) + 1:
        return safe("".join(_fold(p) if isinstance(p, Fold) else render(p, citations, labels=labels()) for p in parts))
    return safe("".join(piece + (_fold(folds[i]) if i < len(folds) else "") for i, piece in enumerate(pieces)))


def _joined(parts: Sequence[str | Fold]) -> str:
    out: list[str] = []
    for index, part in enumerate(parts):
        out.append(f"{_PLACE}{index}{_PLACE}" if isinstance(part, Fold) else part.replace(_PLACE, ""))
    return "\n\n".join(out)


def _fold(fold: Fold) -> str:
    view: dict[str, Any] = {"kind": fold.kind, "summary": fold.summary, "name": fold.name, "seconds": fold.seconds}
    view["html"] = safe(render(fold.text, labels=labels())) if fold.text else ""
    view |= {
        f"{name}_html": safe(render_code(value, "json" if value[0] in "{[" else "", labels=labels()))
        for name, value in fold.values.items()
    }
    return render_to_string("chat/_stored_fold.html", {"fold": view})
