"""Every call to a provider: no redirects, a limit on time and size, JSON or a refusal that names the fault in the log.

The addresses come from the operator (and from the discovery document the operator named), so private ones are fine.
What claims lead to is fetched by `owui.lib.outside` instead.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import quote_plus

import orjson

from accounts.backends.oidc.errors import SignInRefused
from accounts.backends.oidc.presets import Provider
from owui.lib.http import FAULTS, client, fault_of
from owui.lib.masks import has_userinfo

#: a token with 5,000 groups is about 300 kB
LARGEST = 4 * 1024 * 1024


class ProviderAnswer(SignInRefused):
    """The provider said no, in the protocol's words."""

    def __init__(self, url: str, status: int, error: str) -> None:
        # A client that is not known any more, or has another secret, is the operator's affair.
        is_ours = error in ("invalid_client", "unauthorized_client", "unsupported_grant_type") or status >= 500
        super().__init__("oauth_provider" if is_ours else "oauth_token", f"{url}: {status} {error}")
        self.answered, self.error = status, error


async def ask(
    url: str,
    *,
    timeout: float,
    form: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[bytes, str]:
    """Body and content type of a 200.

    :raises SignInRefused: `oauth_provider` when there is no usable answer, `ProviderAnswer` for another status
    """
    if has_userinfo(url) or not url.startswith(("https://", "http://")):
        raise SignInRefused("oauth_provider", "the address of the provider cannot be used")
    method = "GET" if form is None else "POST"
    try:
        async with (
            asyncio.timeout(timeout),
            client().stream(method, url, data=form, headers={"accept": "application/json", **(headers or {})}) as reply,
        ):
            body = bytearray()
            async for part in reply.aiter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise SignInRefused("oauth_provider", f"{url}: the answer is larger than {LARGEST} bytes")
            status, kind = reply.status_code, reply.headers.get("content-type", "")
    except FAULTS as error:
        raise SignInRefused("oauth_provider", f"{url}: {fault_of(error).value} ({type(error).__name__})") from error
    if status != 200:
        raise ProviderAnswer(url, status, _error_of(bytes(body)))
    return bytes(body), kind


async def ask_json(url: str, **options: Any) -> dict[str, Any]:
    """The same for an object in JSON."""
    body, _kind = await ask(url, **options)
    return as_object(url, body)


def as_object(url: str, body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise SignInRefused("oauth_provider", f"{url}: the answer is no valid JSON") from error
    if not isinstance(found, dict):
        raise SignInRefused("oauth_provider", f"{url}: the answer is no JSON object")
    return found


def _error_of(body: bytes) -> str:
    """The protocol's error word; never the whole body, which may repeat what was sent."""
    try:
        found = orjson.loads(body)
        return str(found["error"])[:80]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def client_proof(provider: Provider, offered: tuple[str, ...] = ()) -> tuple[dict[str, str], dict[str, str]]:
    """Header and form fields by which the token endpoint knows us: as configured, else as the provider offers."""
    method = provider.auth_method
    if not provider.client_secret:
        method = "none"
    elif method not in ("client_secret_basic", "client_secret_post", "none"):
        # The protocol's default where the provider says nothing.
        is_post = "client_secret_post" in offered and "client_secret_basic" not in offered
        method = "client_secret_post" if is_post else "client_secret_basic"
    if method == "client_secret_basic":
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
        header = {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        return header, ({"client_id": provider.client_id} if provider.include_client_id else {})
    form = {"client_id": provider.client_id}
    return {}, (form | {"client_secret": provider.client_secret} if method == "client_secret_post" else form)
