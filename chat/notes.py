"""Notes: create, change, delete. Each with its audit entry in the same transaction; texts are not in the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import preferences
from accounts.models import User
from chat.models import Note
from owui.audit.record import record
from owui.lib.errors import UserError
from rbac.grants import Grant
from rbac.history import acting
from rbac.permissions import require_feature
from rbac.services import announce, set_grants
from rbac.sharing import Person

MOST_PINNED = 50


def check_notes(by: Person) -> None:
    """403 while notes are switched off, 401 without `features.notes`."""
    require_feature(by, "features.notes", status=401)


@transaction.atomic
def create_note(
    *,
    by: Person,
    title: str,
    data: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
    grants: Iterable[Grant] = (),
) -> Note:
    """A new note. Grants the person may not give are left out, as in the field."""
    check_notes(by)
    acting(by)
    note = Note.objects.create(owner_id=by.id, title=_clean_title(title), data=data or {}, meta=meta or {})
    _note("created", note, by, {})
    if grants := list(grants):
        set_grants(note, grants, by=by, strict=False)
    return note


@transaction.atomic
def update_note(note: Note, *, by: Person, grants: Iterable[Grant] | None = None, **changes: Any) -> Note:
    """Changes title, data or meta; the parts of data and meta that are not sent stay."""
    acting(by)
    note = Note.objects.select_for_update(of=("self",)).get(pk=note.pk)
    if "title" in changes:
        changes["title"] = _clean_title(changes["title"])
    for field in ("data", "meta"):
        if field in changes:
            changes[field] = {**getattr(note, field), **changes[field]}
    changed = sorted(field for field, value in changes.items() if getattr(note, field) != value)
    for field in changed:
        setattr(note, field, changes[field])
    if changed:
        note.save(update_fields=[*changed, "updated_at"])
        _note("updated", note, by, {"changed": changed})
    if grants is not None:
        set_grants(note, grants, by=by, strict=False)
    return note


@transaction.atomic
def delete_note(note: Note, *, by: Person) -> None:
    """Removes a note and the grants to it."""
    acting(by)
    _note("deleted", note, by, {})
    announce("note", str(note.pk))
    note.delete()


def pinned_by(user: User) -> list[str]:
    """The ids of the notes that the person keeps on top, the newest pin last. A pin is its person's: who shares a note
    does not turn over the lists of others."""
    found = preferences.interface_of(user).get("pinnedNotes")
    return [key for key in found if isinstance(key, str)] if isinstance(found, list) else []


def toggle_pin(note: Note, *, by: User) -> bool:
    """On top of the person's notes, or back among the others. Says which."""
    key, pinned = str(note.pk), pinned_by(by)
    is_pinned = key not in pinned
    kept = [other for other in pinned if other != key]
    preferences.change_interface(by, {"pinnedNotes": [*kept, key][-MOST_PINNED:] if is_pinned else kept})
    return is_pinned


def _clean_title(title: str) -> str:
    title = " ".join(title.split())
    if not title or len(title) > 500:
        raise UserError(_("A note needs a title of at most 500 characters."))
    return title


def _note(verb: str, note: Note, by: Person, detail: dict[str, Any]) -> None:
    # Without its title: it quotes what people write for themselves.
    record(f"note.{verb}", by=by, object_type="note", object_id=str(note.pk), detail=detail)
