"""From a committed turn to a running one: the plan is made here, for pages and REST alike."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from django.conf import settings

from accounts.models import User
from chat.after import Ended, afterwards, kinds_of
from chat.background import Background, background_of
from chat.engine.events import Outcome, Status
from chat.engine.prompt import Message
from chat.engine.turn import Found, TurnPlan
from chat.pictures import with_pictures
from chat.runner import runner
from chat.selectors import Attached
from chat.services import Started
from chat.standing import Standing
from inference.catalogue import Resolved, bases_of, resolve_with
from inference.forwarding import NOTHING, About, for_person
from inference.limits import ContextLimit
from inference.permitted import Permitted, permitted_for
from inference.providers.base import ConnectionInfo
from inference.variables import fill
from knowledge.chat import retrieve_for_chat
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from rbac.watch import Known

_starting: set[asyncio.Task[Any]] = set()
PARAMETERS_OF_OURS = {
    "system", "stream_response", "function_calling", "reasoning_tags", "stream_delta_chunk_size",
    "compact_token_threshold", "tool_approval_mode", "model_controls",
}  # fmt: skip
LARGEST_CHUNK = 200
T = TypeVar("T")


def make_plan(
    user: User,
    resolved: Resolved,
    history: Sequence[Message],
    items: Sequence[dict[str, Any]],
    *,
    background: Background,
    tools: Sequence[dict[str, Any]] = (),
    extra: dict[str, Any] | None = None,
    is_page: bool = True,
    connection: ConnectionInfo | None = None,
    about: About = NOTHING,
    refusal: str = "",
) -> TurnPlan:
    """What the engine needs to know.

    :param connection: the model's, as this person's call uses it (`for_person`)
    :param is_page: programs get the model's words as they are, and nothing of what they send is left out
    """
    params, connection = background.params, connection or resolved.connection
    items = [*items, *background.items]
    of_model = _model_knowledge(resolved)
    return TurnPlan(
        connection=connection,
        upstream_model=resolved.upstream_id,
        history=history,
        system=background.system,
        params={k: v for k, v in params.items() if k not in PARAMETERS_OF_OURS},
        tools=tools,
        extra=extra or {},
        retrieve=_retriever(user, items, of_model, resolved, about, background.values) if items or of_model else None,
        context_in_system=settings.RAG_SYSTEM_CONTEXT,
        split_reasoning=is_page or bool(params.get("reasoning_tags")),
        reasoning_tags=params.get("reasoning_tags"),
        chunk_size=_chunk_size(params),
        stream=params.get("stream_response") is not False,
        count=background.capabilities.get("usage") is not False,
        limit=ContextLimit(connection, resolved.upstream_id, resolved.live.raw, params) if is_page else None,
        refusal=refusal,
        model_digest=str(resolved.live.raw.get("digest") or ""),
    )


def _chunk_size(params: Mapping[str, Any]) -> int:
    size = params.get("stream_delta_chunk_size")
    return min(LARGEST_CHUNK, size) if isinstance(size, int) and size > 1 else 1


def _model_knowledge(resolved: Resolved) -> list[dict[str, Any]]:
    """Knowledge the model's owner attached to it (DECISIONS 16: injected)."""
    return [
        {
            "type": k.get("type") or "collection",
            "id": str(k.get("id", "")),
            "name": k.get("name", ""),
        }
        for k in resolved.meta.get("knowledge") or []
        if isinstance(k, dict) and k.get("id")
    ]


def standing_of(user: User, resolved: Resolved, items: Sequence[dict[str, Any]]) -> Standing:
    """What an answer stands on, to be asked again while it is written."""
    return Standing(
        user.pk, resolved.model_id, resolved.name, items, _model_knowledge(resolved), _knowledge_owner(resolved)
    )


def _knowledge_owner(resolved: Resolved) -> uuid.UUID | None:
    """The owner of the row that brings the knowledge: a preset takes it over from its base, and whoever may write the
    base must not reach with it what only the owner of the preset may read."""
    rows = bases_of(resolved.row) if resolved.row else []
    owners: list[uuid.UUID | None] = [row.owner_id for row in rows if (row.meta or {}).get("knowledge")]
    return owners[0] if owners else None


def _retriever(
    user: User,
    items: Sequence[dict[str, Any]],
    of_model: Sequence[dict[str, Any]],
    resolved: Resolved,
    about: About,
    values: Mapping[str, str],
) -> Callable[[str], Awaitable[Found]]:
    owner = _knowledge_owner(resolved)

    async def retrieve(question: str) -> Found:
        found = await retrieve_for_chat(
            user,
            items,
            [question],
            model_items=of_model,
            model_owner_id=owner,
            about=about,
            fill=lambda template: fill(template, values),
        )
        statuses = [
            Status(
                s["action"],
                s["description"],
                bool(s.get("done", True)),
                bool(s.get("error", False)),
                {k: v for k, v in s.items() if k not in ("action", "description", "done", "error")},
            )
            for s in found.statuses
        ]
        return Found(found.context, found.sources, found.citations, statuses)

    return retrieve


async def start(user: User, resolved: Resolved, service: Callable[..., Started], **arguments: Any) -> Started:
    """Commits a turn by a service and runs it. One step: a person who goes away between the two does not leave a turn
    that nobody writes."""

    def commit() -> tuple[Started, Background, bool]:
        started = service(by=user, runner_id=runner.id, **arguments)
        return started, _behind(user, resolved, started, permitted_for(user)), bool(kinds_of(user, started))

    async def both() -> Started:
        started, background, goes_on = await in_thread(commit)()
        await _begin(user, resolved, started, background, goes_on=goes_on)
        return started

    return await _as_one_step(both(), "start-turn")


async def start_with(
    asker: Callable[[], User],
    model_id: str,
    service: Callable[..., Started],
    *,
    show: Callable[[User, Started], T],
    known: Callable[[float | None], Known | None],
    **arguments: Any,
) -> tuple[Started, T]:
    """The same for somebody still to be known and with a model still to be found, 404 without one, and with what is to
    be shown of the turn: one hop to the database for all of it.

    :param asker: who asks; called more than once
    :param known: given when the next right to the model ends, what was read of the person's rights just now
    """

    def commit(resolved: Resolved) -> tuple[User, Started, Background, bool, T]:
        user, names = asker(), {"model_id": resolved.model_id, "model_name": resolved.name}
        started = service(by=user, runner_id=runner.id, **names, **arguments)
        background = _behind(user, resolved, started, permitted_for(user))
        return user, started, background, bool(kinds_of(user, started)), show(user, started)

    async def both() -> tuple[Started, T]:
        resolved, committed = await resolve_with(asker, model_id, commit, status=404)
        user, started, background, goes_on, shown = committed
        await _begin(user, resolved, started, background, known(resolved.rights_end), goes_on=goes_on)
        return started, shown

    return await _as_one_step(both(), "start-turn")


async def start_all(
    user: User, resolved: Sequence[Resolved], service: Callable[..., list[Started]], **arguments: Any
) -> list[Started]:
    """The same for several models that answer one question: all of them begin, or none."""

    def commit() -> list[tuple[Resolved, Started, Background]]:
        committed = service(by=user, runner_id=runner.id, **arguments)
        permitted = permitted_for(user)
        pairs = zip(resolved, committed, strict=True)
        return [(model, started, _behind(user, model, started, permitted)) for model, started in pairs]

    async def every() -> list[Started]:
        committed = await in_thread(commit)()
        # Side by side: what each fetches takes seconds, and a turn that nobody writes for long counts as lost.
        await asyncio.gather(*(_begin(user, *one) for one in committed))
        return [started for _model, started, _background in committed]

    return await _as_one_step(every(), "start-turns")


async def _as_one_step(work: Coroutine[Any, Any, T], name: str) -> T:
    task = asyncio.create_task(work, name=name)
    _starting.add(task)
    task.add_done_callback(_starting.discard)
    return await asyncio.shield(task)


def _behind(user: User, resolved: Resolved, started: Started, permitted: Permitted) -> Background:
    """For a thread."""
    chat = started.chat
    params = {**chat.params, **started.params}
    return background_of(
        user, resolved, permitted, chat_params=params, folder_id=chat.folder_id, variables=started.variables
    )


async def _begin(
    user: User,
    resolved: Resolved,
    started: Started,
    background: Background,
    known: Known | None = None,
    *,
    goes_on: bool = False,
) -> None:
    """Runs a turn that is committed.

    :param goes_on: titles and the like follow, which those of the page may have; programs ask for them
    """
    about = about_turn(started, resolved)
    connection = await for_person(resolved.connection, user, about)
    history, refusal = await _history(started, resolved, background)
    then = partial(afterwards.begin, Ended(user, resolved, about, started)) if goes_on else None
    run_started(
        user,
        resolved,
        started,
        background,
        connection,
        about,
        history=history,
        refusal=refusal,
        known=known,
        then=then,
    )


async def _history(started: Started, resolved: Resolved, background: Background) -> tuple[Sequence[Message], str]:
    """What was said, with its pictures, and why it cannot be sent. The question is stored by now, so that is said under
    it."""
    try:
        history = await with_pictures(
            started.history,
            sees=background.sees,
            model_name=resolved.name,
            largest=background.largest_picture,
            is_page=True,
        )
    except UserError as error:
        return started.history, error.message
    return history, ""


def about_turn(started: Started, resolved: Resolved) -> About:
    """What servers that are to know who asks learn of the turn."""
    question = started.question
    return About(
        chat_id=str(started.chat.pk),
        message_id=str(started.message.pk),
        user_message_id=str(question.pk) if question else "",
        user_message_parent_id=str(question.parent_id or "") if question else "",
        model_id=resolved.model_id,
    )


def _own(user: User, started: Started) -> Attached | None:
    """What the person's own pages need to show the turn, which is at hand here."""
    message, turn = started.message, started.turn
    if started.chat.owner_id != user.pk:
        return None
    return Attached(message, message.content[: turn.prefix_length], True, user.pk, True, runner.id)


def run_started(
    user: User,
    resolved: Resolved,
    started: Started,
    background: Background,
    connection: ConnectionInfo,
    about: About,
    *,
    history: Sequence[Message],
    refusal: str = "",
    known: Known | None = None,
    then: Callable[[Outcome], None] | None = None,
) -> uuid.UUID:
    """Runs a turn whose rows are committed. Returns the turn's id."""
    plan = make_plan(
        user,
        resolved,
        history,
        started.items,
        background=background,
        connection=connection,
        about=about,
        refusal=refusal,
    )
    runner.run(
        plan,
        # With knowledge there is more to ask for than what was read here.
        known=known if plan.retrieve is None else None,
        turn_id=started.turn.pk,
        chat_id=started.chat.pk,
        message_id=started.message.pk,
        user_id=user.pk,
        standing=replace(
            standing_of(user, resolved, [*started.items, *background.items]), session_stamp=user.session_stamp
        ),
        own=_own(user, started),
        then=then,
    )
    return started.turn.pk
