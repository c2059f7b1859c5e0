"""What people share around chats: snapshots by link, prompts, notes."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models.chats import Chat, bypasses_chat_access
from rbac.sharing import GroupGrant, Person, SharedResource, UserGrant


class SharedChat(SharedResource):
    """A snapshot of a chat behind a link."""

    resource_type: ClassVar[str] = "shared_chat"
    sharing_key: ClassVar[str] = "chats"
    allows_anyone: ClassVar[bool] = True

    chat = models.OneToOneField(Chat, on_delete=models.CASCADE, related_name="shared")
    title = models.CharField(_("title"), max_length=500)
    snapshot = models.JSONField(default=dict)
    share_mode = models.CharField(max_length=20, default="read")

    class Meta:
        verbose_name = _("shared chat")
        verbose_name_plural = _("shared chats")

    def __str__(self) -> str:
        return self.title

    @classmethod
    def bypass_applies(cls, user: Person) -> bool:
        return bypasses_chat_access(user)


class SharedChatUserGrant(UserGrant):
    content_object = models.ForeignKey(SharedChat, on_delete=models.CASCADE, related_name="user_grants")

    class Meta(UserGrant.Meta):
        pass


class SharedChatGroupGrant(GroupGrant):
    content_object = models.ForeignKey(SharedChat, on_delete=models.CASCADE, related_name="group_grants")

    class Meta(GroupGrant.Meta):
        pass


class Prompt(SharedResource):
    """A text called by `/command` in the composer."""

    resource_type: ClassVar[str] = "prompt"
    sharing_key: ClassVar[str] = "prompts"

    command = models.CharField(_("command"), max_length=255, unique=True)
    name = models.CharField(_("name"), max_length=255)
    content = models.TextField(_("text"))
    tags = models.JSONField(default=list, blank=True)
    meta = models.JSONField(default=dict, blank=True)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("prompt")
        verbose_name_plural = _("prompts")
        ordering = ["command"]

    def __str__(self) -> str:
        return f"/{self.command}"


class PromptUserGrant(UserGrant):
    content_object = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="user_grants")

    class Meta(UserGrant.Meta):
        pass


class PromptGroupGrant(GroupGrant):
    content_object = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="group_grants")

    class Meta(GroupGrant.Meta):
        pass


class PromptVersion(models.Model):
    """A prompt as it was saved once: to be looked at, compared, and taken up again."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="versions")
    #: the one before it, which may be gone
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    snapshot = models.JSONField(default=dict)
    message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("version of a prompt")
        verbose_name_plural = _("versions of prompts")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return str(self.pk)


class Note(SharedResource):
    """A page a person writes."""

    resource_type: ClassVar[str] = "note"
    sharing_key: ClassVar[str] = "notes"

    title = models.CharField(_("title"), max_length=500)
    data = models.JSONField(default=dict, blank=True)
    meta = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")

    def __str__(self) -> str:
        return self.title


class NoteUserGrant(UserGrant):
    content_object = models.ForeignKey(Note, on_delete=models.CASCADE, related_name="user_grants")

    class Meta(UserGrant.Meta):
        pass


class NoteGroupGrant(GroupGrant):
    content_object = models.ForeignKey(Note, on_delete=models.CASCADE, related_name="group_grants")

    class Meta(GroupGrant.Meta):
        pass
