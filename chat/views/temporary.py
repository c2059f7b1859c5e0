"""Temporary chats of the page: one request a question, the answer as lines of the operations a socket would carry."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts import preferences
from accounts.middleware import identity_of, known_of
from accounts.web import asigned_in, me, signed_in
from chat import rendering, unstored
from chat.dispatch import make_plan, standing_of
from chat.engine import usage
from chat.engine.events import REASONING, SOURCES, STATUS, TEXT, Logged, Numbered, Outcome, Sources, Status, Transcript
from chat.engine.turn import Event
from chat.models import Citation, Message, State
from chat.views.several import model_lost
from inference.catalogue import resolve_with
from inference.forwarding import About, for_person
from inference.providers.events import ReasoningDelta, TextDelta, Usage
from owui.lib.aio import begun, in_thread
from owui.lib.errors import UserError
from rbac.permissions import is_bound, may

#: events of this long become one line
GATHER_SECONDS = 0.04
#: nothing of a temporary chat can be changed afterwards: what is said is with the browser
CAN: dict[str, bool] = {}


def temporary_of(request: HttpRequest) -> str:
    """Whether a new chat is temporary: "" for no, "yes", or "only" where the administrator allows no other."""
    user = me(request)
    if is_bound(user, "chat.temporary_enforced"):
        return "only"
    if not may(user, unstored.KEY):
        return ""
    asked = request.GET.get("temporary-chat")
    by_default = bool(preferences.interface_of(user).get("temporaryChatByDefault"))
    return "yes" if (asked == "true" if asked is not None else by_default) else ""


@require_POST
@asigned_in
async def ask(request: HttpRequest) -> HttpResponseBase:
    """A question and the conversation before it. Lines of JSON: `{ops, text}`, and `{state}` at the end."""
    user: Any = await request.auser()
    form = request.POST
    admit = partial(
        unstored.admit,
        text=form.get("text", ""),
        said=form.get("messages", ""),
        knowledge_ids=form.getlist("knowledge"),
        params=form.get("params"),
    )
    try:
        resolved, (history, items, background) = await resolve_with(
            user, form.get("model", ""), lambda found: admit(user, found), status=404
        )
    except UserError as error:
        if error.code != "model":
            raise
        return await in_thread(model_lost)(request, error)
    about = About(model_id=resolved.model_id)
    connection = await for_person(resolved.connection, user, about)
    plan = make_plan(user, resolved, history, items, background=background, connection=connection, about=about)
    identity = identity_of(request)
    assert identity is not None
    known = known_of(request, resolved.rights_end) if plan.retrieve is None else None
    events = unstored.allowed(plan, standing_of(user, resolved, items), identity, known)
    question = Message(author="user", content=str(history[-1]["content"]), files=items)
    answer = Message(author="assistant", model_id=resolved.model_id, model_name=resolved.name, state=State.RUNNING)
    response = StreamingHttpResponse(await begun(_lines(events, question, answer)), content_type="application/x-ndjson")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _lines(
    coming: AsyncGenerator[Event, None], question: Message, answer: Message
) -> AsyncGenerator[bytes, None]:
    async with aclosing(coming) as events:
        yield b""
        yield _line({"ops": [["append", "messages", _article(question) + _article(answer)]]})
        view, seq, shown, pending = rendering.TurnView(answer.pk), 0, time.monotonic(), list[Numbered]()
        citations: list[Citation] = []
        outcome = Outcome("failed")
        async for event in events:
            if isinstance(event, Outcome):
                outcome = event
                break
            if isinstance(event, Usage):
                answer.usage = usage.as_json(event)
            if isinstance(event, Sources):
                citations = [Citation(message=answer, **row) for row in event.citations]
            if (logged := _logged(event)) is None:
                continue
            seq += 1
            pending.append((seq, logged))
            if time.monotonic() - shown >= GATHER_SECONDS:
                yield _line({"ops": view.feed(pending), "text": _text(pending)})
                pending, shown = [], time.monotonic()
        ops, rest = view.feed(pending), _text(pending)
        added = Transcript().add(view.events)
        answer.content, answer.reasoning, answer.status_history = added.text, added.reasoning, added.statuses
        answer.state, answer.error = outcome.state, outcome.error
        ops += await in_thread(_final)(answer, citations)
        yield _line({"ops": ops, "text": rest, "state": outcome.state})


def _logged(event: Event) -> Logged | None:
    if isinstance(event, TextDelta):
        return TEXT, event.text
    if isinstance(event, ReasoningDelta):
        return REASONING, event.text
    if isinstance(event, Status):
        return STATUS, event.as_json()
    return (SOURCES, event.sources) if isinstance(event, Sources) else None


def _text(batch: list[Numbered]) -> str:
    return "".join(value for _seq, (kind, value) in batch if kind == TEXT)


def _article(message: Message) -> str:
    running = (Transcript(), 0) if message.state == State.RUNNING and message.author == "assistant" else None
    view = rendering.message_view(message, running=running) | {"turn_id": ""}
    return render_to_string("chat/_message.html", {"message": view, "can": CAN})


def _final(answer: Message, citations: list[Citation]) -> list[rendering.Op]:
    return rendering.final_ops(rendering.message_view(answer, citations=citations), CAN)


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, default=str) + b"\n"


@require_POST
@signed_in
def save(request: HttpRequest) -> HttpResponse:
    """Makes an ordinary chat of it, and says where that is."""
    chat = unstored.keep(by=me(request), said=request.POST.get("messages", ""))
    return JsonResponse({"url": reverse("chat:chat-page", args=[chat.pk])})
