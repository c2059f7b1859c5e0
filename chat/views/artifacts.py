"""What an answer holds to look at: the panel with its page, the page itself, and the room where diagrams are drawn.

The page and the room come from this server, but under policies of their own: a browser that opens them, in a frame or
by their address, treats them as strangers (`sandbox` without `allow-same-origin`).
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from accounts.web import signed_in
from chat.config import ChatConfig
from chat.models import Chat, Message
from chat.oversight import looked_at
from chat.selectors import branch_of
from owui.lib import packaged
from owui.lib.errors import Missing
from owui.lib.markdown import Artifact, artifact

_FRAMED = "sandbox allow-scripts; frame-ancestors 'self'"
# An artifact may do in its frame what it likes, and reach nobody: what a chat says must not leave through a picture.
ARTIFACT_CSP = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; media-src data: blob:; worker-src blob:; form-action 'none'; base-uri 'none'"
)
# Vega makes functions of its expressions.
_DIAGRAM_CSP = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; base-uri 'none'"
)


def sandboxed(response: HttpResponse, policy: str) -> HttpResponse:
    # The middleware leaves a policy alone that is there already. A line end or a comma would begin another header or
    # policy, and what is not ASCII would have all of it encoded. The frame's own part comes first and stays.
    rest = re.sub(r"[^\x21-\x7e]+|,", " ", policy)
    response["Content-Security-Policy"] = f"{_FRAMED}; {rest}"
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    return response


@require_GET
@xframe_options_sameorigin
def diagram_room(request: HttpRequest) -> HttpResponse:
    """An empty page that draws what it is told to and gives the picture back. Holds nothing: open for shared chats."""
    urls = {"mermaid_url": packaged.url_of("mermaidx"), "vega_url": packaged.url_of("js_lib_vega_embed")}
    return sandboxed(render(request, "chat/diagram_room.html", urls), _DIAGRAM_CSP)


@require_GET
@signed_in
def panel(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """The artifact of an answer with its earlier and later versions on the branch."""
    user: Any = request.user
    message, found = _readable(user, chat_id, message_id)
    leaf = Chat.objects.readable_by(user).filter(pk=chat_id).values_list("current_id", flat=True).first()
    versions = [m.pk for m in branch_of(chat_id, leaf) if m.author != "user" and artifact(m.content)]
    if message.pk not in versions:
        versions = [message.pk]
    index = versions.index(message.pk)
    view = {
        "chat_id": chat_id,
        "message_id": message.pk,
        "kind": found.kind,
        "source": found.source,
        "number": index + 1,
        "count": len(versions),
        "previous_id": versions[index - 1] if index else None,
        "next_id": versions[index + 1] if index + 1 < len(versions) else None,
    }
    return render(request, "chat/_artifact.html", {"artifact": view})


@require_GET
@signed_in
@xframe_options_sameorigin
def page(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """The page itself for the frame; with `?download` as a file."""
    user: Any = request.user
    _message, found = _readable(user, chat_id, message_id)
    if "download" in request.GET:
        kind = "image/svg+xml" if found.kind == "svg" else "text/html"
        response = HttpResponse(found.source, content_type=f"{kind}; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="artifact.{found.kind}"'
    else:
        response = HttpResponse(found.page, content_type="text/html; charset=utf-8")
    response["Cache-Control"] = "private, no-store"
    return sandboxed(response, ChatConfig.load().iframe_csp.strip() or ARTIFACT_CSP)


def _readable(user: Any, chat_id: uuid.UUID, message_id: uuid.UUID) -> tuple[Message, Artifact]:
    messages: Any = Message.objects.readable_by(user).select_related("chat")
    message = messages.filter(pk=message_id, chat_id=chat_id).first()
    found = artifact(message.content) if message is not None and message.author != "user" else None
    if message is None or found is None:
        raise Missing(_("This answer has nothing to show here."))
    looked_at(message.chat, user)
    return message, found
