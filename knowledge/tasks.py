"""Celery tasks: read and index documents."""

from __future__ import annotations

import logging
import uuid
from functools import partial
from typing import Any

from celery import current_app, shared_task
from django.db import transaction
from kombu.exceptions import ChannelError, OperationalError

from knowledge import pipeline
from knowledge.retrieval import tending

log = logging.getLogger(__name__)

# The sweeper fills the queue up to here: enough for any number of workers, and repeats cannot pile up.
QUEUE_LENGTH = 200


@shared_task(name="knowledge.ingest_document")  # type: ignore[untyped-decorator]
def ingest_document(document_id: str) -> None:
    """Goes on with one document; nothing happens when another worker has it or it is finished."""
    if pipeline.advance(uuid.UUID(document_id)):
        _send(document_id)


@shared_task(name="knowledge.resume_ingestion")  # type: ignore[untyped-decorator]
def resume_ingestion() -> int:
    """Takes up what a dead worker, an emptied broker or a silent embedding server left behind."""
    waiting = pipeline.waiting(max(0, QUEUE_LENGTH - _queued()))
    for document_id in waiting:
        if not _send(str(document_id)):
            break
    return len(waiting)


@shared_task(name="knowledge.tend_index")  # type: ignore[untyped-decorator]
def tend_index() -> int:
    """Keeps the index quick: nothing is found or lost by it."""
    return tending.merge_words() + tending.build_graphs()


def _queued() -> int:
    """Messages in the queue; 0 without a broker, where sending fails by itself."""
    try:
        with current_app.connection_for_read() as broker:
            declared = broker.default_channel.queue_declare(current_app.conf.task_default_queue, passive=True)
            return int(declared.message_count)
    except (OperationalError, ChannelError, OSError):
        return 0  # an empty list does not exist in Redis


def enqueue(document_id: uuid.UUID) -> None:
    """Asks for work once the transaction is through. Without a broker the sweeper asks again: never an error here."""
    transaction.on_commit(partial(_send, str(document_id)))


def _send(document_id: str) -> bool:
    task: Any = ingest_document
    try:
        # A message that waited longer than this is old: the sweeper has sent newer ones.
        task.apply_async((document_id,), expires=600, retry=False)
    except (OperationalError, OSError) as error:
        log.warning("The broker does not answer (%s); document %s waits for the sweeper", error, document_id)
        return False
    return True
