"""The passage behind a citation, in its page."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.web import signed_in
from chat.models import Citation, Message
from chat.oversight import looked_at
from knowledge.models import Document, DocumentPage
from owui.lib.errors import Missing

AROUND = 1500
# A long line that ends within a sentence was broken by the page it was printed on; tables keep their lines.
_BROKEN_LINE = re.compile(r"^([^|\t\n]{50,}[^\s|.:;!?])\n(?=[^\s|])", re.MULTILINE)


@require_GET
@signed_in
def source(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID, number: int) -> HttpResponse:
    """The passage with the text around it. Who lost the right to the document sees it no longer, cited or not."""
    user: Any = request.user
    message = Message.objects.readable_by(user).select_related("chat").filter(pk=message_id).first()
    citation = (
        Citation.objects.filter(message=message, number=number).select_related("knowledge_base").first()
        if message is not None
        else None
    )
    if message is None or citation is None:
        raise Missing(_("This answer has no such source."))
    looked_at(message.chat, user)
    document = Document.objects.readable_by(user).filter(pk=citation.document_id).first()
    if document is None:
        raise Missing(_("The document is not shared with you any more, or it was deleted."))
    return render(request, "chat/_source.html", {"source": _view(citation, document)})


def _view(citation: Citation, document: Document) -> dict[str, Any]:
    page = None
    if citation.page_position is not None:
        page = DocumentPage.objects.filter(document=document, position=citation.page_position).first()
    text = page.text if page else citation.text
    start = (
        citation.start_index
        if text[citation.start_index :].startswith(citation.text[:50])
        else max(0, text.find(citation.text))
    )
    end = start + len(citation.text)
    score = citation.score
    return {
        "number": citation.number,
        "name": citation.document_name,
        "page": citation.page_number,
        "label": citation.page_label,
        "kb_name": citation.knowledge_base.name if citation.knowledge_base else "",
        "text_before": _flowing(("…" if start > AROUND else "") + text[max(0, start - AROUND) : start]),
        "passage": _flowing(citation.text),
        "text_after": _flowing(text[end : end + AROUND] + ("…" if end + AROUND < len(text) else "")),
        "relevance": round(score * 100) if score is not None and 0 <= score <= 1 else None,
        "document_url": f"/api/v1/files/{document.pk}/content"
        + (f"#page={citation.page_number}" if citation.page_number else ""),
    }


def _flowing(text: str) -> str:
    """The words as they are, in lines of the panel's width instead of the page's."""
    return _BROKEN_LINE.sub(r"\1 ", text)
