"""Fetching through the choke-point, with the codes of the face that asks."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from owui.lib.errors import ACCESS_PROHIBITED, NOT_FOUND, Missing, Refused
from rbac.sharing import Person, SharedQuerySet

T = TypeVar("T")


def _key(pk: Any) -> uuid.UUID | None:
    try:
        return pk if isinstance(pk, uuid.UUID) else uuid.UUID(str(pk))
    except ValueError:
        return None


def get_readable(
    queryset: SharedQuerySet, user: Person, pk: Any, *, denied: int = 404, missing: int = 404, **lookup: Any
) -> Any:
    """The object if the person may read it.

    :param denied: status when it exists but may not be read (404 hides existence; some routes say 401)
    :param missing: status when there is none
    """
    return _get(queryset, queryset.readable_by(user), pk, denied, missing, lookup)


def get_writable(
    queryset: SharedQuerySet, user: Person, pk: Any, *, denied: int = 403, missing: int = 404, **lookup: Any
) -> Any:
    """The object if the person may change it. One who may not even read it gets the answer for a missing one."""
    found = _get(queryset, queryset.readable_by(user), pk, missing, missing, lookup)
    writable = queryset.writable_by(user).filter(pk=found.pk)
    if not writable.exists():
        raise Refused(ACCESS_PROHIBITED, status=denied)
    return found


def _get(
    everything: SharedQuerySet, allowed: SharedQuerySet, pk: Any, denied: int, missing: int, lookup: dict[str, Any]
) -> Any:
    if not lookup:
        if (key := _key(pk)) is None:
            raise Missing(NOT_FOUND, status=missing)
        lookup = {"pk": key}
    found = allowed.filter(**lookup).first()
    if found is not None:
        return found
    if denied != missing and everything.filter(**lookup).exists():
        raise Refused(ACCESS_PROHIBITED, status=denied)
    raise Missing(NOT_FOUND, status=missing)
