"""The thumbs under an answer, and the panel that asks why."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.web import signed_in
from chat import feedback, rendering
from chat.models import Feedback, Message
from owui.lib.errors import UserError
from rbac.permissions import may


@require_http_methods(["GET", "POST"])
@signed_in
def rate(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """GET: the panel with what was said. POST of a thumb saves it and asks why; with `said` that is all."""
    user: Any = request.user
    if request.method == "GET":
        message, found = feedback.feedback_of(user, message_id)
        return _panel(request, message, found)
    is_whole = "said" in request.POST
    thumb = request.POST.get("rating", "")
    if thumb not in ("1", "-1"):
        raise UserError("A rating is 1 or -1.", code="rating")
    said = {name: request.POST.get(name, "") for name in ("reason", "comment", "score", "tags")} if is_whole else None
    rated = feedback.rate(by=user, message_id=message_id, rating=int(thumb), said=said)
    message, found = feedback.feedback_of(user, message_id)
    return _panel(request, message, rated, is_done=is_whole)


@require_POST
@signed_in
def unrate(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    return _panel(request, feedback.unrate(by=request.user, message_id=message_id), None)  # type: ignore[arg-type]


def _panel(request: HttpRequest, message: Message, found: Feedback | None, *, is_done: bool = False) -> HttpResponse:
    data = found.data if found else {}
    rating = data.get("rating")
    context = {
        "message": rendering.message_view(message),
        "can": rendering.can_of(request.user),  # type: ignore[arg-type]
        "is_done": is_done,
        "is_open": found is not None and not is_done,
        "may_remove": may(request.user, "chat.delete"),  # type: ignore[arg-type]
        "with_chat": settings.ENABLE_ADMIN_CHAT_ACCESS,
        "comment": data.get("comment", ""),
        "tags": ", ".join(str(tag) for tag in data.get("tags") or []),
        "reason_list": [
            {"value": value, "label": label, "chosen": data.get("reason") == value}
            for value, label in feedback.REASONS.get(rating or 0, {}).items()
        ],
        "score_list": [
            {"value": score, "chosen": (data.get("details") or {}).get("rating") == score} for score in range(1, 11)
        ],
    }
    return render(request, "chat/_feedback.html", context)
