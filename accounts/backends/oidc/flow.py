"""The authorization code flow with PKCE, state and nonce: to the provider, and from its answer to checked claims.

What a sign-in needs on the way back travels in an encrypted cookie of the browser that began it, one for each attempt:
an answer that comes to another browser finds none, and nothing is stored for people who never come back.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson
from django.core.exceptions import SuspiciousOperation
from mozilla_django_oidc.utils import generate_code_challenge  # type: ignore[import-untyped]

from accounts.backends.oidc import discovery, verify, wire
from accounts.backends.oidc.discovery import Metadata
from accounts.backends.oidc.errors import SignInRefused
from accounts.backends.oidc.presets import Provider
from owui.lib import crypto

log = logging.getLogger(__name__)
ATTEMPT_SECONDS = 600
_PURPOSE = "oauth-attempt"
#: what only a token of the provider itself may say
_PROTOCOL = frozenset(("iss", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "sid", "jti"))
_OURS = frozenset({"client_id", "response_type", "redirect_uri", "state", "nonce", "code_challenge", "scope"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in that was begun."""

    provider: str
    redirect_uri: str
    next: str
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    at: float = field(default_factory=time.time)

    def sealed(self) -> str:
        return crypto.encrypt(json.dumps(asdict(self)), _PURPOSE)


def opened(sealed: str, *, provider: str, state: str) -> Attempt:
    """The attempt that an answer belongs to.

    :raises SignInRefused: `oauth_state`: of another browser, provider or state, or too old
    """
    try:
        attempt = Attempt(**json.loads(crypto.decrypt(sealed, _PURPOSE)))
    except (crypto.KeyChangedError, ValueError, TypeError) as error:
        raise SignInRefused("oauth_state", "the browser has no begun sign-in of this state") from error
    if attempt.provider != provider or not secrets.compare_digest(attempt.state.encode(), state.encode()):
        raise SignInRefused("oauth_state", "the answer belongs to another sign-in")
    if time.time() - attempt.at > ATTEMPT_SECONDS:
        raise SignInRefused("oauth_state", "the sign-in was begun too long ago")
    return attempt


@dataclass(slots=True)
class Proof:
    """What a provider vouches for.

    :param claims: of the ID token and the userinfo endpoint together
    :param subject: `sub` of the ID token, by which the provider names the person when it ends sessions
    """

    claims: dict[str, Any]
    tokens: dict[str, Any]
    subject: str = ""
    sid: str = ""
    end_session: str = ""


async def authorize_url(provider: Provider, attempt: Attempt) -> str:
    """Where the browser goes to sign in."""
    found = await discovery.metadata(provider)
    query = {name: str(value) for name, value in provider.authorize_params.items() if name not in _OURS}
    query |= {
        "client_id": provider.client_id,
        "response_type": "code",
        "scope": provider.scope,
        "redirect_uri": attempt.redirect_uri,
        "state": attempt.state,
        "code_challenge": generate_code_challenge(attempt.verifier, "S256"),
        "code_challenge_method": "S256",
    }
    if provider.is_oidc:
        query["nonce"] = attempt.nonce
    parts = urlsplit(found.authorize)
    return urlunsplit(parts._replace(query="&".join(part for part in (parts.query, urlencode(query)) if part)))


async def redeem(provider: Provider, attempt: Attempt, code: str, issuer: str | None) -> Proof:
    """Code to checked claims.

    :param issuer: `iss` of the answer (RFC 9207), where there was one
    """
    found = await discovery.metadata(provider)
    if provider.is_oidc and (issuer is not None or found.names_issuer) and issuer != found.issuer:
        raise SignInRefused("oauth_state", f"the answer is of the issuer {str(issuer)[:200]!r}, not {found.issuer!r}")
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": attempt.redirect_uri,
        "code_verifier": attempt.verifier,
    }
    tokens = await token_request(provider, found, form)
    if not provider.is_oidc:
        return Proof(await profile(provider, found, tokens["access_token"]), tokens)
    checked = await id_token_claims(provider, found, tokens.get("id_token"), nonce=attempt.nonce)
    verify.check_access_token(checked, tokens["access_token"], str(tokens["id_token"]))
    claims = merged(checked, await profile(provider, found, tokens["access_token"], subject=checked["sub"]))
    return Proof(
        claims,
        tokens,
        subject=checked["sub"],
        sid=checked["sid"] if isinstance(checked.get("sid"), str) else "",
        end_session=provider.end_session or found.end_session,
    )


async def token_request(provider: Provider, found: Metadata, form: dict[str, str]) -> dict[str, Any]:
    """Asks the token endpoint; there is an access token in what comes back."""
    headers, extra = wire.client_proof(provider, found.auth_methods)
    tokens = await wire.ask_json(found.token, timeout=provider.timeout, form=form | extra, headers=headers)
    if "error" in tokens:
        # GitHub says so with a 200.
        raise wire.ProviderAnswer(found.token, 200, str(tokens["error"])[:80])
    if not isinstance(tokens.get("access_token"), str) or not tokens["access_token"]:
        raise SignInRefused("oauth_token", f"{found.token}: no access token in the answer")
    return tokens


async def id_token_claims(
    provider: Provider, found: Metadata, id_token: Any, *, nonce: str | None = None
) -> dict[str, Any]:
    """The claims of an ID token that is the provider's, for us and of now; of this sign-in, when it has a nonce."""
    try:
        known = await discovery.keys(provider, found, verify.key_id(id_token))
        checks = verify.ProviderTokens(provider, found, known)
        if nonce is None:
            return checks.verify_token(id_token)
        return checks.verify_token(id_token, nonce=nonce)
    except SuspiciousOperation as error:
        raise SignInRefused("oauth_token", str(error)) from error


async def profile(provider: Provider, found: Metadata, access_token: str, subject: str = "") -> dict[str, Any]:
    """The person as the userinfo endpoint has them; it must be the one of the ID token."""
    if not found.userinfo:
        return {}
    headers = {"authorization": f"Bearer {access_token}"}
    body, kind = await wire.ask(found.userinfo, timeout=provider.timeout, headers=headers)
    if kind.lower().startswith("application/jwt"):
        token = body.decode("ascii", "replace")
        try:
            known = await discovery.keys(provider, found, verify.key_id(token))
            claims = verify.ProviderTokens(provider, found, known).verify_userinfo(token)
        except SuspiciousOperation as error:
            raise SignInRefused("oauth_token", str(error)) from error
    else:
        claims = wire.as_object(found.userinfo, body)
    if subject and claims.get("sub") != subject:
        raise SignInRefused("oauth_token", "userinfo is about somebody else than the ID token")
    if provider.key == "github":
        return claims | await _github_address(provider, headers)
    if provider.key == "feishu":
        inner = claims.get("data")
        return inner if isinstance(inner, dict) else {}
    return claims


async def _github_address(provider: Provider, headers: dict[str, str]) -> dict[str, Any]:
    """The primary address; the profile's own may be anything the person typed."""
    assert provider.endpoints is not None
    body, _kind = await wire.ask(provider.endpoints.emails, timeout=provider.timeout, headers=headers)
    try:
        rows = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise SignInRefused("oauth_provider", f"{provider.endpoints.emails}: no valid JSON") from error
    entries = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    primary = next((row for row in entries if row.get("primary") is True), {})
    return {"email": primary.get("email"), "email_verified": primary.get("verified") is True}


def merged(checked: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Both sources of claims as one: userinfo is fresher, and what only the signed token may say stays the token's."""
    told = {name: value for name, value in told.items() if name not in _PROTOCOL}
    # Whether an address is verified was said of the token's own; another one needs a word of its own.
    other = {f"{name}_verified" for name, value in told.items() if value != checked.get(name)}
    if "email_verified" in other:
        other.add("xms_edov")
    return {**{name: value for name, value in checked.items() if name not in other}, **told}


async def renewed(provider: Provider, tokens: Mapping[str, Any], subject: str) -> dict[str, Any]:
    """New tokens for a refresh token; the former refresh token where none came."""
    found = await discovery.metadata(provider)
    form = {"grant_type": "refresh_token", "refresh_token": str(tokens["refresh_token"])}
    if provider.refresh_with_scope:
        form["scope"] = provider.scope
    fresh = await token_request(provider, found, form)
    if isinstance(fresh.get("id_token"), str):
        claims = await id_token_claims(provider, found, fresh["id_token"])
        if claims["sub"] != subject:
            raise SignInRefused("oauth_token", "the renewed ID token is about somebody else")
    return {"refresh_token": tokens["refresh_token"], **fresh}
