"""The socket of a page: attaches to running turns and forwards what they become. Reads only; writing goes by HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import uuid
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import orjson
from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from accounts.tokens import Identity, still_valid
from chat import rendering, selectors
from chat.engine.events import Numbered, Transcript
from chat.follow import follow
from chat.models import State
from chat.nodes import Message, nodes
from chat.rendering import TurnView
from chat.runner import AWAY, runner
from chat.tree import versions_of
from chat.turnlog import set_end
from owui.lib.aio import in_thread
from owui.sockets import TOO_MANY, UNAUTHORISED
from rbac.sharing import is_verified
from rbac.watch import Hold, Known, watch

log = logging.getLogger(__name__)
#: answers that one socket reads at once, and that may wait for one of these to end
MAX_TURNS, MAX_WAITING = 24, 200
#: characters of an answer from where on it is drawn in a thread, at first: the others' answers go on meanwhile
LONG_ANSWER = 50_000
#: sockets of one person in one process; more are no tabs but a program that forgot to close them
MAX_SOCKETS = 100
RETRY_SECONDS = 1.0
#: what the log's numbers fit into
MAX_SEQ = 2**31 - 1


class Gone(Exception):
    """Nobody reads any more."""


class NotEnded(Exception):
    """A turn whose end could not be saved; the sweep will end it."""


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Frames in: `attach {turn, seq}`, `ping`. Frames out: `{turn, seq, after, ops}`, `{type: chat, ops}`, `pong`.

    Operations with `after` are for a page that is at this number; a page that is elsewhere (its answer was drawn anew
    while the frame was under way) attaches again. Without it they make any page that has less what it is at `seq`.
    """

    # No broker subscription per socket: `nodes` holds one for the whole process, and a socket works without a broker.
    channel_layer_alias = "none"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.readers: dict[uuid.UUID, asyncio.Task[None]] = {}
        self.waiting: dict[uuid.UUID, int] = {}
        self.closing: asyncio.Task[None] | None = None
        self.told: set[asyncio.Task[None]] = set()
        self.hold: Hold | None = None
        self.looking = asyncio.Lock()
        try:
            await super().__call__(scope, receive, send)
        except Gone:
            pass
        finally:
            # However it ends: a peer that is gone while something is sent to it is told by no disconnect.
            await self._leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """As Channels', which goes through a thread before each frame to close connections of the loop's own thread:
        nothing here has any."""
        handler = getattr(self, get_handler_name(message), None)
        if handler is None:
            raise ValueError(f"No handler for message type {message['type']}")
        await handler(message)

    async def connect(self) -> None:
        self.identity: Identity = self.scope["identity"]
        self.user_id: uuid.UUID = self.identity.user.id
        await self.accept()
        if nodes.count(self.user_id) >= MAX_SOCKETS:
            await self.close(TOO_MANY)
            return
        nodes.join(self)
        self.hold = watch.add([self.user_id], self._look, self._lose, known=Known(self.scope["rights_mark"]))
        if (end := self.identity.expires_at) is not None:
            watch.due(self.hold, (end - timezone.now()).total_seconds())

    async def _leave(self) -> None:
        if self.hold is not None:
            nodes.leave(self)
            watch.release(self.hold)
        self.waiting.clear()
        tasks = [*self.readers.values(), *self.told, *([self.closing] if self.closing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.hold is None:  # refused
            return
        try:
            frame = orjson.loads(text_data or "")
            kind = frame["type"]
            if kind == "attach":
                self._attach(uuid.UUID(frame["turn"]), min(max(int(frame.get("seq") or 0), 0), MAX_SEQ))
            elif kind == "ping":
                await self._send({"type": "pong"})
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError, AttributeError):
            await self._send({"type": "error", "message": "This frame was not understood."})

    async def hear(self, message: Message) -> None:
        """News of this person or of a chat, from whatever process."""
        if message["kind"] == "chat.message":
            with contextlib.suppress(Gone):
                await self._send({"type": "chat", "ops": message["ops"]})

    # ------------------------------------------------------------------------------------------------------- reading
    def _attach(self, turn_id: uuid.UUID, seq: int) -> None:
        former = self.readers.pop(turn_id, None)
        if former is not None:
            former.cancel()
        self.waiting.pop(turn_id, None)
        if len(self.readers) >= MAX_TURNS:
            if len(self.waiting) < MAX_WAITING:
                self.waiting[turn_id] = seq
            return
        task = asyncio.create_task(self._read(turn_id, seq), name=f"reader-{turn_id}")
        self.readers[turn_id] = task
        task.add_done_callback(lambda done: self._read_out(turn_id, done))

    def _read_out(self, turn_id: uuid.UUID, reader: asyncio.Task[None]) -> None:
        """One answer less to read: the next that waits for its turn."""
        if self.readers.get(turn_id) is reader:
            del self.readers[turn_id]
        if self.waiting and len(self.readers) < MAX_TURNS:
            following = next(iter(self.waiting))
            self._attach(following, self.waiting[following])

    async def _read(self, turn_id: uuid.UUID, seq: int) -> None:
        """Shows a turn to its end. While the database is away it is tried again from where the page is."""
        shown = [seq]
        while True:
            try:
                await self._show(turn_id, shown)
            except (NotEnded, *AWAY) as error:
                log.warning("turn %s cannot be read yet: %s", turn_id, error)
                await asyncio.sleep(RETRY_SECONDS)
            except Gone:
                return
            except Exception:
                log.exception("reading turn %s", turn_id)
                with contextlib.suppress(Gone):
                    await self._send({"turn": str(turn_id), "seq": shown[0], "error": "failed", "ops": []})
                return
            else:
                return

    async def _show(self, turn_id: uuid.UUID, shown: list[int]) -> None:
        """One try. `shown` holds the number the page is at, for the next."""
        turn = self._own(turn_id)
        if turn is None:
            # One after the other: a page that attaches without end must not take every connection to the database.
            async with self.looking:
                turn = await in_thread(selectors.attachable_turn)(self.identity.user, turn_id)
        if turn is None:
            await self._send({"turn": str(turn_id), "seq": shown[0], "error": "missing", "ops": []})
            return
        if turn.user_id != self.user_id and self.hold is not None:
            # What one reads of others by a grant that ends, ends with it.
            watch.stands_on(self.hold, ("folder",))
        view, name = TurnView(turn.message.pk, turn.prefix), str(turn_id)
        # A page at the beginning of a new answer shows what the view does: nothing. Any other is looked at below.
        is_caught_up = shown[0] == 0 and not turn.prefix
        blocks = 0 if is_caught_up else None
        writer = turn.writer if turn.running else None
        async with aclosing(follow(turn_id, writer=writer)) as batches:
            async for batch in batches:
                if view.seq == 0 and _size(batch) > LONG_ANSWER:
                    ops = await asyncio.to_thread(view.feed, batch)
                else:
                    ops = view.feed(batch)
                if view.finished:
                    break
                if view.seq < shown[0]:
                    continue
                frame: dict[str, Any] = {"turn": name, "seq": view.seq}
                if is_caught_up:
                    frame["after"] = shown[0]
                elif view.seq != shown[0]:
                    # The page has exactly this much when the numbers are equal; otherwise it gets everything once.
                    ops = view.full()
                else:
                    ops, blocks = [], view.block_count
                is_caught_up = True
                if ops:
                    await self._send({**frame, "ops": ops})
                    shown[0], blocks = view.seq, view.block_count
        ops, is_rest = await in_thread(self._final)(turn, view, blocks)
        last: dict[str, Any] = {"turn": str(turn_id), "seq": max(view.seq, shown[0]) + 1, "ops": ops}
        await self._send(last | ({"after": shown[0]} if is_rest else {}))

    def _own(self, turn_id: uuid.UUID) -> selectors.Attached | None:
        """A turn that this person began in an own chat, and that this process writes: what is known of both answers
        whether it may be read. Rights that are lost later are told by `watch`; the end is shown by those of its moment.
        """
        live = runner.turns.get(turn_id)
        if live is None or live.own is None or live.user_id != self.user_id or not is_verified(self.identity.user):
            return None
        return replace(live.own, message=copy.copy(live.own.message))

    def _final(self, turn: selectors.Attached, view: TurnView, blocks: int | None) -> tuple[list[Any], bool]:
        """The end, by the right of this moment. What was read is all there is, unless somebody else ended the turn.

        :param blocks: how many blocks of the view the page has; None for a page that may have anything
        :returns: the operations, and whether they are for a page that has just this
        """
        user, message = self.identity.user, turn.message
        end: dict[str, Any] = view.events[-1][1] if view.finished else {"elsewhere": True}
        siblings = selectors.siblings_of(user, turn)
        if message.pk not in {sibling.pk for sibling in siblings}:
            return [], False
        if end.get("elsewhere"):
            blocks = None
            message.refresh_from_db()
            if message.state == State.RUNNING:
                raise NotEnded("it goes on without a process that writes it")
        else:
            added = Transcript().add(view.events)
            set_end(message, turn.prefix, state=end["state"], error=end["error"], added=added)
        citations = selectors.citations_of(message, user)
        final = rendering.message_view(message, siblings=versions_of(message, siblings), citations=citations)
        shown = None if blocks is None else view.blocks(blocks)
        return rendering.final_ops(final, rendering.can_of(user, is_own=turn.is_own), shown), shown is not None

    # -------------------------------------------------------------------------------------------------------- rights
    def _look(self) -> dict[str, Any]:
        """Who this is now, and which answers they may not read any more; empty while nothing is lost. For a thread."""
        user = still_valid(self.identity)
        if user is None:
            return {"closed": True}
        self.identity = replace(self.identity, user=user)
        lost = [turn_id for turn_id in list(self.readers) if selectors.attachable_turn(user, turn_id) is None]
        return {"turns": lost} if lost else {}

    def _lose(self, found: dict[str, Any]) -> None:
        """A socket never outlives a right. What it may not read ends at once, the closing follows."""
        for turn_id in list(self.readers) if found.get("closed") else found["turns"]:
            if reader := self.readers.get(turn_id):
                reader.cancel()
                self._tell(self._send_lost(turn_id))
        if found.get("closed") and self.closing is None:
            self.closing = asyncio.create_task(self.close(UNAUTHORISED), name="socket-close")

    def _tell(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="socket-lost")
        self.told.add(task)
        task.add_done_callback(self.told.discard)

    async def _send_lost(self, turn_id: uuid.UUID) -> None:
        """The page asks for the message then, is refused, and says so in its place."""
        with contextlib.suppress(Gone):
            await self._send({"turn": str(turn_id), "seq": 0, "error": "missing", "ops": []})

    async def _send(self, frame: dict[str, Any]) -> None:
        try:
            await self.send(text_data=orjson.dumps(frame, default=str).decode())
        except OSError as error:
            raise Gone from error


def _size(batch: Sequence[Numbered]) -> int:
    return sum(len(value) for _seq, (_kind, value) in batch if isinstance(value, str))
