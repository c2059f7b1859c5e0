"""Keys for programs."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User

#: how long before its end a key's owner is told
SOON = timedelta(days=14)


class ApiKey(models.Model):
    """A person's key for programs, looked up by its hash.

    A person has any number of named keys, of which only the hash is kept, and at most one classic key: the one that
    the field's routes make and read back, for which it is kept encrypted too.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys", verbose_name=_("person"))
    name = models.CharField(_("name"), max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    last_four = models.CharField(_("last four"), max_length=4)
    is_classic = models.BooleanField(_("can be read back"), default=False)
    secret = models.TextField(blank=True)
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    expires_at = models.DateTimeField(_("ends"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last use"), null=True, blank=True)
    last_used_ip = models.GenericIPAddressField(_("from"), null=True, blank=True)
    # Empty: no limit.
    allowed_paths: models.JSONField[Any, Any] = models.JSONField(_("paths"), default=list, blank=True)
    allowed_models: models.JSONField[Any, Any] = models.JSONField(_("models"), default=list, blank=True)
    allowed_addresses: models.JSONField[Any, Any] = models.JSONField(_("addresses"), default=list, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=Q(is_classic=True), name="api_key_one_classic"),
            models.UniqueConstraint(fields=["user", "name"], name="api_key_name_once"),
        ]
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} (…{self.last_four})"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_ending(self) -> bool:
        """It still works and soon will not."""
        return self.expires_at is not None and not self.is_expired and self.expires_at <= timezone.now() + SOON

    @property
    def is_limited(self) -> bool:
        return bool(self.allowed_paths or self.allowed_models or self.allowed_addresses)
