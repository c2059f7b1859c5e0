"""The workspace page of models."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.web import asigned_in, go, signed_in
from inference import services
from inference.live import live_models
from inference.models import AIModel
from inference.workspace import entries
from owui.lib.aio import in_thread
from owui.lib.errors import ACCESS_PROHIBITED, Missing, Refused
from rbac.permissions import require
from rbac.shortcuts import get_writable


@require_GET
@asigned_in
async def model_list(request: HttpRequest) -> HttpResponseBase:
    user: Any = await request.auser()
    await in_thread(require)(user, "workspace.models", status=403)
    models = await live_models(refresh="refresh" in request.GET)

    def page() -> HttpResponse:
        query, number = request.GET.get("q", "").strip(), request.GET.get("page", "")[:6]
        shown = entries(user, models, query=query, page=int(number) if number.isdecimal() else 1)
        context = {"model_list": shown.entries, "shown": shown, "query": query, "section": "models"}
        return render(request, "inference/model_list.html", context)

    return await in_thread(page)()


@require_POST
@signed_in
def model_active(request: HttpRequest, model_id: str) -> HttpResponseBase:
    """The switch of a row. An administrator may switch a model that has no row yet: it gets one."""
    user: Any = request.user
    if user.role == "admin":
        services.register_live({services.check_id(model_id): ""}, by=user)
    row = get_writable(AIModel.objects.all(), user, None, model_id=model_id)
    services.set_active(row, is_active=request.POST.get("active") == "1", by=user)
    return HttpResponse(status=204)


@require_POST
@asigned_in
async def model_register(request: HttpRequest) -> HttpResponseBase:
    """Gives a live model a row, so that it can be granted; until then it stays with administrators."""
    user: Any = await request.auser()
    form = await in_thread(lambda: request.POST)()
    if user.role != "admin":
        raise Refused(ACCESS_PROHIBITED)
    live = (await live_models()).get(form.get("model", ""))
    if live is None:
        raise Missing
    await in_thread(lambda: services.register_live({live.id: live.name}, by=user))()
    return go(request, reverse("inference:model-list"))
