"""Messages, the turns that write them, and the event log from which any process can show a running turn."""

from __future__ import annotations

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models.chats import Chat
from rbac.sharing import Person


class State(models.TextChoices):
    """How an answer stands."""

    RUNNING = "running", _("Writing")
    DONE = "done", _("Done")
    STOPPED = "stopped", _("Stopped")
    INTERRUPTED = "interrupted", _("Interrupted")
    FAILED = "failed", _("Failed")


class MessageQuerySet(models.QuerySet[Any, Any]):
    """Messages are reached through their chat."""

    def readable_by(self, user: Person | None) -> Self:
        return self.filter(chat__in=Chat.objects.readable_by(user))

    def writable_by(self, user: Person | None) -> Self:
        return self.filter(chat__in=Chat.objects.writable_by(user))


class Message(models.Model):
    """One node of a chat's tree; `parent` points towards the root."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    chat = models.ForeignKey(Chat, on_delete=models.CASCADE, related_name="messages", db_index=False)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    author = models.CharField(max_length=10)
    content = models.TextField(blank=True)
    reasoning = models.TextField(blank=True)
    model_id = models.CharField(max_length=255, blank=True)
    model_name = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.DONE)
    error = models.TextField(blank=True)
    files = models.JSONField(default=list, blank=True)
    status_history = models.JSONField(default=list, blank=True)
    usage = models.JSONField(default=dict, blank=True)
    meta = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]
        indexes = [models.Index(fields=["chat", "created_at"])]
        verbose_name = _("message")
        verbose_name_plural = _("messages")

    def __str__(self) -> str:
        """Without the words: Django admin shows this text to whoever governs."""
        return f"{self.author}: {self.pk}"


class Citation(models.Model):
    """A passage that an answer stands on. `number` is the source's number in the text; a source may have several."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="citations")
    number = models.PositiveIntegerField()
    ordinal = models.PositiveIntegerField(default=0)
    document = models.ForeignKey("knowledge.Document", null=True, on_delete=models.SET_NULL, related_name="+")
    knowledge_base = models.ForeignKey(
        "knowledge.KnowledgeBase", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    document_name = models.CharField(max_length=255)
    page_position = models.PositiveIntegerField(null=True)
    page_number = models.PositiveIntegerField(null=True)
    page_label = models.CharField(max_length=255, blank=True)
    start_index = models.PositiveIntegerField(default=0)
    text = models.TextField()
    score = models.FloatField(null=True)

    class Meta:
        ordering = ["number", "ordinal"]
        constraints = [models.UniqueConstraint(fields=["message", "number", "ordinal"], name="citation_once")]


class Runner(models.Model):
    """One ASGI process that runs turns. Its heartbeat tells the others that its turns live."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(max_length=255, blank=True)
    pid = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField(db_index=True)


class Turn(models.Model):
    """The work that writes one answer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    chat = models.ForeignKey(Chat, on_delete=models.CASCADE, related_name="turns")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="turns")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    # Without a constraint: a runner's row may be swept while its last turns are being marked.
    runner_id = models.UUIDField(null=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.RUNNING)
    stop_requested = models.BooleanField(default=False)
    #: text the answer had before this turn (Continue); the log holds what this turn adds
    prefix_length = models.PositiveIntegerField(default=0)
    #: what the answer took, where the model server said so; see `chat.engine.usage`
    prompt_tokens = models.PositiveIntegerField(null=True, editable=False)
    completion_tokens = models.PositiveIntegerField(null=True, editable=False)
    first_token_ms = models.PositiveIntegerField(null=True, editable=False)
    tokens_per_second = models.FloatField(null=True, editable=False)
    model_digest = models.CharField(max_length=128, blank=True, db_default="", editable=False)
    timings = models.JSONField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["runner_id"], condition=models.Q(state="running"), name="turn_running"),
            models.Index(fields=["finished_at"]),
        ]
        constraints = [
            # Two tabs, one press each: only one answer is written into a message at a time.
            models.UniqueConstraint(
                fields=["message"], condition=models.Q(state="running"), name="one_turn_per_message"
            )
        ]


class TurnEvent(models.Model):
    """A batch of a turn's events, `first_seq` to `last_seq`: the durable log, written at least once a second."""

    id = models.BigAutoField(primary_key=True)
    # Without a constraint: checking it would lock the turn's row with every batch, against the end of the turn.
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="events", db_constraint=False, db_index=False)
    first_seq = models.PositiveIntegerField()
    last_seq = models.PositiveIntegerField()
    events = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["turn", "first_seq"], name="events_once")]
