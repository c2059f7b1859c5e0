"""Retrieval for one turn of a chat: the items attached to it, searched with the person's rights of this moment."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from inference.providers.errors import ProviderError
from knowledge.config import RagConfig
from knowledge.context import Passage, Retrieved, assemble
from knowledge.embedding import embed_queries
from knowledge.models import Document, DocumentState, KnowledgeBase
from knowledge.retrieval.search import search
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from rbac.sharing import Person

log = logging.getLogger(__name__)

ACTION = "knowledge_search"


@dataclass(frozen=True, slots=True)
class _Item:
    """One attached base or document that the person may read."""

    kind: str
    id: uuid.UUID
    is_full: bool
    source: dict[str, Any]
    note: str = ""


async def retrieve_for_chat(
    user_id: uuid.UUID, items: Sequence[Mapping[str, Any]], queries: Sequence[str], config: RagConfig | None = None
) -> Retrieved:
    """What the attached items hold about the questions. Never raises for what a person or a server may cause: items
    that may not be read are left out silently, and faults become a status with `error: true`.

    :param items: `{"type": "collection" | "file", "id": …, "context": "full"?, "name"?: …}`; others are left out
    """
    config = config or await in_thread(RagConfig.load)()
    prepared = await in_thread(_prepare)(user_id, items, config)
    if prepared is None or not prepared[1]:
        return Retrieved()
    user, chosen = prepared
    questions = [query for query in queries if query.strip()]
    vectors: list[list[float]] = []
    statuses = [_status(item.note, error=True) for item in chosen if item.note]
    searched = [item for item in chosen if not item.is_full and not item.note]
    if searched and questions:
        try:
            vectors = await embed_queries(config, questions)
        except ProviderError as error:
            log.warning("Questions could not be embedded: %s", error.message)
            text = _("The documents could not be searched, the answer is made without them. %(reason)s")
            statuses.append(_status(text % {"reason": error.message}, error=True))
    try:
        return await in_thread(_collect)(user, chosen, questions, vectors, config, statuses)
    except UserError as error:
        return Retrieved(statuses=[*statuses, _status(error.message, error=True)])


def _status(description: str, *, error: bool = False, **more: Any) -> dict[str, Any]:
    return {"action": ACTION, "description": description, "done": True} | ({"error": True} if error else {}) | more


def _prepare(
    user_id: uuid.UUID, items: Sequence[Mapping[str, Any]], config: RagConfig
) -> tuple[Any, list[_Item]] | None:
    user: Any = get_user_model().objects.filter(pk=user_id).first()
    if user is None:
        return None
    wanted = {(item.get("type"), key): item for item in items if (key := _key(item.get("id"))) is not None}
    bases = KnowledgeBase.objects.readable_by(user).in_bulk([key for kind, key in wanted if kind == "collection"])
    documents = Document.objects.readable_by(user).in_bulk([key for kind, key in wanted if kind == "file"])
    whole = config.full_context or config.bypass_embedding_and_retrieval
    chosen = []
    for (kind, key), item in wanted.items():
        found: Any = (bases if kind == "collection" else documents if kind == "file" else {}).get(key)
        if found is None:
            continue
        name = found.name if kind == "collection" else found.filename
        source = {"id": str(key), "name": name, "type": kind}
        note = _note(found) if kind == "file" else ""
        chosen.append(_Item(str(kind), key, whole or item.get("context") == "full", source, note))
    return user, chosen


def _note(document: Document) -> str:
    """Why an attached document cannot be used yet; its older chunks, if there are some, still can."""
    names = {"name": document.filename}
    if document.state == DocumentState.FAILED:
        return _("“%(name)s” could not be read and is not used.") % names
    if document.in_work and not document.chunks.exists():
        return _("“%(name)s” is still being read and is not used in this answer. Ask again in a moment.") % names
    return ""


def _collect(
    user: Person,
    chosen: list[_Item],
    queries: list[str],
    vectors: list[list[float]],
    config: RagConfig,
    statuses: list[dict[str, Any]],
) -> Retrieved:
    groups: list[tuple[dict[str, Any], list[Passage]]] = []
    for item in chosen:
        if item.note:
            continue
        if item.is_full:
            groups.append((item.source, _whole(user, item)))
        elif vectors:
            scope: dict[str, Any] = {("knowledge_base_ids" if item.kind == "collection" else "document_ids"): [item.id]}
            hits = search(user, queries, vectors, config=config, **scope)
            groups.append((item.source, [Passage.of(hit) for hit in hits]))
    count = len({passage.document_id for _source, found in groups for passage in found})
    if vectors or any(item.is_full for item in chosen):
        statuses = [{"action": "sources_retrieved", "count": count, "done": True}, *statuses]
    return assemble(groups, statuses)


def _whole(user: Person, item: _Item) -> list[Passage]:
    """The whole text of a document, or of each document of a base."""
    if item.kind == "collection":
        bases = KnowledgeBase.objects.readable_by(user).filter(pk=item.id).values("pk")
        documents = Document.objects.filter(links__knowledge_base__in=bases).order_by("filename", "pk")
    else:
        documents = Document.objects.readable_by(user).filter(pk=item.id)
    return [
        Passage(
            document_id=str(document.pk),
            knowledge_base_id=str(item.id) if item.kind == "collection" else None,
            name=document.filename,
            text=text,
            metadata={"file_id": str(document.pk), "name": document.filename},
        )
        for document in documents.exclude(state=DocumentState.FAILED).prefetch_related("pages")
        if (text := " ".join(page.text for page in document.pages.all()))
    ]


def _key(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None
