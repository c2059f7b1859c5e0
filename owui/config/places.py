"""Secrets that belong to an address: whoever changes the address must enter them again.

Otherwise an administrator who may not see a key could have it sent to a server of his own. Asked by the faces of people
(pages, REST); the command line has the database at hand anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from owui.config import store
from owui.config.registry import Setting, all_settings, find
from owui.lib.masks import has_userinfo, masked_options, same_place


def problems(changes: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the addresses among some changes, by their dotted keys."""
    found: dict[str, str] = {}
    for secret in all_settings():
        if not secret.declared.belongs_to:
            continue
        address = find(f"{secret.section.prefix}.{secret.declared.belongs_to}")
        if address.key not in changes:
            continue
        new = _texts(changes[address.key])
        if any(has_userinfo(url) for url in new):
            text = _("%(key)s: the address holds a name or password. Enter them as its key.")
            found[address.key] = text % {"key": address.key}
        elif secret.key not in changes and _would_follow(secret, _texts(store.value_of(address)), new):
            text = _("%(key)s leads to another server. Enter %(secret)s again with it, or empty that.")
            found.setdefault(address.key, text % {"key": address.key, "secret": secret.key})
    return found


def _texts(value: Any) -> Sequence[str]:
    entries = value if isinstance(value, (list, tuple)) else [value]
    return [str(entry or "").strip() for entry in entries]


def _would_follow(secret: Setting, old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether something secret stands at the place of an address that becomes another server's."""
    stored = store.value_of(secret)
    for place, url in enumerate(new):
        is_same = place < len(old) and (url == old[place] or same_place(url, old[place]))
        if url and not is_same and _is_secret(stored, place):
            return True
    return False


def _is_secret(stored: Any, place: int) -> bool:
    if isinstance(stored, Mapping):
        options = stored.get(str(place))
        return isinstance(options, Mapping) and masked_options(options) != options
    if isinstance(stored, (list, tuple)):
        return place < len(stored) and bool(stored[place])
    return bool(stored)
