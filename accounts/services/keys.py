"""A person's key for programs."""

from __future__ import annotations

from django.db import transaction

from accounts import tokens
from accounts.config import ApiKeyConfig
from accounts.models import ApiKey, User
from accounts.services.guards import (
    guard_primary,
    note,
)
from owui.lib.errors import Refused
from rbac.permissions import may
from rbac.sharing import Person


@transaction.atomic
def create_api_key(user: User) -> str:
    """A new key, replacing the old one. 403 when keys are off or the person may not have one."""
    _check_api_keys(user)
    key = tokens.new_api_key(user)
    note("api_key.create", user, user, {"last_four": key[-4:]})
    return key


def read_api_key(user: User) -> str | None:
    """The person's key in clear, None when there is none. 403 when keys are off or the person may not have one."""
    _check_api_keys(user)
    return tokens.stored_api_key(user)


def _check_api_keys(user: User) -> None:
    if not ApiKeyConfig.load().enable or not may(user, "features.api_keys"):
        raise Refused(tokens.API_KEY_OFF, code="api_key_off")


@transaction.atomic
def delete_api_key(user: User, *, by: User) -> None:
    """Takes a person's key away; programs that use it stop working with the next call."""
    guard_primary(user, by)
    end_keys(user, by=by)


@transaction.atomic
def end_keys(user: User, *, by: Person | None) -> int:
    """Takes every key of a person away; how many there were. For good: whoever comes back makes new ones."""
    deleted, _rows = ApiKey.objects.filter(user=user).delete()
    if deleted:
        note("api_key.delete", user, by)
    return deleted
