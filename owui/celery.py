"""Celery: ingestion, clean-up, anything that may outlive a request. Turns do not run here (DECISIONS 22)."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "owui.settings")  # noqa: TID251

from celery import Celery

app = Celery("owui")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["accounts", "knowledge", "chat"])
app.conf.beat_schedule = {
    # What a killed worker or an emptied broker left behind is taken up again.
    "resume-ingestion": {"task": "knowledge.resume_ingestion", "schedule": 10.0, "options": {"expires": 10}},
    "tend-index": {"task": "knowledge.tend_index", "schedule": 20.0, "options": {"expires": 20}},
    "mark-interrupted-turns": {"task": "chat.mark_interrupted_turns", "schedule": 10.0, "options": {"expires": 10}},
    "prune-turn-logs": {"task": "chat.prune_turn_logs", "schedule": 600.0, "options": {"expires": 600}},
    "prune-sessions": {"task": "accounts.prune_sessions", "schedule": 3600.0, "options": {"expires": 3600}},
    # Asks whether a look is due; the interval itself is a setting.
    "sync-directory": {"task": "accounts.sync_directory", "schedule": 5.0, "options": {"expires": 5}},
    "seal-audit": {"task": "owui.seal_audit", "schedule": 30.0, "options": {"expires": 30}},
}


@app.task(name="owui.seal_audit")  # type: ignore[untyped-decorator]
def seal_audit() -> int:
    """The web processes seal within a second; this one covers a time without any."""
    from owui.audit.sealer import seal_batch

    return seal_batch()


@app.task(name="accounts.sync_directory")  # type: ignore[untyped-decorator]
def sync_directory() -> bool:
    """Looks through the directory when that is due; one worker at a time."""
    from accounts.services import sync_directory, sync_is_due
    from owui.lib.errors import Refused

    if not sync_is_due():
        return False
    try:
        sync_directory()
    except Refused:
        return False  # another worker was first
    return True
