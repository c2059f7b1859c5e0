"""What is done with messages. Views that begin or end turns are async, because a turn runs on the event loop."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.middleware import known_of
from accounts.models import User
from accounts.web import asigned_in, door_inside, go, insider, signed_in
from chat import copies, rendering, selectors, services, versions
from chat.dispatch import start, start_with
from chat.engine.events import Transcript
from chat.models import Chat, Message
from chat.moulds import rendered
from chat.nodes import nodes
from chat.oversight import looked_at
from chat.services import Started
from chat.views import controls, several, tabs
from inference.catalogue import resolve_for
from owui.config.sections import UiConfig
from owui.lib.aio import in_thread
from owui.lib.errors import Missing, UserError

#: what an answer shall have that the first one had not, as the model is told it
AGAIN = {
    "details": "Answer the question again with more details. Do not refer to your first answer.",
    "concise": "Answer the question again, more concisely. Do not refer to your first answer.",
}


@require_http_methods(["GET", "POST"])
@door_inside
async def message_list(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """GET: the shown branch anew, for a page that has missed something. POST: a question."""
    if request.method == "GET":
        return await in_thread(_shown)(request, chat_id)
    return await _create(request, chat_id)


@require_POST
@door_inside
async def message_create(request: HttpRequest) -> HttpResponse:
    """The first question of a chat, which gets its address."""
    return await _create(request, None)


async def _create(request: HttpRequest, chat_id: uuid.UUID | None) -> HttpResponse:
    """A question from the composer. Answers with the question and the running answer."""
    form = request.POST  # read by now, for the CSRF check
    models = list(dict.fromkeys(model for model in form.getlist("model") if model))
    if len(models) > 1:
        return await several.ask(request, await in_thread(insider)(request), models, chat_id, told=_tell_tabs)

    def begin(*, by: User, **more: Any) -> Started:
        params = None if chat_id else controls.sent_with(by, form)
        return services.start_turn(by=by, params=params, **more)

    try:
        started, html = await start_with(
            partial(insider, request),
            models[0] if models else "",
            begin,
            show=_asked_html,
            known=partial(known_of, request),
            text=form.get("text", ""),
            chat_id=chat_id,
            knowledge_ids=form.getlist("knowledge"),
            file_ids=form.getlist("file"),
            whole_ids=form.getlist("whole"),
            pictures=request.FILES.getlist("picture"),
            folder_id=form.get("folder", ""),
        )
    except UserError as error:
        if error.code != "model":
            raise
        return await in_thread(several.model_lost)(request, error)
    await _tell_tabs(started.turn.user, started, html)
    return several.asked(request, started, html)


@require_POST
@asigned_in
async def message_regenerate(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """Another answer; the page shows the new branch. `how` is one of `AGAIN`, or `own` with an `instruction`."""
    user: Any = await request.auser()
    how = request.POST.get("how", "")
    instruction = request.POST.get("instruction", "") if how == "own" else AGAIN.get(how, "")
    resolved = await model_for(request, user, message_id)
    started = await start(
        user,
        resolved,
        services.regenerate,
        message_id=message_id,
        model_id=resolved.model_id,
        model_name=resolved.name,
        instruction=str(instruction),
    )
    await nodes.announce(tabs.branch_news(user, started.chat))
    return await in_thread(branch_response)(request, user, started.chat, message_id)


@require_POST
@asigned_in
async def message_continue(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """Goes on with an answer; it is replaced by the running one."""
    user: Any = await request.auser()
    resolved = await model_for(request, user, message_id)
    started = await start(
        user,
        resolved,
        services.continue_answer,
        message_id=message_id,
        model_id=resolved.model_id,
        model_name=resolved.name,
    )
    html = await in_thread(message_html)(user, started.message)
    await nodes.announce(tabs.message_news(user, started.message, html))
    return HttpResponse(html)


@require_POST
@asigned_in
async def message_stop(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """Stops every running answer of the chat, wherever it runs."""
    user: Any = await request.auser()
    for turn_id in await in_thread(services.request_stop)(by=user, chat_id=chat_id):
        await nodes.announce({"kind": "turn.stop", "turn_id": str(turn_id), "user_ids": []})
    return HttpResponse(status=204)


@require_GET
@signed_in
def message(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """One message as it stands: what a page without a socket asks once a second."""
    return HttpResponse(message_html(request.user, _readable(request.user, message_id)))


@require_POST
@signed_in
def message_select(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """The sibling pager."""
    chat = services.select_branch(by=request.user, message_id=message_id)  # type: ignore[arg-type]
    nodes.announce_sync(tabs.branch_news(request.user, chat))
    return branch_response(request, request.user, chat, message_id)


@require_GET
@signed_in
def message_menu(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """What else can be done with a message, made when somebody asks for it; with `?again` how it may be asked again."""
    found = _readable(request.user, message_id)
    context = {"message": rendering.message_view(found), "can": can_in(request.user, found.chat)}
    is_again = "again" in request.GET and found.author == "assistant" and context["can"]["regenerate"]
    return render(request, f"chat/_message_{'again' if is_again else 'menu'}.html", context)


@require_GET
@signed_in
def message_text(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """The Markdown of a message, for the clipboard; an answer with the note that the house puts under copies."""
    message = _readable(request.user, message_id)
    note = UiConfig.load().response_watermark.strip() if message.author == "assistant" else ""
    text = f"{message.content.strip()}\n\n{note}" if note else message.content.strip()
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@require_http_methods(["GET", "POST"])
@signed_in
def message_delete(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    user: Any = request.user
    if request.method == "POST":
        parent = versions.deletable_message(user, message_id).parent_id
        chat = versions.delete_message(by=user, message_id=message_id)
        mark = f"#messages:not(:has(#message-{message_id}))"
        nodes.announce_sync(tabs.branch_news(user, chat, mark=mark))
        return branch_response(request, user, chat, parent)
    message = versions.deletable_message(user, message_id)
    context = {
        "title": _("Delete this question?") if message.author == "user" else _("Delete this answer?"),
        "text": _("What was said after it stays. This cannot be undone."),
        "action_url": request.path,
        "verb": _("Delete"),
    }
    return render(request, "components/_confirm_dialog.html", context)


@require_POST
@signed_in
def message_fork(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """A chat of one's own that has everything up to this message, opened at once."""
    user: Any = request.user
    message = _readable(user, message_id)
    return go(request, reverse("chat:chat-page", args=[copies.clone_chat(message.chat, by=user, leaf=message.pk).pk]))


async def model_for(request: HttpRequest, user: Any, message_id: uuid.UUID) -> Any:
    """The model the composer names, else the one that answered before."""
    former = await in_thread(_model_of)(user, message_id)
    return await resolve_for(user, request.POST.get("model") or former, status=404)


def _model_of(user: Any, message_id: uuid.UUID) -> str:
    message = _readable(user, message_id)
    return message.model_id or (message.chat.model_ids or [""])[0]


def _readable(user: Any, message_id: uuid.UUID) -> Message:
    message = Message.objects.readable_by(user).select_related("chat").filter(pk=message_id).first()
    if message is None:
        raise Missing(_("This message does not exist."))
    looked_at(message.chat, user)
    return message  # type: ignore[no-any-return]


def can_in(user: Any, chat: Chat) -> dict[str, bool]:
    return rendering.can_of(user, is_own=chat.owner_id == user.pk)


def message_html(user: Any, message: Message) -> str:
    branch = selectors.load_branch(message.chat, reader=user, only=message.pk)
    view = rendering.branch_views(branch.messages, branch.everything, branch.citations, branch.running)[0]
    return render_to_string("chat/_message.html", {"message": view, "can": can_in(user, message.chat)})


def _asked_html(user: Any, started: Started) -> str:
    """A new question and its answer to be. Neither has siblings yet, so nothing has to be read for them."""
    assert started.question is not None
    answer = rendering.message_view(started.message, turn_id=started.turn.pk, running=(Transcript(), 0))
    can = rendering.can_of(user)
    views = [rendering.message_view(started.question), answer]
    return "".join(rendered("chat/_message.html", view, can) for view in views)


def branch_response(request: HttpRequest, user: Any, chat: Chat, since: uuid.UUID | None) -> HttpResponse:
    """The end of the branch, at least from the message on with which something was done."""
    branch = selectors.load_branch(chat, reader=user, most=selectors.WINDOW, since=since)
    response = render(request, "chat/_message_list.html", {**rendering.listed(branch), "can": can_in(user, chat)})
    response["HX-Retarget"], response["HX-Reswap"] = "#messages", "innerHTML"
    return response


def _shown(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    user: Any = insider(request)
    chat = Chat.objects.readable_by(user).filter(pk=chat_id).first()
    if chat is None:
        raise Missing(_("This chat does not exist, or it is not yours."))
    looked_at(chat, user)
    return branch_response(request, user, chat, None)


async def _tell_tabs(user: Any, started: Started, html: str) -> None:
    """The person's other tabs on the same chat show the new turn too; the tab that sent it has it by then."""
    if started.is_new_chat:
        await nodes.announce(tabs.list_news(user, started.chat.pk))
        return
    ops = [["append-new", "messages", html, str(started.chat.pk)]]
    await nodes.announce(
        {"kind": "chat.message", "user_ids": [str(user.pk)], "chat_id": str(started.chat.pk), "ops": ops}
    )
