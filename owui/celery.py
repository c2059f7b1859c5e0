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
    "mark-interrupted-turns": {"task": "chat.mark_interrupted_turns", "schedule": 10.0, "options": {"expires": 10}},
    "prune-turn-logs": {"task": "chat.prune_turn_logs", "schedule": 600.0, "options": {"expires": 600}},
    "prune-sessions": {"task": "accounts.prune_sessions", "schedule": 3600.0, "options": {"expires": 3600}},
    "seal-audit": {"task": "owui.seal_audit", "schedule": 30.0, "options": {"expires": 30}},
}


@app.task(name="owui.seal_audit")  # type: ignore[untyped-decorator]
def seal_audit() -> int:
    """The web processes seal within a second; this one covers a time without any."""
    from owui.audit.sealer import seal_batch

    return seal_batch()
