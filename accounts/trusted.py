"""Whom a proxy in front of us says is there: believed from the proxy's own address, and dropped from everybody else.

`TrustedHeaders` is the outermost layer, for HTTP and sockets alike. It takes the configured headers off every request,
so that nothing behind it can read them by accident, and leaves an `Asserted` in the scope when the connection came from
a network of TRUSTED_PROXY_CIDRS. What counts is who opened the connection, never X-Forwarded-For: uvicorn replaces that
address by a forwarded one, so `keep_peers` has it remembered before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import ExternalLogin
from accounts.tokens import BadCredential, Identity
from owui.lib.errors import UserError

log = logging.getLogger(__name__)
#: the address that opened the connection, and what it asserts, in the ASGI scope
PEER, ASSERTED = "owui.peer", "owui.asserted"
PROVIDER = "header"
#: the word for connections through a unix socket, which have no address
UNIX = "unix"
MISMATCH = "User mismatch. Please sign in again."
_LONGEST = 64_000
_Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Asserted:
    """The person in the proxy's words.

    :param groups: names; None when the header was not there, which is not the same as none
    """

    email: str
    name: str = ""
    groups: tuple[str, ...] | None = None
    role: str = ""


def is_on() -> bool:
    """Whether people are signed in by a proxy here; passwords are not asked for then."""
    return bool(settings.BOOT.webui_auth_trusted_email_header)


def asserted_of(request: Any) -> Asserted | None:
    """What the proxy says about a request's person."""
    found: Asserted | None = getattr(request, "scope", {}).get(ASSERTED)
    return found


def refuse_passwords() -> None:
    """400 where a proxy signs people in: their passwords are not ours."""
    if is_on():
        raise UserError(
            _("Your organisation's proxy signs you in here, so passwords are neither asked for nor changed."),
            code="trusted_header",
        )


def check_same(identity: Identity | None, asserted: Asserted | None) -> None:
    """A session is worth nothing on a connection that the proxy says is somebody else's.

    :raises BadCredential: 401
    """
    if identity is None or identity.session is None or asserted is None or identity.user.email == asserted.email:
        return
    # The address may have been changed here since: the proxy's own name for the person counts as well.
    logins = ExternalLogin.objects.filter(provider=PROVIDER, subject=asserted.email, user=identity.user)
    if not logins.exists():
        log.warning("the proxy says %s, the session is of %s: refused", asserted.email, identity.user.pk)
        raise BadCredential(MISMATCH)


@lru_cache(maxsize=4)
def networks(text: str) -> tuple[tuple[_Network, ...], bool]:
    """The networks of TRUSTED_PROXY_CIDRS, and whether unix sockets are meant. ValueError for anything else."""
    entries = [entry.strip() for entry in text.replace(",", " ").split()]
    return tuple(ip_network(entry) for entry in entries if entry != UNIX), UNIX in entries


def is_trusted(peer: Any) -> bool:
    """Whether a connection's other end is one of our proxies; `peer` is an ASGI `client`."""
    known, unix = networks(settings.BOOT.trusted_proxy_cidrs)
    if not peer:
        return unix
    try:
        address = ip_address(peer[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address.version == network.version and address in network for network in known)


class TrustedHeaders:
    """ASGI middleware, the first of all."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        names = _names()
        if names and scope["type"] in ("http", "websocket"):
            scope = _cleaned(scope, names)
        await self.app(scope, receive, send)


def _names() -> dict[str, str]:
    """Header, in lower case and with dashes, to what it says."""
    boot = settings.BOOT
    if not boot.webui_auth_trusted_email_header:
        return {}
    found = {part: getattr(boot, f"webui_auth_trusted_{part}_header") for part in ("email", "name", "groups", "role")}
    return {_plain(name): part for part, name in found.items() if name}


def _plain(name: str) -> str:
    # A gateway turns both signs into one; a header that differs only in them must not slip through.
    return name.strip().lower().replace("_", "-")


def _cleaned(scope: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    kept, said = [], {}
    is_doubtful = False
    for raw, value in scope["headers"]:
        part = names.get(_plain(raw.decode("latin-1")))
        if part is None:
            kept.append((raw, value))
        elif part in said or b"_" in raw or len(value) > _LONGEST:
            is_doubtful = True
        else:
            said[part] = value
    if not said and not is_doubtful:
        return scope
    scope = {**scope, "headers": kept}
    if not is_trusted(scope.get(PEER, scope.get("client"))):
        _complain("headers that name a person came from %s, which is no trusted proxy: dropped", scope)
    elif is_doubtful:
        _complain("headers that name a person came twice or malformed from %s: dropped", scope)
    elif asserted := _read(said):
        scope[ASSERTED] = asserted
    return scope


def _read(said: dict[str, bytes]) -> Asserted | None:
    texts = {part: _text(value).strip() for part, value in said.items()}
    email = texts.get("email", "").lower()
    groups = texts.get("groups")
    if not email:
        return None
    return Asserted(
        email=email,
        name=unquote(texts.get("name", "")).replace("\x00", "").strip()[:255],
        groups=None if groups is None else tuple(name for part in groups.split(",") if (name := part.strip())),
        role=texts.get("role", "").lower(),
    )


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


_quiet_until = 0.0


def _complain(text: str, scope: dict[str, Any]) -> None:
    """Once a minute: whoever sends such headers must not be able to fill the log."""
    global _quiet_until
    if time.monotonic() >= _quiet_until:
        _quiet_until = time.monotonic() + 60
        peer = scope.get(PEER, scope.get("client"))
        log.warning(text, peer[0] if peer else UNIX)


def keep_peers() -> None:
    """Has uvicorn remember who opened a connection before it believes X-Forwarded-For."""
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    original = ProxyHeadersMiddleware.__call__
    if getattr(original, "keeps_peer", False):
        return

    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault(PEER, scope.get("client"))
        await original(self, scope, receive, send)

    call.keeps_peer = True  # type: ignore[attr-defined]
    ProxyHeadersMiddleware.__call__ = call  # type: ignore[method-assign]
