"""Who may read and write a shared object: the one verb that changes it."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from owui.audit.record import record
from owui.lib.errors import Missing, Refused, UserError
from rbac.grants import KEEP, Grant, access_of, denials_of, grants_of, unique, version_of
from rbac.history import acting
from rbac.models import Group
from rbac.permissions import may
from rbac.services.announce import announce
from rbac.services.principals import shareable_groups
from rbac.sharing import Person, SharedResource

#: how long a page may stand open and still send back a grant that has ended meanwhile
STALE = timedelta(days=1)
NOT_SHAREABLE = "You do not have permission to share with the requested audience."


class Conflict(UserError):
    """Somebody else changed the same access in the meantime. Both versions come along, so that nothing is lost.

    :param theirs: what is stored now: grants, denials
    :param yours: what this editor wanted to store
    """

    status = 409
    code = "conflict"

    def __init__(
        self, theirs: tuple[list[Grant], list[Grant]], yours: tuple[list[Grant], list[Grant]], by: Person
    ) -> None:
        super().__init__(
            _("Somebody else changed who has access while you were editing. Compare both versions, then save again.")
        )
        self.theirs, self.yours = theirs, yours
        self._tells_denials = by.role == "admin"

    def more(self) -> dict[str, Any]:
        """For programs: both versions, and the text to send along when the second is to replace the first."""
        versions: dict[str, Any] = {}
        for name, (grants, denials) in (("theirs", self.theirs), ("yours", self.yours)):
            versions[name] = {"access_grants": [g.as_json() for g in grants]}
            if self._tells_denials:
                versions[name]["access_denials"] = [g.as_json() for g in denials]
        return {**versions, "version": version_of(*self.theirs)}


def allowed_audiences(resource_type: type[SharedResource], grants: Iterable[Grant], by: Person) -> list[Grant]:
    """The part of a grant list that the acting person's sharing permissions allow.

    "Anyone" is valid only where the type says so, and folders are never public: these two hold for administrators too.
    """
    grants = list(grants)
    groups = _open_groups(grants, by)
    return [grant for grant in grants if _allowed(resource_type, grant, by, groups)]


def _allowed(resource_type: type[SharedResource], grant: Grant, by: Person, groups: set[str]) -> bool:
    key = resource_type.sharing_key
    if grant.principal_type == "anyone" and not resource_type.allows_anyone:
        return False
    if grant.principal_id == "*" and key == "folders":
        return False
    if by.role == "admin":
        return True
    if grant.principal_type == "anyone":
        needed = ["chat.share", "sharing.open_chats"]
    elif key == "chats":
        named = f"access_grants.allow_{grant.principal_type}s"
        needed = ["chat.share", "sharing.public_chats" if grant.principal_id == "*" else named]
    elif not key:
        return False  # a type that only administrators share
    elif grant.principal_id == "*":
        needed = [f"sharing.{key}", f"sharing.public_{key}"]
    else:
        needed = [f"sharing.{key}", f"access_grants.allow_{grant.principal_type}s"]
    if not all(may(by, permission) for permission in needed):
        return False
    return grant.principal_type != "group" or grant.principal_id in groups


def _open_groups(grants: list[Grant], by: Person) -> set[str]:
    """The groups of a grant list that the person may pick as a target."""
    ids = [g.principal_id for g in grants if g.principal_type == "group"]
    if not ids or by.role == "admin":
        return set(ids)
    return {str(pk) for pk in shareable_groups(by).filter(pk__in=ids).values_list("pk", flat=True)}


@transaction.atomic
def set_grants(
    resource: SharedResource,
    grants: Iterable[Grant],
    *,
    by: Person,
    strict: bool = True,
    denials: Iterable[Grant] | None = None,
    version: str | None = None,
) -> list[Grant]:
    """Replaces who may read and write a shared object. The one verb for it.

    :param strict: True refuses the whole list when one audience is not allowed (access update); False drops what is
        not allowed (create), as the field does. Grants that exist already may always stay.
    :param denials: who is kept out whatever else lets them in; None leaves the present ones as they are
    :param version: `version_of` what the editor saw; None for callers that do not know it
    :raises Refused: 403, nothing stored
    :raises Conflict: 409, nothing stored: the access is no longer what the editor saw
    """
    model = type(resource)
    # Two people changing the same object's access come one after the other.
    locked = model._default_manager.select_for_update(of=("self",)).filter(pk=resource.pk).first()
    if locked is None:
        raise Missing
    before, kept_out = grants_of([locked])[resource.pk], denials_of([locked])[resource.pk]
    wanted = _with_ends(grants, before, _lately_ended(locked))
    denied = kept_out if denials is None else _with_ends(denials, kept_out)
    if version is not None and version != version_of(before, kept_out):
        raise Conflict((before, kept_out), (wanted, denied), by)
    kept = [g for g in wanted if g in before]
    allowed = kept + allowed_audiences(model, [g for g in wanted if g not in before], by)
    if strict and len(allowed) < len(wanted):
        raise Refused(NOT_SHAREABLE, code="audience")
    _check_denials(denied, kept_out, by)
    after, denied = _existing(allowed), _existing(denied)
    acting(by)
    resource.general_access = access_of(after)
    model._default_manager.filter(pk=resource.pk).update(general_access=resource.general_access)
    _replace_rows(resource, after, denied, by)
    now, kept_out_now = grants_of([resource])[resource.pk], denials_of([resource])[resource.pk]
    if now != before or kept_out_now != kept_out:
        detail = {"before": [g.as_json() for g in before], "after": [g.as_json() for g in now]}
        if kept_out or kept_out_now:
            detail["denied_before"] = [g.as_json() for g in kept_out]
            detail["denied_after"] = [g.as_json() for g in kept_out_now]
        record(
            "access.set",
            by=by,
            object_type=model.resource_type,
            object_id=str(resource.pk),
            object_label=resource.label,
            detail=detail,
        )
        announce(model.resource_type, str(resource.pk))
    return now


def _with_ends(
    wanted: Iterable[Grant], present: list[Grant], ended: frozenset[tuple[str, str, str]] = frozenset()
) -> list[Grant]:
    """A list in which every end is known: those that a client did not speak of stay as they are, ended ones too."""
    ends = {g.key: g.expires_at for g in present}
    known = [g for g in wanted if g.expires_at != KEEP or g.key not in ended]
    return unique(replace(g, expires_at=ends.get(g.key)) if g.expires_at == KEEP else g for g in known)


def _lately_ended(resource: SharedResource) -> frozenset[tuple[str, str, str]]:
    """Grants that ended while a page may still show them: sent back without their end they are not meant anew."""
    write = f"change_{resource._meta.model_name}"
    found: set[tuple[str, str, str]] = set()
    for kind, table in (("user", resource.user_grant_model()), ("group", resource.group_grant_model())):
        rows = table._default_manager.filter(
            content_object_id=resource.pk, is_denied=False, expires_at__lte=Now(), expires_at__gt=Now() - STALE
        )
        for principal, codename in rows.values_list(f"{kind}_id", "permission__codename"):
            found.add((kind, str(principal), "write" if codename == write else "read"))
    return frozenset(found)


def _check_denials(wanted: list[Grant], present: list[Grant], by: Person) -> None:
    """Keeping people out is a decision of administrators; taking a denial away needs no switch."""
    if wanted == present:
        return
    if by.role != "admin":
        raise Refused(NOT_SHAREABLE, code="audience")
    new = [g for g in wanted if g not in present]
    if new and not settings.ENABLE_DENY_GRANTS:
        raise Refused(
            _("Denying access is switched off on this instance. Set ENABLE_DENY_GRANTS=True to use it."),
            code="deny_off",
        )
    if any(g.principal_id == "*" for g in new):
        raise UserError(_("Nobody can be kept out by keeping everybody out. Make the object private instead."))


def _existing(grants: Sequence[Grant]) -> list[Grant]:
    """Drops grants to people and groups that do not exist."""
    ids: dict[str, set[str]] = defaultdict(set)
    for grant in grants:
        if grant.principal_id != "*":
            ids[grant.principal_type].add(grant.principal_id)
    known = {
        kind: {str(i) for i in table.filter(pk__in=ids[kind]).values_list("pk", flat=True)} if ids[kind] else set()
        for kind, table in (("user", get_user_model().objects), ("group", Group.objects))
    }
    return unique(g for g in grants if g.principal_id == "*" or g.principal_id in known[g.principal_type])


def _replace_rows(resource: SharedResource, grants: list[Grant], denials: list[Grant], by: Person) -> None:
    code = permission_ids(type(resource))
    for kind, table in (("user", resource.user_grant_model()), ("group", resource.group_grant_model())):
        wanted = {
            (uuid.UUID(g.principal_id), code[g.permission], is_denied): g.expires_at
            for is_denied, part in ((False, grants), (True, denials))
            for g in part
            if g.principal_type == kind and g.principal_id != "*"
        }
        rows: Any = table._default_manager.filter(content_object_id=resource.pk)
        have = {(getattr(row, f"{kind}_id"), row.permission_id, row.is_denied): row for row in rows}
        recent = timezone.now() - STALE
        if gone := [
            row.pk for key, row in have.items() if key not in wanted and not _ended_after(recent, row.expires_at)
        ]:
            table._default_manager.filter(pk__in=gone).delete()
        changed = [row for key, row in have.items() if key in wanted and row.expires_at != wanted[key]]
        for row in changed:
            row.expires_at = wanted[getattr(row, f"{kind}_id"), row.permission_id, row.is_denied]
            row.granted_by_id = by.id
        if changed:
            table._default_manager.bulk_update(changed, ["expires_at", "granted_by"])
        table._default_manager.bulk_create(
            table(
                **{f"{kind}_id": principal},
                permission_id=permission,
                content_object_id=resource.pk,
                granted_by_id=by.id,
                is_denied=is_denied,
                expires_at=expires_at,
            )
            for (principal, permission, is_denied), expires_at in wanted.items()
            if (principal, permission, is_denied) not in have
        )


def _ended_after(moment: datetime, expires_at: datetime | None) -> bool:
    """Rows that ended lately stay a while, for `_lately_ended`; they open nothing."""
    return expires_at is not None and moment < expires_at <= timezone.now()


def permission_ids(model: type[SharedResource]) -> dict[str, int]:
    """The primary keys of a type's two permissions, by `read` and `write`."""
    name = model._meta.model_name
    rows = Permission.objects.filter(
        content_type__app_label=model._meta.app_label,
        content_type__model=name,
        codename__in=(f"view_{name}", f"change_{name}"),
    )
    found = dict(rows.values_list("codename", "pk"))
    return {"read": found[f"view_{name}"], "write": found[f"change_{name}"]}
