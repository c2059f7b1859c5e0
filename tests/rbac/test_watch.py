"""Rights asked again: on a sweep, after a fault, and with nothing lost between."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rbac import watch as module
from rbac.watch import Lost, Watch, while_allowed

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


async def test_what_lay_ready_is_not_delivered_after_the_right_went(monkeypatch):
    """A slow reader has items waiting for it when its right goes: it gets the reason, not them."""
    own = Watch()
    monkeypatch.setattr(module, "watch", own)
    allowed, given, closed = True, 0, asyncio.Event()

    async def source() -> AsyncIterator[int]:
        nonlocal given
        try:
            while True:
                given += 1
                yield given
        finally:
            closed.set()

    stream = while_allowed(source(), [PERSON], lambda: None if allowed else "your access ended", types=["model"])
    assert await anext(stream) == 1
    await until(lambda: given >= 2)
    allowed = False
    own.doubt_all()
    with pytest.raises(Lost, match="your access ended"):
        async with asyncio.timeout(10):
            while True:
                # A reader who has not asked for more is told with its next question.
                await asyncio.sleep(0.02)
                await anext(stream)
    await asyncio.wait_for(closed.wait(), 5)
