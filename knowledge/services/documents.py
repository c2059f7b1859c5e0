"""Documents: add, change, try again, delete."""

from __future__ import annotations

import io
import logging
from functools import partial
from typing import Any, BinaryIO

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from knowledge import tasks
from knowledge.config import RagConfig
from knowledge.ingest.errors import IngestError
from knowledge.ingest.extract import Extracted, Page
from knowledge.ingest.kinds import Kind
from knowledge.ingest.sniff import clean_filename
from knowledge.keeping import reason_to_keep
from knowledge.models import Document, DocumentState, KnowledgeBase, KnowledgeDocument, PendingChunk
from knowledge.pipeline import DUPLICATE, set_text
from knowledge.services.files import store
from knowledge.services.links import lock
from owui.audit.record import record
from owui.lib.errors import Refused, UserError
from rbac.permissions import require
from rbac.sharing import Person

log = logging.getLogger(__name__)

MAX_TEXT = 20_000_000


def add_document(
    *,
    file: BinaryIO,
    filename: str,
    by: Person,
    content_type: str = "",
    knowledge_base: KnowledgeBase | None = None,
    meta: dict[str, Any] | None = None,
    process: bool = True,
) -> Document:
    """Stores an uploaded file and has it read and indexed.

    The caller has checked that the person may change `knowledge_base`; without one `chat.file_upload` is needed.

    :param meta: what the client sent along
    :param process: False keeps the file without reading it
    :raises UserError: 400 empty, ending not allowed, the same file is in the base; 413 too large; 403 no permission
    """
    if knowledge_base is None:
        require(by, "chat.file_upload", status=403)
    stored = store(file, filename, RagConfig.load(), any_extension=not process)
    try:
        with transaction.atomic():
            if knowledge_base is not None:
                _refuse_twin(knowledge_base, stored.sha256)
            document: Document = Document.objects.create(
                owner_id=by.id,
                filename=stored.filename,
                content_type=content_type.partition(";")[0].strip()[:255],
                size=stored.size,
                file=stored.name,  # a FileField takes the name of what the storage holds
                bytes_hash=stored.sha256,
                meta={"data": meta or {}},
                state=DocumentState.RECEIVED if process else DocumentState.LIVE,
            )
            if knowledge_base is not None:
                KnowledgeDocument.objects.create(knowledge_base=knowledge_base, document=document, added_by_id=by.id)
                KnowledgeBase.objects.filter(pk=knowledge_base.pk).update(updated_at=timezone.now())
            _record(
                "document.add",
                document,
                by,
                {
                    "size": stored.size,
                    "sha256": stored.sha256,
                    "knowledge_base": str(knowledge_base.pk) if knowledge_base else None,
                },
            )
            if process:
                tasks.enqueue(document.pk)
    except BaseException:
        default_storage.delete(stored.name)
        raise
    return document


def _refuse_twin(kb: KnowledgeBase, sha256: str) -> None:
    KnowledgeBase.objects.select_for_update(of=("self",)).get(pk=kb.pk)
    twin = (
        Document.objects.filter(links__knowledge_base=kb, bytes_hash=sha256).exclude(state=DocumentState.FAILED).first()
    )
    if twin is not None:
        raise UserError(f"{DUPLICATE} ({twin.filename})", code="duplicate")


def add_text(
    *, name: str, text: str, by: Person, knowledge_base: KnowledgeBase | None = None, meta: dict[str, Any] | None = None
) -> Document:
    """A text as a document, as if it had been uploaded."""
    filename = name if "." in name else f"{name}.txt"
    return add_document(
        file=io.BytesIO(text.encode(errors="replace")),
        filename=filename,
        by=by,
        content_type="text/plain",
        knowledge_base=knowledge_base,
        meta=meta,
    )


@transaction.atomic
def set_document_text(document: Document, text: str, *, by: Person) -> Document:
    """Replaces the text. The old one can be found nowhere from this moment; the new one when it is indexed.

    :raises UserError: 400 empty or a text that its base has already; 413 too large
    """
    if len(text) > MAX_TEXT:
        raise UserError(_("This text is too long. Split it into several documents."), status=413, code="too_large")
    document = lock(document)
    document.leased_until = None
    document.save(update_fields=["leased_until"])
    text = text.replace("\0", "")
    try:
        set_text(document, Extracted((Page(None, "", text),), Kind.TEXT, None))
    except IngestError as error:
        raise UserError(error.message, code=error.code) from error
    _record("document.update", document, by, {"characters": len(text)})
    tasks.enqueue(document.pk)
    return document


@transaction.atomic
def process_document(document: Document, *, by: Person) -> Document:
    """Has a stored file read (again): one that failed, or one that was kept without reading."""
    document = lock(document)
    if document.state == DocumentState.FAILED or (document.state == DocumentState.LIVE and not document.text_hash):
        has_text = document.pages.exists()
        PendingChunk.objects.filter(document=document).delete()
        document.state = DocumentState.EXTRACTED if has_text else DocumentState.RECEIVED
        document.error = ""
        document.attempts = document.chunks_done = 0
        document.leased_until = None
        document.save()
        _record("document.retry", document, by, {})
    if document.in_work:
        tasks.enqueue(document.pk)
    return document


@transaction.atomic
def rename_document(document: Document, filename: str, *, by: Person) -> Document:
    """A new name; the stored file keeps its own."""
    document = lock(document)
    before, document.filename = document.filename, clean_filename(filename)
    document.save(update_fields=["filename", "updated_at"])
    _record("document.rename", document, by, {"before": before, "after": document.filename})
    return document


@transaction.atomic
def delete_document(document: Document, *, by: Person) -> None:
    """Deletes a document with its text, chunks and links; its file goes once the transaction is through.

    :raises Refused: 403 somebody else needs it: see `knowledge.keeping`
    """
    document = lock(document)
    if reason := reason_to_keep(document, by):
        raise Refused(reason, code="kept")
    bases = [str(pk) for pk in document.links.values_list("knowledge_base_id", flat=True)]
    _record("document.delete", document, by, {"knowledge_bases": bases, "sha256": document.bytes_hash})
    if document.file.name:
        transaction.on_commit(partial(_delete_file, document.file.name))
    document.delete()


def delete_all_documents(*, by: Person) -> int:
    """Every document that the person may change (for administrators with their bypass: everybody's), one transaction
    each, so that a large instance stays usable meanwhile."""
    count = 0
    for document in Document.objects.writable_by(by).order_by("pk").iterator(chunk_size=200):
        delete_document(document, by=by)
        count += 1
    return count


def _delete_file(name: str) -> None:
    try:
        default_storage.delete(name)
    except OSError:
        # The row is gone already; a left-over file is found by nobody. The log tells the operator.
        log.exception("The file %s could not be deleted from the storage", name)


def _record(action: str, document: Document, by: Person, detail: dict[str, Any]) -> None:
    record(action, by=by, obj=document, detail=detail)
