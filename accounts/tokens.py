"""Session tokens and API keys: issue, read, revoke. One function answers "who is this?" for page, REST and socket.

The token is a JWT in the field's form, but the database decides: a token counts only while its `Session` row stands,
unrevoked, and the person's session stamp is the one it was issued with. So revocation fails closed and holds on every
node with the next request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from itertools import count
from typing import Any

import jwt
from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.config import ApiKeyConfig, SignInConfig
from accounts.key_limits import KeyLimits, covers, listed
from accounts.models import ApiKey, Challenge, ExternalLogin, Session, User
from accounts.presented import Presented
from owui.lib.crypto import decrypt, encrypt
from owui.lib.errors import ACCESS_PROHIBITED, UserError
from owui.lib.written import Written
from rbac.models import GroupManager
from rbac.permissions import may
from rbac.sharing import is_verified

COOKIE = "token"
#: how long ended sessions can be looked at
KEPT = timedelta(days=30)
#: the field's name for the cookie that says which tokens of a provider belong to this browser
PROVIDER_SESSION = "oauth_session_id"
INVALID_TOKEN = "Your session has expired or the token is invalid. Please sign in again."  # noqa: S105
KEYS_REST = "Your organisation signed you out, so your API keys rest. Sign in by it again to use them."
API_KEY_OFF = "Use of API key is not enabled in the environment."
CLASSIC_NAME = "API key"
_LONGEST = 100 * 365 * 86400  # beyond, dates overflow, and nobody could sign in to correct the setting
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class BadCredential(UserError):
    """A token or key was presented and is not good."""

    status = 401
    code = "bad_credential"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who presented what. `method` is `jwt` or `api_key`; a key's limit to models rides on the user, where the
    catalogue finds it at every face."""

    user: User
    method: str
    session: Session | None
    by_cookie: bool
    key: ApiKey | None = None

    @property
    def expires_at(self) -> datetime | None:
        """When what was presented ends by itself."""
        shown = self.session or self.key
        return shown.expires_at if shown is not None else None


def lifetime(text: str) -> timedelta | None:
    """`4w`, `1h30m`, `-1` (never: None). A malformed value counts as four weeks, never as "for ever"."""
    text = text.strip()
    if text == "-1":
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdw])", text)
    if not parts or "".join(n + u for n, u in parts) != text:
        return timedelta(weeks=4)
    seconds = sum(float(n) * _UNITS[u] for n, u in parts)
    return timedelta(seconds=seconds) if seconds < _LONGEST else timedelta(weeks=4)


def issue(
    user: User,
    *,
    auth_method: str,
    user_agent: str = "",
    ip: str | None = None,
    second_factor: str = "",
    origin: dict[str, Any] | None = None,
) -> tuple[str, Session]:
    """A new session and its token."""
    span = lifetime(SignInConfig.load().jwt_expires_in)
    now = timezone.now()
    session = Session.objects.create(
        user=user,
        auth_method=auth_method,
        last_seen_at=now,
        expires_at=now + span if span else None,
        user_agent=user_agent[:300],
        ip=ip or None,
        second_factor=second_factor,
        proven_at=now,
        origin=origin or {},
    )
    claims: dict[str, Any] = {
        "id": str(user.id),
        "jti": str(session.id),
        "iat": int(now.timestamp()),
        "typ": "session",
        "auth_method": auth_method,
        "auth_time": int(now.timestamp()),
        "session_stamp": str(user.session_stamp),
        "mfa_verified": bool(second_factor),
    }
    if session.expires_at:
        claims["exp"] = int(session.expires_at.timestamp())
    return jwt.encode(claims, settings.SECRET_KEY, algorithm="HS256"), session


@lru_cache(maxsize=2000)
def _claims(token: str, secret: str) -> dict[str, Any]:
    """What a token says, its signature seen once a process. Whether it still counts is asked each time."""
    return jwt.decode(token, secret, algorithms=["HS256"])


def read_token(token: str) -> tuple[User, Session]:
    """The person and session behind a token; one statement. Raises BadCredential."""
    try:
        claims = _claims(token, settings.SECRET_KEY)
        if "exp" in claims and int(claims["exp"]) <= time.time():
            raise BadCredential(INVALID_TOKEN)
        key, stamp = uuid.UUID(str(claims["jti"])), str(claims["session_stamp"])
        owner, kind = str(claims["id"]), claims["typ"]
    except (jwt.PyJWTError, KeyError, ValueError) as error:
        raise BadCredential(INVALID_TOKEN) from error
    session: Session | None = _open_session.first(pk=key)
    if (
        session is None
        # Other short-lived tokens may be signed with the same key: none of them is a session.
        or kind != "session"
        or str(session.user_id) != owner
        or str(session.user.session_stamp) != stamp
        or not session.user.is_active
        or (session.expires_at and session.expires_at <= timezone.now())
    ):
        raise BadCredential(INVALID_TOKEN)
    session.user.is_group_manager = bool(session.manages_groups)  # type: ignore[attr-defined]
    return session.user, session


def read_api_key(key: str, path: str, address: str) -> ApiKey:
    """The row of an API key, after everything that may keep it from being used here. Raises.

    The one place where limits of keys are asked, so that pages, REST and sockets obey.

    :param path: as it came over the wire, still encoded
    :param address: the caller's, seen through our own proxies only
    """
    found = _key_of(digest(key))
    if found is None or not found.user.is_active or found.is_expired:
        raise BadCredential(INVALID_TOKEN)
    if found.rests:
        raise BadCredential(KEYS_REST)
    row: ApiKey = found
    config = ApiKeyConfig.load()
    if not config.enable or not may(row.user, "features.api_keys"):
        raise UserError(API_KEY_OFF, status=403, code="api_key_off")
    limits = KeyLimits.of(row)
    is_open = not config.endpoint_restrictions or covers(listed(config.allowed_endpoints), path)
    if not is_open or not limits.opens(path):
        raise UserError(ACCESS_PROHIBITED, status=403, code="api_key_path")
    if not limits.admits(address):
        raise UserError(ACCESS_PROHIBITED, status=403, code="api_key_address")
    _limit(row)
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at > _interval():
        ApiKey.objects.filter(pk=row.pk).update(last_used_at=now, last_used_ip=_valid_address(address))
    return row


def _limit(key: ApiKey) -> None:
    """From here on its owner is one who may use these models only."""
    key.user.model_scope = frozenset(key.allowed_models) or None


def _valid_address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def credential(headers: Any, cookies: Any) -> tuple[str, bool]:
    """The presented credential and whether it came as a cookie: bearer, cookie `token`, key header, in that order."""
    kind, _space, value = str(headers.get("authorization", "")).partition(" ")
    if kind.lower() == "bearer" and value.strip():
        return value.strip(), False
    if cookies.get(COOKIE):
        return str(cookies[COOKIE]), True
    return str(headers.get(settings.BOOT.custom_api_key_header, "")).strip(), False


def raw_path(scope: Mapping[str, Any]) -> str:
    """The path of an ASGI scope as it came over the wire."""
    raw: bytes = scope.get("raw_path") or b""
    return raw.decode("latin-1").partition("?")[0] or str(scope["path"])


def identify(headers: Any, cookies: Any, path: str, address: str = "") -> Identity | None:
    """Who is asking: None when nothing was presented; raises BadCredential or UserError for a bad credential.

    `path` and `address` matter to API keys: see `read_api_key`.
    """
    text, by_cookie = credential(headers, cookies)
    if not text:
        return None
    if text.startswith("sk-"):
        key = read_api_key(text, path, address)
        identity = Identity(key.user, "api_key", None, by_cookie, key)
    else:
        user, session = read_token(text)
        identity = Identity(user, "jwt", session, by_cookie)
    # For calls to other servers in the person's name.
    identity.user.presented = Presented(
        identity.method, text, str(cookies.get(PROVIDER_SESSION) or ""), str(headers.get("user-agent", ""))[:300]
    )
    note_activity(identity.user, identity.session)
    return identity


def still_valid(identity: Identity) -> User | None:
    """The person of an earlier identification as they stand now; None when the session or the account is over.

    For what outlives a request: sockets ask again, so that a revoked session or a lost role closes them.
    """
    if identity.session is not None:
        session: Session | None = _open_session.first(pk=identity.session.pk)
        if session is None or (session.expires_at and session.expires_at <= timezone.now()):
            return None
        user: User | None = session.user
        if user is not None and user.session_stamp != identity.user.session_stamp:
            return None
    else:
        user = _owner_of_key(identity.key) if identity.key is not None else None
    return user if user is not None and is_verified(user) else None


def _owner_of_key(key: ApiKey) -> User | None:
    """None once the key was replaced, deleted, limited otherwise or ran out, or once keys are not allowed any more."""
    row = _key_of(key.digest)
    if row is None or row.is_expired or row.rests or KeyLimits.of(row) != KeyLimits.of(key):
        return None
    _limit(row)
    return row.user if ApiKeyConfig.load().enable and may(row.user, "features.api_keys") else None


def _key_of(key_digest: str) -> Any:
    """A key, its owner, and as `rests` whether a provider has signed the owner out: who left the organisation must not
    go on by a key. Signing in there ends it. One statement."""
    return _key_with_owner.first(digest=key_digest)


def _keys(digest: Any) -> Any:
    signed_out = ExternalLogin.objects.filter(user=OuterRef("user"), signed_out_at__isnull=False)
    keys = ApiKey.objects.select_related("user").annotate(rests=Exists(signed_out))
    return keys.filter(digest=digest).order_by()[:1]


_key_with_owner = Written(_keys, digest=str)


def _sessions(pk: Any) -> Any:
    # Beside who it is, what the sidebar of every page asks of them: no statement of its own for it.
    manages = Exists(GroupManager.objects.filter(user_id=OuterRef("user_id")))
    rows = Session.objects.select_related("user").annotate(manages_groups=manages)
    return rows.filter(pk=pk, revoked_at=None).order_by()[:1]


_open_session = Written(_sessions, pk=uuid.UUID)


def note_activity(user: User, session: Session | None = None) -> None:
    """Moves "last seen" of the person and of the session at most once per interval: a write per request would be the
    dearest part of it."""
    now = timezone.now()
    if session is not None and (session.last_seen_at is None or now - session.last_seen_at > _interval()):
        Session.objects.filter(pk=session.pk).update(last_seen_at=now)
        session.last_seen_at = now
    if user.last_active_at is None or now - user.last_active_at > _interval():
        User.objects.filter(pk=user.pk).update(last_active_at=now)
        user.last_active_at = now


def _interval() -> timedelta:
    return timedelta(seconds=settings.BOOT.database_user_active_status_update_interval)


def revoke(session: Session) -> None:
    """Ends one session on every node."""
    Session.objects.filter(pk=session.pk, revoked_at=None).update(revoked_at=timezone.now())


def revoke_all(user: User, *, keep: Session | None = None) -> None:
    """Ends every session of a person on every node, except the one to keep, and every sign-in that waits for its second
    factor: its first proof may be what was stolen."""
    # First, and it waits for one that is being finished: the session it opens is among those ended below.
    Challenge.objects.filter(user=user).delete()
    open_sessions = Session.objects.filter(user=user, revoked_at=None)
    if keep is not None and keep.user_id == user.pk:
        # The kept token carries the stamp, so the stamp stays; the rows alone end the others.
        open_sessions = open_sessions.exclude(pk=keep.pk)
    else:
        user.session_stamp = uuid.uuid4()
        User.objects.filter(pk=user.pk).update(session_stamp=user.session_stamp)
    open_sessions.update(revoked_at=timezone.now())


def fresh_key() -> str:
    """A key in the field's form."""
    return "sk-" + secrets.token_hex(16)


def prune_sessions() -> int:
    """Forgets sessions that ended more than a month ago. The audit log keeps who signed in when."""
    ended = timezone.now() - KEPT
    return Session.objects.filter(Q(revoked_at__lt=ended) | Q(expires_at__lt=ended)).delete()[0]


def new_api_key(user: User) -> str:
    """A fresh classic key, replacing the former one with whatever it was limited to."""
    key = fresh_key()
    ApiKey.objects.filter(user=user, is_classic=True).delete()
    names = set(ApiKey.objects.filter(user=user).values_list("name", flat=True))
    ApiKey.objects.create(
        user=user,
        name=next(name for name in _classic_names() if name not in names),
        digest=digest(key),
        last_four=key[-4:],
        is_classic=True,
        secret=encrypt(key),
    )
    return key


def _classic_names() -> Iterator[str]:
    yield CLASSIC_NAME
    yield from (f"{CLASSIC_NAME} {number}" for number in count(2))


def stored_api_key(user: User) -> str | None:
    """The person's classic key in clear, because the field's clients read it back; None when there is none."""
    row = ApiKey.objects.filter(user=user, is_classic=True).first()
    return None if row is None or row.is_expired else decrypt(row.secret)


def expires_epoch(session: Session) -> int | None:
    return int(session.expires_at.timestamp()) if session.expires_at else None


__all__ = ["BadCredential", "Identity", "identify", "issue", "read_token", "revoke", "revoke_all"]
