"""The chat page, the sidebar's list, and what one does with a whole chat."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.web import go, signed_in
from chat import organising, rendering, selectors, services
from chat.forms import TitleForm
from chat.models import Chat
from chat.oversight import looked_at
from chat.views.models import model_choices, suggestions
from knowledge.models import KnowledgeBase
from owui.config.sections import UiConfig
from owui.lib.errors import Missing
from rbac.permissions import require


@require_GET
@signed_in
def home(request: HttpRequest) -> HttpResponse:
    """`/`: a new chat. `?knowledge=` puts a base on it, `?model=` chooses one, `?q=` fills the composer."""
    user: Any = request.user
    asked = request.GET.getlist("knowledge")
    bases = KnowledgeBase.objects.readable_by(user).filter(pk__in=services.uuids(asked)) if asked else []
    return _page(request, None, knowledge_list=[{"id": b.pk, "name": b.name} for b in bases])


@require_GET
@signed_in
def chat_page(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    user: Any = request.user
    chat = Chat.objects.readable_by(user).filter(pk=chat_id).first()
    if chat is None:
        raise Missing(_("This chat does not exist, or it is not yours."))
    looked_at(chat, user)
    branch = selectors.load_branch(chat, reader=user)
    views = rendering.branch_views(branch.messages, branch.everything, branch.citations, branch.running)
    items = services.attached_items([m for m in branch.messages if m.author == "user"])
    chosen = [{"id": i["id"], "name": i["name"]} for i in items if i.get("type") == "collection"]
    return _page(request, chat, message_list=views, knowledge_list=chosen)


def _page(request: HttpRequest, chat: Chat | None, **context: Any) -> HttpResponse:
    user: Any = request.user
    models = model_choices(user)
    known = {m["id"] for m in models}
    wished = [request.GET.get("model", ""), *(chat.model_ids if chat else []), *UiConfig.load().default_models]
    selected = next((m for m in wished if m in known), models[0]["id"] if models else "")
    return render(
        request,
        "chat/chat_page.html",
        {
            "chat": chat,
            "message_list": [],
            "model_list": models,
            "selected_model": selected,
            "suggestion_list": [] if chat else suggestions(),
            "draft": request.GET.get("q", ""),
            "sidebar": selectors.sidebar_of(user, chat.pk if chat else None),
            "can": rendering.can_of(user),
            "copy_note": UiConfig.load().response_watermark.strip(),
            **context,
        },
    )


@require_GET
@signed_in
def search(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()[:200]
    context = {"sidebar": selectors.sidebar_of(request.user, query=query), "query": query}  # type: ignore[arg-type]
    return render(request, "chat/_chat_list.html", context)


@require_POST
@signed_in
def pin(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    services.toggle_pin(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return _chat_list(request)


@require_POST
@signed_in
def archive(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    organising.toggle_archived(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return _chat_list(request)


@require_http_methods(["GET", "POST"])
@signed_in
def rename(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    user: Any = request.user
    if request.method == "POST":
        services.rename_chat(by=user, chat_id=chat_id, title=request.POST.get("title", ""))
        return _chat_list(request)
    chat = services.own_chat(user, chat_id, lock=False)
    context = {"title": _("Rename chat"), "action_url": request.path, "form": TitleForm(initial={"title": chat.title})}
    return render(request, "components/_rename_dialog.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def delete(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    user: Any = request.user
    if request.method == "POST":
        services.delete_chat(by=user, chat_id=chat_id)
        return go(request, reverse("chat:chat-new"))
    require(user, "chat.delete")
    chat = services.own_chat(user, chat_id, lock=False)
    context = {
        "title": _("Delete this chat?"),
        "text": _("“%(title)s” and all its messages will be deleted. This cannot be undone.") % {"title": chat.title},
        "action_url": request.path,
        "verb": _("Delete chat"),
    }
    return render(request, "components/_confirm_dialog.html", context)


def _chat_list(request: HttpRequest) -> HttpResponse:
    """The whole list anew, in its own place."""
    response = render(request, "chat/_chat_list.html", {"sidebar": selectors.sidebar_of(request.user)})  # type: ignore[arg-type]
    response["HX-Retarget"], response["HX-Reswap"] = "#chat-list", "innerHTML"
    return response


def old_new(request: HttpRequest) -> HttpResponse:
    """`/c/new` is where the composer posts; opened as a page it is a new chat."""
    return HttpResponseRedirect("/")
