"""`/api/v1/notes`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from ninja import Router

from accounts.schemas import shown_info
from chat import notes
from chat.models import Note
from owui.lib.guards import verified
from rbac.listings import Listed, listed, listed_page
from rbac.schemas import AccessForm, access_fields
from rbac.shortcuts import get_readable, get_writable

router = Router(tags=["notes"])
PAGE = 60


class NoteForm(AccessForm):
    title: str
    data: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


class NoteUpdateForm(AccessForm):
    title: str | None = None
    data: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


@router.get("/", auth=verified)
@router.get("/list", auth=verified, include_in_schema=False)
def list_notes(request: HttpRequest, page: int | None = None) -> list[dict[str, Any]]:
    rows = _visible(request).order_by("-updated_at", "pk")
    user: Any = request.user
    found = listed(_short(rows), user) if page is None else listed_page(rows, user, page, PAGE, loaded=_short)
    return _listed_json(found, user, with_data=False)


@router.get("/search", auth=verified)
def search_notes(
    request: HttpRequest,
    query: str = "",
    view_option: str = "",
    permission: str = "",
    order_by: str = "",
    direction: str = "",
    page: int = 1,
) -> dict[str, Any]:
    user: Any = request.user
    rows = _visible(request)
    if permission == "write":
        rows = rows.writable_by(user)
    if query:
        rows = rows.filter(Q(title__icontains=query) | Q(data__content__md__icontains=query))
    if view_option in ("created", "shared"):
        own = Q(owner_id=user.pk)
        rows = rows.filter(own if view_option == "created" else ~own)
    field = {"name": "title", "title": "title", "created_at": "created_at"}.get(order_by, "updated_at")
    rows = rows.order_by(("" if direction == "asc" else "-") + field, "pk")
    found = listed_page(rows, user, page, PAGE)
    return {"items": _listed_json(found, user), "total": found.total}


@router.get("/pinned", auth=verified)
def list_pinned(request: HttpRequest) -> list[dict[str, Any]]:
    """Those that the caller keeps on top, the newest pin first."""
    user: Any = request.user
    keys = [key for key in notes.pinned_by(user) if _is_id(key)]
    found = listed(_short(_visible(request).filter(pk__in=keys)), user)
    order = {key: place for place, key in enumerate(keys)}
    return sorted(_listed_json(found, user, with_data=False), key=lambda row: -order[row["id"]])


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


@router.post("/create", auth=verified)
def create_note(request: HttpRequest, form: NoteForm) -> dict[str, Any]:
    by: Any = request.user
    note = notes.create_note(by=by, title=form.title, data=form.data, meta=form.meta, grants=form.grants() or ())
    return _record(note, request)


@router.get("/{note_id}", auth=verified)
def get_note(request: HttpRequest, note_id: str) -> dict[str, Any]:
    user: Any = request.user
    notes.check_notes(user)
    return _record(get_readable(Note.objects.all(), user, note_id, denied=403), request)


@router.post("/{note_id}/update", auth=verified)
def update_note(request: HttpRequest, note_id: str, form: NoteUpdateForm) -> dict[str, Any]:
    by: Any = request.user
    sent = {"title": form.title, "data": form.data, "meta": form.meta}
    changes = {name: value for name, value in sent.items() if value is not None}
    note = notes.update_note(_writable(request, note_id), by=by, grants=form.grants(), **changes)
    return _record(note, request)


@router.post("/{note_id}/access/update", auth=verified)
def update_access(request: HttpRequest, note_id: str, form: AccessForm) -> dict[str, Any]:
    note = _writable(request, note_id)
    form.update(note, by=request.user)  # type: ignore[arg-type]
    return _record(note, request)


@router.post("/{note_id}/pin", auth=verified)
def pin_note(request: HttpRequest, note_id: str) -> dict[str, Any]:
    """For the caller alone, who needs no more than to read it."""
    user: Any = request.user
    notes.check_notes(user)
    note: Note = get_readable(Note.objects.all(), user, note_id, denied=403)
    notes.toggle_pin(note, by=user)
    return _record(note, request)


@router.delete("/{note_id}/delete", auth=verified)
def delete_note(request: HttpRequest, note_id: str) -> bool:
    notes.delete_note(_writable(request, note_id), by=request.user)  # type: ignore[arg-type]
    return True


def _visible(request: HttpRequest) -> Any:
    user: Any = request.user
    notes.check_notes(user)
    return Note.objects.readable_by(user)


def _writable(request: HttpRequest, note_id: str) -> Note:
    user: Any = request.user
    notes.check_notes(user)
    found: Note = get_writable(Note.objects.all(), user, note_id, denied=403)
    return found


def _record(note: Note, request: HttpRequest) -> dict[str, Any]:
    note.refresh_from_db()
    user: Any = request.user
    is_pinned = str(note.pk) in notes.pinned_by(user)
    return _row_json(note, user, access_fields([note], user)[note.pk]) | {"is_pinned": is_pinned}


def _listed_json(found: Listed, user: Any, *, with_data: bool = True) -> list[dict[str, Any]]:
    pinned = set(notes.pinned_by(user))
    return [
        _row_json(note, user, found.access[note.pk], with_data=with_data) | {"is_pinned": str(note.pk) in pinned}
        for note in found.rows
    ]


def _short(rows: Any) -> Any:
    return rows.defer("data", "meta")


def _row_json(note: Note, user: Any, access: Mapping[str, Any], *, with_data: bool = True) -> dict[str, Any]:
    """`with_data=False` is the field's light list: a note may be long."""
    return {
        "id": str(note.pk),
        "user_id": str(note.owner_id) if note.owner_id else "",
        "title": note.title,
        **({"data": note.data or None, "meta": note.meta or None} if with_data else {}),
        "created_at": int(note.created_at.timestamp()),
        "updated_at": int(note.updated_at.timestamp()),
        "user": shown_info(note.owner, to=user),
        **access,
    }
