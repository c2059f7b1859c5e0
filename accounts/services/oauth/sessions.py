"""The provider's tokens for a person: kept encrypted, renewed in time, ended."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.backends.oidc import flow, presets
from accounts.backends.oidc.errors import SignInRefused
from accounts.config import OAuthConfig
from accounts.models import OAuthSession, User
from accounts.services.guards import note
from owui.lib import crypto
from owui.lib.aio import in_thread
from owui.lib.errors import UserError

log = logging.getLogger(__name__)
EARLY = timedelta(minutes=5)
#: where a provider gives a refresh token and no end
ASSUMED = timedelta(hours=1)
JUST_NOW = timedelta(minutes=1)
LEASE, WAIT_SECONDS = timedelta(seconds=30), 0.1
_PURPOSE = "oauth-session"
_KEPT = ("access_token", "refresh_token", "id_token", "token_type", "scope", "expires_in")


def _sealed(tokens: dict[str, Any]) -> str:
    return crypto.encrypt(json.dumps(tokens), _PURPOSE, secret=settings.BOOT.oauth_session_token_encryption_key)


def tokens_of(row: OAuthSession) -> dict[str, Any]:
    """The tokens in clear; empty once the key was changed."""
    try:
        found: dict[str, Any] = json.loads(
            crypto.decrypt(row.tokens, _PURPOSE, secret=settings.BOOT.oauth_session_token_encryption_key)
        )
    except crypto.KeyChangedError:
        log.warning("provider session %s cannot be decrypted: its key has changed", row.pk)
        return {}
    return found


def _ends(tokens: dict[str, Any]) -> datetime | None:
    """When the tokens should be good no longer: the sooner of access and ID token."""
    ends = []
    seconds = tokens.get("expires_in")
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 < seconds < 10**9:
        ends.append(timezone.now() + timedelta(seconds=seconds))
    elif tokens.get("refresh_token"):
        ends.append(timezone.now() + ASSUMED)
    try:
        exp = jwt.decode(str(tokens["id_token"]), options={"verify_signature": False}).get("exp")
        ends.append(datetime.fromtimestamp(float(str(exp)), UTC))
    except (KeyError, TypeError, ValueError, OverflowError, OSError, jwt.PyJWTError):
        pass  # no ID token: a plain OAuth 2 provider
    return min(ends) if ends else None


def keep(user: User, provider: str, proof: flow.Proof) -> OAuthSession:
    """Stores the tokens of a sign-in; the oldest of too many go. `Session.origin` names the row."""
    tokens = {name: proof.tokens[name] for name in _KEPT if proof.tokens.get(name)} | {"end": proof.end_session}
    row = OAuthSession.objects.create(
        user=user,
        provider=provider,
        subject=proof.subject[:255],
        sid=proof.sid[:255],
        tokens=_sealed(tokens),
        expires_at=_ends(tokens),
    )
    rows = OAuthSession.objects.filter(user=user, provider=provider).order_by("-created_at", "-pk")
    surplus = list(rows.values_list("pk", flat=True)[OAuthConfig.load().max_sessions_per_user :])
    OAuthSession.objects.filter(pk__in=surplus).delete()
    return row


@transaction.atomic
def end_own_sessions(user: User, provider: str) -> int:
    """Forgets a provider's tokens for a person; the sessions here go on."""
    count, _each = OAuthSession.objects.filter(user=user, provider=provider).delete()
    if count:
        note("user.oauth_sessions.end", user, user, {"provider": provider, "sessions": count})
    return count


# ---------------------------------------------------------------------------------------------------------- renewing
async def fresh_access_token(
    user: User, *, oauth_session_id: str | None = None, provider: str | None = None
) -> str | None:
    """A person's access token at a provider, for connections whose `auth_type` is `system_oauth`; None when there is
    none (any more). Renewed when it ends within five minutes, by one of all who ask.

    :param oauth_session_id: the cookie of that name; else the latest session counts
    """
    deadline = time.monotonic() + LEASE.total_seconds()
    while True:
        row = await in_thread(_find)(user.pk, oauth_session_id, provider)
        if row is None:
            return None
        tokens = tokens_of(row)
        if not _is_due(row):
            return tokens.get("access_token")
        if await in_thread(_take)(row.pk):
            return await _renew(row, tokens)
        if time.monotonic() > deadline:
            log.warning("provider session %s: somebody else's renewal does not end", row.pk)
            return None
        await asyncio.sleep(WAIT_SECONDS)


def _is_due(row: OAuthSession) -> bool:
    """Within five minutes of the end; but tokens that live no longer than that are not renewed at every use."""
    if row.expires_at is None:
        return False
    now = timezone.now()
    is_fresh = now - row.updated_at < JUST_NOW and row.expires_at - now > LEASE
    return row.expires_at - now <= EARLY and not is_fresh


def _find(user_id: uuid.UUID, oauth_session_id: str | None, provider: str | None) -> OAuthSession | None:
    rows = OAuthSession.objects.filter(user_id=user_id, user__is_active=True)
    if provider:
        rows = rows.filter(provider=provider)
    if oauth_session_id:
        try:
            found = rows.filter(pk=uuid.UUID(oauth_session_id)).first()
        except ValueError:
            found = None
        if found is not None:
            return found
    return rows.order_by("-created_at", "-pk").first()


def _take(pk: uuid.UUID) -> bool:
    """A lease instead of a lock: it ends by itself, and holds no connection while the provider is asked."""
    now = timezone.now()
    free = Q(renewing_until=None) | Q(renewing_until__lt=now)
    return bool(OAuthSession.objects.filter(free, pk=pk).update(renewing_until=now + LEASE))


async def _renew(row: OAuthSession, tokens: dict[str, Any]) -> str | None:
    """Asks for new tokens; a session that cannot be renewed is deleted. The provider being away ends nothing yet."""
    latest = await in_thread(OAuthSession.objects.filter(pk=row.pk).first)()
    if latest is not None and latest.tokens != row.tokens:
        # Somebody renewed it between our reading and our lease.
        await in_thread(OAuthSession.objects.filter(pk=row.pk).update)(renewing_until=None)
        return tokens_of(latest).get("access_token")
    is_over = row.expires_at is not None and row.expires_at <= timezone.now()
    try:
        if not tokens.get("refresh_token"):
            if not is_over and tokens.get("access_token"):
                await in_thread(OAuthSession.objects.filter(pk=row.pk).update)(renewing_until=None)
                return str(tokens["access_token"])
            raise SignInRefused("oauth_token", "it has ended, and there is no refresh token")
        fresh = await flow.renewed(await in_thread(presets.find)(row.provider), tokens, row.subject)
    except UserError as error:
        detail = getattr(error, "detail", error.message)
        if error.code == "oauth_provider":
            log.warning("provider session %s cannot be renewed now: %s", row.pk, detail)
            await in_thread(OAuthSession.objects.filter(pk=row.pk).update)(renewing_until=None)
            return None if is_over else tokens.get("access_token")
        log.warning("provider session %s cannot be renewed and ends: %s", row.pk, detail)
        await in_thread(_drop)(row, detail)
        return None
    kept = {name: fresh[name] for name in _KEPT if fresh.get(name)} | {"end": tokens.get("end", "")}
    ends = _ends(kept)
    # The former ID token stays as the hint for signing out, where no new one came.
    kept = ({"id_token": tokens["id_token"]} if tokens.get("id_token") else {}) | kept
    await in_thread(OAuthSession.objects.filter(pk=row.pk).update)(
        tokens=_sealed(kept), expires_at=ends, renewing_until=None, updated_at=timezone.now()
    )
    return str(kept["access_token"])


@transaction.atomic
def _drop(row: OAuthSession, why: str) -> None:
    OAuthSession.objects.filter(pk=row.pk).delete()
    note("user.oauth_session.lost", row.user, None, {"provider": row.provider, "why": why[:300]})
