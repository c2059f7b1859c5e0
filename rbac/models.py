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


class GroupManager(models.Model):
    """A person who may add and remove a group's members, without any right of the group's own."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="managers")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="managed_groups")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "user"], name="manager_once")]
        verbose_name = _("group manager")
        verbose_name_plural = _("group managers")

    def __str__(self) -> str:
        return f"{self.user} manages {self.group}"


class AccessChange(models.Model):
    """One state of one thing that decides about access, and how long it held. Written by the database alone.

    Triggers on the tables of grants, shared objects, memberships, groups, people and default permissions write it, so
    that no way of changing them can forget to. Ids, not foreign keys: the row outlives what it tells of.
    """

    #: grant, resource, member, manager, group, role, defaults
    kind = models.CharField(_("kind"), max_length=10)
    object_type = models.CharField(_("kind of object"), max_length=40)
    object_id = models.UUIDField(_("object id"), null=True)
    principal_type = models.CharField(_("whose"), max_length=10, blank=True)
    principal_id = models.UUIDField(_("principal id"), null=True)
    value = models.JSONField(_("state"))
    valid_from = models.DateTimeField(_("from"))
    valid_until = models.DateTimeField(_("until"), null=True)
    changed_by = models.UUIDField(_("by"), null=True)
    ended_by = models.UUIDField(_("ended by"), null=True)
    #: the row it mirrors
    source = models.CharField(max_length=63)
    row_id = models.CharField(max_length=64)

    class Meta:
        verbose_name = _("change of access")
        verbose_name_plural = _("history of access")
        indexes = [
            models.Index(fields=["object_type", "object_id", "valid_from"], name="accesschange_object"),
            models.Index(fields=["principal_id", "valid_from"], name="accesschange_principal"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "row_id"], condition=models.Q(valid_until=None), name="accesschange_one_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_type} {self.object_id}"
