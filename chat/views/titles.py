"""Renaming a chat: by hand, or with a title that a model suggests."""

from __future__ import annotations

import uuid
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.web import asigned_in, signed_in
from chat import selectors, services
from chat.config import TaskConfig
from chat.forms import TitleForm
from chat.history import history_of
from chat.models import Chat
from chat.task_model import do_job, note_job
from chat.views.search import shown_list
from inference.catalogue import resolve_for
from inference.forwarding import About
from inference.providers.errors import ProviderError
from owui.lib.aio import in_thread
from owui.lib.errors import UserError


@require_http_methods(["GET", "POST"])
@signed_in
def rename(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    user: Any = request.user
    if request.method == "POST":
        services.rename_chat(by=user, chat_id=chat_id, title=request.POST.get("title", ""))
        return shown_list(request)
    chat = services.own_chat(user, chat_id, lock=False)
    return _dialog(request, chat, chat.title)


@require_POST
@asigned_in
async def suggest(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """The dialog with a title by the model of the chat's last answer, or by the house's for such work. Nothing is
    changed before the person says so; when no title comes, what they typed stays."""
    user: Any = await request.auser()
    chat, history, model_id = await in_thread(_said)(user, chat_id)
    typed = request.POST.get("title", "")
    try:
        if not history:
            raise UserError(_("Nothing has been said in this chat yet."))
        resolved = await resolve_for(user, model_id, status=404)
        await in_thread(note_job)(user, resolved, "title")
        about = About(chat_id=str(chat.pk), model_id=resolved.model_id)
        said = await do_job("title", user=user, resolved=resolved, messages=history, about=about)
        typed, fault = str(orjson.loads(said).get("title") or "")[:500] or typed, ""
    except (UserError, ProviderError) as error:
        fault = error.message
    return await in_thread(_dialog)(request, chat, typed, fault)


def _said(user: Any, chat_id: uuid.UUID) -> tuple[Chat, list[dict[str, Any]], str]:
    chat = services.own_chat(user, chat_id, lock=False)
    if not TaskConfig.load().is_on("title"):
        raise UserError(_("Titles by a model are switched off here."), status=403, code="off")
    branch = selectors.branch_of(chat.pk, chat.current_id)
    answered = [message.model_id for message in branch if message.model_id]
    history: list[dict[str, Any]] = history_of(branch)
    return chat, history, answered[-1] if answered else (chat.model_ids or [""])[0]


def _dialog(request: HttpRequest, chat: Chat, title: str, fault: str = "") -> HttpResponse:
    context = {
        "title": _("Rename chat"),
        "action_url": f"/c/{chat.pk}/rename",
        "form": TitleForm(initial={"title": title}),
        "suggest_url": f"/c/{chat.pk}/suggest-title" if TaskConfig.load().is_on("title") else "",
        "fault": fault,
    }
    return render(request, "components/_rename_dialog.html", context, status=422 if fault else 200)
