"""What providers say of themselves: endpoints and keys, remembered in this process.

Keys are asked for again when a token names one we do not know (the provider changed its keys), but only so often: the
name comes from whoever sent the token.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from accounts.backends.oidc import wire
from accounts.backends.oidc.errors import SignInRefused
from accounts.backends.oidc.presets import Provider

log = logging.getLogger(__name__)
FRESH_SECONDS, STALE_SECONDS = 3600.0, 86400.0
REFRESHES, REFRESH_WINDOW = 6, 60.0
MOST_KEYS = 100


@dataclass(frozen=True, slots=True)
class Metadata:
    """The endpoints of a provider; empty where it has none."""

    issuer: str
    authorize: str
    token: str
    userinfo: str = ""
    jwks: str = ""
    end_session: str = ""
    introspection: str = ""
    auth_methods: tuple[str, ...] = ()
    #: every answer of the sign-in page names its issuer
    names_issuer: bool = False


@dataclass(slots=True)
class _Held:
    value: Any
    at: float


_documents: dict[str, _Held] = {}
_keys: dict[str, _Held] = {}
_refreshes: dict[str, deque[float]] = {}


def forget() -> None:
    """For tests."""
    _documents.clear()
    _keys.clear()
    _refreshes.clear()


async def metadata(provider: Provider) -> Metadata:
    """The provider's endpoints: an hour old at most, a day old while it cannot be reached."""
    if provider.endpoints is not None:
        here = provider.endpoints
        return Metadata("", here.authorize, here.token, here.userinfo)
    held = _documents.get(provider.discovery)
    if held is not None and time.monotonic() - held.at < FRESH_SECONDS:
        return held.value  # type: ignore[no-any-return]
    try:
        found = _read(provider, await wire.ask_json(provider.discovery, timeout=provider.timeout))
    except SignInRefused as error:
        if held is None or time.monotonic() - held.at > STALE_SECONDS:
            raise SignInRefused("oauth_provider", error.detail) from error
        log.warning("provider %s: its configuration cannot be read, the former is used: %s", provider.key, error.detail)
        return held.value  # type: ignore[no-any-return]
    _documents[provider.discovery] = _Held(found, time.monotonic())
    return found


def _read(provider: Provider, document: dict[str, Any]) -> Metadata:
    def text(name: str) -> str:
        value = document.get(name)
        return value if isinstance(value, str) else ""

    def address(name: str) -> str:
        value = text(name)
        return value if value.startswith(("https://", "http://")) else ""

    found = Metadata(
        issuer=text("issuer"),
        authorize=address("authorization_endpoint"),
        token=address("token_endpoint"),
        userinfo=address("userinfo_endpoint"),
        jwks=address("jwks_uri"),
        end_session=address("end_session_endpoint"),
        introspection=address("introspection_endpoint"),
        auth_methods=_texts(document.get("token_endpoint_auth_methods_supported")),
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )
    if not (found.issuer and found.authorize and found.token and found.jwks):
        raise SignInRefused("oauth_provider", f"{provider.discovery}: no issuer, endpoints or keys in it")
    if provider.discovery != f"{found.issuer.rstrip('/')}/.well-known/openid-configuration":
        log.warning("provider %s: %s names the issuer %s", provider.key, provider.discovery, found.issuer)
    return found


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(entry for entry in value if isinstance(entry, str)) if isinstance(value, list) else ()


async def keys(provider: Provider, found: Metadata, kid: str | None) -> list[dict[str, Any]]:
    """The provider's public keys; asked for again when the wanted one is not among them."""
    held = _keys.get(found.jwks)
    if held is not None and time.monotonic() - held.at < FRESH_SECONDS:
        if kid is None or any(key.get("kid") == kid for key in held.value):
            return held.value  # type: ignore[no-any-return]
        if not _may_refresh(found.jwks):
            log.warning("provider %s: unknown key id, and its keys were asked for too often just now", provider.key)
            return held.value  # type: ignore[no-any-return]
    document = await wire.ask_json(found.jwks, timeout=provider.timeout)
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise SignInRefused("oauth_provider", f"{found.jwks}: no keys in it")
    value = [key for key in entries[:MOST_KEYS] if isinstance(key, dict)]
    _keys[found.jwks] = _Held(value, time.monotonic())
    return value


def _may_refresh(uri: str) -> bool:
    now, times = time.monotonic(), _refreshes.setdefault(uri, deque(maxlen=REFRESHES))
    if len(times) == REFRESHES and now - times[0] < REFRESH_WINDOW:
        return False
    times.append(now)
    return True
