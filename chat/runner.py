"""The turn runner of one ASGI process: runs turns detached from sockets, saves their logs, tells other processes.

Per process, not per turn: one heartbeat a second (`chat.pulse`) and one batch of log rows each half second. No ORM,
broker or render work happens per token; readers in other processes get the news by `chat.wire`. When the broker is away
readers of this process notice nothing, and those of others read the log in the database until it is back. When the
database is away turns go on and are saved when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from chat import reading, turnlog
from chat.engine import usage
from chat.engine.events import (
    FINISH,
    REASONING,
    SOURCES,
    STATUS,
    TEXT,
    USAGE,
    Logged,
    Outcome,
    Sources,
    Status,
    Transcript,
)
from chat.engine.turn import TurnPlan, run_turn
from chat.live import LiveTurn
from chat.nodes import nodes
from chat.pulse import Pulse
from chat.selectors import Attached
from chat.standing import TYPES, Standing, used_in
from chat.wire import Wire
from inference.providers.events import ReasoningDelta, TextDelta, Usage
from owui.lib.aio import end, in_thread
from rbac.watch import Known, watch

log = logging.getLogger(__name__)
SAVE_EVERY = 0.5
AWAY = turnlog.AWAY


class Runner:
    """Owns the turns of this process. One instance, `runner`; started and stopped by the ASGI lifespan."""

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        self.turns: dict[uuid.UUID, LiveTurn] = {}
        self.wire = Wire(self.turns.get)
        self.draining = False
        self._drained_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._pulse: Pulse | None = None

    async def start(self) -> None:
        """Begins to beat; the process may run turns from now on."""
        # One id for all that other processes say to this one.
        self.id, self.draining = uuid.UUID(nodes.id) if nodes.is_running else uuid.uuid4(), False
        self._pulse = Pulse(self.id, running=lambda: list(self.turns))
        with contextlib.suppress(DatabaseError, InterfaceError):
            await in_thread(self._pulse.beat)()
        self._pulse.start()
        self._tasks = [
            asyncio.create_task(self._keep(), name="turn-keeper"),
            asyncio.create_task(self._sweep(self._pulse), name="turn-sweeper"),
        ]
        nodes.on("turn.stop", self._on_stop)
        for kind, handler in self.wire.handlers().items():
            nodes.on(kind, handler)

    def drain(self) -> None:
        """From now on running turns have SHUTDOWN_DRAIN_SECONDS to finish."""
        if not self.draining:
            self.draining = True
            self._drained_at = time.monotonic() + settings.BOOT.shutdown_drain_seconds

    async def stop(self) -> None:
        """Lets running turns finish for a while, then stops them with their text kept."""
        self.drain()
        while self.turns and time.monotonic() < self._drained_at:  # noqa: ASYNC110  turns end one by one
            await asyncio.sleep(0.05)
        for turn in list(self.turns.values()):
            self._cancel(turn, "interrupted")
        waiting = [t.task for t in self.turns.values() if t.task is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=3)
        await self.wire.settle()
        await end(self._tasks)
        if self._pulse is not None:
            await self._pulse.end()
        with contextlib.suppress(DatabaseError, InterfaceError):
            await in_thread(turnlog.sign_off)(self.id)

    # --------------------------------------------------------------------------------------------------------- turns
    def run(
        self,
        plan: TurnPlan,
        *,
        turn_id: uuid.UUID,
        chat_id: uuid.UUID,
        message_id: uuid.UUID,
        user_id: uuid.UUID,
        standing: Standing | None = None,
        known: Known | None = None,
        own: Attached | None = None,
        then: Callable[[Outcome], None] | None = None,
    ) -> LiveTurn:
        """Starts a turn whose row names this runner. It goes on when every reader has left, but not when its person
        loses a right that it stands on.

        :param known: what of these rights was read just now
        :param own: what pages of the person need to show it, when the chat is the person's own
        :param then: called when the end is saved and told, unless the answer is somebody else's by then
        """
        turn = LiveTurn(turn_id, chat_id, message_id, user_id, own=own, told=self.wire.told)
        self.turns[turn_id] = turn
        turn.work = asyncio.create_task(self._drive(turn, plan), name=f"work-{turn_id}")
        turn.task = asyncio.create_task(self._run(turn, standing, known, then), name=f"turn-{turn_id}")
        return turn

    def stop_turn(self, turn_id: uuid.UUID) -> bool:
        """Stops a turn of this process at once; False when it runs elsewhere."""
        turn = self.turns.get(turn_id)
        if turn is None:
            return False
        self._cancel(turn, "stopped")
        return True

    def _on_stop(self, message: dict[str, Any]) -> None:
        self.stop_turn(uuid.UUID(message["turn_id"]))

    @staticmethod
    def _cancel(turn: LiveTurn, reason: str, error: str = "") -> None:
        # Only the engine's part: how it ended is saved in any case, also when a stop comes at the very end.
        if turn.work is not None and not turn.work.done() and not turn.stop_reason:
            turn.stop_reason, turn.stop_error = reason, error
            turn.work.cancel()

    async def _run(
        self,
        turn: LiveTurn,
        standing: Standing | None,
        known: Known | None,
        then: Callable[[Outcome], None] | None,
    ) -> None:
        how = "failed"
        try:
            await self._show(turn, reading.RUNNING)
            with self._watched(turn, standing, known):
                outcome = await self._outcome(turn)
            end: Logged = (FINISH, {"state": outcome.state, "error": _storable(outcome.error)})
            if not await self._save_end(turn, outcome, end):
                end[1]["elsewhere"] = True
            turn.add(end)
            how = outcome.state
            if then is not None and not self.draining and "elsewhere" not in end[1]:
                then(outcome)
        except Exception:
            log.exception("turn %s could not be ended; the sweep will mark it", turn.turn_id)
        finally:
            turn.close()
            self.turns.pop(turn.turn_id, None)
        await self._show(turn, reading.ENDED, how)

    @staticmethod
    async def _show(turn: LiveTurn, state: str, how: str = "") -> None:
        """How the chat stands, for its owner's open pages: in their lists, and at the end as a notice. Best effort.

        :param how: the answer ended: done, stopped, interrupted, failed
        """
        ops = [[*reading.mark_op(turn.chat_id, state), how]]
        people = [str(turn.user_id)]
        await nodes.announce({"kind": "chat.message", "user_ids": people, "chat_id": str(turn.chat_id), "ops": ops})

    @contextlib.contextmanager
    def _watched(self, turn: LiveTurn, standing: Standing | None, known: Known | None) -> Iterator[None]:
        """Ends the turn, with its text kept, when a right that it stands on goes."""
        if standing is None:
            yield
            return
        with watch.holding(
            standing.people,
            lambda: standing.lost(frozenset(turn.used)),
            lambda reason: self._cancel(turn, "stopped", reason),
            types=TYPES,
            known=known,
        ):
            yield

    async def _outcome(self, turn: LiveTurn) -> Outcome:
        """How the engine ended, also when it was stopped or broke."""
        assert turn.work is not None
        try:
            await asyncio.wait({turn.work})
        finally:
            turn.work.cancel()
        if turn.work.cancelled():
            return Outcome(turn.stop_reason or "interrupted", turn.stop_error)
        if error := turn.work.exception():
            log.error("turn %s broke", turn.turn_id, exc_info=error)
            return Outcome("failed", "Something went wrong on the server while answering. Try again.")
        return turn.work.result()

    async def _drive(self, turn: LiveTurn, plan: TurnPlan) -> Outcome:
        """Runs the engine and logs what it says."""
        async with aclosing(run_turn(plan)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    turn.add((TEXT, _storable(event.text)))
                elif isinstance(event, ReasoningDelta):
                    turn.add((REASONING, _storable(event.text)))
                elif isinstance(event, Status):
                    turn.add((STATUS, _storable(event.as_json())))
                elif isinstance(event, Sources):
                    turn.used |= used_in(event.sources)
                    await self._save_citations(turn, event.citations)
                    turn.add((SOURCES, _storable(event.sources)))
                elif isinstance(event, Usage):
                    turn.add((USAGE, _storable(usage.as_json(event))))
                elif isinstance(event, Outcome):
                    return event
        return Outcome("failed", "The answer ended unexpectedly. Try again.")

    async def _save_citations(self, turn: LiveTurn, citations: list[dict[str, Any]]) -> None:
        """A document deleted this moment, or a database away, costs the citations and not the answer."""
        try:
            await in_thread(turnlog.save_citations)(turn.message_id, citations)
        except (DatabaseError, InterfaceError):
            log.exception("the citations of turn %s are not saved", turn.turn_id)

    async def _save_end(self, turn: LiveTurn, outcome: Outcome, end: Logged) -> bool:
        """Saves the finished message; waits for the database as long as it takes. False when it is not this turn's any
        more."""
        added, wait = Transcript().add(turn.log), 0.2
        while True:
            rest = turnlog.Batch(turn.turn_id, turn.saved + 1, [*turn.after(turn.saved), end])
            try:
                is_saved = await in_thread(turnlog.finish)(
                    turn.turn_id, state=outcome.state, error=_storable(outcome.error), added=added, rest=rest
                )
            except AWAY as error:
                log.warning("turn %s cannot be saved yet: %s", turn.turn_id, error)
                await asyncio.sleep(wait)
                wait = min(5.0, wait * 2)
            else:
                turn.saved = len(turn.log) + 1
                return is_saved

    # ---------------------------------------------------------------------------------------------- the process's own
    async def _keep(self) -> None:
        """Each half second: save new events of all turns at once, obey stops."""
        is_away = False
        while True:
            await asyncio.sleep(SAVE_EVERY)
            try:
                await self._save_logs()
                is_away = False
            except AWAY as error:
                if not is_away:
                    log.warning("The database does not answer; running turns are kept in memory: %s", error)
                is_away = True
            except Exception:
                log.exception("keeping turns")

    async def _save_logs(self) -> None:
        turns = [t for t in self.turns.values() if len(t.log) > t.saved]
        batches = [turnlog.Batch(t.turn_id, t.saved + 1, t.after(t.saved)) for t in turns]
        if batches:
            await in_thread(turnlog.append)(batches)
            for turn, batch in zip(turns, batches, strict=True):
                turn.saved = max(turn.saved, batch.first_seq - 1 + len(batch.events))
        if self.turns:
            for turn_id in await in_thread(turnlog.stop_requests)(list(self.turns)):
                self.stop_turn(turn_id)

    async def _sweep(self, pulse: Pulse) -> None:
        """Tells everybody of turns that nobody writes any more."""
        while True:
            turn_id, chat_id = await pulse.marked.get()
            log.warning("turn %s, which no process writes any more, is marked interrupted", turn_id)
            try:
                await nodes.announce({"kind": "turn.over", "turn_id": turn_id.hex, "user_ids": []})
                await nodes.announce({"kind": "chat.changed", "chat_id": str(chat_id)})
            except Exception:
                log.exception("telling that turn %s is over", turn_id)


def _storable(value: Any) -> Any:
    """PostgreSQL takes no NUL, neither in text nor in JSON; a model or a document may hold one."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {str(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value


runner = Runner()
