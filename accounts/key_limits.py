"""What an API key may be limited to: paths, models, addresses. Plain values; `tokens.read_api_key` asks them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import unquote

from django.utils.translation import gettext as _

from owui.lib.errors import UserError

if TYPE_CHECKING:
    from accounts.models import ApiKey

MOST_ENTRIES, LONGEST_ENTRY = 100, 255


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """An empty part limits nothing."""

    paths: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @classmethod
    def of(cls, key: ApiKey) -> KeyLimits:
        return cls(tuple(key.allowed_paths), tuple(key.allowed_models), tuple(key.allowed_addresses))

    @classmethod
    def checked(
        cls, *, paths: Iterable[str] = (), models: Iterable[str] = (), addresses: Iterable[str] = ()
    ) -> KeyLimits:
        """What a person entered; 400 for an entry that would never match anything."""
        return cls(
            tuple(_path(entry) for entry in _entries(paths)),
            _entries(models),
            tuple(_network(entry) for entry in _entries(addresses)),
        )

    def opens(self, path: str) -> bool:
        return not self.paths or covers(self.paths, path)

    def admits(self, address: str) -> bool:
        """Whether the caller's address is in one of the networks; an address nobody knows is in none."""
        if not self.addresses:
            return True
        try:
            caller = ip_address(address)
        except ValueError:
            return False
        caller = getattr(caller, "ipv4_mapped", None) or caller
        networks = [ip_network(entry) for entry in self.addresses]
        return any(caller.version == network.version and caller in network for network in networks)


def covers(entries: Iterable[str], path: str) -> bool:
    """Whether a path, as it came over the wire, is one of the entries or below one.

    A path that somebody on the way could read differently from us is below none: encoded dots and slashes, empty
    segments, backslashes, anything encoded twice.
    """
    plain = unquote(path)
    segments = plain.removesuffix("/").split("/")[1:]
    if "%" in plain or "\\" in plain or any(segment in ("", ".", "..") for segment in segments):
        return False
    roots = [entry.rstrip("/") for entry in entries]
    return any(all(way == root or way.startswith(f"{root}/") for way in (path, plain)) for root in roots)


def listed(text: str) -> tuple[str, ...]:
    """The entries of a text: a comma or a line each."""
    return tuple(entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip())


def _entries(given: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(entry.strip() for entry in given if entry.strip()))
    if len(found) > MOST_ENTRIES or any(len(entry) > LONGEST_ENTRY for entry in found):
        raise UserError(_("A limit of the key has too many or too long entries."), code="limits")
    return found


def _path(entry: str) -> str:
    """`/api/models`; what `covers` would never find is refused here, where somebody can correct it."""
    if not entry.startswith("/") or not covers([entry], entry):
        text = _("“%(path)s” is no path that a key can be limited to. Write it like /api/chat/completions.")
        raise UserError(text % {"path": entry}, code="paths")
    return entry


def _network(entry: str) -> str:
    try:
        return str(ip_network(entry, strict=False))
    except ValueError as error:
        text = _("“%(entry)s” is no address or network. Write it like 10.20.0.0/16 or 192.0.2.7.")
        raise UserError(text % {"entry": entry}, code="addresses") from error
