"""Out at the provider, and out here because the provider says so."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.db import transaction
from django.utils import timezone

from accounts.backends.oidc import discovery, presets, verify
from accounts.backends.oidc.errors import SignInRefused
from accounts.config import OAuthConfig
from accounts.models import ExternalLogin, OAuthSession, Session, User
from accounts.services.guards import note
from accounts.services.oauth.sessions import tokens_of
from accounts.services.oauth.spent import lock_sid, mark_ended, spend
from accounts.services.offboarding import end_access
from owui.config.sections import UiConfig
from owui.lib.aio import in_thread
from owui.lib.errors import Missing, UserError

log = logging.getLogger(__name__)
#: longer addresses are cut or refused by servers on the way; an ID token with thousands of groups is such
LONGEST_ADDRESS = 6000


class BadLogoutToken(UserError):
    """400, in the words of the protocol."""

    code = "invalid_request"


def sign_out_address(session: Session | None, base: str) -> str:
    """Where the browser goes after signing out here, to be signed out at the provider as well; empty for nowhere.

    Called before the session ends; the provider's tokens are forgotten with it.
    """
    pk = session.origin.get("oauth_session") if session else None
    row = OAuthSession.objects.filter(pk=pk, user=session.user_id).first() if session and pk else None
    if row is None:
        return ""
    kept = tokens_of(row)
    row.delete()
    end = str(kept.get("end") or "")
    if not end.startswith(("https://", "http://")):
        return ""
    provider = presets.configured().get(row.provider)
    home = settings.BOOT.webui_auth_signout_redirect_url
    query = {"post_logout_redirect_uri": home or f"{(UiConfig.load().url or base).rstrip('/')}/auth"}
    if provider is not None:
        query["client_id"] = provider.client_id
    with_hint = query | ({"id_token_hint": str(kept["id_token"])} if kept.get("id_token") else {})
    address = _with(end, with_hint)
    return address if len(address) <= LONGEST_ADDRESS else _with(end, query)


def _with(url: str, query: dict[str, str]) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(part for part in (parts.query, urlencode(query)) if part)))


async def logout_by_provider(token: str) -> int:
    """Back-channel logout: ends what the token says and tells how many people that concerned.

    :raises Missing: switched off
    :raises BadLogoutToken: anything about the token is not as it must be; nothing was ended
    """
    if not (await in_thread(OAuthConfig.load)()).enable_backchannel_logout:
        raise Missing
    try:
        provider, claims = await _checked(token)
    except (SuspiciousOperation, SignInRefused) as error:
        log.warning("back-channel logout refused: %s", getattr(error, "detail", error))
        raise BadLogoutToken("The logout token was refused. The log of the server has the reason.") from error
    return await in_thread(_end)(provider.key, claims)


async def _checked(token: str) -> tuple[presets.Provider, dict[str, Any]]:
    issuer = verify.issuer_of(token)
    for provider in (await in_thread(presets.configured)()).values():
        if not provider.is_oidc:
            continue
        try:
            found = await discovery.metadata(provider)
        except SignInRefused as error:
            log.warning("back-channel logout: provider %s cannot be asked: %s", provider.key, error.detail)
            continue
        if not verify.may_be_of(issuer, found.issuer):
            continue
        known = await discovery.keys(provider, found, verify.key_id(token))
        return provider, verify.ProviderTokens(provider, found, known).verify_logout_token(token)
    raise SuspiciousOperation(f"no provider here has the issuer {issuer[:200]!r}")


@transaction.atomic
def _end(provider: str, claims: dict[str, Any]) -> int:
    jti, subject, sid = claims["jti"], claims.get("sub"), claims.get("sid")
    # Used and done are one: a token whose work failed may be sent again.
    if not spend("logout", f"{provider}\0{jti}", seconds=verify.LOGOUT_SECONDS * 3):
        log.warning("back-channel logout refused: %s sent the token %r before", provider, jti[:80])
        raise BadLogoutToken("This logout token was used before.")
    if isinstance(sid, str) and sid:
        # A sign-in by this session that is on its way comes before this, and ends here, or after, and is refused.
        lock_sid(provider, sid)
        mark_ended(provider, sid, claims["iat"])
    rows = OAuthSession.objects.filter(provider=provider)
    by_sid = rows.filter(sid=sid) if sid else rows.none()
    people = set(by_sid.values_list("user_id", flat=True))
    if subject:
        # A session that is named must be the named person's.
        own = set(rows.filter(subject=subject).values_list("user_id", flat=True))
        logins = ExternalLogin.objects.filter(provider=provider, subject=subject)
        own |= set(logins.values_list("user_id", flat=True))
        people = own
    # A session the person has ended here before is no news: its sign-out at the provider comes back to us like this.
    is_news = not sid or by_sid.filter(user_id__in=people).exists()
    suspend = is_news and OAuthConfig.load().backchannel_logout_suspends_keys
    for user in User.objects.select_for_update(no_key=True).filter(pk__in=people).order_by("pk"):
        if suspend:
            ExternalLogin.objects.filter(user=user, provider=provider).update(signed_out_at=timezone.now())
        OAuthSession.objects.filter(user=user, provider=provider).delete()
        note("user.signed_out_by_provider", user, None, {"provider": provider, "keys": "rest" if suspend else "stay"})
        end_access(user, by=None, why=f"back-channel logout by {provider}")
    return len(people)
