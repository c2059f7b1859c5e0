"""What the scheduled directory syncs did."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.logins import ExternalLogin


class DirectoryRun(models.Model):
    """One walk through the directory: what it changed, and what kept it from changing more."""

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        REFUSED = "refused", _("Stopped: too many people would have gone")
        FAILED = "failed", _("Failed")

    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.RUNNING)
    started_at = models.DateTimeField(_("began"), auto_now_add=True, db_index=True)
    #: moved while it works; one that stands still has died
    beat_at = models.DateTimeField(_("last sign of life"), auto_now_add=True)
    finished_at = models.DateTimeField(_("ended"), null=True, blank=True)
    seen = models.PositiveIntegerField(_("people in the directory"), default=0)
    known = models.PositiveIntegerField(_("of them with an account"), default=0)
    changed_count = models.PositiveIntegerField(_("changes"), default=0)
    #: the first thousand: whom, what, and how
    changes: models.JSONField[Any, Any] = models.JSONField(_("what changed"), default=list, blank=True)
    errors: models.JSONField[Any, Any] = models.JSONField(_("errors"), default=list, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state="running"), name="directory_run_one_at_a_time"
            )
        ]
        verbose_name = _("directory sync")
        verbose_name_plural = _("directory syncs")

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} {self.get_state_display()}"


class DirectoryAbsence(models.Model):
    """An account that was switched off because the directory closed or lost the person; comes on with them again.

    Without this row an account was switched off by somebody, and only somebody switches it on.
    """

    login = models.OneToOneField(ExternalLogin, on_delete=models.CASCADE, related_name="absence")
    since = models.DateTimeField(auto_now_add=True)
