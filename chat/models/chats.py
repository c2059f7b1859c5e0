"""Chats and the folders they lie in."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from rbac.sharing import GroupGrant, Person, SharedResource, UserGrant, is_verified


class Folder(SharedResource):
    """A place for chats, with a prompt and knowledge that its chats inherit."""

    resource_type: ClassVar[str] = "folder"
    sharing_key: ClassVar[str] = "folders"

    name = models.CharField(_("name"), max_length=255)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    data = models.JSONField(default=dict, blank=True)
    meta = models.JSONField(default=dict, blank=True)
    is_expanded = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("folder")
        verbose_name_plural = _("folders")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class FolderUserGrant(UserGrant):
    content_object = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="user_grants")

    class Meta(UserGrant.Meta):
        pass


class FolderGroupGrant(GroupGrant):
    content_object = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="group_grants")

    class Meta(GroupGrant.Meta):
        pass


class ChatQuerySet(models.QuerySet[Any, Any]):
    """A chat is its owner's. Administrators may read others' while ENABLE_ADMIN_CHAT_ACCESS holds, and never write."""

    def readable_by(self, user: Person | None) -> Self:
        if not is_verified(user):
            return self.none()
        assert user is not None
        if user.role == "admin" and settings.ENABLE_ADMIN_CHAT_ACCESS:
            return self
        return self.filter(owner_id=user.id)

    def writable_by(self, user: Person | None) -> Self:
        if not is_verified(user):
            return self.none()
        assert user is not None
        return self.filter(owner_id=user.id)


class Chat(models.Model):
    """One conversation tree of one owner."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chats")
    title = models.CharField(_("title"), max_length=500, default="New Chat")
    folder = models.ForeignKey(Folder, null=True, blank=True, on_delete=models.SET_NULL, related_name="chats")
    current = models.ForeignKey(
        "chat.Message",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("leaf of the shown branch"),
    )
    model_ids = models.JSONField(default=list, blank=True)
    params = models.JSONField(default=dict, blank=True)
    meta = models.JSONField(default=dict, blank=True)
    pinned = models.BooleanField(default=False)
    archived = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ChatQuerySet.as_manager()

    class Meta:
        verbose_name = _("chat")
        verbose_name_plural = _("chats")
        ordering = ["-updated_at"]
        # The sidebar's question, answered from the index alone in order.
        indexes = [models.Index(fields=["owner", "archived", "-updated_at", "id"])]

    def __str__(self) -> str:
        """The id: titles quote what people asked, and Django admin shows this text to whoever governs."""
        return str(self.pk)
