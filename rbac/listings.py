"""Lists of shared objects for REST: the rows that are shown, who else may use each, and whether one may change it.

The cost follows what is shown: rights are asked once, for keys alone; what a row shows is read for the page's rows, and
its grants come as texts that the database has put together (`rbac.grant_lists`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.contrib.auth import get_user_model
from django.db.models import BooleanField, ExpressionWrapper, F, Model, Q

from owui.lib.pagination import PAGE_SIZE, keys_of, rows_of
from rbac.grant_lists import grant_columns, grants_text
from rbac.sharing import Person, SharedQuerySet

Loaded = Callable[[Any], Any]
#: what lists show of an owner
_OWNER = ("id", "name", "email", "role", "profile_image_url")


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows with their owner loaded as far as lists show it; `access` by primary key, as `rbac.schemas.access_fields`
    gives it, for an encoder that knows `orjson.Fragment`; `total` counts the rows of all pages."""

    rows: list[Any]
    access: dict[Any, dict[str, Any]]
    total: int


def listed(rows: SharedQuerySet, user: Person) -> Listed:
    """All of the rows, in their order, in one statement."""
    found = list(_shown(rows, rows.model.objects.writable_by(user)))
    return _listed(found, len(found))


def listed_page(
    rows: SharedQuerySet, user: Person, page: int, size: int = PAGE_SIZE, *, loaded: Loaded = lambda rows: rows
) -> Listed:
    """One page of the rows, and how many there are, in two statements.

    :param loaded: says what the rows of the page are read with (`defer`, `annotate`)
    """
    keys, total = keys_of(rows, page, size)
    # The keys have been through the choke-point a moment ago.
    objects = rows.model.objects
    shown = _shown(loaded(objects.all()), objects.writable_by(user).filter(pk__in=keys))
    return _listed(rows_of(shown, keys), total)


def _shown(rows: SharedQuerySet, writable: SharedQuerySet) -> SharedQuerySet:
    """The rows with what is shown of the owner, the grants, and whether the person may change each."""
    groups, users = grant_columns(rows.model)
    may_write = Q(pk__in=writable.order_by().values("pk"))
    shown: SharedQuerySet = rows.annotate(
        shown_groups=groups,
        shown_users=users,
        may_write=ExpressionWrapper(may_write, output_field=BooleanField()),
        **{f"owner_{name}_": F(f"owner__{name}") for name in _OWNER},
    )
    return shown


def _listed(rows: Sequence[Any], total: int) -> Listed:
    access: dict[Any, dict[str, Any]] = {}
    owners: dict[Any, Model | None] = {None: None}
    for row in rows:
        grants, legacy = grants_text(row.general_access, row.shown_groups, row.shown_users)
        access[row.pk] = {
            "access_grants": orjson.Fragment(grants),
            "access_control": orjson.Fragment(legacy),
            "write_access": bool(row.may_write),
        }
        if row.owner_id not in owners:
            owners[row.owner_id] = _owner(row)
        row.owner = owners[row.owner_id]
    return Listed(list(rows), access, total)


def _owner(row: Any) -> Model:
    """One object for all rows of an owner: joined to each row it would be made again for each."""
    model = get_user_model()
    # Values go in the order of the model's fields, whatever the order of the names.
    names = [field.attname for field in model._meta.concrete_fields if field.attname in _OWNER]
    return model.from_db(row._state.db, names, [getattr(row, f"owner_{name}_") for name in names])
