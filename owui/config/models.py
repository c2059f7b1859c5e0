"""What administrators changed: one row a setting."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class ConfigValue(models.Model):
    """The stored value of one dotted key. Read and written by `owui.config.store` only.

    A secret is held as `{"encrypted": "…"}`. Keys that start with `live:` are changes made while the environment rules
    (ENABLE_PERSISTENT_CONFIG=False); they are dropped at the next start.
    """

    key = models.CharField(primary_key=True, max_length=200)
    value = models.JSONField()
    updated_at = models.DateTimeField(auto_now=True)
    # An id, not a foreign key: accounts are above this app, and the row outlives the person. The audit log has names.
    updated_by = models.UUIDField(null=True, blank=True)

    class Meta:
        verbose_name = _("setting")
        verbose_name_plural = _("settings")

    def __str__(self) -> str:
        return self.key
