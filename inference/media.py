"""Links to pictures, sounds and films in a request: no model server is ever given an address to fetch from.

It stands inside, and would fetch from there whatever the words of a person lead it to (vLLM and llama.cpp read even
files by `file:`). `POST /api/chat/completions` fetches pictures from public addresses itself; what is left there, and
everything that passes through, must be data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from owui.lib.errors import UserError

#: the keys of parts that servers read from elsewhere, with or without a `type` beside them
_MEDIA = frozenset({
    "image_url", "video_url", "audio_url", "file_url", "image", "video", "audio", "input_image", "input_audio",
    "input_video", "file", "source",
})  # fmt: skip
#: what a tool is called with is text for the model, whatever its names are; names of files may hold anything
_TEXTS = frozenset({"text", "tool_calls", "arguments", "filename", "name", "title"})
_LINK = re.compile(r"\s*(?!data:)[a-z][a-z0-9+.-]*:", re.I)


def refuse_links(*conversations: Any) -> None:
    """400 when a part of a message names an address instead of holding its data."""
    if any(_has_link(conversation, is_media=False) for conversation in conversations):
        text = _("Links to pictures or other media are not passed on to model servers. Send the data itself.")
        raise UserError(text, code="media_link")


def _has_link(value: Any, *, is_media: bool) -> bool:
    if isinstance(value, str):
        return is_media and _LINK.match(value) is not None
    if isinstance(value, Mapping):
        return any(
            _has_link(inner, is_media=is_media or name in _MEDIA)
            for name, inner in _named(value)
            if name not in _TEXTS and isinstance(inner, (str, Mapping, list))
        )
    return isinstance(value, list) and any(_has_link(inner, is_media=is_media) for inner in value)


def _named(value: Mapping[Any, Any]) -> Iterable[tuple[str, Any]]:
    return ((str(name).strip().casefold(), inner) for name, inner in value.items())
