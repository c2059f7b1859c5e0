"""What people say of answers, and the words that messages had before."""

from __future__ import annotations

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models.chats import Chat
from chat.models.messages import Message
from rbac.sharing import Person, is_verified


class FeedbackQuerySet(models.QuerySet[Any, Any]):
    """A rating is whose who gave it; administrators evaluate all of them, and may take them away."""

    def readable_by(self, user: Person | None) -> Self:
        if not is_verified(user):
            return self.none()
        assert user is not None
        return self if user.role == "admin" else self.filter(user_id=user.id)

    def writable_by(self, user: Person | None) -> Self:
        if not is_verified(user):
            return self.none()
        assert user is not None
        return self.filter(user_id=user.id)


class Feedback(models.Model):
    """One person's rating of one answer. It quotes the chat, so it goes with the chat and with the person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="feedback")
    chat = models.ForeignKey(Chat, null=True, blank=True, on_delete=models.CASCADE, related_name="feedback")
    message = models.ForeignKey(Message, null=True, blank=True, on_delete=models.SET_NULL, related_name="feedback")
    type = models.CharField(max_length=40, default="rating")
    version = models.PositiveIntegerField(default=0)
    data = models.JSONField(default=dict, blank=True)
    meta = models.JSONField(default=dict, blank=True)
    #: the chat as it was when it was rated
    snapshot = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = FeedbackQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at", "id"]
        indexes = [models.Index(fields=["-updated_at", "id"], name="feedback_by_age")]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "message"], condition=models.Q(message__isnull=False), name="feedback_once"
            )
        ]
        verbose_name = _("feedback")
        verbose_name_plural = _("feedback")

    def __str__(self) -> str:
        """Without the words: Django admin shows this text to whoever governs."""
        return str(self.pk)


class MessageVersion(models.Model):
    """The words of a message before somebody wrote over them."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="versions")
    content = models.TextField(_("text"), blank=True)
    reasoning = models.TextField(_("thoughts"), blank=True, default="", db_default="")
    replaced_at = models.DateTimeField(_("replaced"), auto_now_add=True)
    replaced_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("replaced by")
    )

    class Meta:
        ordering = ["-replaced_at", "-id"]
        verbose_name = _("former text of a message")
        verbose_name_plural = _("former texts of messages")

    def __str__(self) -> str:
        return str(self.pk)
