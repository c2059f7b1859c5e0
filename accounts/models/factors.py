"""What a person has besides the password: an authenticator app, codes on paper, passkeys."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User


class Authenticator(models.Model):
    """A person's authenticator app. Secrets are encrypted; `pending` waits for its first right code."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="authenticator", primary_key=True)
    secret = models.TextField(blank=True)
    confirmed_at = models.DateTimeField(null=True)
    pending = models.TextField(blank=True)
    pending_at = models.DateTimeField(null=True)
    #: the time step of the last code that was accepted: neither it nor an older one is good again
    last_step = models.BigIntegerField(default=0)


class RecoveryCode(models.Model):
    """One code on paper, as its hash; deleted when it is used."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="recovery_code_once")]


class Passkey(models.Model):
    """A key in a person's device, phone or security stick, registered here by its public half."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="passkeys")
    name = models.CharField(_("name"), max_length=80)
    credential_id = models.BinaryField(unique=True)
    public_key = models.BinaryField()
    sign_count = models.BigIntegerField(default=0)
    #: the host it was made for; a browser never shows it to another
    host = models.CharField(max_length=253)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "pk"]
