"""What people set for themselves: one free JSON object, of which each part needs its permission."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from owui.audit.record import record
from owui.config.sections import UiConfig
from owui.lib.errors import UserError
from rbac.permissions import is_offered, may, require

#: the object is read with every request of its owner
MOST_CHARACTERS = 1_000_000
MOST_CHARACTERS_OF_INFO = 100_000
INTERFACE = "settings.interface"
#: fields of `ui` that are not set on the interface page, and the key each needs; all others need INTERFACE
_KEYS = {
    "system": "chat.system_prompt",
    "params": "chat.params",
    "toolServers": "features.direct_tool_servers",
    "directConnections": "",
    "models": "",
    "pinnedModels": "",
    "pinnedNotes": "",
    "notificationEnabled": "",
    "notificationSound": "",
    "responseAutoPlayback": "",
    "notifications": "",
    "audio": "",
    "memory": "",
    "language": "",
}
#: changes of these are no matter of taste, and go into the audit log by name
_NOTED = ("system", "params", "toolServers", "directConnections", "notifications")
_WEBHOOK = "webhook_url"


def preferences_of(user: User) -> dict[str, Any]:
    """What the person has set, over what the administrator set for new people."""
    stored = _object(user.settings)
    return stored | {"ui": {**UiConfig.load().default_interface_settings, **_object(stored.get("ui"))}}


@transaction.atomic
def save_preferences(user: User, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces the parts that were sent. What the person may not set stays as it is, without a word: clients send the
    whole object back for every change. 413 when all of it together grows too large."""
    row = User.objects.select_for_update().get(pk=user.pk)
    stored = _object(row.settings)
    before = _object(stored.get("ui"))
    after = before
    if isinstance(sent.get("ui"), Mapping):
        after = _permitted(user, sent["ui"], before)
    # An `ui` that is no object would be read as one later; an empty one takes away what was in it.
    others = {k: v for k, v in {**stored, **sent}.items() if k != "ui"}
    row.settings = others | ({"ui": after} if after else {})
    if len(json.dumps(row.settings, default=str)) > MOST_CHARACTERS:
        raise UserError(_("These settings are too large. Use a smaller background picture."), status=413)
    if row.settings != stored:
        row.save(update_fields=["settings", "updated_at"])
        user.settings = row.settings
        if changed := [name for name in _NOTED if before.get(name) != after.get(name)]:
            record("user.settings", by=user, obj=user, object_type="user", detail={"changed": changed})
    return _object(row.settings)


@transaction.atomic
def change_interface(user: User, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes single fields of `ui` and keeps the others: what a page does with one switch. 403 when the person may not
    set one of them, for there it was a control that they should not have."""
    refused = sorted(name for name in changes if not may_set(user, name))
    if refused:
        require(user, _KEYS.get(refused[0], INTERFACE), status=403)
    row = User.objects.select_for_update().get(pk=user.pk)
    stored = _object(_object(row.settings).get("ui"))
    return _object(save_preferences(user, {"ui": {**stored, **changes}}).get("ui"))


def interface_of(user: User) -> dict[str, Any]:
    """The person's own interface settings over the house's."""
    return _object(preferences_of(user)["ui"])


@transaction.atomic
def save_info(user: User, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces parts of the free object that clients keep about their own person. 413 when it grows too large."""
    row = User.objects.select_for_update().get(pk=user.pk)
    row.info = {**_object(row.info), **sent}
    if len(json.dumps(row.info, default=str)) > MOST_CHARACTERS_OF_INFO:
        raise UserError(_("This is too much to keep about you: at most 100,000 characters."), status=413)
    row.save(update_fields=["info", "updated_at"])
    return _object(row.info)


@transaction.atomic
def set_theme(user: User, theme: str) -> None:
    """Remembers light or dark; anything else means "like the system". A matter of taste, so the audit log is spared.
    403 without the permission."""
    require(user, INTERFACE, status=403)
    row = User.objects.select_for_update().get(pk=user.pk)
    interface = _object(row.settings.get("ui"))
    row.settings = {**row.settings, "ui": {**interface, "theme": theme if theme in ("light", "dark") else ""}}
    row.save(update_fields=["settings", "updated_at"])
    user.settings = row.settings


def _permitted(user: User, sent: Mapping[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """The new `ui`: what was sent where the person may set it, what is stored elsewhere."""
    mine = {name for name in {*sent, *stored} if may_set(user, name)}
    out = {k: v for k, v in sent.items() if k in mine} | {k: v for k, v in stored.items() if k not in mine}
    if not (may(user, "features.webhooks") and is_offered("features.webhooks")):
        notices = {k: v for k, v in _object(out.get("notifications")).items() if k != _WEBHOOK}
        former = _object(stored.get("notifications"))
        notices |= {_WEBHOOK: former[_WEBHOOK]} if _WEBHOOK in former else {}
        out |= {"notifications": notices} if notices or "notifications" in out else {}
    return out


def may_set(user: User, name: str) -> bool:
    """Whether the person may set a field of `ui`."""
    key = _KEYS.get(name, INTERFACE)
    return not key or (may(user, key) and is_offered(key))


def _object(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
