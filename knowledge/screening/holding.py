"""Holding passages back, and letting them pass. All in the caller's transaction, with the audit event."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction
from django.utils import timezone

from knowledge import tasks
from knowledge.ingest.hashing import hash_text
from knowledge.models import Document, DocumentState, HeldPassage, PendingChunk
from knowledge.screening.rules import screen
from owui.audit.record import record
from rbac.sharing import Person

Decision = HeldPassage.Decision
#: stands in a whole document where a passage is held back
WITHHELD = "[…]"


def hold_back(document: Document, rows: Sequence[PendingChunk]) -> list[PendingChunk]:
    """Of a document's new pieces those that may be searched; the others are held, and the audit log says so."""
    decided = dict(document.held_passages.exclude(decision=Decision.OPEN).values_list("text_hash", "decision"))
    kept: list[PendingChunk] = []
    held: list[HeldPassage] = []
    for row in rows:
        verdict = screen(row.text)
        if not verdict.is_held:
            kept.append(row)
            continue
        key = hash_text(row.text)
        if decided.get(key) == Decision.RELEASED:
            kept.append(row)
        elif key not in decided:
            held.append(_held(document, row, key, verdict.signs, verdict.score))
    document.held_passages.filter(decision=Decision.OPEN).delete()
    HeldPassage.objects.bulk_create(held)
    if held:
        signs = sorted({sign for passage in held for sign in passage.signs})
        record("document.passages_held", by=None, obj=document, detail={"count": len(held), "signs": signs})
    return kept


def _held(document: Document, row: PendingChunk, key: str, signs: Sequence[str], score: float) -> HeldPassage:
    page = row.page
    label = (page.label or str(page.number or "")) if page is not None else ""
    return HeldPassage(
        document=document,
        page_position=page.position if page is not None else 0,
        page_label=label,
        start_index=row.start_index,
        text=row.text,
        text_hash=key,
        signs=list(signs),
        score=score,
    )


@transaction.atomic
def decide(passage: HeldPassage, *, release: bool, by: Person) -> HeldPassage:
    """Lets a passage pass, or keeps it out for good. A released one is searchable once the workers have read the
    document again; until then the document is found as before."""
    document = Document.objects.select_for_update().get(pk=passage.document_id)
    passage = HeldPassage.objects.select_for_update().get(pk=passage.pk)
    decision = Decision.RELEASED if release else Decision.REFUSED
    if passage.decision == decision:
        return passage
    was_out = passage.decision != Decision.RELEASED
    passage.decision, passage.decided_by_id, passage.decided_at = decision, by.id, timezone.now()
    passage.save(update_fields=["decision", "decided_by", "decided_at"])
    action = "document.passage_released" if release else "document.passage_refused"
    record(action, by=by, obj=document, detail={"passage": passage.pk, "page": passage.page_label})
    if release or not was_out:
        _read_again(document)
    return passage


def _read_again(document: Document) -> None:
    PendingChunk.objects.filter(document=document).delete()
    document.state = DocumentState.EXTRACTED if document.pages.exists() else DocumentState.RECEIVED
    document.error, document.attempts, document.chunks_done, document.leased_until = "", 0, 0, None
    document.save()
    tasks.enqueue(document.pk)


def withheld(document_ids: Iterable[uuid.UUID]) -> Mapping[tuple[uuid.UUID, int], list[str]]:
    """The texts that are held back, by document and position of their page."""
    found: dict[tuple[uuid.UUID, int], list[str]] = defaultdict(list)
    held = HeldPassage.objects.filter(document__in=list(document_ids)).exclude(decision=Decision.RELEASED)
    for document_id, position, text in held.values_list("document_id", "page_position", "text"):
        found[document_id, position].append(text)
    return found


def without(text: str, passages: Sequence[str]) -> str:
    """A page's text without what is held back. Where a passage is not found as it stands the whole page goes."""
    for passage in passages:
        if passage not in text:
            return WITHHELD
        text = text.replace(passage, WITHHELD)
    return text
