"""Small jobs that a model does beside the conversation: titles, tags, follow-up questions, search queries."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from chat import task_templates as templates
from chat.config import TaskConfig
from chat.engine.deltas import Deltas
from inference.catalogue import Resolved, resolve_for_house
from inference.forwarding import About, for_person
from inference.limits import ContextLimit
from inference.providers import get_provider
from inference.providers.base import ChatRequest
from inference.providers.events import ReasoningDelta, TextDelta
from owui.audit.record import record
from owui.lib.aio import in_thread
from owui.lib.errors import UserError

SECONDS = 60.0
#: characters; no title and no list of questions needs more, a mixture of answers may
LONGEST, LONGEST_TEXT = 8_000, 200_000


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of job. `key` is the member of the JSON answer, None where the answer is plain text."""

    template: str
    key: str | None
    is_list: bool = False


JOBS: dict[str, Job] = {
    "title": Job(templates.TITLE, "title"),
    "tags": Job(templates.TAGS, "tags", True),
    "follow_up": Job(templates.FOLLOW_UP, "follow_ups", True),
    "queries": Job(templates.QUERIES, "queries", True),
    "auto": Job(templates.AUTO, "text"),
    "image_prompt": Job(templates.IMAGE_PROMPT, "prompt"),
    "emoji": Job(templates.EMOJI, None),
    "moa": Job(templates.MOA, None),
}


@transaction.atomic
def note_job(user: User, resolved: Resolved, kind: str) -> None:
    """A job that a person asked for is in the audit log like any question of theirs."""
    record(
        "completion.create",
        by=user,
        object_type="model",
        object_id=resolved.model_id,
        object_label=resolved.name,
        detail={"task": kind},
    )


async def do_job(
    kind: str,
    *,
    user: User,
    resolved: Resolved,
    messages: Sequence[Mapping[str, Any]],
    values: Mapping[str, str] | None = None,
    about: About | None = None,
) -> str:
    """What the model answers: for jobs with a `key` a JSON object with that member, whatever the model wrapped around.

    :param resolved: the model of the conversation, which the person may use; the administrator's task model, where one
        is set and its server is there, does the work in its place
    :raises ProviderError: of the model server
    :raises UserError: 504 it took too long; 502 it did not answer what was asked
    """
    job = JOBS[kind]
    config = await in_thread(TaskConfig.load)()
    known = {"user_name": user.name, "current_date": timezone.localdate().isoformat(), **(values or {})}
    prompt = templates.filled(config.template(kind) or job.template, known, messages)
    text = await _said(prompt, config, user, resolved, about, longest=LONGEST_TEXT if kind == "moa" else LONGEST)
    if job.key is None:
        return text.strip()
    return orjson.dumps({job.key: read_answer(text, job.key, is_list=job.is_list)}).decode()


async def do_prompt(prompt: str, *, user: User, resolved: Resolved, about: About | None = None) -> str:
    """What the model, or the task model in its place, makes of a text of ours. Raises like `do_job`."""
    config = await in_thread(TaskConfig.load)()
    return await _said(prompt, config, user, resolved, about, longest=LONGEST_TEXT, seconds=3 * SECONDS)


async def reads(resolved: Resolved) -> int | None:
    """Tokens that whoever does the work can take in at once; None where nobody knows."""
    connection, upstream, params = await _worker(await in_thread(TaskConfig.load)(), resolved)
    raw = resolved.live.raw if upstream == resolved.upstream_id else {}
    return await ContextLimit(connection, upstream, raw, params).ask()


async def _said(
    prompt: str,
    config: TaskConfig,
    user: User,
    resolved: Resolved,
    about: About | None,
    *,
    longest: int,
    seconds: float = SECONDS,
) -> str:
    connection, upstream, params = await _worker(config, resolved)
    connection = await for_person(connection, user, about or About(model_id=resolved.model_id))
    request = ChatRequest(upstream, [{"role": "user", "content": prompt}], {**params, **config.model_params})
    try:
        async with asyncio.timeout(seconds):
            return await _text(connection, request, longest)
    except TimeoutError as error:
        raise UserError("The model took too long for this. Try again later.", status=504, code="slow") from error


async def _worker(config: TaskConfig, resolved: Resolved) -> tuple[Any, str, dict[str, Any]]:
    """Who does the work: connection, the server's name of the model, parameters."""
    wanted = config.model if resolved.connection.kind == "ollama" else config.model_external
    if wanted and wanted != resolved.model_id:
        resolved = await resolve_for_house(wanted) or resolved
    # Not the preset's voice: a title is no answer. What its server needs to answer at all stays.
    kept = {name: resolved.params[name] for name in ("num_ctx", "keep_alive") if name in resolved.params}
    return resolved.connection, resolved.upstream_id, kept


async def _text(connection: Any, request: ChatRequest, longest: int) -> str:
    parts, size, deltas = [], 0, Deltas()
    async with aclosing(get_provider(connection.kind).stream_chat(connection, request)) as events:
        async for event in events:
            if not isinstance(event, (TextDelta, ReasoningDelta)):
                continue
            for delta in deltas.feed(event):
                if isinstance(delta, TextDelta):
                    parts.append(delta.text)
                    size += len(delta.text)
            if size > longest:
                break
    parts += [delta.text for delta in deltas.finish() if isinstance(delta, TextDelta)]
    return "".join(parts)[:longest]


def read_answer(text: str, key: str, *, is_list: bool) -> Any:
    """The asked member out of what a model wrote: JSON bare, fenced or amid words; small models leave JSON out
    altogether, then the lines themselves are taken.

    :raises UserError: 502 nothing of use was said
    """
    found: Any = None
    for candidate in _objects(text):
        if isinstance(candidate, dict) and key in candidate:
            found = candidate[key]
            break
    if found is None:
        lines = [re.sub(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+", "", line).strip("\"'`#* ") for line in text.splitlines()]
        lines = [line for line in lines if line and not line.startswith(("{", "}", "```"))]
        found = lines[:6] if is_list else (lines[0] if lines else "")
    if is_list:
        items = found if isinstance(found, list) else [found]
        texts = [" ".join(str(item).split())[:500] for item in items if isinstance(item, (str, int, float))]
        return [text for text in texts if text]
    answer = " ".join(found.split()) if isinstance(found, str) else ""
    if not answer and key != "text":
        raise UserError("The model did not answer what was asked. Try another model.", status=502, code="no_answer")
    return answer[:500]


def _objects(text: str) -> list[Any]:
    """Whatever JSON objects stand in a text, the widest first."""
    out = []
    for begin, end in ((text.find("{"), text.rfind("}")), (text.rfind("{"), text.rfind("}"))):
        if 0 <= begin < end:
            try:
                out.append(orjson.loads(text[begin : end + 1]))
            except orjson.JSONDecodeError:
                continue
    return out
