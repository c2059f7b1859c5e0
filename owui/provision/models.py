"""What `manage.py apply` has made or taken over, so that it never removes what is not its own."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Provisioned(models.Model):
    """One thing that a file gave: an object, a setting, one membership, one grant. Written by `apply` only.

    No foreign keys: a row whose object somebody deleted by hand says nothing any more and goes with the next apply.
    """

    #: group, user, model, knowledge, setting, permission, connection; member, manager, grant
    kind = models.CharField(max_length=20)
    #: what the file calls it; for memberships and grants the ids they join
    key = models.CharField(max_length=600)
    object_id = models.UUIDField(null=True)
    #: the fields as the last file gave them: who finds another value in the database knows that it was changed by hand
    applied = models.JSONField(default=dict)
    applied_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "provisioned object"
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="provisioned_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
