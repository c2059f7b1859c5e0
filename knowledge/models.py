"""What an answer may stand on: knowledge bases, their documents, and the pieces that are searched."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField

from rbac.sharing import GroupGrant, Person, SharedResource, UserGrant, bypasses_access, is_verified


class KnowledgeBase(SharedResource):
    """A shared set of documents."""

    resource_type: ClassVar[str] = "knowledge"
    sharing_key: ClassVar[str] = "knowledge"

    name = models.CharField(_("name"), max_length=255)
    description = models.TextField(_("description"), blank=True)
    meta = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("knowledge base")
        verbose_name_plural = _("knowledge bases")
        ordering = ["name"]
        indexes = [models.Index(fields=["-updated_at", "id"])]

    def __str__(self) -> str:
        return self.name


class KnowledgeBaseUserGrant(UserGrant):
    content_object = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="user_grants")

    class Meta(UserGrant.Meta):
        verbose_name = _("grant to a person")
        verbose_name_plural = _("grants to people")


class KnowledgeBaseGroupGrant(GroupGrant):
    content_object = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="group_grants")

    class Meta(GroupGrant.Meta):
        verbose_name = _("grant to a group")
        verbose_name_plural = _("grants to groups")


class EmbeddingSpace(models.Model):
    """One embedding model's vector space. Vectors of different spaces are never compared."""

    engine = models.CharField(max_length=40)
    model = models.CharField(max_length=255)
    dimensions = models.PositiveIntegerField()
    is_active = models.BooleanField(default=False)
    #: the last chunk that the space's HNSW index holds; null: there is none
    graph_until = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["engine", "model", "dimensions"], name="space_once"),
            models.UniqueConstraint(fields=["is_active"], condition=Q(is_active=True), name="one_active_space"),
        ]

    def __str__(self) -> str:
        return f"{self.engine or 'embedded'}:{self.model} ({self.dimensions})"


class DocumentState(models.TextChoices):
    """The steps of ingestion. Each is left only by the transaction that completes it."""

    RECEIVED = "received", _("Waiting")
    EXTRACTED = "extracted", _("Text read")
    CHUNKED = "chunked", _("Split")
    LIVE = "live", _("Ready")
    FAILED = "failed", _("Failed")


class DocumentQuerySet(models.QuerySet[Any, Any]):
    """Documents are reached through their owner or through a base the person may read."""

    def readable_by(self, user: Person | None) -> Self:
        return self._allowed(user, KnowledgeBase.objects.readable_by(user))

    def writable_by(self, user: Person | None) -> Self:
        """Own documents, and those that their owner put into a base the person may change (or that are in a base of
        the same owner): whoever may read a document can add it to a base of his own, and must not win it by that."""
        by_owner = (
            Q(added_by_id=F("document__owner_id"))
            | Q(knowledge_base__owner_id=F("document__owner_id"))
            | Q(added_by=None, document__owner=None)
        )
        return self._allowed(user, KnowledgeBase.objects.writable_by(user), by_owner)

    def _allowed(self, user: Person | None, bases: Any, links: Q | None = None) -> Self:
        if not is_verified(user):
            return self.none()
        assert user is not None
        if bypasses_access(user):
            return self
        linked = KnowledgeDocument.objects.filter(links or Q(), knowledge_base__in=bases.values("pk"))
        return self.filter(Q(owner_id=user.id) | Q(pk__in=linked.values("document_id")))


class Document(models.Model):
    """One uploaded file with its text (REST: file)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="document_set",
        verbose_name=_("added by"),
    )
    filename = models.CharField(_("file name"), max_length=255)
    content_type = models.CharField(max_length=255, blank=True)
    size = models.PositiveBigIntegerField(_("size"), default=0)
    file = models.FileField(max_length=500, blank=True)
    bytes_hash = models.CharField(max_length=64, blank=True, help_text=_("sha256 of the uploaded bytes"))
    text_hash = models.CharField(max_length=64, blank=True, db_index=True, help_text=_("sha256 of the extracted text"))
    meta = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=DocumentState.choices, default=DocumentState.RECEIVED)
    error = models.TextField(blank=True)
    page_count = models.PositiveIntegerField(null=True, blank=True)
    chunk_count = models.PositiveIntegerField(default=0)
    chunks_done = models.PositiveIntegerField(default=0, help_text=_("chunks embedded so far; shown as progress"))
    attempts = models.PositiveIntegerField(default=0)
    # A worker holds a document until then; after that any worker may take it up again.
    leased_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["filename"]
        indexes = [
            models.Index(fields=["owner", "-created_at"]),
            # The sweeper's question: what is in work and has no worker?
            models.Index(fields=["leased_until"], condition=~Q(state__in=["live", "failed"]), name="document_in_work"),
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def in_work(self) -> bool:
        return self.state not in (DocumentState.LIVE, DocumentState.FAILED)

    @property
    def progress(self) -> int:
        """Percent, for people."""
        match self.state:
            case DocumentState.LIVE:
                return 100
            case DocumentState.EXTRACTED:
                return 10
            case DocumentState.CHUNKED:
                return 15 + 84 * self.chunks_done // max(1, self.chunk_count)
        return 0


class DocumentPage(models.Model):
    """The text of one page, sheet or slide: what citations show around a passage."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="pages")
    position = models.PositiveIntegerField()
    number = models.PositiveIntegerField(null=True)
    label = models.CharField(max_length=255, blank=True)
    text = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["document", "position"], name="page_once")]
        ordering = ["position"]


class KnowledgeDocument(models.Model):
    """One document in one base."""

    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="links")
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="links")
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["knowledge_base", "document"], name="document_once_per_base")]


class SignsField(models.Field[Any, Any]):
    """A string of bits of any length."""

    def db_type(self, connection: Any) -> str:
        return "varbit"


class Chunk(models.Model):
    """A piece of a document with its vector.

    `knowledge_base` stands on the chunk so that rights are part of the vector query itself; a document in two bases has
    its chunks twice (copied with their vectors, never embedded again), one in none has them with no base.
    """

    id = models.BigAutoField(primary_key=True)
    # The indexes below begin with these columns; each index of its own would be one more to write.
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    knowledge_base = models.ForeignKey(
        KnowledgeBase, null=True, blank=True, on_delete=models.CASCADE, related_name="chunks", db_index=False
    )
    space = models.ForeignKey(EmbeddingSpace, on_delete=models.PROTECT, related_name="chunks", db_index=False)
    position = models.PositiveIntegerField()
    page = models.ForeignKey(DocumentPage, null=True, on_delete=models.CASCADE, related_name="chunks")
    start_index = models.PositiveIntegerField(default=0)
    text = models.TextField()
    headings = models.JSONField(default=list, blank=True)
    # Without a fixed length: each space has its own.
    embedding = HalfVectorField()
    #: the signs of the vector alone, 24 times shorter: what a search reads of all chunks of large bases
    code = models.GeneratedField(
        expression=Func(F("embedding"), function="binary_quantize", template="%(function)s(%(expressions)s)::varbit"),
        output_field=SignsField(),
        db_persist=True,
    )

    class Meta:
        indexes = [
            models.Index(fields=["knowledge_base", "space", "id"], include=["code"], name="chunk_signs"),
            models.Index(fields=["document", "position"]),
        ]


class WordSegment(models.Model):
    """The words of some chunks of one base and language (knowledge/retrieval/sql/words.sql). Triggers write here and in
    the two tables below whenever chunks change; no Python does."""

    id = models.BigAutoField(primary_key=True)
    space_id = models.BigIntegerField()
    knowledge_base_id = models.UUIDField(null=True)
    document_id = models.UUIDField(null=True, help_text="of chunks that are in no base")
    language = models.TextField()
    chunk_count = models.IntegerField()
    word_count = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["space_id", "knowledge_base_id"], name="word_segment_of_base"),
            models.Index(fields=["document_id"], condition=~Q(document_id=None), name="word_segment_of_document"),
        ]


class WordSlot(models.Model):
    """The place of a chunk in a segment."""

    chunk_id = models.BigIntegerField(primary_key=True)
    key = models.BigIntegerField(unique=True, help_text="the segment, and in the last 24 bits the place in it")


class Posting(models.Model):
    """Where in a segment a word occurs, and how much it weighs there, from 1 to 255: as two lists, or as one byte for
    each place."""

    pk = models.CompositePrimaryKey("segment_id", "lexeme")
    segment_id = models.BigIntegerField()
    lexeme = models.TextField()
    count = models.IntegerField()
    slots = ArrayField(models.IntegerField(), null=True)
    weights = ArrayField(models.SmallIntegerField(), null=True)
    dense = models.BinaryField(null=True)


class PendingChunk(models.Model):
    """A chunk whose vector is still being made; nothing searches here, so no half document is ever visible."""

    id = models.BigAutoField(primary_key=True)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="pending_chunks")
    position = models.PositiveIntegerField()
    page = models.ForeignKey(DocumentPage, null=True, on_delete=models.CASCADE, related_name="+")
    start_index = models.PositiveIntegerField(default=0)
    text = models.TextField()
    headings = models.JSONField(default=list, blank=True)
    space = models.ForeignKey(EmbeddingSpace, null=True, on_delete=models.CASCADE, related_name="+")
    embedding = HalfVectorField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["document", "position"], name="pending_once")]


class HeldPassage(models.Model):
    """A passage that looks like an instruction to the model. It is not searched and not given to a model until an
    administrator lets it pass; that decision holds for the same text in the same document, however often it is read."""

    class Decision(models.TextChoices):
        OPEN = "", _("Held, not decided")
        RELEASED = "released", _("Released")
        REFUSED = "refused", _("Kept out")

    document = models.ForeignKey(
        Document, on_delete=models.CASCADE, related_name="held_passages", verbose_name=_("document")
    )
    page_position = models.PositiveIntegerField()
    page_label = models.CharField(_("page"), max_length=255, blank=True)
    start_index = models.PositiveIntegerField(default=0)
    text = models.TextField(_("text"))
    text_hash = models.CharField(max_length=64)
    signs = models.JSONField(_("signs"), default=list)
    score = models.FloatField(_("score"))
    decision = models.CharField(
        _("decision"), max_length=8, choices=Decision.choices, default=Decision.OPEN, blank=True
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided at"), null=True)
    created_at = models.DateTimeField(_("held since"), auto_now_add=True)

    class Meta:
        verbose_name = _("held passage")
        verbose_name_plural = _("held passages")
        ordering = ["-created_at", "id"]
        indexes = [
            models.Index(fields=["-created_at", "id"]),
            models.Index(fields=["document", "text_hash"]),
        ]

    def __str__(self) -> str:
        return f"{self.document}: {self.text[:60]}"
