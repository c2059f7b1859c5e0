"""`/api/tasks`: what is running in a chat, and stopping it."""

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


@router.get("/chat/{chat_id}", auth=verified)
def list_chat_tasks(request: HttpRequest, chat_id: uuid.UUID) -> dict[str, Any]:
    readable = Chat.objects.readable_by(request.user).filter(pk=chat_id).exists()  # type: ignore[arg-type]
    return {"task_ids": [str(t) for t in turnlog.running_turns(chat_id)] if readable else []}


@router.post("/chat/{chat_id}/stop", auth=verified)
def stop_chat_tasks(request: HttpRequest, chat_id: uuid.UUID) -> dict[str, Any]:
    stopped = services.request_stop(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    for turn_id in stopped:
        nodes.announce_sync({"kind": "turn.stop", "turn_id": str(turn_id), "user_ids": []})
    return {"status": True, "message": f"{len(stopped)} answers are being stopped."}
