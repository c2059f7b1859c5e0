"""`/api/v1/evaluations`: ratings of answers, one's own and, for administrators, everybody's."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router
from pydantic import BaseModel, ConfigDict

from accounts.schemas import user_info
from chat import feedback
from chat.exports import as_list
from chat.models import Feedback
from owui.lib.errors import Missing
from owui.lib.guards import admin, verified
from owui.lib.pagination import keys_of, rows_of

router = Router(tags=["evaluations"])
#: rows in memory while a list is written; with the whole chats that were rated
AT_ONCE, CHATS_AT_ONCE = 500, 20
_ORDERS = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "rating": "data__rating",
    "model_id": "data__model_id",
}


class FeedbackForm(BaseModel):
    """A rating; what else a client sends is left out."""

    model_config = ConfigDict(extra="ignore")

    type: str = "rating"
    data: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None
    snapshot: dict[str, Any] | None = None


@router.post("/feedback", auth=verified)
def create_feedback(request: HttpRequest, form: FeedbackForm) -> dict[str, Any]:
    by: Any = request.user
    return _json(feedback.store_feedback(by=by, body=form.model_dump()))


@router.get("/feedbacks/user", auth=verified)
def own_feedback(request: HttpRequest) -> StreamingHttpResponse:
    by: Any = request.user
    return _streamed(Feedback.objects.writable_by(by).defer("snapshot"), _json)


@router.delete("/feedbacks", auth=verified)
def delete_own(request: HttpRequest) -> bool:
    by: Any = request.user
    feedback.delete_all(by=by, own=True)
    return True


@router.get("/feedbacks/list", auth=admin)
def list_feedback(request: HttpRequest, page: int = 1, order_by: str = "", direction: str = "") -> dict[str, Any]:
    """30 a page, with who rated; chats are not shown."""
    rows = _everybodys(request)
    field = _ORDERS.get(order_by, "updated_at")
    ordered = rows.order_by(("" if direction == "asc" else "-") + field, "pk")
    keys, total = keys_of(ordered, page)
    found = rows_of(rows.select_related("user"), keys)
    return {"items": [_json(row) | {"user": user_info(row.user)} for row in found], "total": total}


@router.get("/feedbacks/all/export", auth=admin)
def export_feedback(request: HttpRequest) -> StreamingHttpResponse:
    """All of it; with the chats only where administrators may have these (ENABLE_ADMIN_EXPORT and _CHAT_ACCESS)."""
    by: Any = request.user
    with_chats = bool(settings.ENABLE_ADMIN_EXPORT and settings.ENABLE_ADMIN_CHAT_ACCESS)
    rows = Feedback.objects.readable_by(by)
    feedback.note_export(by=by, count=rows.count(), with_chats=with_chats)
    if with_chats:
        return _streamed(rows, lambda row: _json(row) | {"snapshot": row.snapshot}, at_once=CHATS_AT_ONCE)
    return _streamed(rows.defer("snapshot"), _json)


@router.get("/feedbacks/all/ids", auth=admin)
def ids_of_all(request: HttpRequest) -> StreamingHttpResponse:
    rows = _everybodys(request).only("user_id", "created_at", "updated_at")
    return _streamed(rows, lambda row: {"id": str(row.pk), "user_id": str(row.user_id), **_times(row)})


@router.get("/feedbacks/models", auth=admin)
def rated_models(request: HttpRequest) -> list[str]:
    """The models that were rated."""
    names = _everybodys(request).order_by().values_list("data__model_id", flat=True).distinct()
    return sorted(str(name) for name in names if name)


@router.delete("/feedbacks/all", auth=admin)
def delete_all(request: HttpRequest) -> bool:
    by: Any = request.user
    feedback.delete_all(by=by, own=False)
    return True


@router.get("/feedback/{feedback_id}", auth=verified)
def get_feedback(request: HttpRequest, feedback_id: uuid.UUID) -> dict[str, Any]:
    return _json(_found(Feedback.objects.readable_by(request.user), feedback_id))  # type: ignore[arg-type]


@router.post("/feedback/{feedback_id}", auth=verified)
def update_feedback(request: HttpRequest, feedback_id: uuid.UUID, form: FeedbackForm) -> dict[str, Any]:
    by: Any = request.user
    row = _found(Feedback.objects.writable_by(by), feedback_id)
    return _json(feedback.store_feedback(by=by, body=form.model_dump(exclude_unset=True), feedback=row))


@router.delete("/feedback/{feedback_id}", auth=verified)
def delete_feedback(request: HttpRequest, feedback_id: uuid.UUID) -> bool:
    by: Any = request.user
    feedback.delete_feedback(by=by, feedback=_found(Feedback.objects.readable_by(by), feedback_id))
    return True


def _streamed(rows: Any, shape: Callable[[Feedback], dict[str, Any]], at_once: int = AT_ONCE) -> StreamingHttpResponse:
    """All the rows, however many, a few in memory at a time."""

    def some(keys: Sequence[Any]) -> list[bytes]:
        return [orjson.dumps(shape(row), default=str) for row in rows_of(rows, keys)]

    return StreamingHttpResponse(as_list(rows, some, at_once), content_type="application/json")


def _everybodys(request: HttpRequest) -> Any:
    return Feedback.objects.readable_by(request.user).defer("snapshot")  # type: ignore[arg-type]


def _found(rows: Any, feedback_id: uuid.UUID) -> Feedback:
    row: Feedback | None = rows.filter(pk=feedback_id).first()
    if row is None:
        raise Missing
    return row


def _json(row: Feedback) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "user_id": str(row.user_id),
        "version": row.version,
        "type": row.type,
        "data": row.data,
        "meta": row.meta,
        **_times(row),
    }


def _times(row: Feedback) -> dict[str, int]:
    return {"created_at": int(row.created_at.timestamp()), "updated_at": int(row.updated_at.timestamp())}
