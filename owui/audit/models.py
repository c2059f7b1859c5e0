"""The audit log: events as they happened, and seals that chain them.

An event is written in the transaction of the change it tells of. A second later the sealer (`owui.audit.sealer`)
gives it a number and chains its hash to the one before, so that writers never wait for each other. Triggers refuse
UPDATE, DELETE and TRUNCATE on events and seals. Whoever owns the database can switch triggers off; the chain is what
tells then.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

# The time of the clock, not of the transaction's start. `record` sets the time itself, because it is hashed.
_CLOCK = models.Func(function="clock_timestamp", output_field=models.DateTimeField())


class AuditEvent(models.Model):
    """Who did what to what, when, and from where. Written by `owui.audit.record.record` only."""

    at = models.DateTimeField(_("time"), db_default=_CLOCK)
    # Ids and labels as they were, no foreign keys: the log outlives people and things.
    actor_id = models.UUIDField(_("actor id"), null=True)
    actor_label = models.CharField(_("actor"), max_length=255)
    action = models.CharField(_("action"), max_length=100)
    object_type = models.CharField(_("kind of object"), max_length=100, blank=True)
    object_id = models.CharField(_("object id"), max_length=255, blank=True)
    object_label = models.CharField(_("object"), max_length=255, blank=True)
    detail = models.JSONField(_("detail"), default=dict)
    # Text, not inet: it must come back letter for letter, because it is hashed.
    ip = models.CharField(_("address"), max_length=64, blank=True)
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    hash = models.CharField(max_length=64)
    # Made with SECRET_KEY, checked once by the sealer: an event forged by someone with only the database is told apart.
    mac = models.CharField(max_length=64)

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit log")
        indexes = [
            models.Index(fields=["at"], name="audit_event_at"),
            models.Index(fields=["actor_id", "at"], name="audit_event_actor"),
            models.Index(fields=["object_type", "object_id", "at"], name="audit_event_object"),
            models.Index(fields=["action", "at"], name="audit_event_action"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_label}: {self.action} {self.object_label or self.object_id}".rstrip()


class AuditPending(models.Model):
    """Events that have no seal yet. A trigger fills it, the sealer empties it: late commits are never overlooked."""

    event_id = models.BigIntegerField(primary_key=True)

    class Meta:
        verbose_name = "unsealed audit event"

    def __str__(self) -> str:
        return str(self.event_id)


class AuditSeal(models.Model):
    """One link of the chain: `hash` covers the link before, the event's id and hash, and whether its mac was right."""

    sequence = models.BigIntegerField(primary_key=True)
    # A plain id, no foreign key: the seal must stay when an event is removed, to bear witness.
    event_id = models.BigIntegerField(unique=True)
    is_genuine = models.BooleanField()
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()

    class Meta:
        verbose_name = "audit seal"
        indexes = [models.Index(fields=["sealed_at"], name="audit_seal_at")]

    def __str__(self) -> str:
        return f"{self.sequence}: {self.hash[:12]}"


class AuditHead(models.Model):
    """The end of the chain, one row; its mac needs SECRET_KEY, so cutting off the tail shows."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sequence = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    mac = models.CharField(max_length=64)

    class Meta:
        verbose_name = "end of the audit chain"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="audit_one_head")]

    def __str__(self) -> str:
        return f"{self.sequence}: {self.hash[:12]}"
