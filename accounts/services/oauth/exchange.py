"""A provider's access token for a session here, for programs that act for a person."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db import transaction

from accounts.backends.oidc import claims, discovery, flow, presets, verify, wire
from accounts.backends.oidc.errors import SignInRefused
from accounts.config import OAuthConfig
from accounts.services.entering import Entered, Pending, begin_session
from accounts.services.oauth.sign_in import admit_by_claims
from owui.lib.aio import in_thread
from owui.lib.errors import ACCESS_PROHIBITED, Refused, UserError

log = logging.getLogger(__name__)
TRIES = 30
LONGEST_TOKEN = 1024 * 1024
_tries: OrderedDict[str, deque[float]] = OrderedDict()


async def exchange_token(key: str, token: str, *, user_agent: str = "", ip: str | None = None) -> Entered | Pending:
    """A session for the person whose access token this is; never makes an account.

    :raises UserError: 403 switched off, a client we do not trust, domain, or nobody we know; 404 no such provider;
        400 not a token of the provider; 429 too many tries
    """
    config = await in_thread(OAuthConfig.load)()
    if not config.enable_token_exchange:
        raise Refused(ACCESS_PROHIBITED, code="exchange_off")
    _count_try(ip or "", config)
    provider = await in_thread(presets.find)(key)
    try:
        return await _exchange(provider, token, config, user_agent, ip)
    except SignInRefused as error:
        log.warning("token exchange by %s refused (%s): %s", key, error.code, error.detail)
        raise


async def _exchange(
    provider: presets.Provider, token: str, config: OAuthConfig, user_agent: str, ip: str | None
) -> Entered | Pending:
    if not token or len(token) > LONGEST_TOKEN or any(sign in token for sign in "\r\n\0 "):
        raise SignInRefused("oauth_token", "this is no token")
    found = await discovery.metadata(provider)
    subject = await _subject_for_trusted_client(provider, found, token, config)
    if not found.userinfo:
        raise SignInRefused("oauth_provider", "the provider has no userinfo endpoint")
    told = await flow.profile(provider, found, token, subject=subject)
    reading = claims.read(provider, told, config)
    return await in_thread(_enter)(reading.identity, config, user_agent, ip)


async def _subject_for_trusted_client(
    provider: presets.Provider, found: discovery.Metadata, token: str, config: OAuthConfig
) -> str:
    """Whose token it is, after the question for whom it was made.

    A token that some other program got from the person would open their account here; so the client must be ours or
    one of the trusted, and where nobody can tell it is refused.
    """
    trusted = {provider.client_id, *claims.split(config.token_exchange_trusted_client_ids, ",")}
    said = await _introspected(provider, found, token) if found.introspection else await _read(provider, found, token)
    client = said.get("client_id") or said.get("azp")
    if not isinstance(client, str) or client not in trusted:
        log.warning("token exchange by %s: a token of the client %r", provider.key, str(client)[:80])
        raise Refused(ACCESS_PROHIBITED, code="untrusted_client")
    return str(said["sub"]) if isinstance(said.get("sub"), str) else ""


async def _introspected(provider: presets.Provider, found: discovery.Metadata, token: str) -> dict[str, Any]:
    """RFC 7662."""
    headers, extra = wire.client_proof(provider, found.auth_methods)
    form = {"token": token, "token_type_hint": "access_token"} | extra
    said = await wire.ask_json(found.introspection, timeout=provider.timeout, form=form, headers=headers)
    if said.get("active") is not True:
        raise SignInRefused("oauth_token", "the provider says that the token is not active")
    return said


async def _read(provider: presets.Provider, found: discovery.Metadata, token: str) -> dict[str, Any]:
    """Where the provider cannot be asked, only a token that it signed says for whom it is."""
    try:
        known = await discovery.keys(provider, found, verify.key_id(token)) if provider.is_oidc else []
        return verify.ProviderTokens(provider, found, known).verify_access_token(token)
    except SuspiciousOperation as error:
        log.warning("token exchange by %s: %s", provider.key, error)
        raise Refused(ACCESS_PROHIBITED, code="untrusted_client") from error


@transaction.atomic
def _enter(identity: Any, config: OAuthConfig, user_agent: str, ip: str | None) -> Entered | Pending:
    user, _report = admit_by_claims(identity, config, may_create=False)
    # Who must show a second factor gets the question here, too; a token of the provider is one proof.
    return begin_session(user, auth_method="oauth", user_agent=user_agent, ip=ip)


def _count_try(address: str, config: OAuthConfig) -> None:
    """In this process: enough against guessing, and a flood must not write rows."""
    now, window = time.monotonic(), float(config.token_exchange_rate_limit_window)
    tries = _tries.setdefault(address, deque())
    _tries.move_to_end(address)
    while len(_tries) > 10_000:
        _tries.popitem(last=False)
    while tries and now - tries[0] > window:
        tries.popleft()
    if len(tries) >= (config.token_exchange_rate_limit or TRIES):
        raise UserError("Too many exchanges from this address. Wait some minutes.", status=429, code="too_many")
    tries.append(now)
