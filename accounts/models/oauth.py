"""What we keep of a provider: its tokens for a person, and which one-time values were used."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User


class OAuthSession(models.Model):
    """One sign-in at a provider, with its tokens encrypted. `Session.origin` of the session here names it. It ends with
    that, or when the tokens cannot be renewed; the session here goes on then."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="oauth_sessions")
    provider = models.CharField(_("provider"), max_length=80)
    #: `sub` and `sid` of the ID token, by which the provider names the person and the session when it ends them
    subject = models.CharField(max_length=255, blank=True)
    sid = models.CharField(max_length=255, blank=True)
    tokens = models.TextField(editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    #: somebody is renewing the tokens until then; the others wait
    renewing_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["user", "provider", "created_at"]),
            models.Index(fields=["provider", "subject"]),
            models.Index(fields=["provider", "sid"]),
        ]
        verbose_name = _("provider session")
        verbose_name_plural = _("provider sessions")


class SpentToken(models.Model):
    """The hash of something that counts once: a sign-in's state, a logout token. Kept until it is refused anyway."""

    digest = models.CharField(max_length=64, primary_key=True)
    expires_at = models.DateTimeField(db_index=True)
