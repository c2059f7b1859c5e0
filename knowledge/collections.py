"""The field's collection names: `file-<id>` is one document, `<id>` one knowledge base."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from knowledge.models import Document, KnowledgeBase
from owui.lib.errors import ACCESS_PROHIBITED, Refused, UserError
from rbac.sharing import Person

_LEGAL = re.compile(r"[A-Za-z0-9_-]{1,255}")


@dataclass(frozen=True, slots=True)
class Collections:
    """What a list of names stands for."""

    knowledge_base_ids: list[uuid.UUID]
    document_ids: list[uuid.UUID]


def resolve(user: Person, names: Sequence[str]) -> Collections:
    """The bases and documents behind the names.

    :raises UserError: 400 for characters that no name has; 403 for one that may not be read, or that nobody knows
    """
    bases: list[uuid.UUID] = []
    documents: list[uuid.UUID] = []
    for name in dict.fromkeys(names):
        if not _LEGAL.fullmatch(name):
            raise UserError("Invalid collection name.", code="collection_name")
        key = _key(name.removeprefix("file-"))
        if key is None:
            raise Refused(ACCESS_PROHIBITED)
        (documents if name.startswith("file-") else bases).append(key)
    if not settings.BYPASS_RETRIEVAL_ACCESS_CONTROL:
        readable = KnowledgeBase.objects.readable_by(user).filter(pk__in=bases)
        own = Document.objects.readable_by(user).filter(pk__in=documents)
        if readable.count() < len(bases) or own.count() < len(documents):
            raise Refused(ACCESS_PROHIBITED)
    return Collections(bases, documents)


def _key(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
