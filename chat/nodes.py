"""What the processes tell one another: stop a turn, a chat changed, rights changed.

One subscription a process, however many sockets it holds: to what is said to all and to what is said to it alone.
Messages reach the readers of this process directly; the broker carries them to the others, best effort.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from channels.layers import get_channel_layer

from chat import news
from owui.lib.aio import end
from owui.lib.bus import BROKER_ERRORS, publish, publish_sync
from rbac.watch import watch

log = logging.getLogger(__name__)
GROUP = "nodes"
#: each process sends itself a message through the broker this often; without it for longer, it may have missed news
ECHO_SECONDS, DEAF_AFTER = 1.0, 1.5
#: of the loop, that a word through the broker may take
ROUNDS = 8
Message = dict[str, Any]


class Listener(Protocol):
    """A socket that wants to hear of its person."""

    user_id: uuid.UUID

    async def hear(self, message: Message) -> None: ...


class Nodes:
    """The process's place among the others."""

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex
        self._listeners: dict[str, set[Listener]] = defaultdict(set)
        self._handlers: dict[str, Callable[[Message], None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._heard_at = 0.0
        self._told: set[asyncio.Task[None]] = set()
        self._news = news.Gathered()
        self.on(news.GATHERED, self._spread)

    def on(self, kind: str, handler: Callable[[Message], None]) -> None:
        """Registers a process-wide handler for one kind of message."""
        self._handlers[kind] = handler

    def join(self, listener: Listener) -> None:
        self._listeners[str(listener.user_id)].add(listener)

    def count(self, user_id: uuid.UUID) -> int:
        """How many sockets a person has in this process."""
        return len(self._listeners.get(str(user_id), ()))

    def leave(self, listener: Listener) -> None:
        group = self._listeners.get(str(listener.user_id))
        if group is not None:
            group.discard(listener)
            if not group:
                del self._listeners[str(listener.user_id)]

    @property
    def is_running(self) -> bool:
        return self._loop is not None

    async def start(self) -> None:
        self.id = uuid.uuid4().hex
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._tasks = [
            asyncio.create_task(self._listen(), name="nodes"),
            asyncio.create_task(self._mind_ears(), name="nodes-echo"),
        ]

    async def stop(self) -> None:
        self._news.take()  # the timer that would tell it goes with the loop
        await end(self._tasks)
        self._tasks = []
        self._loop = None

    async def announce(self, message: Message) -> None:
        """Tells this process at once and the others through the broker. News of pages are gathered for a moment."""
        if message["kind"] == news.KIND and self._loop is not None:
            self._gather(message)
            return
        self._dispatch(message)
        await publish(GROUP, {**message, "type": "node.message", "kind": message["kind"], "origin": self.id})

    async def tell(self, node: str, message: Message) -> bool:
        """Tells one process, named by its id, something for one of its handlers. False when the broker is away."""
        return await publish(_own(node), {**message, "type": "node.message", "origin": self.id, "user_ids": []})

    def announce_sync(self, message: Message) -> None:
        """The same from a thread or a worker."""
        if self._loop is not None:
            if message["kind"] == news.KIND:
                self._loop.call_soon_threadsafe(self._gather, message)
                return
            self._loop.call_soon_threadsafe(self._dispatch, message)
        publish_sync(GROUP, {**message, "type": "node.message", "kind": message["kind"], "origin": self.id})

    def _gather(self, message: Message) -> None:
        if not self._news and self._loop is not None:
            self._loop.call_later(news.EVERY, self._tell_news)
        self._news.add(message["user_ids"], message["ops"])

    def _tell_news(self) -> None:
        if not self._news:
            return
        message = {"kind": news.GATHERED, "user_ids": [], "news": dict(self._news.take())}
        self._spread(message)
        self._tell(self._publish(message))

    async def _publish(self, message: Message) -> None:
        await publish(GROUP, {**message, "type": "node.message", "origin": self.id})

    def _spread(self, message: Message) -> None:
        for person, ops in message["news"].items():
            if person in self._listeners:
                self._dispatch(news.of_person(person, ops))

    def _hear(self, message: Message) -> None:
        """What another process says; one bad message must not end the subscription."""
        try:
            self._dispatch(message)
        except Exception:
            log.exception("a message of another process: %s", message.get("kind"))

    def _dispatch(self, message: Message) -> None:
        if handler := self._handlers.get(message["kind"]):
            handler(message)
        user_ids = message.get("user_ids")
        groups = list(self._listeners) if user_ids is None else user_ids
        for user_id in groups:
            for listener in list(self._listeners.get(user_id, ())):
                self._tell(listener.hear(message))

    def _tell(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def _mind_ears(self) -> None:
        """Says something to itself each second. While no word comes through the broker, a change of rights in another
        process may have been missed: everything that is open is asked for again, from the database.

        A word takes a few rounds of the loop, so a loop that is behind hears late and is not deaf: to ask for
        everything then would keep it behind.
        """
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + ECHO_SECONDS
            await asyncio.sleep(ECHO_SECONDS)
            now = loop.time()
            if now - self._heard_at > DEAF_AFTER + ROUNDS * (now - due):
                watch.doubt_all()
            await publish(GROUP, {"type": "node.message", "kind": "echo", "origin": self.id, "user_ids": []})

    async def _listen(self) -> None:
        layer: Any = get_channel_layer()
        while True:
            try:
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                await layer.group_add(_own(self.id), channel)
                while True:
                    message = await layer.receive(channel)
                    self._heard_at = asyncio.get_running_loop().time()
                    if message.get("origin") != self.id:
                        self._hear(message)
            except BROKER_ERRORS:
                await asyncio.sleep(1)
            except Exception:
                log.exception("hearing other processes")
                await asyncio.sleep(1)


def _own(node: str) -> str:
    return f"node.{node}"


nodes = Nodes()
