"""Stored secrets on their way to an administrator's screen and back, and the addresses they belong to.

Who reads settings gets `MASK` in the place of each secret, and may send it again to keep what is stored: but only for
the server it was entered for. Otherwise whoever may change an address would learn the key that belongs to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

MASK = "••••••••"
_SECRET = re.compile(
    r"^(key|authorization|proxy-authorization|cookie)$|api[-_]?key|secret|passw|(^|[-_])token$", re.IGNORECASE
)
#: stands for something about the caller, and is no secret itself
_PLACEHOLDER = re.compile(r"(Bearer )?(\{\{\w+\}\})+")
_PORTS = {"http": 80, "https": 443}


def masked(value: Any, name: str = "") -> Any:
    """A copy with `MASK` for each text whose field is named like a secret."""
    if isinstance(value, Mapping):
        # A spec is a document about an interface: its fields are named like secrets and are none.
        return {key: entry if key == "spec" else masked(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [masked(entry) for entry in value]
    return _text_masked(value) if _SECRET.search(name) else value


def masked_options(options: Any) -> Any:
    """The options of a model server: any header may be a credential, whatever it is called."""
    if not isinstance(options, Mapping):
        return options
    out = masked(options)
    headers = out.get("headers")
    if isinstance(headers, Mapping):
        out["headers"] = {name: _text_masked(value) for name, value in headers.items()}
    return out


def _text_masked(value: Any) -> Any:
    return MASK if isinstance(value, str) and value and not _PLACEHOLDER.fullmatch(value) else value


def unmasked(value: Any, stored: Any) -> Any:
    """What was sent with each mask replaced by what is stored in its place; KeyError where nothing is."""
    if isinstance(value, Mapping):
        known = stored if isinstance(stored, Mapping) else {}
        return {key: unmasked(entry, known.get(key)) for key, entry in value.items()}
    if isinstance(value, list):
        known_list = stored if isinstance(stored, list) else []
        pairs = zip(value, [*known_list, *[None] * len(value)], strict=False)
        return [unmasked(entry, known) for entry, known in pairs]
    if value == MASK:
        if not isinstance(stored, str) or not stored:
            raise KeyError(MASK)
        return stored
    return value


def has_mask(value: Any) -> bool:
    """Whether a mask stands anywhere in it."""
    return MASK in json.dumps(value, ensure_ascii=False, default=str)


def same_place(one: str, other: str) -> bool:
    """Whether two addresses are the same server: what is sent to one may be sent to the other. Never for odd ones."""
    try:
        return _origin(urlsplit(one.strip())) == _origin(urlsplit(other.strip()))
    except ValueError:
        return False


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    if not parts.scheme or not parts.hostname:
        raise ValueError("no address of a server")
    return parts.scheme, parts.hostname.rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)


def has_userinfo(url: str) -> bool:
    """Whether a name or password stands in the address, where every log and listing shows it."""
    try:
        return "@" in urlsplit(url.strip()).netloc
    except ValueError:
        return "@" in url
