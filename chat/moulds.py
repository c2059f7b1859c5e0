"""Fragments that look the same each time but for names, texts and a moment: rendered once, then filled in.

A message has a dozen buttons with words in the reader's language, and rendering them anew costs more than all else that
a question takes. Here the template is rendered with marks where a message's own values stand, once for each language
and each set of rights, and the values are put in the marks' places afterwards. A message with more about it than that
(sources, pictures, versions) is rendered as any other.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from owui.templatetags.when import when

#: languages times sets of rights times kinds of messages; more are made anew
_MOST = 1000
_SECRET = secrets.token_hex(8)  # nothing that anybody writes holds a mark
#: no message is of this moment; its words stand where those of another are to come
_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
#: the values of a message that are filled in, and how they stand in HTML
_FILLED: dict[str, Callable[[Any], str]] = {
    "id": str,
    "chat_id": str,
    "turn_id": str,
    "parent_id": str,
    "html": conditional_escape,
    "text": conditional_escape,
    "model_name": conditional_escape,
    "usage_text": conditional_escape,
    "created_at": when,
}
#: other values that there are few of: they make another mould
_KINDS, _FEW = ("author", "state"), (bool, int, type(None))
_moulds: dict[Hashable, list[str]] = {}


def rendered(template: str, view: Mapping[str, Any], can: Mapping[str, bool]) -> str:
    """What `render_to_string(template, {"message": view, "can": can})` gives.

    :param view: a message, as `rendering.message_view` makes it
    """
    has = tuple(name for name in _FILLED if view.get(name))
    rest = tuple((name, value) for name, value in view.items() if name not in has and value not in ("", []))
    if view.get("sibling_count", 1) > 1 or not all(name in _KINDS or isinstance(value, _FEW) for name, value in rest):
        return render_to_string(template, {"message": view, "can": can})
    key = (template, get_language(), has, rest, tuple(can.items()))
    mould = _moulds.get(key)
    if mould is None:
        mould = _mould(template, view, has, can)
        if len(_moulds) >= _MOST:
            _moulds.clear()
        _moulds[key] = mould
    values = {name: _FILLED[name](view[name]) for name in has}
    # Text and name of a value, in turns; what is put in is looked at no more.
    return mark_safe("".join(values[part] if place % 2 else part for place, part in enumerate(mould)))  # noqa: S308


def _mould(template: str, view: Mapping[str, Any], has: tuple[str, ...], can: Mapping[str, bool]) -> list[str]:
    marks: dict[str, Any] = {name: SafeString(f"{name}-{_SECRET}-") for name in has}
    if "created_at" in marks:
        marks["created_at"] = _MOMENT
    made = render_to_string(template, {"message": {**view, **marks}, "can": can})
    html = made.replace(when(_MOMENT), f"created_at-{_SECRET}-")
    return re.split(f"({'|'.join(_FILLED)})-{_SECRET}-", html)
