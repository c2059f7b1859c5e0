"""Banners: how they are shown at the top of pages, and the form in which administrators write them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from owui.lib.markdown import render

KINDS = {
    "info": gettext_lazy("Information"),
    "success": gettext_lazy("Success"),
    "warning": gettext_lazy("Warning"),
    "error": gettext_lazy("Error"),
}
#: what a row of the form sends
_PARTS = ("id", "type", "title", "content", "dismissible")
_LONGEST_ID = 64


def shown(banners: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Banners in the shape templates know; entries without a text are left out."""
    return [
        {
            "id": str(banner.get("id", "")),
            "type": banner.get("type") if banner.get("type") in KINDS else "info",
            "title": str(banner.get("title") or ""),
            # what the renderer returns has been through the sanitiser
            "content": mark_safe(render(str(banner["content"]))),  # noqa: S308
            "dismissible": is_dismissible(banner),
        }
        for banner in banners
        if banner.get("content")
    ]


def is_dismissible(banner: Mapping[str, Any]) -> bool:
    """Whoever wrote nothing of it means yes; older clients spell it otherwise."""
    return bool(banner.get("dismissible", banner.get("dismissable", True)))


class BannersWidget(forms.Widget):
    """A row a banner and an empty one; `static/owui/admin-banners.js` adds, removes and moves rows."""

    use_fieldset = True
    #: shows below what has been written, as pages would
    is_preview = False

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        written = [entry for entry in value or [] if isinstance(entry, Mapping)]
        context = {
            "name": name,
            "row_list": [*map(_row, written), _row({})],
            "kind_list": KINDS.items(),
            "is_disabled": bool((attrs or {}).get("disabled")),
            "is_preview": self.is_preview,
            "preview_list": shown([_row(entry) for entry in written]) if self.is_preview else [],
        }
        return render_to_string("admin/config/_banners.html", context)

    def id_for_label(self, id_: str) -> str:
        return ""  # a group of fields, each with its own label

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[dict[str, str]] | None:
        if name not in data:
            return None
        columns = [data.getlist(f"{name}-{part}") for part in _PARTS]
        return [dict(zip(_PARTS, row, strict=True)) for row in zip(*columns, strict=False)]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in data


class BannersField(forms.Field):
    """Rows as the REST interface has them. What the form does not show of a banner stays; its id stays too, for by
    that people's browsers remember what was dismissed."""

    widget = BannersWidget

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if data is None else super().bound_data(data, initial)

    def to_python(self, value: Any) -> list[dict[str, Any]]:
        before = [dict(entry) for entry in self.initial or []]
        if value is None:
            return before
        known = {str(entry["id"]): entry for entry in before if entry.get("id")}
        out = []
        for number, row in enumerate(map(_row, value), start=1):
            if not row["title"] and not row["content"]:
                continue
            if not row["content"]:
                raise ValidationError(_("Banner %(number)s has a title and no text.") % {"number": number})
            if row["type"] not in KINDS:
                raise ValidationError(_("Choose what kind of banner number %(number)s is.") % {"number": number})
            made = known.pop(row["id"], None) or {"id": uuid.uuid4().hex, "timestamp": int(time.time())}
            made.pop("dismissable", None)
            out.append(made | {part: row[part] for part in _PARTS if part != "id"})
        return out

    def has_changed(self, initial: Any, data: Any) -> bool:
        if self.disabled or data is None:
            return False
        rows = [row for row in map(_row, data) if row["title"] or row["content"]]
        return rows != [_row(entry) for entry in initial or []]


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One banner as the form has it, whether it is stored or was sent."""
    dismissible = entry.get("dismissible")
    return {
        "id": str(entry.get("id") or "")[:_LONGEST_ID],
        "type": str(entry.get("type") or "info"),
        "title": str(entry.get("title") or "").strip(),
        "content": str(entry.get("content") or "").replace("\r\n", "\n").strip(),
        "dismissible": dismissible == "yes" if isinstance(dismissible, str) else is_dismissible(entry),
    }
