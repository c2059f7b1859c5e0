"""Sign-ins: open sessions, and attempts that were refused."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User


class Session(models.Model):
    """One sign-in on one device. Its id is the token's `jti`; a token without its row is worth nothing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    auth_method = models.CharField(max_length=20, default="password")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["user", "created_at"]), models.Index(fields=["expires_at"])]
        verbose_name = _("session")
        verbose_name_plural = _("sessions")


class SignInFailure(models.Model):
    """A refused sign-in, kept for minutes to slow down guessing."""

    email = models.CharField(max_length=254)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["email", "at"])]
