"""Who asks, told to the servers that answer: the one place where headers about a person are made.

Two ways, both off unless an administrator wants them: the field's headers (ENABLE_FORWARD_USER_INFO_HEADERS), and
placeholders in the headers of a connection (`{{USER_ID}}`). Whatever a person may have chosen (a name, a chat id of a
REST caller) is percent-encoded before it becomes part of a header.

What is asked for on behalf of nobody, such as the lists of models, is not sent through here, and then
`providers.transport` leaves out what speaks of a person.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import jwt
from django.conf import settings

from accounts.models import User
from accounts.services.oauth.sessions import fresh_access_token
from inference.providers.base import ConnectionInfo
from inference.providers.transport import NO_PROVIDER_SESSION, OF_CALLERS, PERSONAL
from owui.lib.aio import in_thread
from rbac.models import Group
from rbac.sharing import groups_of

ISSUER = "open-webui"
LONGEST = 1000
#: printable ASCII but the percent sign, which would make encoded values ambiguous
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


@dataclass(frozen=True, slots=True)
class About:
    """What a call is about, as far as it is known."""

    chat_id: str = ""
    message_id: str = ""
    user_message_id: str = ""
    user_message_parent_id: str = ""
    model_id: str = ""
    task: str = ""
    file_id: str = ""
    file_name: str = ""
    file_content_type: str = ""


NOTHING = About()


async def for_person(connection: ConnectionInfo, user: User | None, about: About = NOTHING) -> ConnectionInfo:
    """The connection as this person's call uses it."""
    if user is None:
        return connection
    config = connection.config
    templates: Mapping[str, Any] = config.get("headers") or {}
    is_theirs = config.get("auth_type") in OF_CALLERS
    sent = forwarded(user, about)
    if not (sent or is_theirs or _is_personal(templates.values())):
        return connection
    # Out of the settings' own headers, where a name that looks like a placeholder would be taken for one.
    own = filled(templates, await values(templates.values(), user, about))
    changes: dict[str, Any] = {"headers": {}}
    key = connection.api_key
    if is_theirs:
        key = await own_token(str(config["auth_type"]), user)
        # Who has no session here sends nothing (a program's key); who has none at the provider is told to get one.
        without = NO_PROVIDER_SESSION if config["auth_type"] == "system_oauth" else "none"
        changes["auth_type"] = "bearer" if key else without
    return replace(connection, api_key=key, config={**config, **changes}, headers={**own, **sent, **connection.headers})


def forwarded(user: User, about: About = NOTHING) -> dict[str, str]:
    """The field's headers about a person and a chat; nothing while they are switched off."""
    boot = settings.BOOT
    if not boot.enable_forward_user_info_headers:
        return {}
    secret = boot.forward_user_info_header_jwt_secret
    found = {boot.forward_user_info_header_jwt: _signed(user, secret)} if secret else _plain(user)
    found[boot.forward_user_info_header_auth_type] = user.presented.method if user.presented else ""
    found[boot.forward_session_info_header_chat_id] = safe(about.chat_id)
    found[boot.forward_session_info_header_message_id] = safe(about.message_id)
    return {name: value for name, value in found.items() if name and value}


def _plain(user: User) -> dict[str, str]:
    boot = settings.BOOT
    return {
        boot.forward_user_info_header_user_name: quote(user.name, safe=" ")[:LONGEST],
        boot.forward_user_info_header_user_id: str(user.pk),
        boot.forward_user_info_header_user_email: safe(user.email),
        boot.forward_user_info_header_user_role: user.role,
    }


def _signed(user: User, secret: str) -> str:
    now = int(time.time())
    claims = {
        "sub": str(user.pk),
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "iss": ISSUER,
        "iat": now,
        "exp": now + max(1, settings.BOOT.forward_user_info_header_jwt_expires_seconds),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


async def values(templates: Iterable[Any], user: User, about: About = NOTHING) -> dict[str, str]:
    """What stands for the placeholders. Groups cost a statement, so they are read only where they are named."""
    wants_groups = any("{{USER_GROUP" in str(template) for template in templates)
    groups = await in_thread(_groups)(user) if wants_groups else []
    found = {
        "USER_ID": str(user.pk),
        "USER_NAME": user.name,
        "USER_EMAIL": user.email,
        "USER_ROLE": user.role,
        "USER_GROUPS": ",".join(name for _pk, name in groups),
        "USER_GROUP_IDS": ",".join(pk for pk, _name in groups),
        "USER_AGENT": user.presented.user_agent if user.presented else "",
        "AUTH_TYPE": user.presented.method if user.presented else "",
    }
    return found | {name.upper(): getattr(about, name) for name in About.__dataclass_fields__}


def filled(headers: Mapping[str, Any], found: Mapping[str, str]) -> dict[str, str]:
    """A connection's headers with their placeholders filled in, in one go: what is filled in is not looked at again."""
    return {
        str(name): PERSONAL.sub(lambda match: safe(found.get(match[1], "")), str(value))
        for name, value in headers.items()
    }


async def own_token(auth_type: str, user: User) -> str:
    """The caller's own token: the one they came with (`session`), or the one at their provider (`system_oauth`)."""
    shown = user.presented
    if auth_type == "session":
        return shown.token if shown else ""
    if auth_type != "system_oauth":
        return ""
    return await fresh_access_token(user, oauth_session_id=(shown.provider_session if shown else "") or None) or ""


def safe(text: str) -> str:
    """Text as a header can carry it: no line breaks, no other signs than printable ASCII, and no more than fits."""
    return quote(text[:LONGEST], safe=_PLAIN)


def _is_personal(templates: Iterable[Any]) -> bool:
    return any(PERSONAL.search(str(template)) for template in templates)


def _groups(user: User) -> list[tuple[str, str]]:
    rows = Group.objects.filter(pk__in=groups_of(user.pk)).order_by("name", "pk").values_list("pk", "name")
    return [(str(pk), name) for pk, name in rows]
