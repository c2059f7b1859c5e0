"""What Celery does for chats: the same sweep as the web processes, and tidying."""

from __future__ import annotations

from celery import shared_task

from chat import turnlog


@shared_task(name="chat.mark_interrupted_turns")  # type: ignore[untyped-decorator]
def mark_interrupted_turns() -> int:
    """Turns of dead processes, for a time when no web process is left to mark them."""
    return len(turnlog.mark_interrupted())


@shared_task(name="chat.prune_turn_logs")  # type: ignore[untyped-decorator]
def prune_turn_logs() -> int:
    """Logs of turns that ended an hour ago; their messages hold the text."""
    return turnlog.prune()
