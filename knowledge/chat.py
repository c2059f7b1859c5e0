"""Retrieval for one turn of a chat: the items attached to it, searched with the person's rights of this moment."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from inference.forwarding import NOTHING, About
from inference.providers.errors import ProviderError
from knowledge.config import RagConfig
from knowledge.context import Passage, Retrieved, assemble
from knowledge.embedding import embed_queries
from knowledge.models import Document, DocumentState, KnowledgeBase, KnowledgeDocument
from knowledge.retrieval.rerank import reranked, wider
from knowledge.retrieval.search import Hit, Options, joined, search
from knowledge.screening.holding import withheld, without
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from rbac.sharing import Person, bypasses_access

log = logging.getLogger(__name__)

ACTION = "knowledge_search"


@dataclass(frozen=True, slots=True)
class _Item:
    """One attached base or document that the person may read."""

    kind: str
    id: uuid.UUID
    is_full: bool
    source: dict[str, Any]
    reader: Any
    note: str = ""


@dataclass(slots=True)
class _Group:
    """What was found for one item: passages, or hits that are still to be put in order."""

    source: dict[str, Any]
    passages: list[Passage] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)


async def retrieve_for_chat(
    user: Person,
    items: Sequence[Mapping[str, Any]],
    queries: Sequence[str],
    config: RagConfig | None = None,
    *,
    model_items: Sequence[Mapping[str, Any]] = (),
    model_owner_id: uuid.UUID | None = None,
    about: About = NOTHING,
    fill: Callable[[str], str] = str,
) -> Retrieved:
    """What the attached items hold about the questions. Never raises for what a person or a server may cause: items
    that may not be read are left out silently, and faults become a status with `error: true`.

    :param items: `{"type": "collection" | "file", "id": …, "context": "full"?}`, read with the person's rights of now
    :param model_items: those attached to the model. Who may use a model may ask its knowledge, as far as the owner of
        the model may read it now and no denial keeps them from it. Never from a request.
    :param fill: puts the prompt variables into the template; never into what was found
    """
    config = config or await in_thread(RagConfig.load)()
    template = fill(config.template)
    chosen = await in_thread(_prepare)(user.id, items, model_owner_id, model_items, config)
    if not chosen:
        return Retrieved()
    questions = [query for query in queries if query.strip()]
    vectors: list[list[float]] = []
    statuses = [_status(item.note, error=True) for item in chosen if item.note]
    if questions and any(not item.is_full and not item.note for item in chosen):
        try:
            vectors = await embed_queries(config, questions, user=_asker(user), about=about)
        except ProviderError as error:
            log.warning("Questions could not be embedded: %s", error.message)
            text = _("The documents could not be searched, the answer is made without them. %(reason)s")
            statuses.append(_status(text % {"reason": error.message}, error=True))
    try:
        groups = await in_thread(_collect)(chosen, questions, vectors, config)
    except UserError as error:
        return Retrieved(statuses=[*statuses, _status(error.message, error=True)])
    options = Options.of(config)
    for group in groups:
        hits = await reranked(config, questions, group.hits, options, user=_asker(user), about=about)
        group.passages += [Passage.of(hit) for hit in joined(hits)]
    return _assembled(groups, questions, statuses, template)


def _asker(user: Person) -> User | None:
    return user if isinstance(user, User) else None


def still_readable(
    user: Person,
    items: Sequence[Mapping[str, Any]],
    *,
    model_items: Sequence[Mapping[str, Any]] = (),
    model_owner_id: uuid.UUID | None = None,
) -> set[tuple[str, str]]:
    """Type and id of those items that retrieval would use now; for answers that are under way."""
    chosen = _prepare(user.id, items, model_owner_id, model_items, RagConfig.load())
    return {(item.kind, str(item.id)) for item in chosen}


def _status(description: str, *, error: bool = False, **more: Any) -> dict[str, Any]:
    return {"action": ACTION, "description": description, "done": True} | ({"error": True} if error else {}) | more


def _prepare(
    user_id: uuid.UUID,
    items: Sequence[Mapping[str, Any]],
    model_owner_id: uuid.UUID | None,
    model_items: Sequence[Mapping[str, Any]],
    config: RagConfig,
) -> list[_Item]:
    """Each item once, for the first person who may read it. People are read anew: roles change during a chat."""
    people: Any = get_user_model().objects.in_bulk([pk for pk in (user_id, model_owner_id) if pk])
    chosen: dict[tuple[str, uuid.UUID], _Item] = {}
    asking = people.get(user_id)
    if asking is None:
        return []
    for reader_id, wanted in ((user_id, [*items, *model_items]), (model_owner_id, model_items)):
        if wanted and reader_id in people:
            for item in _readable(people[reader_id], asking, wanted, config):
                chosen.setdefault((item.kind, item.id), item)
    return list(chosen.values())


def _readable(reader: Any, asking: Any, items: Sequence[Mapping[str, Any]], config: RagConfig) -> list[_Item]:
    """The items that the reader may read and that nobody keeps the asking person from."""
    wanted = {(str(item.get("type")), key): item for item in items if (key := _key(item.get("id"))) is not None}
    keys = {kind: [key for k, key in wanted if k == kind] for kind in ("collection", "file")}
    every = bool(settings.BYPASS_RETRIEVAL_ACCESS_CONTROL)
    bases = KnowledgeBase.objects.all() if every else KnowledgeBase.objects.readable_by(reader)
    documents = Document.objects.all() if every else Document.objects.readable_by(reader)
    if not every and reader.pk != asking.pk and not bypasses_access(asking):
        bases, documents = _without_denied(asking, bases, documents)
    found: dict[str, dict[Any, Any]] = {
        "collection": bases.in_bulk(keys["collection"]) if keys["collection"] else {},
        "file": documents.in_bulk(keys["file"]) if keys["file"] else {},
    }
    whole = config.full_context or config.bypass_embedding_and_retrieval
    chosen = []
    for (kind, key), item in wanted.items():
        row = found.get(kind, {}).get(key)
        if row is not None:
            source = {"id": str(key), "name": row.name if kind == "collection" else row.filename, "type": kind}
            note = _note(row) if kind == "file" else ""
            chosen.append(_Item(kind, key, whole or item.get("context") == "full", source, reader, note))
    return chosen


def _without_denied(asking: Person, bases: Any, documents: Any) -> tuple[Any, Any]:
    """What somebody else may read, without the bases that a denial keeps the asking person from, and without the
    documents of these, unless they lie in one of the others as well."""
    denied = KnowledgeBase.objects.filter(KnowledgeBase.denied_to(asking, write=False)).order_by()
    bases = bases.exclude(pk__in=denied.values("pk"))
    links = KnowledgeDocument.objects.order_by().values("document_id")
    hidden = links.filter(knowledge_base__in=denied.values("pk"))
    shown = links.filter(knowledge_base__in=bases.order_by().values("pk"))
    return bases, documents.filter(~Q(pk__in=hidden) | Q(pk__in=shown))


def _note(document: Document) -> str:
    """Why an attached document cannot be used yet; its older chunks, if there are some, still can."""
    names = {"name": document.filename}
    if document.state == DocumentState.FAILED:
        return _("“%(name)s” could not be read and is not used.") % names
    if document.in_work and not document.chunks.exists():
        return _("“%(name)s” is still being read and is not used in this answer. Ask again in a moment.") % names
    return ""


def _collect(chosen: list[_Item], queries: list[str], vectors: list[list[float]], config: RagConfig) -> list[_Group]:
    groups: list[_Group] = []
    options = wider(config, Options.of(config))
    for item in chosen:
        if item.note:
            continue
        if item.is_full:
            groups.append(_Group(item.source, passages=_whole(item)))
        elif vectors:
            scope: dict[str, Any] = {("knowledge_base_ids" if item.kind == "collection" else "document_ids"): [item.id]}
            hits = search(item.reader, queries, vectors, config=config, options=options, **scope)
            groups.append(_Group(item.source, hits=hits))
    return groups


def _assembled(groups: list[_Group], queries: list[str], statuses: list[dict[str, Any]], template: str) -> Retrieved:
    if groups:
        count = len({passage.document_id for group in groups for passage in group.passages})
        text = ngettext("Found %(count)s source", "Found %(count)s sources", count) % {"count": count}
        statuses = [{"action": "sources_retrieved", "count": count, "done": True, "description": text}, *statuses]
    found = [(group.source, group.passages) for group in groups]
    return assemble(found, statuses, template=template, query=queries[0] if queries else "")


def _whole(item: _Item) -> list[Passage]:
    """The whole text of a document, or of each document of a base. `_readable` has asked for the right."""
    if item.kind == "collection":
        documents = Document.objects.filter(links__knowledge_base_id=item.id).order_by("filename", "pk")
    else:
        documents = Document.objects.filter(pk=item.id)
    found = list(documents.exclude(state=DocumentState.FAILED).prefetch_related("pages"))
    held = withheld(document.pk for document in found)
    return [
        Passage(
            document_id=str(document.pk),
            knowledge_base_id=str(item.id) if item.kind == "collection" else None,
            name=document.filename,
            text=text,
            metadata={"file_id": str(document.pk), "name": document.filename},
        )
        for document in found
        if (
            text := " ".join(
                without(page.text, held.get((document.pk, page.position), ())) for page in document.pages.all()
            )
        )
    ]


def _key(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None
