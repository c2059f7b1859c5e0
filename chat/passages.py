"""Texts of documents that are kept with answers, for people who may not read these documents, or no longer.

Whoever reads a chat (its owner later, readers of its folder, administrators) sees which sources an answer cites. Their
words are shown by the rights of the reader of this moment, as the documents themselves are.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Exists, OuterRef

from chat.models import Citation
from knowledge.models import Document
from rbac.sharing import Person

Sources = Sequence[Mapping[str, Any]]


def documents_in(sources: Sources) -> set[str]:
    """The ids of the documents that some sources quote."""
    return {_file_id(metadata) for source in sources for metadata in source.get("metadata") or []} - {""}


def readable_ids(reader: Person, ids: Iterable[str]) -> set[str]:
    """Which of some documents the person may read now: one statement, none without documents."""
    keys = [key for text in ids if (key := _key(text)) is not None]
    if not keys:
        return set()
    return {str(pk) for pk in Document.objects.readable_by(reader).filter(pk__in=keys).values_list("pk", flat=True)}


def shown_sources(sources: Sources, readable: set[str]) -> list[dict[str, Any]]:
    """The field's sources with the passages of readable documents; the others keep their place and lose their words."""
    return [_shown(source, readable) for source in sources]


#: what strangers to a chat see of a source that they may read
_OPEN = ("source", "name", "page", "page_label", "start_index")


def open_sources(sources: Sources, readable: set[str]) -> list[dict[str, Any]]:
    """The sources of a chat for whoever opens its link: names and passages of readable documents, without ids; of the
    others their place alone, so that the numbers in the text stay right."""
    names: dict[str, str] = {}
    shown = []
    for source in shown_sources(sources, readable):
        details = []
        for metadata in source["metadata"]:
            told = str(metadata.get("source") or "")
            place = names.setdefault(told, f"source-{len(names) + 1}")
            may_read = _file_id(metadata) in readable
            details.append({k: metadata[k] for k in _OPEN if k in metadata} if may_read else {"source": place})
        is_open = any(_file_id(metadata) in readable for metadata in source["metadata"])
        name = str((source.get("source") or {}).get("name") or "") if is_open else ""
        shown.append({"source": {"name": name}, "document": source["document"], "metadata": details})
    return shown


def citations_for(reader: Person, message_ids: Sequence[uuid.UUID]) -> list[Citation]:
    """The citations of some answers; those of documents that the reader may not read have no words, and are not to be
    saved. One statement, none without answers."""
    if not message_ids:
        return []
    readable = Document.objects.readable_by(reader).order_by().filter(pk=OuterRef("document_id"))
    found: Any = Citation.objects.filter(message_id__in=message_ids).annotate(may_read=Exists(readable))
    citations: list[Citation] = list(found)
    for citation in citations:
        if not citation.may_read:  # type: ignore[attr-defined]
            citation.text = ""
    return citations


def _shown(source: Mapping[str, Any], readable: set[str]) -> dict[str, Any]:
    passages, details = list(source.get("document") or []), list(source.get("metadata") or [])
    # What names no document cannot be asked about, and stays closed.
    may_read = [_file_id(metadata) in readable for metadata in details]
    may_read += [False] * (len(passages) - len(may_read))
    return {
        **source,
        "document": [text if allowed else "" for text, allowed in zip(passages, may_read, strict=False)],
        "metadata": [
            metadata if allowed else {key: value for key, value in metadata.items() if key != "headings"}
            for metadata, allowed in zip(details, may_read, strict=False)
        ],
    }


def _file_id(metadata: Mapping[str, Any]) -> str:
    return str(metadata.get("file_id") or "")


def _key(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
