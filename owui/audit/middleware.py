"""Gives each request an id and finds the client's address, for the audit log and for error pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from uuid import uuid4

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from owui.audit import context

Respond = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class ActorMiddleware:
    """Works in sync and async chains, so it never costs a thread hop."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._acall(request)
        info = request_info(request)
        token = context.enter(info)
        try:
            response = self.get_response(request)
        finally:
            context.leave(token)
        assert isinstance(response, HttpResponseBase)
        response["X-Request-Id"] = info.id
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        info = request_info(request)
        token = context.enter(info)
        try:
            response = self.get_response(request)
            assert not isinstance(response, HttpResponseBase)
            answer = await response
        finally:
            context.leave(token)
        answer["X-Request-Id"] = info.id
        return answer


def request_info(request: HttpRequest) -> context.RequestInfo:
    """The id is always ours: one that a client sends could be made to collide with another's."""

    return context.RequestInfo(
        id=uuid4().hex,
        ip=client_ip(request),
        user_agent=request.META.get("HTTP_USER_AGENT", "")[:255],
    )


def client_ip(request: HttpRequest) -> str:
    """The address of whoever sent the request, seen through our own proxies only."""
    return nearest_stranger(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""))


def nearest_stranger(peer: str, forwarded: str) -> str:
    """The nearest address that is not one of our proxies. X-Forwarded-For counts only when such a proxy sent it."""
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    # A peer without an address came through a local unix socket: only a proxy on this machine can.
    ip = _plain(peer or "127.0.0.1")
    while hops and is_trusted_proxy(ip):
        ip = _plain(hops.pop())
    return ip


def _plain(ip: str) -> str:
    """One spelling for one caller: no IPv4 written as IPv6 (a socket that takes both shows it so), no zone."""
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    return str(getattr(address, "ipv4_mapped", None) or address)


@lru_cache(maxsize=1024)
def is_trusted_proxy(ip: str) -> bool:
    """Whether FORWARDED_ALLOW_IPS names this address, a network around it, or everyone (`*`)."""
    everyone, networks = _trusted(settings.BOOT.forwarded_allow_ips)
    if everyone:
        return True
    try:
        address = ip_address(ip)
    except ValueError:
        return False
    return any(address.version == network.version and address in network for network in networks)


@lru_cache(maxsize=4)
def _trusted(text: str) -> tuple[bool, tuple[IPv4Network | IPv6Network, ...]]:
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    networks = []
    for entry in entries:
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            continue  # a host name or a socket path: cannot be compared with an address
    return "*" in entries, tuple(networks)
