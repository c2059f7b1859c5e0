"""Fetching what somebody else's words lead to: the picture in a claim, say. The guard against server-side requests.

The address must be public when it is connected to, not only when it is looked up: the resolver of the connection
itself leaves private addresses out, so a name that changes its address between two look-ups gains nothing. Nothing is
redirected, nothing large is read, and time is short.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from owui.lib.egress import is_forbidden
from owui.lib.http import tls_context


class Unreachable(Exception):
    """The address may not be asked, or gave nothing usable; the text is for the log."""


def is_public(text: str) -> bool:
    """Whether an IP address lies outside: no private, loopback, link-local, reserved or multicast one, and none of
    those inside an IPv6 wrapper."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner:
            return is_public(str(inner))
        if address in _NAT64:
            return is_public(str(ip_address(int(address) & 0xFFFFFFFF)))
    return address.is_global and not address.is_multicast


class _Network:
    """64:ff9b::/96, by which IPv6-only networks reach IPv4."""

    def __contains__(self, address: IPv6Address) -> bool:
        return int(address) >> 32 == 0x0064FF9B << 64


_NAT64 = _Network()


class _Resolver(AbstractResolver):
    """The system's resolver without the addresses that are not for us."""

    def __init__(self, private_hosts: Collection[str]) -> None:
        self.private_hosts = private_hosts
        self.inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = [e for e in await self.inner.resolve(host, port, family) if not is_forbidden(e["host"])]
        if host.lower() in self.private_hosts:
            return self._some(host, found)
        return self._some(host, [entry for entry in found if is_public(entry["host"])])

    @staticmethod
    def _some(host: str, kept: list[ResolveResult]) -> list[ResolveResult]:
        if not kept:
            raise OSError(None, f"{host} lies inside")
        return kept

    async def close(self) -> None:
        await self.inner.close()


async def fetch(
    url: str,
    *,
    types: Collection[str],
    largest: int,
    timeout: float = 5.0,
    private_hosts: Collection[str] = (),
    headers: dict[str, str] | None = None,
) -> tuple[bytes, str]:
    """Body and content type behind an address.

    :param types: content types that may come
    :param private_hosts: names and addresses in the house that may be asked after all
    :raises Unreachable: with the reason for the log
    """
    hosts = {host.strip().lower() for host in private_hosts if host.strip()}
    try:
        parts = urlsplit(url)
        host, _port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise Unreachable("this is no address") from error
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or len(url) > 2000:
        raise Unreachable("this is no address of a web server")
    if is_forbidden(host):
        raise Unreachable("the address is never asked")
    if _is_literal(host) and host not in hosts and not is_public(host):
        raise Unreachable("the address lies inside")
    connector = aiohttp.TCPConnector(ssl=tls_context(), resolver=_Resolver(hosts), use_dns_cache=False)
    try:
        async with (
            asyncio.timeout(timeout),
            aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
            ) as session,
            session.get(url, allow_redirects=False, headers=headers) as reply,
        ):
            return await _body(reply, types, largest)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}"[:200]) from error


async def _body(reply: aiohttp.ClientResponse, types: Collection[str], largest: int) -> tuple[bytes, str]:
    if reply.status != 200:
        raise Unreachable(f"the answer is {reply.status}")
    if reply.content_type not in types:
        raise Unreachable(f"the type {reply.content_type[:80]!r} is not wanted")
    body = bytearray()
    async for part in reply.content.iter_any():
        body += part
        if len(body) > largest:
            raise Unreachable(f"it is larger than {largest} bytes")
    return bytes(body), reply.content_type


def _is_literal(host: str) -> bool:
    """Whether a host is an IP address, which is connected to without asking the resolver. Old spellings such as `127.1`
    or `2130706433` would be, too, and are none that anybody needs."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        if ":" in host or host.replace(".", "").isdigit():
            raise Unreachable("this is an odd spelling of an address") from None
        return False
    return True


__all__ = ["Unreachable", "fetch", "is_public"]
