"""What a model does after an answer of the page: a title and tags for a new chat, questions that one might ask next.

Detached, in the process that ran the turn, a moment after its last word was told; nobody waits for it, and whatever
goes wrong is logged and shown to nobody. Switched off, it costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import DatabaseError, transaction
from django.template.loader import render_to_string

from accounts.models import User
from accounts.preferences import interface_of
from chat import organising, rendering
from chat.config import TaskConfig
from chat.engine.events import Outcome
from chat.models import Chat, Message, State
from chat.nodes import nodes
from chat.services import NAMED, Started, title_of
from chat.task_model import do_job
from inference.catalogue import Resolved
from inference.forwarding import About
from inference.providers.errors import ProviderError
from owui.lib.aio import end, in_thread
from owui.lib.errors import UserError

log = logging.getLogger(__name__)
#: the last frames of the answer go first
PAUSE = 0.3
#: jobs of this process at the same time, and turns that may wait for these: under load the rest goes without
AT_ONCE, MOST_WAITING = 4, 200
TAGS, FOLLOW_UPS = 3, 5
TITLE_CHARS, QUESTION_CHARS = 100, 300
#: kind of job: where the person's settings say whether they want it
_WISHES = {"title": ("title", "auto"), "follow_up": ("autoFollowUps",), "tags": ("autoTags",)}


@dataclass(frozen=True, slots=True)
class Ended:
    """A turn of the page that ended well, and what a job needs of it."""

    user: User
    resolved: Resolved
    about: About
    started: Started


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done, and for whom as they are now."""

    user: User
    kinds: Sequence[str]
    messages: Sequence[Mapping[str, Any]]


class Afterwards:
    """The jobs of this process. One instance, `afterwards`; started and stopped by the ASGI lifespan, so that where
    turns run without it nothing follows them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._free: asyncio.Semaphore | None = None

    def start(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)

    async def stop(self) -> None:
        self._free = None
        await end(list(self._tasks))

    def begin(self, ended: Ended, outcome: Outcome) -> None:
        """To be called when the turn is saved; returns at once."""
        if self._free is None or outcome.state != State.DONE or len(self._tasks) >= MOST_WAITING:
            return
        task = asyncio.create_task(self._follow(ended, self._free), name=f"after-{ended.started.turn.pk}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, ended: Ended, free: asyncio.Semaphore) -> None:
        try:
            await asyncio.sleep(PAUSE)
            async with free:
                work = await in_thread(_work_for)(ended)
                for kind in work.kinds if work else ():
                    await _one(kind, work, ended)  # type: ignore[arg-type]
        except (ProviderError, UserError, DatabaseError, TimeoutError) as error:
            log.info("after an answer of %s: %s", ended.resolved.model_id, error)
        except Exception:
            log.exception("after turn %s", ended.started.turn.pk)


async def _one(kind: str, work: _Work, ended: Ended) -> None:
    """Asks, stores, and tells the person's pages. One that fails does not keep the next from being tried."""
    try:
        said = await do_job(kind, user=work.user, resolved=ended.resolved, messages=work.messages, about=ended.about)
    except (ProviderError, UserError) as error:
        log.info("no %s from %s: %s", kind, ended.resolved.model_id, error)
        return
    ops = await in_thread(_STORE[kind])(work.user, ended.started, orjson.loads(said))
    if ops:
        chat_id = str(ended.started.chat.pk)
        await nodes.announce({"kind": "chat.message", "user_ids": [str(work.user.pk)], "chat_id": chat_id, "ops": ops})


# ------------------------------------------------------------------------------------------------------ for a thread
def kinds_of(user: User, started: Started) -> list[str]:
    """What the administrator and the person want of the three for a turn. Asks no table but that of the settings."""
    config, asked = TaskConfig.load(), [m for m in started.history if m["role"] == "user"]
    is_first = len(asked) == 1
    return [
        kind
        for kind in _WISHES
        if config.is_on(kind) and _wishes(user, *_WISHES[kind]) and (is_first or kind == "follow_up")
    ]


def _work_for(ended: Ended) -> _Work | None:
    """What is wanted of the three, as everything is now."""
    started, kinds = ended.started, kinds_of(ended.user, ended.started)
    if not kinds:
        return None
    # As they are now: somebody may have been shut out, or the answer been written over, while it was being written.
    user = User.objects.filter(pk=ended.user.pk).first()
    answer = Message.objects.writable_by(user).select_related("chat").filter(pk=started.message.pk).first()
    if user is None or answer is None or answer.state != State.DONE or not answer.content.strip():
        return None
    if not _is_untitled(answer.chat, started):
        kinds = [kind for kind in kinds if kind != "title"]
    if organising.tags_of(answer.chat):
        kinds = [kind for kind in kinds if kind != "tags"]
    if answer.chat.current_id != answer.pk:
        kinds = [kind for kind in kinds if kind != "follow_up"]
    before = list(started.history)
    while before and before[-1]["role"] == "assistant":  # an answer that was continued
        before.pop()
    return _Work(user, kinds, [*before, {"role": "assistant", "content": answer.content}])


def _wishes(user: User, *path: str) -> bool:
    """A switch in the person's settings, or the house's for those who chose nothing; on while nobody says."""
    found: Any = interface_of(user)
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found is not False


def _is_untitled(chat: Chat, started: Started) -> bool:
    """Whether the title still is the beginning of the question, which nobody chose."""
    if started.question is None or (chat.meta or {}).get(NAMED):
        return False
    return chat.title == title_of(started.question.content)


def _title(user: User, started: Started, said: Mapping[str, Any]) -> list[Any]:
    """Only in the place of the automatic one: whoever named the chat meanwhile is not overruled."""
    title = " ".join(str(said.get("title") or "").replace("\x00", "").split())[:TITLE_CHARS]
    if not title or started.question is None:
        return []
    former = title_of(started.question.content)
    untitled = Chat.objects.writable_by(user).filter(pk=started.chat.pk, title=former).exclude(meta__has_key=NAMED)
    return [["title", "chat-list", title, str(started.chat.pk)]] if untitled.update(title=title) else []


def _tags(user: User, started: Started, said: Mapping[str, Any]) -> list[Any]:
    found = said.get("tags")
    names = _usable(found if isinstance(found, list) else [])
    with transaction.atomic():
        for name in names:
            organising.add_tag(by=user, chat_id=started.chat.pk, name=name)
    return []


def _usable(names: Sequence[Any]) -> list[str]:
    """Those of a model's tags that can be tags."""
    out: list[str] = []
    for name in names:
        try:
            organising.tag_id(str(name))
        except UserError:
            continue
        out.append(str(name))
    return out[:TAGS]


@transaction.atomic
def _follow_ups(user: User, started: Started, said: Mapping[str, Any]) -> list[Any]:
    found = said.get("follow_ups")
    texts = (" ".join(str(text).split())[:QUESTION_CHARS] for text in (found if isinstance(found, list) else []))
    questions = [text for text in dict.fromkeys(texts) if text][:FOLLOW_UPS]
    rows = Message.objects.writable_by(user).filter(pk=started.message.pk, state=State.DONE)
    answer = rows.select_for_update(of=("self",), no_key=True).first()
    if answer is None or not questions:
        return []
    answer.meta = {**answer.meta, "follow_ups": questions}
    answer.save(update_fields=["meta"])
    context = {"message": {"id": answer.pk, "follow_up_list": questions}, "can": rendering.can_of(user)}
    html = render_to_string("chat/_follow_ups.html", context)
    return [["replace", f"message-{answer.pk}-follow-ups", html]]


_STORE = {"title": _title, "tags": _tags, "follow_up": _follow_ups}
afterwards = Afterwards()
