"""Embedding spaces: which vectors may be compared, and the index of each."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from knowledge.config import RagConfig
from knowledge.models import EmbeddingSpace
from owui.lib.errors import UserError

_ACTIVATION_LOCK = 0x6F777570


class ReindexNeeded(UserError):
    """Documents were embedded by another model than the one that would embed the question."""

    code = "reindex_needed"

    def __init__(self, model: str) -> None:
        super().__init__(
            _(
                "The embedding model was changed to %(model)s, and the documents have not been indexed with it yet. "
                "An administrator must run a reindex."
            )
            % {"model": model}
        )


def active_space(config: RagConfig) -> EmbeddingSpace | None:
    """The space to search, None while nothing was ever embedded; `ReindexNeeded` when it is another model's."""
    space = EmbeddingSpace.objects.filter(is_active=True).first()
    if space is not None and (space.engine, space.model) != (config.embedding_engine, config.embedding_model):
        raise ReindexNeeded(config.embedding_model)
    return space


@transaction.atomic
def activate_space(*, engine: str, model: str, dimensions: int) -> EmbeddingSpace:
    """The space of this model, from now on the one that is searched. Cheap when it is so already."""
    wanted: dict[str, Any] = {"engine": engine, "model": model, "dimensions": dimensions}
    space = EmbeddingSpace.objects.filter(**wanted).first()
    if space is not None and space.is_active:
        return space
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ACTIVATION_LOCK])
    EmbeddingSpace.objects.filter(is_active=True).exclude(**wanted).update(is_active=False)
    space, _created = EmbeddingSpace.objects.update_or_create(**wanted, defaults={"is_active": True})
    return space
