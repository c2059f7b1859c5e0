"""What outlives a request, and the right it stands on: sockets, running turns, streamed answers.

Each is a `Hold` here. It is asked again when somebody says that rights changed (`doubt`), and at the moment at which a
grant that it may stand on ends. Nothing is asked per second and nothing per token: a process with a thousand quiet
sockets asks nothing. Who listens to the other processes calls `doubt_all` each second while they cannot be heard.

A change is told after it was committed. So whoever notes `watch.mark()` before reading rights, and hands it over with
the hold, has read what every change up to the mark left, and is asked again only if one was told of since.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError
from django.db.models import Min, Subquery
from django.db.models.functions import Extract, Least, Now

from owui.lib.aio import in_thread
from rbac.sharing import Person, SharedResource, groups_of, resource_types

log = logging.getLogger(__name__)
T = TypeVar("T")
#: everything is asked again after this time, whatever was said
SWEEP_SECONDS = 60.0
#: after a database that was away, and after a fault
RETRY_SECONDS, FAULT_SECONDS = 0.25, 1.0
#: changes that come one after the other (a provisioned file, a tree of groups) are answered together
GATHER_SECONDS = 0.1
#: questions of one round go on in so many threads at once, so that they leave connections to others
THREADS = 3
#: so many changes are remembered for holds whose rights were read before them
_REMEMBERED = 1000
#: what a database that is away raises
AWAY = (OperationalError, InterfaceError)


@dataclass(eq=False, slots=True)
class Hold:
    """Something that is open on behalf of a person.

    :param people: whose rights it stands on: the person's, and whoever else's it borrows
    :param check: asked in a thread; anything true means that a right is gone
    :param tell: told on the event loop what `check` found
    :param types: the shared types whose grants it stands on
    """

    people: frozenset[uuid.UUID]
    check: Callable[[], Any]
    tell: Callable[[Any], None]
    types: frozenset[str] = frozenset()
    #: when a grant ends, and when its owner wants to be asked for
    ends_at: float | None = None
    due_at: float | None = None

    def concerns(self, resource_type: str, user_ids: Collection[str] | None) -> bool:
        """Whether a change may touch it. Nobody named: everybody, unless it is about objects it does not stand on."""
        if user_ids is not None:
            return any(str(person) in user_ids for person in self.people)
        return resource_type in self.types or resource_type not in resource_types()


@dataclass(frozen=True, slots=True)
class Known:
    """Rights that were read just now, for a hold that need not ask for them again.

    :param mark: `watch.mark()` from before they were read
    :param ends_at: when, by `time.monotonic`, a grant among them ends, or the credential they were read for
    """

    mark: int
    ends_at: float | None = None


class Watch:
    """The holds of this process and the one task that asks for all of them; the task lives as long as there are any."""

    def __init__(self) -> None:
        self.rounds = 0
        self._holds: set[Hold] = set()
        self._doubted: set[Hold] = set()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        #: until when nothing is looked at, unless there are news
        self._sleeps_until = 0.0
        self._said = 0
        self._changes: deque[tuple[int, str, frozenset[str] | None]] = deque(maxlen=_REMEMBERED)

    def mark(self) -> int:
        """The number of changes told so far."""
        return self._said

    @contextmanager
    def holding(
        self,
        people: Iterable[uuid.UUID | None],
        check: Callable[[], Any],
        tell: Callable[[Any], None],
        *,
        types: Iterable[str] = (),
        known: Known | None = None,
    ) -> Iterator[Hold]:
        """`with watch.holding([user.pk], check, tell): …`: asked again for as long as the block runs."""
        hold = self.add(people, check, tell, types=types, known=known)
        try:
            yield hold
        finally:
            self.release(hold)

    def add(
        self,
        people: Iterable[uuid.UUID | None],
        check: Callable[[], Any],
        tell: Callable[[Any], None],
        *,
        types: Iterable[str] = (),
        known: Known | None = None,
    ) -> Hold:
        """The same for what is no block; its owner releases it."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # A loop that is over leaves nothing to ask for.
            self._loop, self._task, self._news = loop, None, asyncio.Event()
            self._holds.clear()
            self._doubted.clear()
        hold = Hold(frozenset(p for p in people if p is not None), check, tell, frozenset(types))
        self._holds.add(hold)
        if known is None or self._changed(hold, known.mark):
            # Asked once soon: what changed between the caller's own question and now was told to nobody.
            self._ask_for(hold)
        elif known.ends_at is not None:
            self._due_at(hold, known.ends_at)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep(), name="rights-watch")
        return hold

    def release(self, hold: Hold) -> None:
        self._holds.discard(hold)
        self._doubted.discard(hold)
        if not self._holds:
            self._news.set()  # lets the task end

    def stands_on(self, hold: Hold, types: Iterable[str]) -> None:
        """From now on the hold also ends when a grant on one of these types does."""
        if not hold.types >= frozenset(types):
            hold.types |= frozenset(types)
            self._ask_for(hold)

    def due(self, hold: Hold, seconds: float) -> None:
        """Asks for the hold in so many seconds, if nothing else makes it ask before."""
        self._due_at(hold, asyncio.get_running_loop().time() + max(0.0, seconds))

    def _due_at(self, hold: Hold, moment: float) -> None:
        hold.due_at = moment
        # Each look goes through everything that is open: only for what is due before the next.
        if moment < self._sleeps_until:
            self._news.set()

    def doubt(self, resource_type: str, user_ids: Collection[str] | None) -> None:
        """Rights changed, here or elsewhere: who may be touched is asked for."""
        self._said += 1
        self._changes.append((self._said, resource_type, None if user_ids is None else frozenset(user_ids)))
        concerned = {hold for hold in self._holds if hold.concerns(resource_type, user_ids)}
        if concerned:
            self._doubted |= concerned
            self._news.set()

    def doubt_all(self) -> None:
        """News may have been missed."""
        self._said += 1
        self._changes.clear()  # nobody's mark is good for anything now
        self._doubted |= self._holds
        self._news.set()

    def _changed(self, hold: Hold, mark: int) -> bool:
        """Whether something was told since the mark that touches the hold, or may have been."""
        missed = self._said - mark
        if missed > len(self._changes):
            return True
        return any(hold.concerns(kind, people) for number, kind, people in self._changes if number > mark)

    def _ask_for(self, hold: Hold) -> None:
        self._doubted.add(hold)
        self._news.set()

    # ---------------------------------------------------------------------------------------------------------- asking
    async def _keep(self) -> None:
        swept = asyncio.get_running_loop().time()
        while self._holds:
            try:
                swept = await self._round(swept)
            except AWAY as error:
                log.warning("who may go on cannot be asked yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                self.doubt_all()
            except Exception:
                log.exception("asking again who may go on")
                await asyncio.sleep(FAULT_SECONDS)
                self.doubt_all()

    async def _round(self, swept: float) -> float:
        """Waits for a reason to ask, and asks. Returns when everything was last asked for."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        pause = self._pause(swept, now)
        self._sleeps_until = now + pause
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._news.wait()
        if self._doubted:
            await asyncio.sleep(GATHER_SECONDS)
        self._news.clear()
        now = loop.time()
        if now - swept >= SWEEP_SECONDS:
            self._doubted |= self._holds
            swept = now
        for hold in self._holds:
            if min(_moments(hold), default=now + 1) <= now:
                hold.due_at = None
                self._doubted.add(hold)
        if self._doubted:
            doubted, self._doubted = self._doubted, set()
            self.rounds += 1
            # The ends first: one that passes while the questions are asked is due at once.
            await self._note_ends(doubted)
            await self._ask(doubted)
        return swept

    def _pause(self, swept: float, now: float) -> float:
        moments = [moment for hold in self._holds for moment in _moments(hold)]
        return max(0.0, min([swept + SWEEP_SECONDS, *moments]) - now)

    async def _note_ends(self, holds: Collection[Hold]) -> None:
        """When each should be asked next because a grant ends; one statement for all of them."""
        people = {person for hold in holds if hold.types for person in hold.people}
        types = {name for hold in holds for name in hold.types}
        found = await in_thread(next_ends)(people, types) if people else {}
        now = asyncio.get_running_loop().time()
        for hold in holds:
            seconds = [found[person] for person in hold.people if person in found]
            hold.ends_at = now + max(0.0, min(seconds)) if seconds else None

    async def _ask(self, holds: Collection[Hold]) -> None:
        waiting = list(holds)
        parts = [part for start in range(THREADS) if (part := waiting[start::THREADS])]
        for answers in await asyncio.gather(*(in_thread(_answers)(part) for part in parts)):
            for hold, found in answers:
                if isinstance(found, Exception):
                    log.error("asking whether something may go on", exc_info=found)
                    self.due(hold, FAULT_SECONDS)
                elif found and hold in self._holds:
                    hold.tell(found)


def _moments(hold: Hold) -> list[float]:
    return [moment for moment in (hold.ends_at, hold.due_at) if moment is not None]


def _answers(holds: list[Hold]) -> list[tuple[Hold, Any]]:
    return [(hold, _answer(hold)) for hold in holds]


def _answer(hold: Hold) -> Any:
    """One question that breaks must not keep the others from being asked."""
    try:
        return hold.check()
    except AWAY:
        raise
    except Exception as error:
        return error


def next_ends(people: Collection[uuid.UUID], types: Collection[str]) -> dict[uuid.UUID, float]:
    """In how many seconds, by the database's clock, the next grant on one of these types ends for each person.

    One statement, which reads only the principals' entries of each grant table's index.
    """
    tables: list[Any] = []
    for name, model in resource_types().items():
        if name in types:
            of_user, of_group = model.user_grant_model(), model.group_grant_model()
            tables.append((of_user._default_manager, "user_id"))
            tables.append((of_group._default_manager, "group__descent__group__memberships__user_id"))
    remaining = Extract(Min("expires_at") - Now(), "epoch")
    parts = [
        table.filter(**{f"{path}__in": list(people)}, expires_at__gt=Now())
        .order_by()
        .values_list(path)
        .annotate(remaining=remaining)
        for table, path in tables
    ]
    if not parts:
        return {}
    found: dict[uuid.UUID, float] = {}
    for person, seconds in parts[0].union(*parts[1:], all=True):
        found[person] = min(float(seconds), found.get(person, float("inf")))
    return found


def seconds_to_end(model: type[SharedResource], person: Person) -> Extract:
    """The same of one person and one type, as a column for a statement that is asked anyway; NULL when none ends."""
    of_user = model.user_grant_model()._default_manager.filter(user_id=person.id)
    of_group = model.group_grant_model()._default_manager.filter(group_id__in=groups_of(person.id))
    ends = [
        Subquery(grants.filter(expires_at__gt=Now()).order_by("expires_at").values("expires_at")[:1])
        for grants in (of_user, of_group)
    ]
    return Extract(Least(*ends) - Now(), "epoch")


class Lost(Exception):
    """A right went while something was being delivered; the text is for the person."""


async def while_allowed(
    source: AsyncGenerator[T, None],
    people: Iterable[uuid.UUID | None],
    check: Callable[[], str],
    types: Iterable[str],
    *,
    known: Known | None = None,
) -> AsyncGenerator[T, None]:
    """Passes on what a source gives. When a right goes the source is closed at once, also a silent one and one whose
    reader asks for nothing, nothing more comes, and `Lost` is raised. Costs nothing per second, and no task."""
    lost, is_over = "", False
    waiting: asyncio.Task[Any] | None = None
    stopped: asyncio.Task[Any] | None = None
    closing: asyncio.Task[None] | None = None

    def end(reason: str) -> None:
        nonlocal lost, stopped, closing
        if lost:
            return
        lost, stopped = reason, waiting
        if waiting is not None:
            waiting.cancel()
        else:
            closing = asyncio.create_task(source.aclose(), name="lost-stream")

    try:
        with watch.holding(people, check, end, types=types, known=known):
            while not lost and not is_over:
                waiting = asyncio.current_task()
                try:
                    item = await anext(source)
                except StopAsyncIteration:
                    is_over = True
                except BaseException:
                    if not lost:
                        raise
                finally:
                    waiting = None
                if not lost and not is_over:
                    yield item
        # The cancellation was ours and ends here; the reader may have been cancelled as well.
        if stopped is not None and stopped.uncancel():
            raise asyncio.CancelledError
    finally:
        if closing is not None:
            await asyncio.wait((closing,))
        await source.aclose()
    if lost:
        raise Lost(lost)


watch = Watch()
