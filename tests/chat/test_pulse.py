"""Who is held for dead, and who is not: by the second."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from chat import pulse, turnlog
from chat.models import Message, Runner, Turn
from chat.pulse import Pulse
from owui.lib.aio import in_thread
from tests.chat.helpers import ask, until

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def over() -> subprocess.Popen[bytes]:
    """A process that has been."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process


def runner_row(seconds: float, *, host: str = "another", pid: int = 1) -> uuid.UUID:
    """A process that was last seen so many seconds ago."""
    row = Runner.objects.create(heartbeat_at=timezone.now() - timedelta(seconds=seconds), host=host, pid=pid)
    return row.pk  # type: ignore[no-any-return]


def begun(user: Any, runner_id: uuid.UUID) -> Message:
    """A running answer of that process."""
    started = ask(user, runner_id=runner_id)
    Turn.objects.filter(pk=started.turn.pk).update(started_at=timezone.now() - timedelta(seconds=60))
    return started.message


@pytest.fixture
async def ours(transactional_db: None) -> AsyncIterator[Pulse]:
    """The pulse of a process that has not begun to beat."""
    made = Pulse(uuid.uuid4(), running=list)
    yield made
    await made.end()


async def state_of(message: Message) -> str:
    return str((await in_thread(Message.objects.get)(pk=message.pk)).state)


async def marked_within(ours: Pulse, seconds: float) -> float:
    """Seconds until it marks something."""
    began = time.monotonic()
    await asyncio.wait_for(ours.marked.get(), seconds)
    return time.monotonic() - began


async def test_a_process_of_this_host_that_is_gone_is_dead_at_once(ours: Pulse, alice: Any) -> None:
    row = await in_thread(runner_row)(2, host=pulse.here(), pid=over().pid)
    message = await in_thread(begun)(alice, row)
    ours.start()
    assert await marked_within(ours, 10) < 1.5
    assert await state_of(message) == "interrupted"


@pytest.mark.parametrize("place", ["the same number elsewhere", "a number that is in use", "a beat a moment ago"])
async def test_a_process_that_may_live_is_not_held_for_gone(ours: Pulse, alice: Any, place: str) -> None:
    row = {
        "the same number elsewhere": lambda: runner_row(2, host="another", pid=over().pid),
        "a number that is in use": lambda: runner_row(2, host=pulse.here(), pid=os.getpid()),
        "a beat a moment ago": lambda: runner_row(0, host=pulse.here(), pid=over().pid),
    }[place]
    message = await in_thread(begun)(alice, await in_thread(row)())
    ours.start()
    with pytest.raises(TimeoutError):
        await marked_within(ours, 1)
    assert await state_of(message) == "running"


async def test_where_the_system_names_no_place_no_number_is_trusted(
    ours: Pulse, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "_place", lambda: "")
    await in_thread(begun)(alice, await in_thread(runner_row)(2, host=pulse.here(), pid=over().pid))
    ours.start()
    with pytest.raises(TimeoutError):
        await marked_within(ours, 1)


async def test_a_silent_process_of_another_host_is_dead_after_three_seconds(ours: Pulse, alice: Any) -> None:
    ours.start()
    await until(lambda: ours._last is not None)
    await asyncio.sleep(3)  # it knows by now that nothing stands still
    message = await in_thread(begun)(alice, await in_thread(runner_row)(0))
    assert 2.4 < await marked_within(ours, 10) < 4.5
    assert await state_of(message) == "interrupted"


async def test_who_has_just_started_waits_for_others_to_beat(ours: Pulse, alice: Any) -> None:
    await in_thread(begun)(alice, await in_thread(runner_row)(30))
    ours.start()
    assert 2.5 < await marked_within(ours, 10) < 5


def steady_after(ours: Pulse, moment: datetime) -> float:
    """Seconds of beats in time until it says so."""
    for number in range(200):
        if ours._is_steady(moment + timedelta(seconds=number / 2)):
            return number / 2
    raise AssertionError("never steady")


async def test_after_a_stall_nobody_is_held_for_dead_until_they_had_time_to_beat(ours: Pulse) -> None:
    assert steady_after(ours, NOON) == 3
    assert ours._is_steady(NOON + timedelta(seconds=4.4)), "a beat that is a little late says nothing"
    assert steady_after(ours, NOON + timedelta(seconds=12.4)) == 11, "3 s, and 8 s as long as it stood still"
    assert steady_after(ours, NOON + timedelta(hours=5)) == 63
    assert steady_after(ours, NOON) == 3, "the clock was set back"


async def test_an_outage_of_the_database_is_said_once_and_makes_nobody_look_dead(
    ours: Pulse, alice: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours.start()
    await until(lambda: ours._last is not None)
    await asyncio.sleep(3.2)
    real, tries = turnlog.beat, []

    def away(*args: Any, **kwargs: Any) -> Any:
        tries.append(1)
        raise OperationalError("away")

    monkeypatch.setattr(turnlog, "beat", away)
    await until(lambda: len(tries) >= 5)
    message = await in_thread(begun)(alice, await in_thread(runner_row)(30))
    monkeypatch.setattr(turnlog, "beat", real)
    assert await marked_within(ours, 15) > 4
    assert await state_of(message) == "interrupted"
    assert caplog.text.count("cannot say that it lives") == 1


async def test_a_busy_event_loop_beats_and_one_that_hangs_does_not(
    ours: Pulse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "HUNG", 3.0)
    ours.start()
    await until(lambda: ours._last is not None)
    time.sleep(2.2)  # noqa: ASYNC251  the loop does something long
    last = ours._last
    assert last is not None
    assert (timezone.now() - last).total_seconds() < 1.5
    time.sleep(5)  # noqa: ASYNC251
    assert ours._last is not None
    assert (timezone.now() - ours._last).total_seconds() > 2
