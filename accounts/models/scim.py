"""What a provisioning client (SCIM) owns here, and what it said beyond what an account holds."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User
from rbac.models import Group


class ScimAccount(models.Model):
    """An account that SCIM made or took over: only those it sees and changes.

    The client's id for the person (`externalId`) is an `ExternalLogin`. A row whose `deleted_at` is set is a person
    whom the client deleted: gone for it, switched off here, with everything they made kept.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="scim_account", primary_key=True)
    user_name = models.CharField(max_length=255)
    display_name = models.CharField(max_length=255, blank=True)
    formatted = models.CharField(max_length=255, blank=True)
    given_name = models.CharField(max_length=255, blank=True)
    family_name = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        # Upper, because that is what Django's `iexact` asks PostgreSQL for.
        constraints = [
            models.UniqueConstraint(Upper("user_name"), condition=Q(deleted_at=None), name="scim_user_name_once")
        ]
        verbose_name = _("SCIM account")
        verbose_name_plural = _("SCIM accounts")

    def __str__(self) -> str:
        return self.user_name


class ScimEmail(models.Model):
    """An address as the client sent it; the primary one is the account's own."""

    account = models.ForeignKey(ScimAccount, on_delete=models.CASCADE, related_name="emails")
    value = models.CharField(max_length=254)
    type = models.CharField(max_length=50, blank=True)
    is_primary = models.BooleanField(null=True)

    def __str__(self) -> str:
        return self.value


class ScimGroup(models.Model):
    """What SCIM knows of a group. It may see every group and put its own people in; only groups that it made are its
    to rename and to delete."""

    group = models.OneToOneField(Group, on_delete=models.CASCADE, related_name="scim_group", primary_key=True)
    external_id = models.CharField(max_length=255, blank=True, db_index=True)
    is_made_by_scim = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return str(self.group)
