"""Chats and the folders they lie in."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from rbac.sharing import (
    GroupGrant,
    Person,
    SharedQuerySet,
    SharedResource,
    UserGrant,
    bypasses_access,
    is_verified,
)


def bypasses_chat_access(user: Person) -> bool:
    """Administrators reach what holds people's chats only while ENABLE_ADMIN_CHAT_ACCESS holds as well."""
    return bypasses_access(user) and bool(settings.ENABLE_ADMIN_CHAT_ACCESS)


class FolderQuerySet(SharedQuerySet):
    """Folders, of which one's own and those of others are shown apart."""

    def shared_with(self, user: Person) -> Self:
        """Others' folders that the person reaches by grants, on them or above; the administrators' bypass is none."""
        granted = Folder.granted_to(user, write=False) | Folder.extra_access(user, write=False)
        return self.filter(granted).exclude(owner_id=user.id).exclude(Folder.denied_to(user, write=False))


class Folder(SharedResource):
    """A place for chats, with a prompt and knowledge that its chats inherit."""

    resource_type: ClassVar[str] = "folder"
    sharing_key: ClassVar[str] = "folders"

    name = models.CharField(_("name"), max_length=255)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    data = models.JSONField(default=dict, blank=True)
    meta = models.JSONField(default=dict, blank=True)
    is_expanded = models.BooleanField(default=False)

    objects = FolderQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        verbose_name = _("folder")
        verbose_name_plural = _("folders")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def bypass_applies(cls, user: Person) -> bool:
        return bypasses_chat_access(user)

    @classmethod
    def extra_access(cls, user: Person, *, write: bool) -> Q:
        """Whoever owns a folder, or holds a grant on it, reaches the folders below it in the same way."""
        return Q(pk__in=_with_all_below(Q(owner_id=user.id), *_parts(cls.granted_to(user, write=write))))

    @classmethod
    def denied_to(cls, user: Person, *, write: bool) -> Q:
        """A denial goes down the tree as well: what one is kept out of is not entered by a folder inside it."""
        return Q(pk__in=_with_all_below(*_parts(super().denied_to(user, write=write))))


def _parts(either: Q) -> list[Q]:
    """The alternatives of a condition one by one: each alone is answered from an index, an OR of them is not."""
    return [Q(child) for child in either.children] if either.connector == Q.OR else [either]


def _with_all_below(*starts: Q) -> RawSQL:
    """The ids of some folders and of all below them: walked in the database, from the few that a person reaches.

    UNION, not UNION ALL: a loop of parents, should one ever come about, ends. LATERAL with OFFSET makes the planner,
    which cannot know how little is below, look children up by their index (20,000 folders: 4 ms instead of 60).
    """
    queries = [Folder.objects.filter(start).order_by().values("pk").query.sql_with_params() for start in starts]
    table = Folder._meta.db_table
    return RawSQL(  # noqa: S611  no text of a person's stands in it: the inner statements are Django's, with parameters
        f"WITH RECURSIVE below (id) AS (({' UNION '.join(sql for sql, _values in queries)}) UNION"  # noqa: S608
        f" SELECT child.id FROM below CROSS JOIN LATERAL (SELECT {table}.id FROM {table}"
        f" WHERE {table}.parent_id = below.id OFFSET 0) AS child) SELECT id FROM below",
        [value for _sql, values in queries for value in values],
    )


class FolderUserGrant(UserGrant):
    content_object = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="user_grants")

    class Meta(UserGrant.Meta):
        pass


class FolderGroupGrant(GroupGrant):
    content_object = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="group_grants")

    class Meta(GroupGrant.Meta):
        pass


#: what is written in the moment it is looked at is not news
UNREAD_AFTER = timedelta(seconds=1)


class ChatQuerySet(models.QuerySet[Any, Any]):
    """A chat is its owner's, and readable by whoever reads the folder it lies in.

    Administrators may read others' while ENABLE_ADMIN_CHAT_ACCESS holds, and never write.
    """

    def readable_by(self, user: Person | None) -> Self:
        if not is_verified(user):
            return self.none()
        assert user is not None
        if user.role == "admin" and settings.ENABLE_ADMIN_CHAT_ACCESS:
            return self
        # Asked of the chat's own folder: most questions are about one chat, and most of those about one's own.
        in_folder = Folder.objects.readable_by(user).order_by().filter(pk=models.OuterRef("folder_id"))
        return self.filter(Q(owner_id=user.id) | models.Exists(in_folder))

    def writable_by(self, user: Person | None) -> Self:
        if not is_verified(user):
            return self.none()
        assert user is not None
        return self.of_owner(user.id)

    def of_owner(self, owner_id: uuid.UUID) -> Self:
        """The person's own, which a verified person always reads and writes."""
        return self.filter(owner_id=owner_id)

    def unread(self) -> Self:
        """Those that went on since their owner looked at them."""
        # The first condition is the index's, which holds little more than these.
        return self.filter(updated_at__gt=F("read_at")).filter(updated_at__gt=F("read_at") + UNREAD_AFTER)


class Chat(models.Model):
    """One conversation tree of one owner."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chats", db_index=False)
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
    #: when its owner saw it last
    read_at = models.DateTimeField(null=True, blank=True, default=timezone.now, editable=False)

    objects = ChatQuerySet.as_manager()

    class Meta:
        verbose_name = _("chat")
        verbose_name_plural = _("chats")
        ordering = ["-updated_at"]
        # The sidebar's question, answered from the index alone in order.
        indexes = [
            models.Index(fields=["owner", "archived", "-updated_at", "id"]),
            models.Index(fields=["owner", "-updated_at"], condition=Q(pinned=True), name="chat_pinned"),
            models.Index(fields=["owner", "folder"], condition=Q(updated_at__gt=F("read_at")), name="chat_unread"),
        ]

    def __str__(self) -> str:
        """The id: titles quote what people asked, and Django admin shows this text to whoever governs."""
        return str(self.pk)
