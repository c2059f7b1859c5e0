"""Groups: who belongs together, under whom, and what permissions that brings."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class MembershipSource(models.TextChoices):
    """Where a membership comes from; a sync only touches the rows of its own source when told to keep the rest."""

    MANUAL = "manual", _("Added by hand")
    OIDC = "oidc", _("Sign-in provider")
    LDAP = "ldap", _("Directory")
    SCIM = "scim", _("SCIM")
    HEADER = "header", _("Trusted header")


class Group(models.Model):
    """A set of people. Members of a child count as members of all its ancestors."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=255, unique=True)
    description = models.TextField(_("description"), blank=True)
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="children",
        verbose_name=_("parent group"),
    )
    permissions = models.JSONField(_("permissions"), default=dict, blank=True)
    data = models.JSONField(default=dict, blank=True)
    meta = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    members: models.ManyToManyField[Any, Any] = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Membership", through_fields=("group", "user"), related_name="direct_groups"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("group")
        verbose_name_plural = _("groups")

    def __str__(self) -> str:
        return self.name


class GroupAncestry(models.Model):
    """The closure of `Group.parent`, self rows included, so that a listing stays one query.

    Kept by `rbac.services` whenever a parent changes.
    """

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="ancestry")
    ancestor = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="descent")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "ancestor"], name="ancestry_once")]


class Membership(models.Model):
    """One person in one group, for one reason."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships")
    source = models.CharField(max_length=10, choices=MembershipSource.choices, default=MembershipSource.MANUAL)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "group", "source"], name="membership_once_per_source")]
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")

    def __str__(self) -> str:
        return f"{self.user} in {self.group}"
