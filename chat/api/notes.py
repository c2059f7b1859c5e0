"""`/api/v1/notes`."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from ninja import Router

from accounts.schemas import user_info
from chat import notes
from chat.models import Note
from owui.lib.guards import verified
from owui.lib.pagination import page_of
from rbac.schemas import AccessForm, access_fields
from rbac.services import set_grants
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
    return _json(page_of(rows, page, PAGE) if page is not None else rows, request, with_data=False)


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
    return {"items": _json(page_of(rows, page, PAGE), request), "total": rows.count()}


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
    set_grants(note, form.grants() or [], by=request.user)  # type: ignore[arg-type]
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
    return _json([note], request)[0]


def _json(rows: Any, request: HttpRequest, *, with_data: bool = True) -> list[dict[str, Any]]:
    """`with_data=False` is the field's light list: a note may be long."""
    if hasattr(rows, "select_related"):
        rows = rows.select_related("owner") if with_data else rows.select_related("owner").defer("data")
    rows = list(rows)
    access = access_fields(rows, request.user)  # type: ignore[arg-type]
    return [
        {
            "id": str(row.pk),
            "user_id": str(row.owner_id) if row.owner_id else "",
            "title": row.title,
            **({"data": row.data or None, "meta": row.meta or None} if with_data else {}),
            "created_at": int(row.created_at.timestamp()),
            "updated_at": int(row.updated_at.timestamp()),
            "user": user_info(row.owner) if row.owner else None,
            **access[row.pk],
        }
        for row in rows
    ]
