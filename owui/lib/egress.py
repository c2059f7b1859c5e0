"""Addresses that no call of ours may go to, whoever asks for it: the metadata services of clouds.

They hand out credentials of the machine to whoever can reach them from it. Other addresses in the house are allowed to
administrators' connections, because model servers live there; what strangers' words lead to is `owui.lib.outside`'s.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
#: link-local as a whole (Amazon, Azure, Google, OpenStack), then those that chose other addresses
_NETWORKS = tuple(
    ip_network(text)
    for text in (
        *("169.254.0.0/16", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"),
        *("fd00:ec2::/32", "fd20:ce::254/128"),
    )
)
_NAT64 = ip_network("64:ff9b::/96")


def is_forbidden(host: str) -> bool:
    """Whether a name or a literal address is one of theirs. Other names are judged by what they resolve to."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return name in NAMES
    return _is_theirs(address)


def _is_theirs(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_theirs(inner)
    return any(address.version == network.version and address in network for network in _NETWORKS)


class Resolver(AbstractResolver):
    """The system's resolver without these addresses: no name of somebody's own and no odd spelling leads there."""

    def __init__(self) -> None:
        self.inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self.inner.resolve(host, port, family)
        kept = [entry for entry in found if not is_forbidden(entry["host"])]
        if not kept:
            raise OSError(None, f"{host} leads to an address that is never asked")
        return kept

    async def close(self) -> None:
        await self.inner.close()
