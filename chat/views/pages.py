"""The chat page, the sidebar's list, and what one does with a whole chat."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.web import go, signed_in
from chat import attaching, folders, organising, reading, rendering, selectors, services
from chat.history import attached_items
from chat.models import Chat
from chat.oversight import looked_at
from chat.views.composer import chip, composer_of, suggestions_for
from chat.views.models import picker_of
from chat.views.python import seconds_to_run
from chat.views.search import current_chat, shown_list
from chat.views.temporary import temporary_of
from knowledge.models import KnowledgeBase
from owui.config.sections import UiConfig
from owui.lib.errors import Missing
from rbac.permissions import require


@require_GET
@signed_in
@gzip_page
def home(request: HttpRequest) -> HttpResponse:
    """`/`: a new chat. `?knowledge=` puts a base on it, `?folder=` begins it there, `?model=` (or `?models=`)
    chooses one, `?q=` fills the composer; with `&submit=true` it is sent, unless another site led here."""
    user: Any = request.user
    asked = request.GET.getlist("knowledge")
    bases = KnowledgeBase.objects.readable_by(user).filter(pk__in=attaching.uuids(asked)) if asked else []
    asked_folder = request.GET.get("folder", "")
    folder = folders.place_for(user, asked_folder) if asked_folder else None
    return _page(request, None, knowledge_list=[chip("knowledge", b.pk, b.name) for b in bases], folder=folder)


@require_GET
@signed_in
@gzip_page
def chat_page(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    user: Any = request.user
    chat = Chat.objects.readable_by(user).filter(pk=chat_id).first()
    if chat is None:
        raise Missing(_("This chat does not exist, or it is not yours."))
    looked_at(chat, user)
    if chat.owner_id == user.pk and reading.is_unread(chat.read_at, chat.updated_at):
        reading.mark_read(by=user, chat_id=chat.pk)
    branch = selectors.load_branch(chat, reader=user, most=selectors.WINDOW)
    items = attached_items([m for m in branch.messages if m.author == "user"], branch.attached)
    chosen = [chip("knowledge", i["id"], i["name"]) for i in items if i.get("type") == "collection"]
    return _page(request, chat, **rendering.listed(branch), knowledge_list=chosen)


@require_GET
@signed_in
@gzip_page
def earlier(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """The messages before one that is shown: what comes when somebody scrolls up."""
    user: Any = request.user
    chat = Chat.objects.readable_by(user).filter(pk=chat_id).first()
    if chat is None:
        raise Missing(_("This chat does not exist, or it is not yours."))
    looked_at(chat, user)
    branch = selectors.load_branch(chat, reader=user, most=selectors.WINDOW, before=message_id)
    can = rendering.can_of(user, is_own=chat.owner_id == user.pk)
    return render(request, "chat/_message_list.html", {**rendering.listed(branch), "can": can})


def _page(request: HttpRequest, chat: Chat | None, **context: Any) -> HttpResponse:
    user: Any = request.user
    wished = [request.GET.get("model", ""), *request.GET.get("models", "").split(",")]
    picker, can, temporary = picker_of(user, wished, chat), rendering.can_of(user), None
    here, is_own = dict(can), chat is None or chat.owner_id == user.pk
    if chat is None and (temporary := temporary_of(request)):
        # Several answers and uploads are stored, so there are none here.
        picker |= {"several": False, "selected_models": picker["selected_models"][:1]}
        here |= {"store": True, "file_upload": False}
    elif not is_own:
        here |= rendering.NOT_ONES_OWN
    first = picker["selected_models"][0]["id"] if picker["selected_models"] else ""
    return render(
        request,
        "chat/chat_page.html",
        {
            "chat": chat,
            "message_list": [],
            **picker,
            "temporary": bool(temporary),
            "only_temporary": temporary == "only",
            "suggestion_list": [] if chat else suggestions_for(user, first),
            "draft": request.GET.get("q", ""),
            "composer": composer_of(request),
            "sidebar": selectors.sidebar_of(user, chat.pk if chat else None),
            "can": can,
            "here": here,
            "is_own": is_own,
            "runs_python": seconds_to_run(),
            "copy_note": UiConfig.load().response_watermark.strip(),
            **context,
        },
    )


@require_POST
@signed_in
def pin(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    services.toggle_pin(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return shown_list(request)


@require_POST
@signed_in
def archive(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    organising.toggle_archived(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return shown_list(request)


@require_POST
@signed_in
def read(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """An answer ended while its page was looked at."""
    services.own_chat(request.user, chat_id, lock=False)  # type: ignore[arg-type]
    reading.mark_read(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return HttpResponse(status=204)


@require_POST
@signed_in
def unread(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """To be looked at again; the page that shows it is left, or it would be read at once."""
    services.own_chat(request.user, chat_id, lock=False)  # type: ignore[arg-type]
    reading.mark_unread(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return go(request, reverse("chat:chat-new")) if current_chat(request) == chat_id else shown_list(request)


@require_http_methods(["GET", "POST"])
@signed_in
def delete(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    user: Any = request.user
    if request.method == "POST":
        services.delete_chat(by=user, chat_id=chat_id)
        if request.headers.get("HX-Current-URL") and current_chat(request) != chat_id:
            return shown_list(request)  # what one reads meanwhile stays
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


def old_new(request: HttpRequest) -> HttpResponse:
    """`/c/new` is where the composer posts; opened as a page it is a new chat."""
    return HttpResponseRedirect("/")
