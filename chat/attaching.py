"""What goes along with a question: the knowledge and files that a person named and may read."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import User
from chat.history import file_item
from knowledge.config import RagConfig
from knowledge.models import Document, KnowledgeBase
from owui.lib.errors import Missing, UserError


def check_count(files: int) -> None:
    """400 when a message has more files than the administrator allows."""
    limit = RagConfig.load().file_max_count
    if limit and files > limit:
        text = _("At most %(limit)s files can be attached to one message. Remove some and send again.")
        raise UserError(text % {"limit": limit}, code="too_many_files")


def attachable(
    user: User, knowledge_ids: Sequence[str], file_ids: Sequence[str], whole_ids: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The knowledge and files of a message, in the field's form. What the person may not read is 404."""
    items: list[dict[str, Any]] = []
    if knowledge_ids:
        bases = KnowledgeBase.objects.readable_by(user).filter(pk__in=uuids(knowledge_ids))
        items += [{"type": "collection", "id": str(b.pk), "name": b.name} for b in bases]
    if file_ids:
        documents = Document.objects.readable_by(user).filter(pk__in=uuids(file_ids))
        items += [file_item(document, is_whole=str(document.pk) in whole_ids) for document in documents]
    if len(items) < len(set(knowledge_ids)) + len(set(file_ids)):
        raise Missing(
            _("Some of the attached knowledge does not exist or is not shared with you. Remove it and send again.")
        )
    return items


def uuids(texts: Sequence[str]) -> list[uuid.UUID]:
    out = []
    for text in texts:
        try:
            out.append(uuid.UUID(str(text)))
        except ValueError:
            continue
    return out
