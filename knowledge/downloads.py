"""Handing out an uploaded file without letting it act as a page of this server."""

from __future__ import annotations

from django.core.files.storage import default_storage
from django.http import FileResponse
from django.utils.translation import gettext as _

from knowledge.models import Document
from owui.lib.errors import Missing

PDF = "application/pdf"
# Read by browsers even where the type fools somebody: an origin of its own, no scripts, no requests.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
# Chromium's PDF viewer does not start in a sandbox. Sent as PDF and with nosniff the bytes are never read as a page.
PDF_POLICY = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
# What browsers show by themselves and what cannot run scripts here. SVG and HTML can.
INLINE = frozenset(
    (PDF, "text/plain", "text/markdown", "text/csv")
    + ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp")
)
SHOWN_AS_TEXT = frozenset(("text/plain", "text/markdown", "text/csv"))


def download(document: Document, *, as_attachment: bool = False) -> FileResponse:
    """The file as it was uploaded. The type is one we know or "bytes"; the name is written by RFC 5987."""
    if not document.file.name or not default_storage.exists(document.file.name):
        raise Missing(_("The file of this document is no longer in the storage."))
    kind = document.content_type.lower()
    inline = kind in INLINE and not as_attachment
    # A text is a text: a browser that reads "text/markdown" might offer to save it.
    content_type = "text/plain; charset=utf-8" if kind in SHOWN_AS_TEXT else kind if kind in INLINE else ""
    response = FileResponse(
        default_storage.open(document.file.name, "rb"),
        as_attachment=not inline,
        filename=document.filename,
        content_type=content_type or "application/octet-stream",
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = PDF_POLICY if content_type == PDF else POLICY
    response["Cache-Control"] = "private, no-cache"
    return response
