"""A person's keys for programs: the classic one of the field's routes, and named ones."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import tokens
from accounts.config import ApiKeyConfig
from accounts.key_limits import KeyLimits
from accounts.models import ApiKey, User
from accounts.services.guards import guard_primary, note, tell
from owui.lib.errors import Missing, Refused, UserError
from rbac.permissions import may
from rbac.sharing import Person

MOST_KEYS, LONGEST_NAME = 50, 100
_KEY = re.compile(r"sk-[\x21-\x7e]{16,200}")


def keys_allowed(user: User) -> bool:
    """Whether keys are on, and this person may have some."""
    return ApiKeyConfig.load().enable and may(user, "features.api_keys")


def keys_of(user: User) -> list[ApiKey]:
    """Newest first."""
    return list(ApiKey.objects.filter(user=user).order_by("-created_at", "pk"))


def get_key(user: User, pk: Any) -> ApiKey:
    """One of the person's own keys; 404 otherwise."""
    try:
        key = ApiKey.objects.filter(user=user, pk=uuid.UUID(str(pk))).select_related("user").first()
    except ValueError:
        key = None
    if key is None:
        raise Missing(_("This key does not exist any more."))
    return key


@transaction.atomic
def create_api_key(user: User) -> str:
    """A new classic key, replacing the old one. 403 when keys are off or the person may not have one."""
    _check_allowed(user)
    _lock(user)
    key = tokens.new_api_key(user)
    note("api_key.create", user, user, {"last_four": key[-4:]})
    tell(user)
    return key


def read_api_key(user: User) -> str | None:
    """The classic key in clear, None when there is none. 403 when keys are off or the person may not have one."""
    _check_allowed(user)
    return tokens.stored_api_key(user)


@transaction.atomic
def delete_api_key(user: User, *, by: User) -> None:
    """Takes the classic key away."""
    key = ApiKey.objects.select_related("user").filter(user=user, is_classic=True).first()
    if key is not None:
        delete_key(key, by=by)


@transaction.atomic
def create_named_key(
    user: User, *, name: str, expires_at: datetime | None = None, limits: KeyLimits | None = None
) -> tuple[ApiKey, str]:
    """A new key beside the others, and its text, which nobody can read again.

    :raises UserError: 400 name empty or taken, an end in the past, too many keys; 403 the person may have none
    """
    _check_allowed(user)
    _lock(user)
    text = tokens.fresh_key()
    return _insert(user, text, name, expires_at, limits or KeyLimits(), by=user, action="api_key.create"), text


@transaction.atomic
def import_key(user: User, *, text: str, name: str, by: User | None) -> ApiKey:
    """A key that another system gave out goes on working here; only its hash is kept.

    Not asked whether keys are on: that is asked at each use.

    :param by: an administrator, or None for the operator at the machine
    """
    text = text.strip()
    if not _KEY.fullmatch(text):
        raise UserError(_("This is no API key: it must begin with sk- and have at least 16 signs after that."))
    if ApiKey.objects.filter(digest=tokens.digest(text)).exists():
        raise UserError(_("This key is there already."), code="key_taken")
    _lock(user)
    return _insert(user, text, name, None, KeyLimits(), by=by, action="api_key.import")


@transaction.atomic
def update_key(key: ApiKey, *, name: str, expires_at: datetime | None, limits: KeyLimits) -> ApiKey:
    """Its owner's change of name, end and limits. What the key has open is asked again at once."""
    _check_allowed(key.user)
    _lock(key.user)
    _check_end(expires_at, key.expires_at)
    key.name, key.expires_at = _free_name(key.user, name, but=key), expires_at
    _set_limits(key, limits)
    key.save(update_fields=["name", "expires_at", "allowed_paths", "allowed_models", "allowed_addresses"])
    note("api_key.update", key.user, key.user, _detail(key))
    tell(key.user)
    return key


@transaction.atomic
def delete_key(key: ApiKey, *, by: User) -> None:
    """Takes a key away; programs that use it stop working, and what they have open is closed."""
    guard_primary(key.user, by)
    deleted, _rows = ApiKey.objects.filter(pk=key.pk).delete()
    if deleted:
        note("api_key.delete", key.user, by, {"name": key.name, "last_four": key.last_four})
        tell(key.user)


@transaction.atomic
def end_keys(user: User, *, by: Person | None) -> int:
    """Takes every key of a person away; how many there were. For good: whoever comes back makes new ones."""
    deleted, _rows = ApiKey.objects.filter(user=user).delete()
    if deleted:
        note("api_key.delete", user, by, {"count": deleted})
        tell(user)
    return deleted


def _insert(
    user: User,
    text: str,
    name: str,
    expires_at: datetime | None,
    limits: KeyLimits,
    *,
    by: User | None,
    action: str,
) -> ApiKey:
    _check_end(expires_at, None)
    if ApiKey.objects.filter(user=user).count() >= MOST_KEYS:
        raise UserError(_("You have %(count)d keys. Delete one that is not used first.") % {"count": MOST_KEYS})
    key = ApiKey(
        user=user,
        name=_free_name(user, name),
        digest=tokens.digest(text),
        last_four=text[-4:],
        expires_at=expires_at,
    )
    _set_limits(key, limits)
    key.save(force_insert=True)
    note(action, user, by, _detail(key))
    return key


def _set_limits(key: ApiKey, limits: KeyLimits) -> None:
    key.allowed_paths, key.allowed_models = list(limits.paths), list(limits.models)
    key.allowed_addresses = list(limits.addresses)


def _detail(key: ApiKey) -> dict[str, Any]:
    parts: dict[str, Iterable[str]] = {
        "paths": key.allowed_paths,
        "models": key.allowed_models,
        "addresses": key.allowed_addresses,
    }
    found: dict[str, Any] = {"name": key.name, "last_four": key.last_four}
    found |= {part: list(entries) for part, entries in parts.items() if entries}
    return found | ({"expires_at": key.expires_at.isoformat()} if key.expires_at else {})


def _free_name(user: User, name: str, *, but: ApiKey | None = None) -> str:
    name = name.strip()
    if not name:
        raise UserError(_("Please give the key a name: what it is for."), code="name")
    if len(name) > LONGEST_NAME:
        raise UserError(_("The name is too long. Use at most 100 characters."), code="name")
    others = ApiKey.objects.filter(user=user, name=name)
    if (others.exclude(pk=but.pk) if but is not None else others).exists():
        raise UserError(_("You have a key of this name. Choose another one."), code="name")
    return name


def _check_end(expires_at: datetime | None, before: datetime | None) -> None:
    if expires_at is not None and expires_at != before and expires_at <= timezone.now():
        raise UserError(_("The key would have ended already. Choose a later day."), code="expires_at")


def _check_allowed(user: User) -> None:
    if not keys_allowed(user):
        raise Refused(tokens.API_KEY_OFF, code="api_key_off")


def _lock(user: User) -> None:
    """One change of a person's keys at a time: names are unique, and there is one classic key."""
    User.objects.select_for_update(no_key=True).only("pk").get(pk=user.pk)
