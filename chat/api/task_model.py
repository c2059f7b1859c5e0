"""`/api/v1/tasks`: settings of the task model, and its jobs for programs that ask for them themselves."""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.http import HttpRequest
from ninja import Body, Router
from pydantic import BaseModel, ConfigDict

from accounts.models import User
from chat.api.upstream import Upstream
from chat.config import TaskConfig
from chat.engine.events import Outcome
from chat.task_model import JOBS, do_job, note_job
from inference.catalogue import resolve_for
from inference.providers.errors import ProviderError
from owui.config.registry import InvalidSetting, Section
from owui.lib.aio import in_thread
from owui.lib.errors import Missing, UserError
from owui.lib.guards import admin, averified, verified

router = Router(tags=["tasks"])


class JobForm(BaseModel):
    """A conversation, or for some jobs a text."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: list[dict[str, Any]] = []
    prompt: str = ""
    type: str = ""
    chat_id: str | None = None
    responses: list[str] = []


@router.get("/config", auth=verified)
def get_config(request: HttpRequest) -> dict[str, Any]:
    return _shown(TaskConfig.load())


@router.post("/config/update", auth=admin)
def update_config(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    """Fields that are not sent stay; unknown ones are ignored."""
    names = _names(TaskConfig)
    changes = {names[name]: value for name, value in form.items() if name in names}
    try:
        TaskConfig.save(by=request.user, **changes)
    except InvalidSetting as error:
        raise UserError(error.message) from error
    return _shown(TaskConfig.load())


@router.post("/{kind}/completions", auth=averified)
async def do(request: HttpRequest, kind: str, form: JobForm) -> Any:
    """The job's answer as an OpenAI object, its content JSON. Switched off: 200 with a `detail`, as in the field."""
    if kind not in JOBS:
        raise Missing
    user: User = request.auth  # type: ignore[attr-defined]
    config = await in_thread(TaskConfig.load)()
    if not config.is_on(kind, form.type):
        return {"detail": "This is switched off."}
    text = form.prompt or (str(form.messages[-1].get("content") or "") if form.messages else "")
    if kind == "auto" and 0 <= config.autocomplete_max_length < len(text):
        limit = config.autocomplete_max_length
        raise UserError(f"Texts of more than {limit} characters are not completed.", code="too_long")
    resolved = await resolve_for(user, form.model)
    await in_thread(note_job)(user, resolved, kind)
    values = {"prompt": text, "type": form.type, "responses": "\n\n".join(form.responses)}
    try:
        content = await do_job(kind, user=user, resolved=resolved, messages=form.messages, values=values)
    except ProviderError as error:
        raise Upstream(Outcome("failed", error.message, error.status, error.body, error.retry_after)) from error
    return {
        "id": f"chatcmpl-{uuid.uuid4()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": form.model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
    }


def _names(section: type[Section]) -> dict[str, str]:
    """The field's names of the settings, which are the variables', and ours."""
    return {found.declared.env: name for name, found in section.settings.items()}


def _shown(config: TaskConfig) -> dict[str, Any]:
    return {env: getattr(config, name) for env, name in _names(TaskConfig).items()}
