"""Rights asked again: on a sweep, after a fault, and with nothing lost between."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from rbac import watch as module
from rbac.watch import Known, Lost, Watch, while_allowed

# The watch asks the database in threads of its own.
pytestmark = pytest.mark.django_db(transaction=True)
PERSON = uuid.uuid4()


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_everything_is_asked_again_on_a_sweep_although_nobody_told_of_a_change(monkeypatch):
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.02)
    told: list[str] = []
    allowed = True
    watch = Watch()
    with watch.holding([PERSON], lambda: None if allowed else "over", told.append):
        await until(lambda: watch.rounds >= 3)
        assert not told
        allowed = False
        await until(lambda: told)
    assert told[0] == "over"


async def test_a_fault_in_asking_is_logged_and_everything_is_asked_again(monkeypatch, caplog):
    monkeypatch.setattr(module, "FAULT_SECONDS", 0.01)
    watch, told, faults = Watch(), [], [RuntimeError("a bug")]
    whole = watch._note_ends

    async def breaks_once(holds: Any) -> None:
        if faults:
            raise faults.pop()
        await whole(holds)

    monkeypatch.setattr(watch, "_note_ends", breaks_once)
    with watch.holding([PERSON], lambda: "over", told.append):
        await until(lambda: told)
    assert "asking again who may go on" in caplog.text and "a bug" in caplog.text


async def test_standing_on_what_it_stands_on_already_asks_nothing():
    watch = Watch()
    with watch.holding([PERSON], lambda: None, lambda found: None, types=["model", "knowledge"]) as hold:
        await until(lambda: watch.rounds == 1)
        watch.stands_on(hold, ["model"])
        assert not watch._doubted
        watch.stands_on(hold, ["note"])
        assert watch._doubted == {hold} and hold.types == {"model", "knowledge", "note"}


async def test_nothing_is_delivered_after_the_right_went_and_the_source_is_closed_whoever_reads(monkeypatch):
    """A slow reader asks for nothing when its right goes: the source is closed all the same, and it gets the reason."""
    own = Watch()
    monkeypatch.setattr(module, "watch", own)
    allowed, given, closed = True, 0, asyncio.Event()

    async def source() -> AsyncGenerator[int, None]:
        nonlocal given
        try:
            while True:
                given += 1
                yield given
        finally:
            closed.set()

    stream = while_allowed(source(), [PERSON], lambda: "" if allowed else "your access ended", types=["model"])
    assert await anext(stream) == 1
    assert given == 1, "nothing is read ahead of the reader"
    allowed = False
    own.doubt_all()
    await asyncio.wait_for(closed.wait(), 20)
    with pytest.raises(Lost, match="your access ended"):
        await anext(stream)


async def test_a_reader_is_as_little_cancelled_after_a_loss_as_before(monkeypatch):
    own = Watch()
    monkeypatch.setattr(module, "watch", own)

    async def silent() -> AsyncGenerator[int, None]:
        await asyncio.sleep(600)
        yield 1

    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(Lost, match="gone"):
        async with asyncio.timeout(20):
            await anext(while_allowed(silent(), [PERSON], lambda: "gone", types=()))
    assert task.cancelling() == 0
    # A reader that was cancelled itself stays so.
    stream = while_allowed(silent(), [PERSON], lambda: "", types=())
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert not own._holds


class Asked:
    """A hold's question, and how often it was asked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return ""


async def settled(watch: Watch) -> None:
    """Until whatever was doubted has been asked for."""
    marker = Asked()
    with watch.holding([uuid.uuid4()], marker, print):
        await until(lambda: marker.count)


async def test_rights_that_were_read_just_now_are_not_asked_for_again():
    watch, fresh, unknown = Watch(), Asked(), Asked()
    known = Known(watch.mark())
    with watch.holding([PERSON], fresh, print, known=known), watch.holding([PERSON], unknown, print):
        await settled(watch)
        assert (fresh.count, unknown.count) == (0, 1)
        watch.doubt("user", [str(PERSON)])
        await until(lambda: fresh.count)


@pytest.mark.parametrize(
    ("kind", "people", "asks"),
    [("user", [str(PERSON)], 1), ("user", [str(uuid.uuid4())], 0), ("model", None, 1), ("note", None, 0)],
)
async def test_a_change_between_the_mark_and_the_hold_is_asked_for(kind, people, asks):
    """Told while the rights were being read, before there was a hold: the hold is asked about."""
    watch, asked = Watch(), Asked()
    watch.doubt("model", None)  # before the mark: what was read knows it
    known = Known(watch.mark())
    watch.doubt(kind, people)
    with watch.holding([PERSON], asked, print, types=["model"], known=known):
        await settled(watch)
        assert asked.count == asks


async def test_too_many_changes_to_remember_and_news_that_were_missed_are_asked_for(monkeypatch):
    watch, many, missed, late = Watch(), Asked(), Asked(), Asked()
    known = Known(watch.mark())
    for _ in range(module._REMEMBERED + 1):
        watch.doubt("note", None)
    with watch.holding([PERSON], many, print, types=["model"], known=known):
        await until(lambda: many.count)
    known = Known(watch.mark())
    watch.doubt_all()
    watch.doubt("note", None)
    with watch.holding([PERSON], missed, print, types=["model"], known=known):
        await until(lambda: missed.count)
    with watch.holding([PERSON], late, print, types=["model"], known=Known(watch.mark())):
        await settled(watch)
        assert late.count == 0


async def test_rights_with_an_end_are_asked_for_at_that_moment():
    watch, asked = Watch(), Asked()
    ends = time.monotonic() + 0.3
    with watch.holding([PERSON], asked, print, known=Known(watch.mark(), ends)):
        await until(lambda: asked.count)
        assert time.monotonic() >= ends
