"""What one types after `/` in a chat that is there: `/compact`, `/fork`, `/status`."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.web import asigned_in, go, me, signed_in
from chat import compaction, copies, services
from chat.engine import tokens, window
from chat.history import attached_items, history_of
from chat.models import Chat
from chat.nodes import nodes
from chat.selectors import branch_of
from chat.views import tabs
from chat.views.messages import branch_response
from inference.catalogue import Resolved, resolve_for
from inference.limits import ContextLimit
from inference.providers.errors import ProviderError
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from rbac.permissions import may


def commands_for(user: Any, chat: Chat, query: str) -> list[dict[str, Any]]:
    """Those that the beginning of a word may mean, as the picker shows them."""
    every = [
        ("compact", "archive", _("Give the model a summary of this chat from here on"), True),
        ("fork", "fork", _("Go on in a copy of this chat"), may(user, "chat.import")),
        ("status", "info", _("How much of the model's memory this chat takes"), True),
    ]
    asked = query.casefold()
    return [
        {
            "id": name,
            "name": f"/{name}",
            "icon": icon,
            "detail": detail,
            "command_url": reverse(f"chat:chat-{name}", args=[chat.pk]),
            "command_verb": "get" if name == "status" else "post",
        }
        for name, icon, detail, is_allowed in every
        if is_allowed and name.startswith(asked)
    ]


@require_POST
@asigned_in
async def compact(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """Has the chat summarised for the model. Takes as long as an answer."""
    user: Any = await request.auser()
    long = await in_thread(compaction.long_branch)(user, chat_id)
    resolved = await resolve_for(user, _model(request, long.chat), status=404)
    try:
        chat = await compaction.compact(user, resolved, long)
    except ProviderError as error:
        raise UserError(error.message, status=502, code="provider") from error
    mark = f"#message-{chat.current_id} .compacted"
    await nodes.announce(tabs.branch_news(user, chat, mark=mark))
    return await in_thread(branch_response)(request, user, chat, chat.current_id)


@require_POST
@signed_in
def whole(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """The summary is taken back."""
    user = me(request)
    message = compaction.forget_summary(by=user, message_id=message_id)
    mark = f"#message-{message_id}:not(:has(.compacted))"
    nodes.announce_sync(tabs.branch_news(user, message.chat, mark=mark))
    return branch_response(request, user, message.chat, message.pk)


@require_POST
@signed_in
def fork(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """The shown branch as a chat of its own, opened at once."""
    user = me(request)
    chat = services.own_chat(user, chat_id, lock=False)
    return go(request, reverse("chat:chat-page", args=[copies.clone_chat(chat, by=user, leaf=chat.current_id).pk]))


@require_GET
@asigned_in
async def status(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """What goes to the model with the next question, and how much of its memory that takes."""
    user: Any = await request.auser()
    context = await in_thread(_facts)(user, chat_id)
    try:
        resolved = await resolve_for(user, _model(request, context["chat"]), status=404)
    except UserError as error:
        context["fault"] = error.message
    else:
        context |= await _room(resolved, context)
    return await in_thread(render)(request, "chat/_chat_status.html", context)


def _model(request: HttpRequest, chat: Chat) -> str:
    """The one that the composer names, else the chat's."""
    named = request.GET.get("model") or request.POST.get("model")
    return str(named or (chat.model_ids or [""])[0])


def _facts(user: Any, chat_id: uuid.UUID) -> dict[str, Any]:
    chat = services.own_chat(user, chat_id, lock=False)
    branch = branch_of(chat.pk, chat.current_id)
    return {
        "chat": chat,
        "history": history_of(branch),
        "shown_count": len(branch),
        "every_count": chat.messages.count(),
        "is_compacted": any(m.__dict__.get("summary") for m in branch),
        "item_list": attached_items(branch),
        "has_system": bool((chat.params or {}).get("system")),
        "parameter_list": sorted(name for name in chat.params or {} if name != "system"),
    }


async def _room(resolved: Resolved, facts: dict[str, Any]) -> dict[str, Any]:
    params = {**resolved.params, **(facts["chat"].params or {})}
    limit = ContextLimit(resolved.connection, resolved.upstream_id, resolved.live.raw, params)
    system = [{"role": "system", "content": resolved.system or str(params.get("system") or "")}]
    # As `engine.turn` asks: what the server counted before makes the guess better.
    key = (resolved.connection.base_url, resolved.upstream_id)
    used = round(window.guess([*system, *facts["history"]]) * tokens.correction(key))
    most = await limit.ask()
    return {
        "model": resolved.name,
        "place": resolved.live.connections[0].connection_type,
        "used": used,
        "most": most,
        "percent": min(100, round(100 * used / most)) if most else None,
    }
