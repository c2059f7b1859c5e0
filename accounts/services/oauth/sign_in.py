"""From the button to a session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import Q

from accounts.backends.oidc import claims, flow, presets
from accounts.backends.oidc.errors import SignInRefused
from accounts.backends.oidc.pictures import picture
from accounts.config import OAuthConfig
from accounts.models import ExternalLogin, Role, User
from accounts.services.entering import Entered, Pending, begin_session
from accounts.services.guards import clean_email
from accounts.services.oauth import sessions
from accounts.services.oauth.spent import lock_sid, spend, was_ended_since
from accounts.services.provisioning import Report, admit
from owui.config.sections import UiConfig
from owui.lib.aio import in_thread
from owui.lib.errors import Missing, UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A person who came in by a provider: in, or asked for a second factor.

    :param next: the page they wanted
    """

    outcome: Entered | Pending
    oauth_session_id: str
    id_token: str
    next: str


def redirect_address(provider: presets.Provider, base: str) -> str:
    """Where the provider sends the browser back to.

    :param base: our address as the request has it; WEBUI_URL rules where it is set
    """
    return provider.redirect_uri or f"{(UiConfig.load().url or base).rstrip('/')}/oauth/{provider.key}/callback"


async def begin(key: str, *, base: str, next_url: str) -> tuple[str, flow.Attempt]:
    """The provider's address for the browser, and the attempt that the browser keeps.

    :raises Missing: no such provider. SignInRefused: it cannot be reached
    """
    provider = await in_thread(presets.find)(key)
    attempt = flow.Attempt(key, await in_thread(redirect_address)(provider, base), next_url)
    try:
        return await flow.authorize_url(provider, attempt), attempt
    except SignInRefused as error:
        log.warning("sign-in by %s cannot begin (%s): %s", key, error.code, error.detail)
        raise


async def finish(
    key: str, query: Mapping[str, str], sealed: Callable[[str], str], *, user_agent: str = "", ip: str | None = None
) -> Arrival:
    """The provider's answer to a session here. All or nothing: a refusal leaves no account, session or token.

    :param query: what stands in the address the browser came back to
    :param sealed: the browser's kept attempt for a state
    :raises UserError: with a code of `REASONS`; the log has more
    """
    try:
        return await _finish(key, query, sealed, user_agent, ip)
    except SignInRefused as error:
        log.warning("sign-in by %s refused (%s): %s", key, error.code, error.detail)
        raise
    except Missing:
        raise
    except UserError as error:
        log.warning("sign-in by %s refused (%s): %s", key, error.code, error.message)
        raise


async def _finish(
    key: str, query: Mapping[str, str], sealed: Callable[[str], str], user_agent: str, ip: str | None
) -> Arrival:
    provider = await in_thread(presets.find)(key)
    state, code = query.get("state", ""), query.get("code", "")
    if not state:
        raise SignInRefused("oauth_state", "no state in the answer")
    attempt = flow.opened(sealed(state), provider=key, state=state)
    # Before anything else is asked: whatever comes of it, this state was used.
    if not await in_thread(spend)("state", state, seconds=flow.ATTEMPT_SECONDS * 2):
        raise SignInRefused("oauth_state", "the state was used before")
    if problem := query.get("error"):
        is_own = problem in ("access_denied", "login_required", "interaction_required", "consent_required")
        raise SignInRefused("oauth_denied" if is_own else "oauth_provider", f"the provider answers {problem[:80]!r}")
    if not code:
        raise SignInRefused("oauth_state", "no code in the answer")
    proof = await flow.redeem(provider, attempt, code, query.get("iss"))
    config = await in_thread(OAuthConfig.load)()
    reading = claims.read(provider, proof.claims, config)
    for text in reading.notes:
        log.warning("sign-in by %s, %s: %s", key, reading.identity.subject, text)
    face = ""
    if await in_thread(_wants_picture)(reading.identity.provider, reading.identity.subject, config):
        token = str(proof.tokens["access_token"])
        face = await picture(provider, reading.picture, token, config.picture_private_hosts)
    identity = replace(reading.identity, picture=face)
    outcome, kept = await in_thread(_enter)(identity, config, proof, user_agent, ip)
    id_token = proof.tokens.get("id_token")
    return Arrival(outcome, kept, id_token if isinstance(id_token, str) else "", attempt.next)


def _wants_picture(provider: str, subject: str, config: OAuthConfig) -> bool:
    """Nobody's picture is fetched to be thrown away."""
    if not config.picture_claim:
        return False
    is_known = ExternalLogin.objects.filter(provider=provider, subject=subject).exists()
    return config.update_picture_on_login or (config.enable_signup and not is_known)


@transaction.atomic
def _enter(
    identity: Any, config: OAuthConfig, proof: flow.Proof, user_agent: str, ip: str | None
) -> tuple[Entered | Pending, str]:
    if proof.sid:
        lock_sid(identity.provider, proof.sid)
        if was_ended_since(identity.provider, proof.sid, int(proof.claims["iat"])):
            raise SignInRefused("oauth_state", "the provider ended this session of its own before it was ours")
    user, _report = admit_by_claims(identity, config)
    row = sessions.keep(user, identity.provider, proof)
    origin = {"oauth_session": str(row.pk), "provider": identity.provider}
    outcome = begin_session(user, auth_method="oauth", user_agent=user_agent, ip=ip, origin=origin)
    return outcome, str(row.pk)


def admit_by_claims(identity: Any, config: OAuthConfig, **changes: Any) -> tuple[User, Report]:
    """Admission by the rules of providers.

    :param changes: of the rules, such as `may_create=False`
    """
    if config.role_pending_first:
        identity = replace(identity, role=role_with_approval(identity))
    user, report = admit(identity, replace(claims.rules(config), **changes))
    # Who signs in again by the provider that signed them out may also use keys again.
    ours = ExternalLogin.objects.filter(user=user, provider=identity.provider, signed_out_at__isnull=False)
    ours.update(signed_out_at=None)
    return user, report


def role_with_approval(identity: Any) -> str | None:
    """OAUTH_ROLE_PENDING_FIRST: a claim makes nobody `user` whom no administrator has let in."""
    if identity.role != Role.USER:
        return identity.role  # type: ignore[no-any-return]
    known = account_of(identity)
    if known is None:
        return Role.PENDING.value
    return None if known.role == Role.PENDING else Role.USER.value


def account_of(identity: Any) -> User | None:
    """The account that an admission would find: of the lasting id, else of the address."""
    login = Q(external_logins__provider=identity.provider, external_logins__subject=identity.subject)
    try:
        email = clean_email(identity.email)
    except UserError:
        email = ""
    return User.objects.filter(login).first() or User.objects.filter(email=email).first()
