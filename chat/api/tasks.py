"""`/api/tasks`: which answers are being written, and stopping them. A task is a turn of the engine."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest
from ninja import Router

from chat import services, turnlog
from chat.models import Chat
from chat.nodes import nodes
from owui.lib.guards import verified

router = Router(tags=["tasks"])


@router.get("", auth=verified)
def list_tasks(request: HttpRequest) -> dict[str, Any]:
    """One's own; administrators see all."""
    return {"tasks": [str(turn_id) for turn_id in services.running_for(request.user)]}  # type: ignore[arg-type]


@router.post("/stop/{task_id}", auth=verified)
def stop_task(request: HttpRequest, task_id: uuid.UUID) -> dict[str, Any]:
    services.request_stop_of(by=request.user, turn_id=task_id)  # type: ignore[arg-type]
    _announce([task_id])
    return {"status": True, "message": f"Task {task_id} is being stopped."}


@router.get("/chat/{chat_id}", auth=verified)
def list_chat_tasks(request: HttpRequest, chat_id: uuid.UUID) -> dict[str, Any]:
    readable = Chat.objects.readable_by(request.user).filter(pk=chat_id).exists()  # type: ignore[arg-type]
    return {"task_ids": [str(t) for t in turnlog.running_turns(chat_id)] if readable else []}


@router.post("/chat/{chat_id}/stop", auth=verified)
def stop_chat_tasks(request: HttpRequest, chat_id: uuid.UUID) -> dict[str, Any]:
    stopped = services.request_stop(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    _announce(stopped)
    return {"status": True, "message": f"{len(stopped)} answers are being stopped."}


def _announce(turn_ids: list[uuid.UUID]) -> None:
    for turn_id in turn_ids:
        nodes.announce_sync({"kind": "turn.stop", "turn_id": str(turn_id), "user_ids": []})
