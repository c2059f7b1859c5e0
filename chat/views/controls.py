"""The panel on the right: system prompt, parameters, files and knowledge of a chat."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.web import me, signed_in
from chat import controls, selectors, services
from chat.history import attached_items
from chat.models import Chat
from owui.lib.errors import UserError
from rbac.permissions import may, require


def sent_with(user: Any, form: Any) -> dict[str, Any]:
    """The parameters of a chat that begins with this form. For a thread."""
    return controls.sent_params(user, form.get("params"))


@require_http_methods(["GET", "POST"])
@signed_in
def panel_new(request: HttpRequest) -> HttpResponse:
    """The controls of a chat that is not there yet: the page keeps them until the first question, which takes them
    along. A POST says what they are as `params`."""
    user = me(request)
    require(user, controls.KEY, status=403)
    if request.method == "GET":
        return _panel(request, controls.sent_params(user, request.GET.get("params")), None)
    try:
        params = controls.read_params(request.POST.get("system", ""), typed_in(request))
    except UserError as error:
        return saved(request, error)
    response = saved(request)
    response["HX-Trigger"] = json.dumps({"owui:params": {"params": controls.sent_params(user, json.dumps(params))}})
    return response


@require_http_methods(["GET", "POST"])
@signed_in
def panel(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    user = me(request)
    require(user, controls.KEY, status=403)
    if request.method == "GET":
        chat = services.own_chat(user, chat_id, lock=False)
        return _panel(request, chat.params, chat)
    try:
        controls.save_controls(by=user, chat_id=chat_id, system=request.POST.get("system", ""), typed=typed_in(request))
    except UserError as error:
        if error.status in (403, 404):
            raise
        return saved(request, error)
    return saved(request)


@require_POST
@signed_in
def remove(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """Takes a file or a base off the chat."""
    user = me(request)
    require(user, controls.KEY, status=403)
    controls.remove_item(
        by=user, chat_id=chat_id, kind=request.POST.get("type", ""), item_id=request.POST.get("id", "")
    )
    chat = services.own_chat(user, chat_id, lock=False)
    return _panel(request, chat.params, chat)


def typed_in(request: HttpRequest) -> dict[str, str]:
    """The fields that are set to "Custom"."""
    custom = set(request.POST.getlist("custom"))
    return {name: request.POST.get(name, "") for name in custom}


def saved(request: HttpRequest, error: UserError | None = None) -> HttpResponse:
    context = {"error": error.message if error else ""}
    return render(request, "chat/_controls_state.html", context, status=422 if error else 200)


def _panel(request: HttpRequest, params: Mapping[str, Any], chat: Chat | None) -> HttpResponse:
    user = me(request)
    items = attached_items(selectors.branch_of(chat.pk, chat.current_id)) if chat else []
    context = {
        "chat": chat,
        "system": params.get("system", ""),
        "may_system": may(user, "chat.system_prompt"),
        "parameter_list": parameter_rows(params) if may(user, "chat.params") else [],
        "item_list": items,
    }
    return render(request, "chat/_controls.html", context)


def parameter_rows(params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All parameters for a form, with what is set of them."""
    return [{"parameter": p, "is_set": p.name in params, "value": _shown(p, params)} for p in controls.PARAMETERS]


def _shown(parameter: controls.Parameter, params: Mapping[str, Any]) -> str:
    value = params.get(parameter.name)
    if value is None:
        return parameter.start or (parameter.options[0] if parameter.options else "")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
