"""Pictures in messages, on their way to a model: only as data, only of the usual kinds, and only so large.

A model server is never given an address to fetch from: it stands inside, and would fetch from there whatever the words
of a person lead it to. Links are followed here, by the guard for everything of the kind.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from chat.engine.prompt import Message
from inference.media import refuse_links
from owui.lib.errors import UserError
from owui.lib.outside import Unreachable, fetch

TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
#: pictures of one request, and links among them
MOST, MOST_LINKS = 50, 8
_SIGNATURES = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}
PLACE = {"type": "text", "text": "[image]"}


def content_of(text: str, files: Sequence[Any] | None) -> str | list[dict[str, Any]]:
    """A stored question as the model gets it: its text, with the pictures that were attached to it."""
    urls = [str(item.get("url") or "") for item in files or () if is_picture(item)]
    data = [url for url in urls if url.startswith("data:image/")]
    if not data:
        return text
    return [
        *([{"type": "text", "text": text}] if text else []),
        *({"type": "image_url", "image_url": {"url": url}} for url in data),
    ]


def is_picture(item: Any) -> bool:
    """Whether an attached item is a picture; everything else is for retrieval."""
    return isinstance(item, Mapping) and item.get("type") == "image"


def picture_items(uploads: Sequence[UploadedFile[bytes]], *, largest: int) -> list[dict[str, Any]]:
    """Pictures that came with a question, as they are stored with it. For a thread.

    :raises UserError: 400 no picture of the usual kinds, 413 too large or too many
    """
    if len(uploads) > MOST:
        text = _("At most %(count)s pictures can be sent at once.")
        raise UserError(text % {"count": MOST}, status=413, code="too_many_pictures")
    items = []
    for upload in uploads:
        if (upload.size or 0) > largest:
            raise _too_large(largest)
        data = upload.read()
        # By what it holds: names and types are the sender's word.
        kind = next((kind for kind, starts in _SIGNATURES.items() if data.startswith(starts)), None)
        if kind is None or (kind == "image/webp" and data[8:12] != b"WEBP"):
            raise _unusable()
        url = f"data:{kind};base64,{base64.b64encode(data).decode()}"
        items.append({"type": "image", "name": (upload.name or "")[:255], "url": url})
    return items


def kept_pictures(files: Any) -> list[dict[str, Any]]:
    """The pictures among the attached things of a file of chats: those that are data and what they say they are."""
    found = []
    for item in files if isinstance(files, list) else []:
        url = str(item.get("url") or "") if is_picture(item) else ""
        kind, _mark, data = url.removeprefix("data:").partition(";base64,")
        try:
            begins = base64.b64decode(data, validate=True)[:32]
        except (binascii.Error, ValueError):
            continue
        if kind in TYPES and begins.startswith(_SIGNATURES[kind]):
            found.append({"type": "image", "name": str(item.get("name") or "").replace("\x00", "")[:255], "url": url})
    return found[:MOST]


async def with_pictures(
    messages: Sequence[Message], *, sees: bool, model_name: str, largest: int, is_page: bool
) -> Sequence[Message]:
    """The messages with their pictures as data.

    :param sees: whether the model can look at pictures. On the page those of earlier questions are then left out, for
        people change models within a chat; programs are told
    :raises UserError: 400 pictures that cannot be used and links to other media, 413 too large or too many
    """
    places = [at for at, message in enumerate(messages) if _pictures(message)]
    # What is no picture, or does not say that it is one, is not fetched; a server might.
    refuse_links([_without(message) for message in messages])
    if not places:
        return messages
    last = next((at for at in range(len(messages) - 1, -1, -1) if messages[at].get("role") == "user"), -1)
    if not sees:
        if not is_page or last in places:
            text = _("“%(name)s” cannot look at pictures. Choose a model that can, or send the question without them.")
            raise UserError(text % {"name": model_name}, code="no_vision")
        return [_without(message) for message in messages]
    found = [part for at in places for part in _pictures(messages[at])]
    links = [url for part in found if not (url := _url(part)).startswith("data:")]
    if len(found) > MOST or len(links) > MOST_LINKS:
        text = _("At most %(count)s pictures can be sent at once, %(links)s of them as links.")
        raise UserError(text % {"count": MOST, "links": MOST_LINKS}, status=413, code="too_many_pictures")
    # All at once: a turn that waits for slow addresses one after the other would look as if nobody wrote it.
    wanted = list(dict.fromkeys(links))
    fetched = dict(zip(wanted, await asyncio.gather(*(_fetched(url, largest) for url in wanted)), strict=True))
    return [_checked(message, fetched, largest) if _pictures(message) else message for message in messages]


def _pictures(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    if not isinstance(content, list):
        return []
    return [part for part in content if isinstance(part, Mapping) and part.get("type") == "image_url"]


def _url(part: Mapping[str, Any]) -> str:
    given = part.get("image_url")
    return str((given.get("url") if isinstance(given, Mapping) else given) or "").strip()


def _without(message: Message) -> Message:
    """The text alone, with a mark where a picture was."""
    if not (pictures := _pictures(message)):
        return message
    return {**message, "content": [PLACE if part in pictures else part for part in message["content"]]}


def _checked(message: Message, fetched: Mapping[str, str], largest: int) -> Message:
    parts = []
    for part in message["content"]:
        if isinstance(part, Mapping) and part.get("type") == "image_url":
            url = _url(part)
            given = part.get("image_url")
            more = dict(given) if isinstance(given, Mapping) else {}
            parts.append({**part, "image_url": more | {"url": fetched.get(url) or _data(url, largest)}})
        else:
            parts.append(part)
    return {**message, "content": parts}


def _data(url: str, largest: int) -> str:
    """A data URL whose picture may be sent."""
    head, _comma, body = url.partition(",")
    kind, _semicolon, how = head.removeprefix("data:").partition(";")
    if kind.lower() not in TYPES or how.lower() != "base64":
        raise _unusable()
    if len(body) * 3 // 4 > largest + 2:
        raise _too_large(largest)
    try:
        base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unusable() from error
    return url


async def _fetched(url: str, largest: int) -> str:
    """The picture behind a link, as a data URL."""
    if not url.lower().startswith(("http://", "https://")):
        raise _unusable()
    try:
        body, kind = await fetch(url, types=TYPES, largest=largest)
    except Unreachable as error:
        text = _("A picture could not be fetched from its address. Send the picture itself instead.")
        raise UserError(text, code="picture_unreachable") from error
    return f"data:{kind};base64,{base64.b64encode(body).decode()}"


def _unusable() -> UserError:
    return UserError(_("A picture cannot be used. Send PNG, JPEG, GIF or WebP."), code="bad_picture")


def _too_large(largest: int) -> UserError:
    text = _("A picture is larger than %(limit)s MB. Make it smaller and send it again.")
    return UserError(text % {"limit": f"{largest / 1_000_000:g}"}, status=413, code="picture_too_large")
