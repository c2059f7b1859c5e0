"""Messages in other words: their forms, what comes back from these, and one code block of an answer alone."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.web import asigned_in, signed_in
from chat import rendering, services, versions
from chat.dispatch import start
from chat.models import Message
from chat.nodes import nodes
from chat.views import tabs
from chat.views.messages import branch_response, message_html, model_for
from owui.lib.aio import in_thread
from owui.lib.markdown import join, pieces

_PART = "part."


@require_http_methods(["GET", "POST"])
@asigned_in
async def message_edit(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """GET: the message as a form. POST: a question asked in other words, as a sibling."""
    user: Any = await request.auser()
    if request.method == "GET":
        return await in_thread(edit_form)(request, user, message_id)
    resolved = await model_for(request, user, message_id)
    started = await start(
        user,
        resolved,
        services.edit_question,
        message_id=message_id,
        text=request.POST.get("text", ""),
        model_id=resolved.model_id,
        model_name=resolved.name,
    )
    await nodes.announce(tabs.branch_news(user, started.chat))
    return await in_thread(branch_response)(request, user, started.chat, message_id)


@require_POST
@signed_in
def message_save(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """Other words in the same place, in the person's other tabs too."""
    user: Any = request.user
    try:
        saved = versions.save_text(
            by=user, message_id=message_id, seen=request.POST.get("seen"), **_words(request.POST)
        )
    except versions.Changed as error:
        return _changed_meanwhile(request, error)
    return _shown(user, saved)


@require_POST
@signed_in
def message_code(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """Other code in one block of an answer."""
    user: Any = request.user
    number = request.POST.get("number", "")
    saved = versions.save_code(
        by=user,
        message_id=message_id,
        number=int(number) if number.isdecimal() and len(number) < 7 else -1,
        former=request.POST.get("former", ""),
        code=request.POST.get("code", ""),
    )
    return _shown(user, saved)


@require_POST
@signed_in
def message_copy(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """An answer in the person's own words, beside the model's."""
    user: Any = request.user
    chat = versions.save_copy(by=user, message_id=message_id, **_words(request.POST))
    nodes.announce_sync(tabs.branch_news(user, chat))
    return branch_response(request, user, chat, message_id)


def _shown(user: Any, saved: Message) -> HttpResponse:
    """The message as it is now, here and in the person's other tabs."""
    html = message_html(user, saved)
    nodes.announce_sync(tabs.message_news(user, saved, html))
    return HttpResponse(html)


def _words(form: QueryDict) -> dict[str, Any]:
    """The text that a form sends, whole or in pieces of the text that it was made from, and the thoughts before it."""
    base = form.get("base")
    if base is None:
        return {"text": form.get("text", "")}
    changes = {name.removeprefix(_PART): str(form[name]) for name in form if name.startswith(_PART)}
    return {"text": join(base.replace("\r\n", "\n"), changes), "reasoning": form.get("reasoning")}


def edit_form(request: HttpRequest, user: Any, message_id: uuid.UUID) -> HttpResponse:
    message = versions.editable_message(user, message_id)
    view = rendering.message_view(message) | {"seen": versions.mark_of(message)}
    return render(request, "chat/_message_edit.html", {"message": view, **_in_pieces(message)})


def _in_pieces(message: Message) -> dict[str, Any]:
    """What one answer is made of, where it is more than text."""
    if message.author != "assistant":
        return {}
    found = pieces(message.content)
    if not message.reasoning and not any(piece.kind for piece in found):
        return {}
    return {"piece_list": found, "base": message.content, "reasoning": message.reasoning}


def _changed_meanwhile(request: HttpRequest, error: versions.Changed) -> HttpResponse:
    """The form again with what was typed, and beside it what somebody wrote meanwhile."""
    message, words = error.changed, _words(request.POST)
    view = rendering.message_view(message) | {"seen": versions.mark_of(message), "text": words["text"]}
    context: dict[str, Any] = {"message": view, "refusal": error.message, "meanwhile": message.content}
    if "base" in request.POST:
        # The pieces of what was typed, whatever the message is made of by now.
        context |= {"piece_list": pieces(words["text"]), "base": words["text"], "reasoning": words["reasoning"]}
    response = render(request, "chat/_message_edit.html", context, status=error.status)
    response["HX-Retarget"], response["HX-Reswap"] = f"#message-{message.pk}-blocks", "innerHTML"
    return response
