"""A person's picture as a data address. Whatever is wrong with it, nobody is kept from signing in."""

from __future__ import annotations

import base64
import logging

from accounts.backends.oidc.presets import Provider
from owui.lib.outside import Unreachable, fetch
from owui.lib.pictures import TYPES

log = logging.getLogger(__name__)
LARGEST = 350_000
#: how each type begins: what a server calls a picture may be anything
_BEGINNINGS = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}


async def picture(provider: Provider, url: str, access_token: str, private_hosts: str) -> str:
    """The picture behind a claim, or behind the provider's own address for it; empty when there is none to be had."""
    headers = None
    if not url and provider.picture_url:
        # This address is the operator's: the token goes nowhere else.
        url, headers = provider.picture_url, {"authorization": f"Bearer {access_token}"}
    if not url:
        return ""
    try:
        body, kind = await fetch(
            url, types=TYPES, largest=LARGEST, private_hosts=private_hosts.split(","), headers=headers
        )
    except Unreachable as error:
        log.warning("provider %s: the picture was not fetched: %s", provider.key, error)
        return ""
    if not body.startswith(_BEGINNINGS[kind]) or (kind == "image/webp" and body[8:12] != b"WEBP"):
        log.warning("provider %s: what should be a picture is none", provider.key)
        return ""
    return f"data:{kind};base64,{base64.b64encode(body).decode()}"
