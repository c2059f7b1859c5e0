"""Groups as SCIM sees and changes them: all of them, and in each only the memberships it brought.

A group that administrators made is theirs to rename and delete; the directory may fill it. Nothing here loads members
as objects: ten thousand of them are a few statements.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet, Value
from django.utils import timezone
from django.utils.translation import gettext as _
from scim2_models import (
    InvalidValueException,
    MutabilityException,
    NotFoundException,
    PatchOp,
    UniquenessException,
)

from accounts.models import ScimAccount, ScimGroup
from accounts.scim import shapes
from accounts.scim.asked import Wanted, check_version, version
from accounts.scim.filters import Attributes, Column, Rows, value_condition
from accounts.scim.users import SCIM
from owui.lib.errors import Refused
from rbac.models import Group, Membership, MembershipSource
from rbac.services import add_members, create_group, delete_group, remove_members, update_group
from rbac.services.groups import lock_tree

SHAPE = shapes.Group
_SOURCE = MembershipSource.SCIM


def _memberships() -> QuerySet[Membership]:
    return Membership.objects.filter(source=_SOURCE).alias(kind=Value("User"))


ATTRIBUTES: Attributes = {
    ("id", None): Column("pk", "id"),
    ("external_id", None): Column("scim_group__external_id", "exact"),
    ("display_name", None): Column("name"),
    ("members", None): Rows(_memberships, "group", {"value": Column("user_id", "id"), "type": Column("kind")}),
    ("meta", "created"): Column("created_at", "time"),
    ("meta", "last_modified"): Column("updated_at", "time"),
}


def everything(wanted: Wanted | None = None) -> QuerySet[Group]:
    return Group.objects.select_related("scim_group")


def get(pk: str, wanted: Wanted | None = None) -> Group:
    try:
        group = everything().filter(pk=uuid.UUID(pk)).first()
    except ValueError:
        group = None
    if group is None:
        raise NotFoundException(detail="There is no such group.")
    return group


def many_as_json(found: Sequence[Any], base: str, wanted: Wanted) -> list[dict[str, Any]]:
    """Groups as the client gets them; one statement for the members of all."""
    members: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    if wanted.has("members") and found:
        rows = Membership.objects.filter(source=_SOURCE, group__in=[group.pk for group in found])
        for group_id, user_id in rows.order_by("pk").values_list("group_id", "user_id"):
            members[group_id].append(user_id)
    return [_json(group, members[group.pk], base, wanted) for group in found]


def as_json(group: Group, base: str, wanted: Wanted) -> dict[str, Any]:
    return many_as_json([group], base, wanted)[0]


def _json(group: Any, members: list[uuid.UUID], base: str, wanted: Wanted) -> dict[str, Any]:
    known = getattr(group, "scim_group", None)
    found: dict[str, Any] = {
        "schemas": [str(SHAPE.__schema__)],
        "id": str(group.pk),
        "externalId": known.external_id if known else "",
        "displayName": group.name,
        "members": [{"value": str(pk), "$ref": f"{base}/Users/{pk}", "type": "User"} for pk in members],
        "meta": {
            "resourceType": "Group",
            "created": group.created_at.isoformat(),
            "lastModified": group.updated_at.isoformat(),
            "location": f"{base}/Groups/{group.pk}",
            "version": version(group.updated_at),
        },
    }
    return wanted.pick({key: value for key, value in found.items() if value not in ("", [])})


# ------------------------------------------------------------------------------------------------------------ changes
@transaction.atomic
def create(resource: shapes.Group) -> Group:
    """A new group; 409 when one has the name, which the client then finds by `displayName eq` and fills."""
    lock_tree()
    name = (resource.display_name or "").strip()
    _check_name(name)
    if Group.objects.filter(name__iexact=name).exists():
        raise UniquenessException(detail="A group of this name exists already.")
    group = create_group(name=name, by=SCIM)
    ScimGroup.objects.create(group=group, external_id=_external_id(resource.external_id))
    _add(group, _wanted_members(resource.members))
    return get(str(group.pk))


@transaction.atomic
def replace(pk: str, resource: shapes.Group, *, if_match: str = "") -> Group:
    """PUT: the members are those of the body, no others of SCIM's."""
    group = _locked(pk, if_match)
    _rename(group, resource.display_name)
    if resource.external_id is not None:
        _set_external_id(group, resource.external_id)
    _set(group, _wanted_members(resource.members))
    return get(pk)


@transaction.atomic
def patch(pk: str, operations: PatchOp[Any], *, if_match: str = "") -> Group:
    """PATCH: all operations or none, each as SQL over the memberships."""
    group = _locked(pk, if_match, may_rename=any(map(_may_rename, operations.operations or [])))
    for operation in operations.operations or []:
        op = operation.op.value
        if operation.path is None:
            if not isinstance(operation.value, dict):
                raise InvalidValueException(detail="Without a path the value must be an object.")
            for name, value in operation.value.items():
                _write(group, op, name.rpartition(":")[2].lower(), value)
            continue
        binding = operation.path.resolve()
        if binding is None:
            continue  # nothing of ours
        if binding.field_name == "members":
            _patch_members(group, op, operation.path, operation.value)
        else:
            _write(group, op, binding.field_name.replace("_", ""), operation.value)
    return get(pk)


@transaction.atomic
def delete(pk: str, *, if_match: str = "") -> None:
    """Only a group that SCIM made: what is shared with a group goes with it."""
    group = _locked(pk, if_match)
    _check_made_here(group)
    delete_group(group, by=SCIM)


def _may_rename(operation: Any) -> bool:
    binding = operation.path.resolve() if operation.path is not None else None
    return operation.path is None or (binding is not None and binding.field_name == "display_name")


def _locked(pk: str, if_match: str, *, may_rename: bool = True) -> Group:
    """A group nobody else changes by SCIM until this transaction ends."""
    if may_rename:
        # The tree before the group, in the order of every other change: no two of them wait for one another.
        lock_tree()
    group = get(pk)
    Group.objects.select_for_update(no_key=True).filter(pk=group.pk).first()
    group = get(pk)
    check_version(if_match, version(group.updated_at))
    return group


def _check_made_here(group: Any) -> None:
    known = getattr(group, "scim_group", None)
    if known is None or not known.is_made_by_scim:
        raise Refused(_("An administrator made this group: it is not renamed or deleted by SCIM, only filled."))


def _check_name(name: str) -> None:
    if not name or len(name) > 255 or "\0" in name:
        raise InvalidValueException(detail="displayName has 1 to 255 characters.")


def _external_id(value: Any) -> str:
    if value is not None and (not isinstance(value, str) or len(value) > 255 or "\0" in value):
        raise InvalidValueException(detail="externalId is a text of at most 255 characters.")
    return value or ""


def _set_external_id(group: Group, value: Any) -> None:
    text = _external_id(value)
    made = {"is_made_by_scim": False, "external_id": text}
    ScimGroup.objects.update_or_create(group=group, defaults={"external_id": text}, create_defaults=made)
    _touch(group)


def _rename(group: Group, name: Any) -> None:
    if not isinstance(name, str):
        raise InvalidValueException(detail="displayName must be a text.")
    _check_name(name := name.strip())
    if name == group.name:
        return
    _check_made_here(group)
    if Group.objects.filter(name__iexact=name).exclude(pk=group.pk).exists():
        raise UniquenessException(detail="A group of this name exists already.")
    update_group(group, by=SCIM, name=name)


def _write(group: Group, op: str, name: str, value: Any) -> None:
    """One attribute as a whole. Names that are not ours to change are left out, as Okta sends `id` along."""
    if name == "displayname":
        if op == "remove":
            raise MutabilityException(detail="displayName cannot be removed.")
        _rename(group, value)
    elif name == "externalid":
        _set_external_id(group, None if op == "remove" else value)
    elif name == "members":
        _patch_members(group, op, None, value)


# ------------------------------------------------------------------------------------------------------------ members
def _patch_members(group: Group, op: str, path: Any, value: Any) -> None:
    inner = path.value_filter if path is not None else None
    binding = path.resolve() if path is not None else None
    if op == "remove":
        if binding is not None and binding.sub_field_name is not None:
            raise MutabilityException(detail="What identifies a member cannot be removed; remove the member.")
        if inner is not None:
            _remove(group, value_condition(SHAPE, "members", inner, ATTRIBUTES))
        elif value is not None:
            _remove(group, Q(user_id__in=_uuids(value)))
        else:
            _remove(group, Q())
        return
    if inner is not None or (binding is not None and binding.sub_field_name is not None):
        raise MutabilityException(detail="A member cannot be changed: remove it and add another.")
    if op == "replace":
        _set(group, _owned(_uuids(value)))
    else:
        _add(group, _owned(_uuids(value)))


def _wanted_members(members: Iterable[shapes.Member] | None) -> list[uuid.UUID]:
    return _owned(_uuids([{"value": member.value, "type": member.type} for member in members or ()]))


def _uuids(value: Any) -> list[uuid.UUID]:
    entries = value if isinstance(value, list) else [] if value is None else [value]
    found: dict[uuid.UUID, None] = {}
    for entry in entries:
        text = entry.get("value") if isinstance(entry, dict) else entry
        if isinstance(entry, dict) and str(entry.get("type") or "User").lower() != "user":
            raise InvalidValueException(detail="Members are users; groups in groups are arranged here.")
        try:
            found[uuid.UUID(str(text))] = None
        except ValueError:
            raise InvalidValueException(detail="A member's value must be the id of a user.") from None
    return list(found)


def _owned(ids: list[uuid.UUID]) -> list[uuid.UUID]:
    """400 for anybody whom SCIM does not own: it must not give rights to accounts that are none of its business."""
    known = set(ScimAccount.objects.filter(pk__in=ids, deleted_at=None).values_list("pk", flat=True)) if ids else set()
    if missing := [str(pk) for pk in ids if pk not in known]:
        raise InvalidValueException(detail=f"There is no such user: {', '.join(missing[:5])}")
    return ids


def _add(group: Group, ids: list[uuid.UUID]) -> None:
    if ids and add_members(group, ids, by=SCIM, source=_SOURCE):
        _touch(group)


def _remove(group: Group, condition: Q) -> None:
    rows = _memberships().filter(condition, group=group)
    if ids := list(rows.values_list("user_id", flat=True)):
        remove_members(group, ids, by=SCIM, source=_SOURCE)
        _touch(group)


def _set(group: Group, ids: list[uuid.UUID]) -> None:
    wanted = set(ids)
    _remove(group, ~Q(user_id__in=wanted) if wanted else Q())
    _add(group, ids)


def _touch(group: Group) -> None:
    group.updated_at = timezone.now()
    Group.objects.filter(pk=group.pk).update(updated_at=group.updated_at)
