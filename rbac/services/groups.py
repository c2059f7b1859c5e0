"""Writes about groups and the default permissions. Keyword-only, atomic, each with its audit entry."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from owui.audit.record import record
from owui.config.registry import InvalidSetting
from owui.lib.errors import Missing, UserError
from rbac.config import UserConfig
from rbac.history import acting
from rbac.models import Group, GroupAncestry, Membership
from rbac.permissions import PERMISSIONS, default_permissions, is_true, nested
from rbac.services.announce import announce
from rbac.sharing import Person

_TREE_LOCK = 0x6F777567


def lock_tree() -> None:
    """One change of the group tree at a time: two that cannot see each other could close a loop."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_TREE_LOCK])


@transaction.atomic
def rebuild_ancestry() -> None:
    """Writes the closure of all group parents anew. Trees are small (hundreds): one read, one write."""
    lock_tree()
    parent = dict(Group.objects.values_list("pk", "parent_id"))
    rows = []
    for group in parent:
        ancestor: Any = group
        seen = set()
        while ancestor is not None and ancestor not in seen:
            seen.add(ancestor)
            rows.append(GroupAncestry(group_id=group, ancestor_id=ancestor))
            ancestor = parent.get(ancestor)
    GroupAncestry.objects.all().delete()
    GroupAncestry.objects.bulk_create(rows)


def _check_parent(group: Group | None, parent_id: Any) -> Group | None:
    if not parent_id:
        return None
    parent = Group.objects.filter(pk=parent_id).first() if _uuid(parent_id) else None
    if parent is None:
        raise Missing(_("The parent group does not exist."))
    if group is not None and GroupAncestry.objects.filter(group=parent, ancestor=group).exists():
        raise UserError(_("A group cannot be below itself. Choose another parent group."), code="group_loop")
    return parent


def _clean_name(name: str) -> str:
    if not (name := name.strip()):
        raise UserError(_("A group needs a name."))
    if len(name) > 255:
        raise UserError(_("The name is too long. Use at most 255 characters."))
    return name


def _uuid(value: Any) -> bool:
    try:
        uuid.UUID(str(value))
    except ValueError:
        return False
    return True


@transaction.atomic
def create_group(
    *,
    name: str,
    by: Person,
    description: str = "",
    permissions: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
    parent_id: Any = None,
) -> Group:
    """A new group. 400 when the name is taken or empty, 404 for an unknown parent."""
    lock_tree()
    acting(by)
    name = _clean_name(name)
    if Group.objects.filter(name=name).exists():
        raise UserError(_("A group with this name exists already. Choose another name."))
    group = Group.objects.create(
        name=name,
        description=description,
        permissions=permissions or {},
        data=data or {"config": {"share": "members"}},
        meta=meta or {},
        parent=_check_parent(None, parent_id),
        created_by_id=by.id,
    )
    # Only its own rows: a sign-in may make thousands of groups, and nothing is below a new one.
    above = GroupAncestry.objects.filter(group=group.parent_id).values_list("ancestor_id", flat=True)
    GroupAncestry.objects.bulk_create(GroupAncestry(group=group, ancestor_id=pk) for pk in (group.pk, *above))
    record("group.create", by=by, object_type="group", object_id=str(group.pk), object_label=group.name, detail={})
    return group


@transaction.atomic
def update_group(group: Group, *, by: Person, **changes: Any) -> Group:
    """Changes fields of a group: name, description, permissions, data, meta, parent_id."""
    lock_tree()
    acting(by)
    if "name" in changes:
        changes["name"] = _clean_name(changes["name"])
    before = {field: getattr(group, field) for field in changes if field != "parent_id"}
    if "parent_id" in changes:
        before["parent_id"] = str(group.parent_id) if group.parent_id else None
        group.parent = _check_parent(group, changes.pop("parent_id"))
    for field, value in changes.items():
        setattr(group, field, value)
    if Group.objects.filter(name=group.name).exclude(pk=group.pk).exists():
        raise UserError(_("A group with this name exists already. Choose another name."))
    fields = ["parent" if field == "parent_id" else field for field in before]
    group.save(update_fields=[*fields, "updated_at"])
    if "parent_id" in before:
        rebuild_ancestry()
    after = {field: getattr(group, field) for field in before}
    if "parent_id" in after:
        after["parent_id"] = str(group.parent_id) if group.parent_id else None
    if before != after:
        record(
            "group.update",
            by=by,
            object_type="group",
            object_id=str(group.pk),
            object_label=group.name,
            detail={"before": before, "after": after},
        )
        announce("group", str(group.pk), _member_ids(group))
    return group


@transaction.atomic
def delete_group(group: Group, *, by: Person) -> None:
    """Removes a group, its memberships and every grant to it (the database cascades)."""
    lock_tree()
    acting(by)
    users = _member_ids(group)
    record(
        "group.delete",
        by=by,
        object_type="group",
        object_id=str(group.pk),
        object_label=group.name,
        detail={"members": [str(u) for u in users]},
    )
    pk = str(group.pk)
    group.delete()
    rebuild_ancestry()
    announce("group", pk, users)


def _member_ids(group: Group) -> list[uuid.UUID]:
    return list(Membership.objects.filter(group__ancestry__ancestor=group).values_list("user_id", flat=True).distinct())


@transaction.atomic
def set_default_permissions(tree: dict[str, Any], *, by: Person) -> dict[str, Any]:
    """Stores the default permissions; keys that do not exist are dropped, missing ones keep the environment's value."""
    sent = {f"{section}.{name}" for section, branch in tree.items() for name in branch}
    known = nested({key: is_true(tree, key) for key in PERMISSIONS if key in sent})
    acting(by)
    try:
        UserConfig.save(permissions=known, by=by)
    except InvalidSetting as error:
        raise UserError(error.message) from error
    return default_permissions()
