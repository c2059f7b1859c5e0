"""Every write about knowledge bases and documents, by subject."""

from knowledge.services.bases import create_base, delete_base, remove_document, reset_base, update_base
from knowledge.services.documents import (
    add_document,
    add_text,
    delete_all_documents,
    delete_document,
    process_document,
    rename_document,
    set_document_text,
)
from knowledge.services.links import link, unlink
from knowledge.services.reindex import reindex

__all__ = [
    "add_document",
    "add_text",
    "create_base",
    "delete_all_documents",
    "delete_base",
    "delete_document",
    "link",
    "process_document",
    "reindex",
    "remove_document",
    "rename_document",
    "reset_base",
    "set_document_text",
    "unlink",
    "update_base",
]
