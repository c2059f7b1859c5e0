"""Pictures that people store as data addresses, given out as what they are."""

from __future__ import annotations

import base64
import binascii

from django.http import HttpResponse
from django.http.response import HttpResponseBase, HttpResponseRedirect
from django.templatetags.static import static

# No SVG: it can hold scripts.
TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
#: what the field's accounts have before anybody chose a picture; there is no file of this name
NONE_CHOSEN = "/user.png"


_BEGINNINGS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


def data_address(data: bytes) -> str:
    """A picture as a data address; empty for anything that is none of `TYPES` by its first bytes."""
    kind = next((kind for beginning, kind in _BEGINNINGS.items() if data.startswith(beginning)), "")
    if not kind and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "image/webp"
    return f"data:{kind};base64,{base64.b64encode(data).decode()}" if kind else ""


def is_picture_address(url: str) -> bool:
    """Whether a data address holds the picture that it says it is."""
    head, mark, body = url.partition(";base64,")
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(mark) and data_address(data).startswith(head + mark)


def image_response(url: str) -> HttpResponseBase:
    """The picture behind a stored address; anything that lies elsewhere is not fetched for the caller."""
    head, comma, data = url.partition(";base64,")
    kind = head.removeprefix("data:")
    if comma and kind in TYPES:
        try:
            image = base64.b64decode(data, validate=True)
        except binascii.Error:
            image = b""
        if image:
            response = HttpResponse(image, content_type=kind)
            response["X-Content-Type-Options"] = "nosniff"
            response["Cache-Control"] = "private, max-age=300"
            return response
    if url.startswith("/") and not url.startswith(("//", "/\\")) and url != NONE_CHOSEN:
        return HttpResponseRedirect(url)
    return HttpResponseRedirect(static("owui/logo.svg"))
