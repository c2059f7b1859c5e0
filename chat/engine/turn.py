"""One turn, from question to last token, as an async generator of plain events."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat.engine.deltas import Deltas
from chat.engine.events import Outcome, Sources, Status
from chat.engine.prompt import Message, build_messages, last_question
from chat.engine.reasoning import pairs_of
from chat.engine.usage import Meter
from chat.engine.window import DoesNotFit, Fitted, Window, told
from inference.limits import ContextLimit
from inference.providers import get_provider
from inference.providers.base import ChatRequest, ConnectionInfo
from inference.providers.errors import ProviderError
from inference.providers.events import Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage

log = logging.getLogger(__name__)

Event = TextDelta | ReasoningDelta | ToolCallDelta | Usage | Finished | Status | Sources | Outcome


@dataclass(frozen=True, slots=True)
class Found:
    """What retrieval gives to a turn."""

    context: str
    sources: list[dict[str, Any]]
    citations: list[dict[str, Any]]
    statuses: list[Status]


Retrieve = Callable[[str], Awaitable[Found]]


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """Everything a turn needs, as plain values.

    :param history: the branch in OpenAI's form, the question last; with an assistant message last, it is continued
    :param retrieve: called with the question when knowledge is attached; None otherwise
    """

    connection: ConnectionInfo
    upstream_model: str
    history: Sequence[Message]
    system: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    tools: Sequence[Mapping[str, Any]] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    retrieve: Retrieve | None = None
    context_in_system: bool = False
    split_reasoning: bool = True
    #: what the model can take in; without it nothing is left out of the history
    limit: ContextLimit | None = None
    #: parameters of the product's own; see `inference.providers.params`
    reasoning_tags: Any = None
    chunk_size: int = 1
    stream: bool = True
    count: bool = True
    #: why nothing is to be sent at all, for people
    refusal: str = ""
    #: of the model where its server names one; kept with the usage
    model_digest: str = ""


async def run_turn(plan: TurnPlan) -> AsyncGenerator[Event, None]:
    """Yields the turn's events, an `Outcome` last. Faults of the model server end it with what had arrived kept.

    Cancelling the task or `aclose()` closes the connection to the model server at once.
    """
    if plan.refusal:
        yield Outcome("failed", plan.refusal, 400)
        return
    context = ""
    if plan.retrieve is not None:
        yield Status("knowledge_search", "Searching knowledge")
        found = await _retrieve(plan.retrieve, last_question(plan.history))
        for status in found.statuses:
            yield status
        if found.sources:
            yield Sources(found.sources, found.citations)
        context = found.context
    messages = build_messages(
        plan.history, system=plan.system, context=context, context_in_system=plan.context_in_system
    )
    window = Window(
        messages,
        limit=plan.limit,
        key=(plan.connection.base_url, plan.upstream_model),
        params=plan.params,
        tools=plan.tools,
        has_passages=bool(context),
    )
    try:
        fitted: Fitted | None = await window.fit()
    except DoesNotFit as error:
        yield Outcome("failed", str(error), 413)
        return
    deltas = Deltas(pairs_of(plan.reasoning_tags) if plan.split_reasoning else None, plan.chunk_size)
    meter = Meter(plan.model_digest)
    empty, outcome, is_again = True, Outcome("done"), False
    while fitted is not None:
        if fitted.left_out:
            yield told(fitted.left_out)
        request = ChatRequest(
            plan.upstream_model, fitted.messages, plan.params, plan.tools, plan.extra, plan.stream, plan.count
        )
        stream = get_provider(plan.connection.kind).stream_chat(plan.connection, request)
        fitted = None
        try:
            async for event in stream:
                if isinstance(event, (TextDelta, ReasoningDelta)):
                    empty = False
                    meter.token()
                    for part in deltas.feed(event):
                        if isinstance(part, ReasoningDelta):
                            meter.thinking()
                        yield part
                elif isinstance(event, Usage):
                    window.counted(event.prompt_tokens)
                    yield meter.measured(event)
                else:
                    if isinstance(event, ToolCallDelta):
                        empty = False
                        meter.token()
                    yield event
        except ProviderError as error:
            log.info("turn ended by the model server: %s", error.message)
            outcome = Outcome("failed", error.message, error.status, error.body, error.retry_after)
            if empty and not is_again:
                fitted, is_again = await window.after(error), True
        finally:
            await stream.aclose()
        if fitted is not None:
            outcome = Outcome("done")
    for part in deltas.finish():
        yield part
    if empty and outcome.state == "done":
        outcome = Outcome("failed", "The model answered with nothing. Try again, or choose another model.")
    yield outcome


async def _retrieve(retrieve: Retrieve, question: str) -> Found:
    """A fault in retrieval never breaks the answer: it is said in a status line instead."""
    try:
        return await retrieve(question)
    except Exception:
        log.exception("retrieval failed")
        status = Status("knowledge_search", "Knowledge could not be searched; this answer is without it.", True, True)
        return Found("", [], [], [status])
