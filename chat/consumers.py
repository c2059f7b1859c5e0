"""The socket of a page: attaches to running turns and forwards what they become. Reads only; writing goes by HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer

from accounts.tokens import Identity, still_valid
from chat import rendering, selectors
from chat.follow import follow
from chat.models import Chat
from chat.nodes import Message, nodes
from chat.rendering import TurnView
from chat.runner import AWAY
from owui.lib.aio import in_thread
from owui.sockets import UNAUTHORISED

log = logging.getLogger(__name__)
MAX_TURNS = 24
RECHECK_SECONDS = 60.0
RETRY_SECONDS = 1.0


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Frames in: `attach {turn, seq}`, `ping`. Frames out: `{turn, seq, ops}`, `{type: chat, ops}`, `pong`."""

    # No broker subscription per socket: `nodes` holds one for the whole process, and a socket works without a broker.
    channel_layer_alias = "none"

    async def connect(self) -> None:
        self.identity: Identity = self.scope["identity"]
        self.user_id: uuid.UUID = self.identity.user.id
        self.readers: dict[uuid.UUID, asyncio.Task[None]] = {}
        self.recheck: asyncio.Task[None] | None = None
        self.doubts = asyncio.Event()
        await self.accept()
        nodes.join(self)
        self.recheck = asyncio.create_task(self._recheck(), name="socket-recheck")

    async def disconnect(self, code: int) -> None:
        nodes.leave(self)
        tasks = [*self.readers.values(), *([self.recheck] if self.recheck else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            frame = orjson.loads(text_data or "")
            kind = frame["type"]
            if kind == "attach":
                self._attach(uuid.UUID(frame["turn"]), int(frame.get("seq") or 0))
            elif kind == "ping":
                await self._send({"type": "pong"})
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError, AttributeError):
            await self._send({"type": "error", "message": "This frame was not understood."})

    async def hear(self, message: Message) -> None:
        """News of this person or of a chat, from whatever process."""
        kind = message["kind"]
        if kind == "access.changed":
            self.doubts.set()
        elif kind == "chat.message":
            await self._send({"type": "chat", "ops": message["ops"]})

    # ------------------------------------------------------------------------------------------------------- reading
    def _attach(self, turn_id: uuid.UUID, seq: int) -> None:
        former = self.readers.pop(turn_id, None)
        if former is not None:
            former.cancel()
        if len(self.readers) >= MAX_TURNS:
            return
        task = asyncio.create_task(self._read(turn_id, seq), name=f"reader-{turn_id}")
        self.readers[turn_id] = task
        task.add_done_callback(
            lambda done: self.readers.pop(turn_id, None) if self.readers.get(turn_id) is done else None
        )

    async def _read(self, turn_id: uuid.UUID, seq: int) -> None:
        """Shows a turn to its end. While the database is away it is tried again from where the page is."""
        shown = [seq]
        while True:
            try:
                await self._show(turn_id, shown)
            except AWAY as error:
                log.warning("turn %s cannot be read yet: %s", turn_id, error)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("reading turn %s", turn_id)
                await self._send({"turn": str(turn_id), "seq": shown[0], "error": "failed", "ops": []})
                return
            else:
                return

    async def _show(self, turn_id: uuid.UUID, shown: list[int]) -> None:
        """One try. `shown` holds the number the page is at, for the next."""
        turn = await in_thread(selectors.attachable_turn)(self.identity.user, turn_id)
        if turn is None:
            await self._send({"turn": str(turn_id), "seq": shown[0], "error": "missing", "ops": []})
            return
        view, is_caught_up = TurnView(turn.message_id, turn.prefix), False
        async with aclosing(follow(turn_id)) as batches:
            async for batch in batches:
                ops = view.feed(batch)
                if view.finished:
                    break
                if view.seq < shown[0]:
                    continue
                if not is_caught_up:
                    is_caught_up = True
                    # The page has exactly this much when the numbers are equal; otherwise it gets everything once.
                    ops = [] if view.seq == shown[0] else view.full()
                shown[0] = view.seq
                if ops:
                    await self._send({"turn": str(turn_id), "seq": view.seq, "ops": ops})
        ops = await in_thread(self._final)(turn.message_id)
        await self._send({"turn": str(turn_id), "seq": max(view.seq, shown[0]) + 1, "ops": ops})

    def _final(self, message_id: uuid.UUID) -> list[Any]:
        user = self.identity.user
        chat = Chat.objects.readable_by(user).filter(messages=message_id).first()
        if chat is None:
            return []
        branch = selectors.load_branch(chat, only=message_id)
        if not branch.messages:
            return []
        view = rendering.branch_views(branch.messages, branch.everything, branch.citations, branch.running)[0]
        return rendering.final_ops(view, rendering.can_of(user))

    # -------------------------------------------------------------------------------------------------------- rights
    async def _recheck(self) -> None:
        """Each minute, and at once when rights changed. A database that is away does not end the asking."""
        pause = RECHECK_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.doubts.wait()
            self.doubts.clear()
            try:
                await self._check()
                pause = RECHECK_SECONDS
            except AWAY:
                pause = RETRY_SECONDS
            except Exception:
                log.exception("asking again who is behind a socket")
                pause = RETRY_SECONDS

    async def _check(self) -> None:
        """Asks again who this is and what they may read; a socket never outlives a right."""
        user = await in_thread(still_valid)(self.identity)
        if user is None:
            await self.close(UNAUTHORISED)
            return
        self.identity = replace(self.identity, user=user)
        for turn_id in list(self.readers):
            if await in_thread(selectors.attachable_turn)(user, turn_id) is None:
                self.readers[turn_id].cancel()

    async def _send(self, frame: dict[str, Any]) -> None:
        await self.send(text_data=orjson.dumps(frame, default=str).decode())
