"""Questions to several models, and choosing among their answers."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.web import me, signed_in
from chat import rendering, selectors
from chat.dispatch import start_all
from chat.engine.events import Transcript
from chat.nodes import nodes
from chat.services import Started
from chat.sessions import Place
from chat.several import KEY, MOST, choose, grouped, start_several
from chat.views import controls, tabs
from inference.catalogue import resolve_for
from owui.lib.aio import in_thread
from owui.lib.errors import UserError, error_response
from rbac.permissions import require


async def ask(
    request: HttpRequest,
    user: Any,
    models: Sequence[str],
    chat_id: uuid.UUID | None,
    *,
    told: Callable[[Any, Started, str], Awaitable[None]],
) -> HttpResponse:
    """The question from the composer when it names several models."""
    await in_thread(require)(user, KEY, status=403)
    if len(models) > MOST:
        raise UserError(_("At most %(most)s models can answer one question.") % {"most": MOST})
    try:
        resolved = [await resolve_for(user, model, status=404) for model in models]
    except UserError as error:
        if error.code != "model":
            raise
        return await in_thread(model_lost)(request, error)
    form = request.POST
    begun = await start_all(
        user,
        resolved,
        start_several,
        places=[Place(model.model_id, model.name) for model in resolved],
        text=form.get("text", ""),
        chat_id=chat_id,
        knowledge_ids=form.getlist("knowledge"),
        file_ids=form.getlist("file"),
        whole_ids=form.getlist("whole"),
        pictures=request.FILES.getlist("picture"),
        folder_id=form.get("folder", ""),
        params=None if chat_id else await in_thread(controls.sent_with)(user, form),
    )
    html = await in_thread(_asked_html)(user, begun)
    await told(user, begun[0], html)
    return asked(request, begun[0], html)


def asked(request: HttpRequest, started: Started, html: str) -> HttpResponse:
    """The new turn as a fragment, and the address of a new chat."""
    if not request.headers.get("HX-Request"):  # sent before the page's scripts were there, or without any
        return redirect("chat:chat-page", started.chat.pk)
    response = HttpResponse(html)
    if started.question is not None and started.question.parent_id:
        response["X-Follows"] = str(started.question.parent_id)
    if started.is_new_chat:
        response["HX-Push-Url"] = f"/c/{started.chat.pk}"
    return response


def model_lost(request: HttpRequest, error: UserError) -> HttpResponse:
    """The refusal, marked for the page: it offers the other models then."""
    response = error_response(request, error.status, error.message)
    response["X-Error-Code"] = error.code
    return response


def _asked_html(user: Any, begun: Sequence[Started]) -> str:
    assert begun[0].question is not None
    views = [rendering.message_view(begun[0].question)]
    views += [rendering.message_view(one.message, turn_id=one.turn.pk, running=(Transcript(), 0)) for one in begun]
    context = {"message_list": grouped(views), "can": rendering.can_of(user)}
    return render_to_string("chat/_message_list.html", context)


@require_POST
@signed_in
def message_choose(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """The conversation goes on from this answer."""
    user = me(request)
    chat = choose(by=user, message_id=message_id)
    nodes.announce_sync(tabs.branch_news(user, chat, mark=f".is-chosen #message-{message_id}"))
    branch = selectors.load_branch(chat, reader=user, most=selectors.WINDOW, since=message_id)
    response = render(request, "chat/_message_list.html", {**rendering.listed(branch), "can": rendering.can_of(user)})
    response["HX-Retarget"], response["HX-Reswap"] = "#messages", "innerHTML"
    return response
