"""A document in a base: its chunks carry the base, so that rights are part of each search.

Every transaction here locks the document's row first and the base's second, as the pipeline does.
"""

from __future__ import annotations

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from knowledge.models import Chunk, Document, DocumentState, KnowledgeBase, KnowledgeDocument
from knowledge.pipeline import DUPLICATE, EMPTY
from owui.audit.record import record
from owui.lib.errors import Missing, Refused, UserError
from rbac.sharing import Person

NOT_PROCESSED = (
    "Extracted content is not available for this file. Please ensure that the file is processed before proceeding."
)


def lock(document: Document) -> Document:
    """The document's newest state, held until the transaction ends; Missing when it was deleted meanwhile."""
    found: Document | None = Document.objects.select_for_update(of=("self",)).filter(pk=document.pk).first()
    if found is None:
        raise Missing
    return found


@transaction.atomic
def link(document: Document, kb: KnowledgeBase, *, by: Person) -> KnowledgeDocument:
    """Adds a finished document to a base; twice is once.

    Only who may change a document may put it somewhere else. With reading alone, a link into one's own base would go on
    showing the document, and its later versions, after the owner took the right back.

    :raises UserError: 400 not processed, without text, or a twin of a document in the base; 403 not theirs to pass on
    """
    document = lock(document)
    if not Document.objects.writable_by(by).filter(pk=document.pk).exists():
        raise Refused(_("You may read this document but not pass it on. Ask its owner to add it."), code="not_yours")
    KnowledgeBase.objects.select_for_update(of=("self",)).get(pk=kb.pk)
    existing = KnowledgeDocument.objects.filter(knowledge_base=kb, document=document).first()
    if existing is not None:
        return existing
    if not document.text_hash:
        raise UserError(EMPTY if document.state == DocumentState.LIVE else NOT_PROCESSED, code="not_processed")
    _refuse_twin(document, kb)
    row = KnowledgeDocument.objects.create(knowledge_base=kb, document=document, added_by_id=by.id)
    _add_chunks(document, kb)
    _touched(kb)
    _record("knowledge.document.add", document, kb, by)
    return row


@transaction.atomic
def unlink(document: Document, kb: KnowledgeBase, *, by: Person, audited: bool = True) -> None:
    """Takes a document out of a base: from here on no search through the base finds it."""
    document = lock(document)
    if not KnowledgeDocument.objects.filter(knowledge_base=kb, document=document).delete()[0]:
        raise Missing
    chunks = Chunk.objects.filter(document=document, knowledge_base=kb)
    if document.links.exists():
        chunks.delete()
    else:
        chunks.update(knowledge_base=None)
    _touched(kb)
    if audited:
        _record("knowledge.document.remove", document, kb, by)


def _refuse_twin(document: Document, kb: KnowledgeBase) -> None:
    twins = Document.objects.filter(links__knowledge_base=kb, text_hash=document.text_hash).exclude(pk=document.pk)
    if document.text_hash and twins.exists():
        raise UserError(DUPLICATE, code="duplicate")


def _add_chunks(document: Document, kb: KnowledgeBase) -> None:
    """Chunks of no base move in; those of another base are copied with their vectors."""
    chunks = Chunk.objects.filter(document=document)
    if chunks.filter(knowledge_base=None).update(knowledge_base=kb):
        return
    origin = chunks.values_list("knowledge_base_id", flat=True).first()
    if origin is None:
        return  # still in work; the pipeline serves every link
    columns = "document_id, space_id, position, page_id, start_index, text, headings, embedding"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO knowledge_chunk (knowledge_base_id, {columns}) SELECT %s, {columns} "  # noqa: S608
            "FROM knowledge_chunk WHERE document_id = %s AND knowledge_base_id = %s",
            [kb.pk, document.pk, origin],
        )


def _touched(kb: KnowledgeBase) -> None:
    KnowledgeBase.objects.filter(pk=kb.pk).update(updated_at=timezone.now())


def _record(action: str, document: Document, kb: KnowledgeBase, by: Person) -> None:
    detail = {"document": str(document.pk), "filename": document.filename}
    record(action, by=by, obj=kb, object_type="knowledge", detail=detail)
