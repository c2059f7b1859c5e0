"""Sign-ins: open sessions, those that wait for a second factor, and attempts that were refused."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User


class Session(models.Model):
    """One sign-in on one device. Its id is the token's `jti`; a token without its row is worth nothing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    auth_method = models.CharField(max_length=20, default="password")
    created_at = models.DateTimeField(auto_now_add=True)
    #: moved at most once per interval; empty until the session is used again
    last_seen_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    #: `totp`, `recovery` or `passkey` when the person showed one; empty when none was asked for
    second_factor = models.CharField(max_length=20, blank=True)
    #: when the person last proved who they are, at sign-in or later; what changes factors asks for a recent proof
    proven_at = models.DateTimeField(default=timezone.now)
    #: what the way of signing in wants to find again, such as the id of the provider's session; never a secret
    origin: models.JSONField[Any, Any] = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = [models.Index(fields=["user", "created_at"]), models.Index(fields=["expires_at"])]
        verbose_name = _("session")
        verbose_name_plural = _("sessions")


class Challenge(models.Model):
    """A proof that was accepted and is not enough yet: the second factor is still to come, or the passkey's answer.

    Found by the hash of a random token that only the browser has; good for minutes, and once.
    """

    digest = models.CharField(max_length=64, primary_key=True)
    #: `sign_in` (a first proof was accepted), `passkey` (none yet), `register` (a signed-in person adds a passkey)
    kind = models.CharField(max_length=20)
    #: `verify` or `enroll`, of a sign-in
    step = models.CharField(max_length=20, blank=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    auth_method = models.CharField(max_length=20, blank=True)
    #: the person's stamp of then: whatever ends all sessions ends this too
    session_stamp = models.UUIDField(null=True)
    #: what a passkey has to sign
    nonce = models.CharField(max_length=100, blank=True)
    origin: models.JSONField[Any, Any] = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)


class SignInFailure(models.Model):
    """A try to come in that failed or is under way, kept for minutes to slow down guessing."""

    #: `password`, `factor`, `own`, `passkey`, `sign_up` or `reset`
    kind = models.CharField(max_length=10, default="password")
    email = models.CharField(max_length=254)
    #: the caller's address; of IPv6 its network
    address = models.CharField(max_length=45, blank=True)
    at = models.DateTimeField(default=timezone.now)
    #: false while the secret is being checked
    is_over = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["email", "at"]), models.Index(fields=["address", "at"])]


class Lockout(models.Model):
    """An account or an address that has to wait after too many failures; each further time longer."""

    #: `email`, `factor`, `own` (by e-mail) or `address`
    kind = models.CharField(_("what"), max_length=10)
    value = models.CharField(_("account or address"), max_length=254)
    until = models.DateTimeField(_("until"))
    #: how often in a row; forgotten after a quiet time
    times = models.PositiveIntegerField(_("times"), default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="lockout_once")]
        verbose_name = _("lock-out")
        verbose_name_plural = _("lock-outs")

    def __str__(self) -> str:
        return f"{self.kind}: {self.value}"
