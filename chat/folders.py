"""Folders: create, rename, move, delete. Each with its audit entry in the same transaction."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from chat import listed
from chat.models import Chat, Folder
from owui.audit.record import record
from owui.lib.errors import Missing, Refused, UserError
from owui.lib.pictures import is_picture_address
from rbac.grants import READ, WRITE, Grant, denials_of, grants_of
from rbac.history import acting
from rbac.permissions import require, require_feature
from rbac.services import NOT_SHAREABLE, allowed_audiences, announce
from rbac.sharing import Person
from rbac.shortcuts import get_writable

#: in the `meta` of a folder, as a data address: what stands behind its page
BACKGROUND = "background_image_url"
LONGEST_BACKGROUND = 500_000
NAME_TAKEN = "A folder with this name exists already in this place. Choose another name."
_TREE_LOCK = 0x6F777575


def check_folders(by: Person) -> None:
    """403 while folders are switched off, and without `features.folders`."""
    require_feature(by, "features.folders", status=403)


def place_for(by: Person, folder_id: str) -> Folder:
    """The folder that a chat of the person's is to lie in. 404 no such folder; 403 one that they may only read."""
    check_folders(by)
    found: Folder = get_writable(Folder.objects.all(), by, folder_id)
    return found


@transaction.atomic
def create_folder(
    *,
    by: Person,
    name: str,
    parent_id: str | None = None,
    data: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
) -> Folder:
    """A new folder of the person's, at the top or in a folder that the person may change.

    :raises UserError: 400 the name is taken there; 404 no such parent
    """
    check_folders(by)
    _check_background(meta)
    acting(by)
    _lock_tree()
    parent = _parent(parent_id, by)
    folder = Folder(owner_id=by.id, parent=parent, data=data or {}, meta=meta or {})
    folder.name = _clean_name(name, folder)
    folder.save()
    _note("created", folder, by, {"parent": str(parent.pk) if parent else None})
    listed.tell_folder(folder, by.id)
    return folder


@transaction.atomic
def update_folder(folder: Folder, *, by: Person, **changes: Any) -> Folder:
    """Changes name, data, meta or is_expanded; the parts of data and meta that are not sent stay.

    :raises UserError: 400 the name is taken there, or a background that is no picture; 413 one that is too large
    """
    _check_background(changes.get("meta"))
    acting(by)
    _lock_tree()
    folder = Folder.objects.select_for_update(of=("self",)).get(pk=folder.pk)
    if "name" in changes:
        changes["name"] = _clean_name(changes["name"], folder)
    for field in ("data", "meta"):
        if field in changes:
            changes[field] = {**getattr(folder, field), **changes[field]}
    changed = sorted(field for field, value in changes.items() if getattr(folder, field) != value)
    for field in changed:
        setattr(folder, field, changes[field])
    if changed:
        folder.save(update_fields=[*changed, "updated_at"])
    if told := [field for field in changed if field != "is_expanded"]:
        _note("updated", folder, by, {"changed": told})
        listed.tell_folder(folder, by.id)
    return folder


@transaction.atomic
def move_folder(folder: Folder, *, by: Person, parent_id: str | None) -> Folder:
    """Puts a folder, with all in it, below another one or at the top.

    The owners and grants of its new place then reach it, so it is sharing and asks for the same rights; the owners of
    its former place lose it, so only its own may.

    :raises UserError: 400 below itself or a name that is taken there; 404 no such parent; 403 somebody else's folder,
        an audience that the person may not share with, or out from under a denial
    """
    acting(by)
    _lock_tree()
    folder = Folder.objects.select_for_update(of=("self",)).get(pk=folder.pk)
    if folder.owner_id != by.id and not Folder.bypass_applies(by):
        raise Refused(_("Only its owner can move a folder."), code="not_owner")
    parent = _parent(parent_id, by)
    if (parent.pk if parent else None) == folder.parent_id:
        return folder
    above = _with_outer(parent)
    if folder in above:
        raise UserError(_("A folder cannot be inside itself. Choose another place."), code="folder_loop")
    changes = _check_audience(folder, _with_outer(folder.parent), above, by)
    before, folder.parent = folder.parent_id, parent
    _clean_name(folder.name, folder)
    folder.save(update_fields=["parent", "updated_at"])
    detail = {"before": str(before) if before else None, "after": str(parent.pk) if parent else None}
    _note("moved", folder, by, detail | changes)
    announce("folder", str(folder.pk))
    listed.tell_folder(folder, by.id, before)
    return folder


@transaction.atomic
def delete_folder(folder: Folder, *, by: Person, delete_contents: bool = True) -> None:
    """Removes a folder and those inside it.

    :param delete_contents: with the person's own chats in them (403 without `chat.delete` if there are any). The chats
        of others only lose their place: nobody deletes what is not theirs
    :raises Refused: 403 there is a folder inside that the person is kept out of
    """
    acting(by)
    _lock_tree()
    inside = with_inner(folder)
    if Folder.objects.writable_by(by).filter(pk__in=inside).count() < len(inside):
        raise Refused(
            _("There is a folder inside that you may not delete. Ask its owner or an administrator."), code="not_yours"
        )
    chats = Chat.objects.filter(folder__in=inside, owner_id=by.id)
    gone = list(chats.values_list("pk", flat=True)) if delete_contents else []
    if gone:
        require(by, "chat.delete", status=403)
    _note("deleted", folder, by, {"folders": len(inside), "chats": [str(pk) for pk in gone]})
    announce("folder", str(folder.pk))
    listed.tell_folder_gone(folder, by.id)
    Chat.objects.filter(pk__in=gone).delete()
    folder.delete()


def _check_audience(folder: Folder, before: list[Folder], above: list[Folder], by: Person) -> dict[str, Any]:
    """403 when a move lets somebody in whom the person may not share with, or lifts a denial, which is the
    administrators' decision. Gives, for the log, the grants that the new place adds and the denials it lifts."""
    denials = denials_of([folder, *before, *above])
    kept = [*denials[folder.pk], *(g for place in above for g in denials[place.pk])]
    lifted = [g for place in before for g in denials[place.pk] if not _covered(g, kept, strongest=READ)]
    if lifted and by.role != "admin":
        raise Refused(_("Only an administrator can move this folder out of the place it is in."), code="denied")
    reached = _audience([folder, *before])
    added = [g for g in _audience(above) if not _covered(g, reached, strongest=WRITE)]
    if len(allowed_audiences(Folder, added, by)) < len(added):
        raise Refused(NOT_SHAREABLE, code="audience")
    return {"added": [g.as_json() for g in added], "lifted": [g.as_json() for g in lifted]}


def _audience(folders: list[Folder]) -> list[Grant]:
    """Everyone whom these folders let in, and with that into what is inside them: owners and grants."""
    owners = [Grant("user", str(folder.owner_id), WRITE) for folder in folders if folder.owner_id]
    return [*owners, *(grant for grants in grants_of(folders).values() for grant in grants)]


def _covered(grant: Grant, by_these: list[Grant], *, strongest: str) -> bool:
    """Whether others say at least the same of the same principal, for at least as long."""
    return any(
        (other.principal_type, other.principal_id) == (grant.principal_type, grant.principal_id)
        and other.permission in (grant.permission, strongest)
        and (other.expires_at is None or (grant.expires_at is not None and other.expires_at >= grant.expires_at))
        for other in by_these
    )


def _with_outer(folder: Folder | None) -> list[Folder]:
    """A folder and all it lies in."""
    found: list[Folder] = []
    while folder is not None and folder not in found:
        found.append(folder)
        folder = folder.parent
    return found


def with_inner(folder: Folder) -> list[uuid.UUID]:
    """The ids of a folder and of all inside it, level by level."""
    found, level = [folder.pk], [folder.pk]
    while level:
        level = list(Folder.objects.filter(parent_id__in=level).exclude(pk__in=found).values_list("pk", flat=True))
        found += level
    return found


def _lock_tree() -> None:
    """One change of the trees at a time: two that cannot see each other could close a loop."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_TREE_LOCK])


def _parent(parent_id: str | None, by: Person) -> Folder | None:
    if not parent_id:
        return None
    try:
        key = uuid.UUID(str(parent_id))
    except ValueError:
        raise Missing from None
    parent: Folder | None = Folder.objects.writable_by(by).filter(pk=key).first()
    if parent is None:
        raise Missing
    return parent


def _check_background(meta: dict[str, Any] | None) -> None:
    """Only as data, so that nobody's browser is led anywhere by looking at a folder."""
    url = (meta or {}).get(BACKGROUND)
    if not url:
        return
    check_background_size(len(str(url)))
    if not is_picture_address(str(url)):
        raise UserError(_("This is no picture that can be shown. Choose a PNG, JPEG, GIF or WebP."), code="picture")


def check_background_size(size: int) -> None:
    if size > LONGEST_BACKGROUND:
        raise UserError(_("This picture is too large. Choose one of less than 350 KB."), status=413, code="too_large")


def _clean_name(name: str, folder: Folder) -> str:
    name = " ".join(name.split())
    if not name or len(name) > 255:
        raise UserError(_("A folder needs a name of at most 255 characters."))
    beside = Folder.objects.filter(parent_id=folder.parent_id, name__iexact=name).exclude(pk=folder.pk)
    if folder.parent_id is None:
        beside = beside.filter(owner_id=folder.owner_id)
    if beside.exists():
        raise UserError(NAME_TAKEN, code="name_taken")
    return name


def _note(verb: str, folder: Folder, by: Person, detail: dict[str, Any]) -> None:
    label = folder.label
    record(f"folder.{verb}", by=by, object_type="folder", object_id=str(folder.pk), object_label=label, detail=detail)
