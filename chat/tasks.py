"""What Celery does for chats: the same sweep as the web processes, and tidying."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from chat import turnlog


@shared_task(name="chat.mark_interrupted_turns")  # type: ignore[untyped-decorator]
def mark_interrupted_turns() -> int:
    """Turns of dead processes, for a time when no web process is left to mark them. Patient, because a worker does not
    know whether the database itself was away for the last seconds."""
    return len(turnlog.mark_interrupted(dead_after=timedelta(seconds=60)))


@shared_task(name="chat.prune_turn_logs")  # type: ignore[untyped-decorator]
def prune_turn_logs() -> int:
    """Logs of turns that ended an hour ago; their messages hold the text."""
    return turnlog.prune()
