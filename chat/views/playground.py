"""The playground: an administrator tries out a model with parameters of their choice. The page asks by REST as any
program does, so that rights, limits and the audit log are those of programs; nothing is stored."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.web import me, signed_in
from chat.controls import PARAMETERS
from inference.catalogue import models_now
from owui.lib.errors import Missing

#: parameters that both kinds of servers take as they are called here
_SHOWN = ("temperature", "max_tokens", "top_p", "seed", "frequency_penalty", "presence_penalty")


@require_GET
@signed_in
def playground(request: HttpRequest) -> HttpResponse:
    user = me(request)
    if not user.is_admin:
        raise Missing
    models = [{"id": m.id, "name": m.name, "kind": m.live.pick().info.kind} for m in models_now(user)]
    parameters = [p for p in PARAMETERS if p.name in _SHOWN]
    return render(request, "chat/playground.html", {"model_list": models, "parameter_list": parameters})
