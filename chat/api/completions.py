"""`POST /api/chat/completions` and its aliases: the field's one endpoint for answers, streamed and whole."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Router
from pydantic import BaseModel, ConfigDict

from accounts.middleware import known_of
from accounts.models import User
from chat.api.sessions import answer_bound, is_bound
from chat.api.upstream import Upstream, error_of
from chat.background import Background, background_of
from chat.dispatch import make_plan, standing_of
from chat.engine.events import Outcome, Sources
from chat.engine.prompt import text_of
from chat.engine.turn import Event
from chat.engine.usage import as_json
from chat.pictures import with_pictures
from chat.services import check_text
from chat.unstored import allowed
from inference.api.relay import json_body
from inference.catalogue import Resolved, resolve_with
from inference.forwarding import About, for_person
from inference.permitted import permitted_for, refuse_temporary, trimmed
from inference.providers.events import Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from owui.audit.record import record
from owui.lib.aio import begun
from owui.lib.errors import UserError
from owui.lib.guards import averified, verified
from rbac.permissions import may

router = Router(tags=["completions"])
#: proxies give up on silence; comments in between keep the line open
KEEP_ALIVE_SECONDS = 15.0
#: fields of the request that are OpenAI sampling parameters and go to the model server as they are
SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "seed", "stop", "n",
    "presence_penalty", "frequency_penalty", "repeat_penalty", "logit_bias", "response_format", "reasoning_effort",
    "tool_choice", "parallel_tool_calls", "logprobs", "top_logprobs", "num_ctx", "keep_alive", "think",
)  # fmt: skip


class CompletionForm(BaseModel):
    """The fields we know; others are ignored and never assigned. Not ninja's Schema, which forgets unknown fields."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[dict[str, Any]]
    stream: bool = False
    params: dict[str, Any] | None = None
    files: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None

    def sampling(self) -> dict[str, Any]:
        given = self.model_extra or {}
        return {key: given[key] for key in SAMPLING if given.get(key) is not None}


@router.post("/chat/completions", auth=averified)
async def create_completion(request: HttpRequest, form: CompletionForm) -> Any:
    """An answer in OpenAI's shape. The caller going away closes the connection to the model server at once."""
    user: User = request.auth  # type: ignore[attr-defined]
    if is_bound(form.model_extra or {}):
        body = {**form.__dict__, **(form.model_extra or {})}
        return await answer_bound(user, body, SAMPLING, request._identity)  # type: ignore[attr-defined]
    if not form.messages:
        raise UserError("messages must hold at least one message.")
    resolved, (form, background) = await resolve_with(user, form.model, lambda found: _admit(user, found, form))
    messages = await with_pictures(
        form.messages,
        sees=background.sees,
        model_name=resolved.name,
        largest=background.largest_picture,
        is_page=False,
    )
    about = _about(form, resolved)
    plan = make_plan(
        user,
        resolved,
        messages,
        form.files or [],
        background=background,
        tools=form.tools or (),
        is_page=False,
        connection=await for_person(resolved.connection, user, about),
        about=about,
    )
    standing = standing_of(user, resolved, form.files or [])
    # With knowledge there is more to ask for than what was read here.
    known = known_of(request, resolved.rights_end) if plan.retrieve is None else None
    events = allowed(plan, standing, request._identity, known)  # type: ignore[attr-defined]
    if form.stream:
        return await _streamed(events, form.model)
    return await _whole(events, form.model)


@router.post("/chat/completed", auth=verified)
def complete(request: HttpRequest) -> dict[str, Any]:
    """What older clients send when an answer is over, to have it looked through; it goes back as it came."""
    return json_body(request)


def _about(form: CompletionForm, resolved: Resolved) -> About:
    """Which chat of the caller's the call belongs to, as the field's clients say it."""
    said = form.model_extra or {}
    texts = {"chat_id": said.get("chat_id"), "message_id": said.get("id") or said.get("message_id")}
    return About(model_id=resolved.model_id, **{name: text for name, text in texts.items() if isinstance(text, str)})


def _admit(user: User, resolved: Resolved, form: CompletionForm) -> tuple[CompletionForm, Background]:
    """The request without what the person may not set. Checks the question and notes it: API answers leave no chat
    behind, so the audit log says they were given, and to whom who may have no chats that are not stored."""
    refuse_temporary(user, (form.model_extra or {}).get("chat_id"))
    permitted = permitted_for(user)
    # Built without a second validation: bodies are large, and nothing but omissions has happened to this one.
    form = CompletionForm.model_construct(**trimmed({**form.__dict__, **(form.model_extra or {})}, permitted))
    if not form.messages:
        raise UserError("messages must hold at least one message that is not a system prompt.")
    last = form.messages[-1]
    # Only what a person says must say something: the result of a tool may be empty.
    if last.get("role") == "user" and not isinstance(last.get("content"), list):
        check_text(text_of(last))
    with transaction.atomic():
        record(
            "completion.create",
            by=user,
            object_type="model",
            object_id=resolved.model_id,
            object_label=resolved.name,
            detail={"stream": form.stream} | ({} if may(user, "chat.temporary") else {"stored": False}),
        )
    return form, background_of(
        user,
        resolved,
        permitted,
        chat_params=form.params,
        sampling=form.sampling(),
        variables=(form.model_extra or {}).get("variables"),
        is_page=False,
    )


async def _whole(coming: AsyncGenerator[Event, None], model: str) -> HttpResponse | dict[str, Any]:
    text, reasoning, usage, reason = [], [], {}, "stop"
    calls: dict[int, dict[str, Any]] = {}
    sources: list[dict[str, Any]] = []
    async with aclosing(coming) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                text.append(event.text)
            elif isinstance(event, ReasoningDelta):
                reasoning.append(event.text)
            elif isinstance(event, ToolCallDelta):
                call = calls.setdefault(
                    event.index, {"id": event.id, "type": "function", "function": {"name": event.name, "arguments": ""}}
                )
                call["function"]["arguments"] += event.arguments
            elif isinstance(event, Usage):
                usage = as_json(event)
            elif isinstance(event, Finished):
                reason = event.reason
            elif isinstance(event, Sources):
                sources = event.sources
            elif isinstance(event, Outcome) and event.state == "failed":
                raise Upstream(event)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text)}
    if reasoning:
        message["reasoning_content"] = "".join(reasoning)
    if calls:
        message["tool_calls"] = [calls[i] for i in sorted(calls)]
    answer = _head(f"chatcmpl-{uuid.uuid4().hex}", model, "chat.completion") | {
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": usage or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }
    return answer | ({"sources": sources} if sources else {})


async def _streamed(events: AsyncGenerator[Event, None], model: str) -> HttpResponse:
    """SSE. A fault before the first word is an HTTP error; later ones are a frame.

    A model that thinks for long over its prompt must not look dead to a proxy: after a while the answer begins with
    comments, and a fault is a frame from then on.
    """
    opening = asyncio.create_task(_opening(events))
    try:
        await asyncio.wait({opening}, timeout=KEEP_ALIVE_SECONDS)
        frames = _frames(opening.result(), events, model) if opening.done() else _late(opening, events, model)
        frames = await begun(frames)
    except BaseException:
        await _abandon(opening, events)
        raise
    response = StreamingHttpResponse(frames, content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response  # type: ignore[return-value]


async def _opening(events: AsyncGenerator[Event, None]) -> list[Event]:
    """The events up to the first word."""
    first: list[Event] = []
    async for event in events:
        if isinstance(event, Outcome) and event.state == "failed":
            raise Upstream(event)
        first.append(event)
        if isinstance(event, (TextDelta, ReasoningDelta, ToolCallDelta, Outcome)):
            break
    return first


async def _late(
    opening: asyncio.Task[list[Event]], events: AsyncGenerator[Event, None], model: str
) -> AsyncGenerator[bytes, None]:
    """Comments until the first word, then the answer."""
    try:
        yield b""
        while not opening.done():
            yield b": keep-alive\n\n"
            await asyncio.wait({opening}, timeout=KEEP_ALIVE_SECONDS)
        try:
            first = opening.result()
        except UserError as error:
            said = error.more().get("error") or {"type": "upstream_error", "message": error.message}
            yield _frame({"error": said})
            yield b"data: [DONE]\n\n"
            return
        async for frame in await begun(_frames(first, events, model)):
            yield frame
    finally:
        await _abandon(opening, events)


async def _abandon(opening: asyncio.Task[list[Event]], events: AsyncGenerator[Event, None]) -> None:
    """Ends what may still be under way; the connection to the model server closes with it."""
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await events.aclose()


async def _chain(first: list[Event], events: AsyncGenerator[Event, None]) -> AsyncIterator[Event]:
    for event in first:
        yield event
    if not isinstance(first[-1] if first else None, Outcome):
        async for event in events:
            yield event


async def _frames(first: list[Event], events: AsyncGenerator[Event, None], model: str) -> AsyncGenerator[bytes, None]:
    head = _head(f"chatcmpl-{uuid.uuid4().hex}", model, "chat.completion.chunk")
    reason, usage, is_begun = "stop", None, False
    async with aclosing(events):
        yield b""
        async for event in _chain(first, events):
            delta: dict[str, Any] | None = None
            if isinstance(event, TextDelta):
                delta = {"content": event.text}
            elif isinstance(event, ReasoningDelta):
                delta = {"reasoning_content": event.text}
            elif isinstance(event, ToolCallDelta):
                call: dict[str, Any] = {"index": event.index, "function": {"arguments": event.arguments}}
                if event.name:
                    call |= {"id": event.id, "type": "function"}
                    call["function"]["name"] = event.name
                delta = {"tool_calls": [call]}
            elif isinstance(event, Sources):
                yield _frame({"sources": event.sources})
            elif isinstance(event, Usage):
                usage = as_json(event)
            elif isinstance(event, Finished):
                reason = event.reason
            elif isinstance(event, Outcome) and event.state == "failed":
                yield _frame({"error": error_of(event)})
                yield b"data: [DONE]\n\n"
                return
            if delta is not None:
                if not is_begun:
                    is_begun, delta = True, {"role": "assistant", **delta}
                yield _frame(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        last = head | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
        yield _frame(last)
        if usage:
            yield _frame(head | {"choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"


def _frame(value: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _head(name: str, model: str, kind: str) -> dict[str, Any]:
    return {"id": name, "object": kind, "created": int(time.time()), "model": model}
