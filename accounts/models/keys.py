"""Keys for programs."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User


class ApiKey(models.Model):
    """A person's key for programs. Looked up by hash; kept encrypted because old clients read it back."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="api_key", primary_key=True)
    digest = models.CharField(max_length=64, unique=True)
    last_four = models.CharField(max_length=4)
    secret = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
