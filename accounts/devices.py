"""Open sessions as people recognise them: which device, where, since when, by what way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Session, User

#: more than anybody has; the rest ends with "sign out everywhere else"
SHOWN = 50
# The first that matches counts: browsers name those they descend from.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)


def device_name(user_agent: str) -> str:
    """`Firefox on Linux`; for programs the name they give themselves. It is the caller's own word, no more."""
    browser = next((name for sign, name in _BROWSERS if sign in user_agent), "")
    system = next((name for sign, name in _SYSTEMS if sign in user_agent), "")
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    if browser or system:
        return browser or system
    program = re.match(r"[\w.+-]{1,40}", user_agent)
    return program[0] if program else _("Unknown device")


def way_name(auth_method: str) -> str:
    """How somebody came in, in words."""
    names = {
        "password": _("Password"),
        "ldap": _("Directory"),
        "oauth": _("Sign-in provider"),
        "trusted_header": _("Proxy"),
        "passkey": _("Passkey"),
        "system": _("Made by an administrator"),
    }
    return names.get(auth_method, auth_method)


@dataclass(frozen=True, slots=True)
class Device:
    """One open session."""

    id: str
    name: str
    way: str
    ip: str
    since: datetime
    last_seen: datetime | None
    expires: datetime | None
    is_current: bool


def open_sessions(user: User) -> QuerySet[Session]:
    """Those a token can still be good for."""
    not_over = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return Session.objects.filter(not_over, user=user, revoked_at=None)


def devices_of(user: User, current: Session | None) -> list[Device]:
    """A person's open sessions, this one first, then the one used last."""
    found = [
        Device(
            id=str(row.pk),
            name=device_name(row.user_agent),
            way=way_name(row.auth_method),
            ip=row.ip or "",
            since=row.created_at,
            last_seen=row.last_seen_at,
            expires=row.expires_at,
            is_current=current is not None and row.pk == current.pk,
        )
        for row in open_sessions(user).order_by("-last_seen_at", "-created_at")[:SHOWN]
    ]
    return sorted(found, key=lambda device: not device.is_current)


def device_json(device: Device) -> dict[str, Any]:
    """The same for programs; times are epoch seconds."""
    return {
        "id": device.id,
        "device": device.name,
        "auth_method": device.way,
        "ip_address": device.ip or None,
        "created_at": int(device.since.timestamp()),
        "last_seen_at": int(device.last_seen.timestamp()) if device.last_seen else None,
        "expires_at": int(device.expires.timestamp()) if device.expires else None,
        "current": device.is_current,
    }
