"""What the composer offers to choose from, and what a person wants on top of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST

from accounts import preferences
from accounts.web import me, signed_in
from chat import listed
from chat.models import Chat
from chat.pinned import ids_in, pinned_ids
from inference.catalogue import choices_now, models_now
from inference.config import OllamaConfig
from owui.config.sections import UiConfig
from rbac.permissions import may

MOST_PINNED, MOST_MODELS = 50, 6


def model_choices(user: Any) -> list[dict[str, str]]:
    """The models a person may use now: id, name, description, in the administrator's order."""
    return choices_now(user)


def picker_of(user: Any, wished: Sequence[str] = (), chat: Chat | None = None) -> dict[str, Any]:
    """What `chat/_models.html` shows: the person's pinned models first, the chosen ones, and which of a chat are lost.

    :param wished: ids that the address names, before those of the chat and the person's own
    """
    own, house = preferences.interface_of(user), UiConfig.load()
    pinned = pinned_ids(user)
    models: list[dict[str, Any]] = [
        {
            "id": model.id,
            "name": model.name,
            "description": model.description,
            "tags": model.tags,
            "pinned": model.id in pinned,
            "place": "local" if model.live.connections[0].connection_type == "local" else "external",
        }
        for model in models_now(user)
        if not model.is_hidden
    ]
    models.sort(key=lambda model: pinned.index(model["id"]) if model["pinned"] else len(pinned))
    known = {model["id"]: model for model in models}
    former = chat.model_ids if chat else []
    lost = [name for name in former if name not in known]
    first = next((known[name] for name in house.default_models if name in known), models[0] if models else None)
    chosen: list[dict[str, Any]] = []
    for names in (wished, former, [] if lost else ids_in(own.get("models"))):
        chosen = [known[name] for name in dict.fromkeys(names) if name in known]
        if chosen or (lost and names is former):
            break
    else:
        chosen = [first] if first else []
    several = may(user, "chat.multiple_models")
    return {
        "model_list": models,
        "pinned_models": [model for model in models if model["pinned"]],
        "model_tags": sorted({tag for model in models for tag in model["tags"]}, key=str.casefold),
        # Where models run is worth a choice only where there are both.
        "model_places": len({model["place"] for model in models}) > 1,
        "pulls_models": user.role == "admin" and OllamaConfig.load().enable,
        "selected_models": chosen[: MOST_MODELS if several else 1],
        "lost_models": lost if not chosen else [],
        "several": several,
    }


@require_POST
@signed_in
def pin(request: HttpRequest) -> HttpResponse:
    """Puts a model on top of the person's list, or back into its place."""
    user, model_id = me(request), request.POST.get("id", "")[:255]
    pinned = [m["id"] for m in picker_of(user)["model_list"] if m["pinned"]]
    changed = [m for m in pinned if m != model_id] if model_id in pinned else [*pinned, model_id]
    preferences.change_interface(user, {"pinnedModels": changed[:MOST_PINNED]})
    context = picker_of(user)
    listed.tell([user.pk], ["replace", "pinned-models", render_to_string("chat/_pinned_models.html", context)])
    response = render(request, "chat/_model_list.html", context)
    response.content += render_to_string("chat/_pinned_models_beside.html", context).encode()
    return response


@require_POST
@signed_in
def default(request: HttpRequest) -> HttpResponse:
    """New chats of the person begin with these models."""
    user = me(request)
    known = {model["id"] for model in model_choices(user)}
    asked = [model for model in dict.fromkeys(request.POST.getlist("model")) if model in known]
    preferences.change_interface(user, {"models": asked[:MOST_MODELS]})
    return HttpResponse(status=204)
