"""Every write about groups and grants. Keyword-only, atomic, each with its audit entry in the same transaction."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from owui.audit.record import record
from owui.config.registry import InvalidSetting
from owui.lib.errors import Missing, Refused, UserError
from rbac.config import UserConfig
from rbac.grants import Grant, access_of, grants_of
from rbac.models import Group, GroupAncestry, Membership, MembershipSource
from rbac.permissions import PERMISSIONS, default_permissions, is_true, may, nested
from rbac.sharing import Access, Person, SharedResource, groups_of
from rbac.signals import access_changed

_TREE_LOCK = 0x6F777567
NOT_SHAREABLE = "You do not have permission to share with the requested audience."


def allowed_audiences(resource_type: type[SharedResource], grants: Iterable[Grant], by: Person) -> list[Grant]:
    """The part of a grant list that the acting person's sharing permissions allow.

    "Anyone" is valid only where the type says so, and folders are never public: these two hold for administrators too.
    """
    key = resource_type.sharing_key
    grants = list(grants)
    groups = _open_groups(grants, by)
    kept = []
    for grant in grants:
        if grant.principal_type == "anyone" and not resource_type.allows_anyone:
            continue
        if grant.principal_id == "*" and key == "folders":
            continue
        if by.role != "admin":
            if grant.principal_type == "anyone":
                needed = ["chat.share", "sharing.open_chats"]
            elif key == "chats":
                needed = ["chat.share"] + (["sharing.public_chats"] if grant.principal_id == "*" else [])
            elif grant.principal_id == "*":
                needed = [f"sharing.{key}", f"sharing.public_{key}"]
            else:
                needed = [f"sharing.{key}", f"access_grants.allow_{grant.principal_type}s"]
            if not all(may(by, permission) for permission in needed):
                continue
            if grant.principal_type == "group" and grant.principal_id not in groups:
                continue
        kept.append(grant)
    return kept


def _open_groups(grants: list[Grant], by: Person) -> set[str]:
    """The groups of a grant list that the person may pick as a target."""
    ids = [g.principal_id for g in grants if g.principal_type == "group" and _uuid(g.principal_id)]
    if not ids or by.role == "admin":
        return set(ids)
    return {str(pk) for pk in shareable_groups(by).filter(pk__in=ids).values_list("pk", flat=True)}


@transaction.atomic
def set_grants(resource: SharedResource, grants: Iterable[Grant], *, by: Person, strict: bool = True) -> list[Grant]:
    """Replaces who may read and write a shared object. The one verb for it.

    :param strict: True refuses the whole list when one audience is not allowed (access update); False drops what is
        not allowed (create), as the field does. Grants that exist already may always stay.
    :raises Refused: 403, nothing stored
    """
    model = type(resource)
    # Two people changing the same object's access come one after the other; the later list wins whole.
    locked = model._default_manager.select_for_update(of=("self",)).filter(pk=resource.pk).first()
    if locked is None:
        raise Missing
    before = grants_of([locked])[resource.pk]
    wanted = list(dict.fromkeys(grants))
    kept = [g for g in wanted if g in before]
    allowed = set(kept) | set(allowed_audiences(model, [g for g in wanted if g not in before], by))
    if strict and len(allowed) < len(wanted):
        raise Refused(NOT_SHAREABLE, code="audience")
    after = _existing(allowed)
    resource.general_access = access_of(after)
    model._default_manager.filter(pk=resource.pk).update(general_access=resource.general_access)
    _replace_rows(resource, after, by)
    now = grants_of([resource])[resource.pk]
    if now != before:
        record(
            "access.set",
            by=by,
            object_type=model.resource_type,
            object_id=str(resource.pk),
            object_label=resource.label,
            detail={"before": [g.as_json() for g in before], "after": [g.as_json() for g in now]},
        )
        _announce(model.resource_type, str(resource.pk))
    return now


def _existing(grants: set[Grant]) -> list[Grant]:
    """Drops grants to people and groups that do not exist."""
    ids: dict[str, set[str]] = defaultdict(set)
    for grant in grants:
        if grant.principal_id != "*":
            ids[grant.principal_type].add(grant.principal_id)
    known = {
        "user": {str(i) for i in get_user_model().objects.filter(pk__in=ids["user"]).values_list("pk", flat=True)},
        "group": {str(i) for i in Group.objects.filter(pk__in=ids["group"]).values_list("pk", flat=True)},
    }
    return sorted(g for g in grants if g.principal_id == "*" or g.principal_id in known[g.principal_type])


def _replace_rows(resource: SharedResource, grants: list[Grant], by: Person) -> None:
    name = resource._meta.model_name
    permissions = {
        p.codename: p.pk
        for p in Permission.objects.filter(
            content_type__app_label=resource._meta.app_label,
            content_type__model=name,
            codename__in=(f"view_{name}", f"change_{name}"),
        )
    }
    code = {"read": permissions[f"view_{name}"], "write": permissions[f"change_{name}"]}
    for kind, table in (("user", resource.user_grant_model()), ("group", resource.group_grant_model())):
        wanted = {
            (uuid.UUID(g.principal_id), code[g.permission])
            for g in grants
            if g.principal_type == kind and g.principal_id != "*"
        }
        rows = table._default_manager.filter(content_object_id=resource.pk)
        have = {(getattr(r, f"{kind}_id"), r.permission_id): r.pk for r in rows}  # type: ignore[attr-defined]
        table._default_manager.filter(pk__in=[pk for key, pk in have.items() if key not in wanted]).delete()
        table._default_manager.bulk_create(
            table(**{f"{kind}_id": p, "permission_id": c, "content_object_id": resource.pk, "granted_by_id": by.id})
            for p, c in wanted
            if (p, c) not in have
        )


def _announce(resource_type: str, resource_id: str, user_ids: Iterable[uuid.UUID] = ()) -> None:
    """Tells long-lived readers to ask again, after the change is really there."""
    users = [str(u) for u in user_ids]
    transaction.on_commit(
        lambda: access_changed.send(
            sender=SharedResource, resource_type=resource_type, resource_id=resource_id, user_ids=users
        )
    )


# ------------------------------------------------------------------------------------------------------------- groups
def _lock_tree() -> None:
    """One change of the group tree at a time: two that cannot see each other could close a loop."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_TREE_LOCK])


@transaction.atomic
def rebuild_ancestry() -> None:
    """Writes the closure of all group parents anew. Trees are small (hundreds): one read, one write."""
    _lock_tree()
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
    _lock_tree()
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
    rebuild_ancestry()
    record("group.create", by=by, object_type="group", object_id=str(group.pk), object_label=group.name, detail={})
    return group


@transaction.atomic
def update_group(group: Group, *, by: Person, **changes: Any) -> Group:
    """Changes fields of a group: name, description, permissions, data, meta, parent_id."""
    _lock_tree()
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
        _announce("group", str(group.pk), _member_ids(group))
    return group


@transaction.atomic
def delete_group(group: Group, *, by: Person) -> None:
    """Removes a group, its memberships and every grant to it (the database cascades)."""
    _lock_tree()
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
    _announce("group", pk, users)


def _member_ids(group: Group) -> list[uuid.UUID]:
    return list(Membership.objects.filter(group__ancestry__ancestor=group).values_list("user_id", flat=True).distinct())


@transaction.atomic
def add_members(
    group: Group, user_ids: Iterable[Any], *, by: Person, source: str = MembershipSource.MANUAL
) -> list[uuid.UUID]:
    """Adds people to a group; those who are in it for the same reason stay as they are. Unknown ids are an error."""
    ids = list(dict.fromkeys(str(uuid.UUID(str(u))) if _uuid(u) else str(u) for u in user_ids))
    users = {str(u.pk): u for u in get_user_model().objects.filter(pk__in=[i for i in ids if _uuid(i)])}
    if missing := [i for i in ids if i not in users]:
        raise UserError(_("These people do not exist: %(ids)s") % {"ids": ", ".join(missing[:5])})
    have = set(Membership.objects.filter(group=group, source=source).values_list("user_id", flat=True))
    new = [u for u in users.values() if u.pk not in have]
    Membership.objects.bulk_create(
        (Membership(user=u, group=group, source=source, created_by_id=by.id) for u in new), ignore_conflicts=True
    )
    if new:
        _record_members("group.members.add", group, new, by, source)
    return [u.pk for u in new]


@transaction.atomic
def remove_members(group: Group, user_ids: Iterable[Any], *, by: Person, source: str | None = None) -> None:
    """Takes people out of a group; `source=None` removes whatever reason they were in it for."""
    rows = Membership.objects.filter(group=group, user_id__in=[i for i in map(str, user_ids) if _uuid(i)])
    rows = rows.filter(source=source) if source else rows
    users = [row.user for row in rows.select_related("user")]
    rows.delete()
    if users:
        _record_members("group.members.remove", group, users, by, source or "any")


def _record_members(action: str, group: Group, users: list[Any], by: Person, source: str) -> None:
    record(
        action,
        by=by,
        object_type="group",
        object_id=str(group.pk),
        object_label=group.name,
        detail={"source": source, "users": [{"id": str(u.pk), "email": u.email} for u in users]},
    )
    _announce("group", str(group.pk), [u.pk for u in users])


@transaction.atomic
def set_default_permissions(tree: dict[str, Any], *, by: Person) -> dict[str, Any]:
    """Stores the default permissions; keys that do not exist are dropped, missing ones keep the environment's value."""
    sent = {f"{section}.{name}" for section, branch in tree.items() for name in branch}
    known = nested({key: is_true(tree, key) for key in PERMISSIONS if key in sent})
    try:
        UserConfig.save(permissions=known, by=by)
    except InvalidSetting as error:
        raise UserError(error.message) from error
    return default_permissions()


def effective_groups(user: Person) -> Any:
    """All groups a person counts as a member of, ancestors included."""
    return Group.objects.filter(pk__in=groups_of(user.id))


def shareable_groups(user: Person) -> Any:
    """Groups a person may pick as a target: open ones, and their own where members may; administrators may any."""
    if user.role == "admin":
        return Group.objects.all()
    share = "data__config__share"
    is_open = Q(**{share: True}) | Q(**{f"{share}__isnull": True}) | Q(**{share: None})
    return Group.objects.filter(is_open | Q(**{share: "members"}, pk__in=groups_of(user.id)))


def search_principals(query: str, *, by: Person, limit: int = 8) -> list[dict[str, Any]]:
    """People and groups that match, as far as the person may share with them; for the access dialog."""
    found: list[dict[str, Any]] = []
    if by.role == "admin" or may(by, "access_grants.allow_groups"):
        groups = shareable_groups(by).filter(name__icontains=query)
        rows = groups.annotate(people=Count("memberships__user", distinct=True)).order_by("name", "pk")[:limit]
        found += [
            {"kind": "group", "id": str(g.pk), "name": g.name, "email": "", "member_count": g.people} for g in rows
        ]
    if by.role == "admin" or may(by, "access_grants.allow_users"):
        users = get_user_model()._default_manager.filter(is_active=True, role__in=("user", "admin")).exclude(pk=by.id)
        matching = users.filter(Q(name__icontains=query) | Q(email__icontains=query)).order_by("name", "pk")[:limit]
        found += [{"kind": "user", "id": str(u.pk), "name": u.name, "email": u.email} for u in matching]
    return found


__all__ = [
    "Access",
    "add_members",
    "allowed_audiences",
    "create_group",
    "delete_group",
    "effective_groups",
    "remove_members",
    "search_principals",
    "set_grants",
    "shareable_groups",
    "update_group",
]
