"""Reading a turn in another process: whatever the broker loses or repeats, each event comes once and in order."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from channels.layers import get_channel_layer
from hypothesis import given
from hypothesis import strategies as st

from chat import follow as follow_module
from chat import turnlog
from chat.engine.events import FINISH, TEXT, Transcript
from chat.follow import behind, follow
from owui.lib.aio import in_thread
from tests.chat.conftest import forget_connections
from tests.chat.helpers import ask

pytestmark = pytest.mark.django_db(transaction=True)
Events = list[list[Any]]


def numbered(first: int, last: int) -> Events:
    return [[TEXT, f"t{i} "] for i in range(first, last + 1)]


@given(st.integers(1, 30), st.integers(0, 12), st.integers(0, 45))
def test_batch_is_cut_at_the_position(first: int, size: int, after: int) -> None:
    found = behind(first, numbered(first, first + size - 1), after)
    assert [seq for seq, _event in found] == [seq for seq in range(first, first + size) if seq > after]
    assert all(event == (TEXT, f"t{seq} ") for seq, event in found)


@given(st.data())
def test_any_loss_and_any_repetition_give_each_event_once(data: st.DataObject) -> None:
    """The numbering against a broker that drops, repeats and delays, and a log that is behind."""
    total = data.draw(st.integers(1, 40))
    cuts = sorted({0, total, *data.draw(st.lists(st.integers(0, total), max_size=8))})
    news = [(a + 1, numbered(a + 1, b)) for a, b in zip(cuts, cuts[1:], strict=False)]
    heard = data.draw(st.lists(st.sampled_from(news), max_size=12))  # with repetitions, in any order, some never
    got: list[int] = []
    after = data.draw(st.integers(0, total))
    begun = after
    for first, events in heard:
        if first > after + 1:  # a gap: the database has a part of it, or all
            saved = data.draw(st.integers(after, total))
            fresh = behind(1, numbered(1, saved), after)
        else:
            fresh = behind(first, events, after)
        got += [seq for seq, _event in fresh]
        after = fresh[-1][0] if fresh else after
    got += [seq for seq, _event in behind(1, numbered(1, total), after)]
    assert got == list(range(begun + 1, total + 1))


@pytest.fixture
async def turn(transactional_db: None, alice: Any) -> AsyncIterator[Any]:
    """A turn that some other process writes."""
    started = await in_thread(ask)(alice)
    yield started.turn
    await forget_connections()


class Reader:
    """A reader in this process; what it has got so far."""

    def __init__(self, turn: Any, after: int = 0) -> None:
        self.seqs: list[int] = []
        self.text = ""
        self.state = ""
        self.task = asyncio.create_task(self._read(turn.pk, after))

    async def _read(self, turn_id: uuid.UUID, after: int) -> None:
        async with aclosing(follow(turn_id, after)) as batches:
            async for batch in batches:
                for seq, (kind, value) in batch:
                    self.seqs.append(seq)
                    if kind == FINISH:
                        self.state = value["state"]
                    else:
                        self.text += value

    async def at(self, seq: int, seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while not self.seqs or self.seqs[-1] < seq:
                await asyncio.sleep(0.005)

    async def over(self) -> None:
        await asyncio.wait_for(asyncio.shield(self.task), 5)


async def tell(turn: Any, first: int, last: int, *more: list[Any]) -> None:
    message = {"type": "turn.news", "first_seq": first, "events": numbered(first, last) + list(more)}
    await get_channel_layer().group_send(f"turn.{turn.pk}", message)


async def save(turn: Any, first: int, last: int) -> None:
    await in_thread(turnlog.append)([turnlog.Batch(turn.pk, first, [(k, v) for k, v in numbered(first, last)])])


def whole(last: int, first: int = 1) -> str:
    return "".join(value for _kind, value in numbered(first, last))


async def test_news_that_fit_are_read_without_the_database(turn: Any, monkeypatch: Any) -> None:
    await save(turn, 1, 3)
    reader = Reader(turn)
    await reader.at(3)

    def no_database(*args: Any) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(turnlog, "read", no_database)
    await tell(turn, 4, 6)
    await tell(turn, 6, 8)  # overlapping
    await tell(turn, 4, 5)  # late
    await tell(turn, 9, 9, [FINISH, {"state": "done", "error": ""}])
    await reader.over()
    assert reader.seqs == list(range(1, 11))
    assert (reader.text, reader.state) == (whole(9), "done")


async def test_gap_is_filled_from_the_log(turn: Any) -> None:
    reader = Reader(turn)
    await save(turn, 1, 2)
    await reader.at(2)
    await tell(turn, 6, 7)  # 3 to 5 were lost
    await save(turn, 3, 7)
    await reader.at(7)
    await tell(turn, 8, 8, [FINISH, {"state": "done", "error": ""}])
    await reader.over()
    assert reader.seqs == list(range(1, 10))


async def test_without_any_broker_the_log_is_read(turn: Any, monkeypatch: Any) -> None:
    class NoLayer:
        def __getattr__(self, name: str) -> Any:
            async def refuse(*args: Any) -> None:
                raise ConnectionError("no broker")

            return refuse

    monkeypatch.setattr(follow_module, "get_channel_layer", NoLayer)
    monkeypatch.setattr(follow_module, "POLL", 0.05)
    reader = Reader(turn)
    for first in range(1, 30, 3):
        await save(turn, first, first + 2)
        await asyncio.sleep(0.01)
    rest = turnlog.Batch(turn.pk, 31, [(TEXT, "t31 "), (FINISH, {"state": "done", "error": ""})])
    await in_thread(turnlog.finish)(turn.pk, state="done", error="", added=Transcript(), rest=rest)
    await reader.over()
    assert (reader.text, reader.state) == (whole(31), "done")
    assert reader.seqs == list(range(1, 33))


async def test_turn_of_a_dead_process_ends_for_its_readers(turn: Any) -> None:
    await save(turn, 1, 4)
    reader = Reader(turn, after=2)
    await reader.at(4)
    await in_thread(turnlog.finish)(turn.pk, state="interrupted", error="", added=Transcript())
    await get_channel_layer().group_send(f"turn.{turn.pk}", {"type": "turn.over"})
    await reader.over()
    assert (reader.text, reader.state) == (whole(4, 3), "interrupted")


async def test_reader_that_leaves_leaves_no_subscription(turn: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(follow_module, "POLL", 0.05)
    layer = get_channel_layer()._get_layer()
    await save(turn, 1, 1)
    gone, ended = Reader(turn), Reader(turn)
    await gone.at(1)
    await ended.at(1)
    await asyncio.sleep(0.2)  # a few silent polls
    assert len(layer.channels) == 2
    gone.task.cancel()
    await asyncio.wait({gone.task})
    await tell(turn, 2, 2, [FINISH, {"state": "done", "error": ""}])
    await ended.over()
    assert layer.channels == {}
    assert layer.groups == {}


async def test_unknown_turn_is_over_at_once(transactional_db: None) -> None:
    batches = [batch async for batch in follow(uuid.uuid4())]
    assert batches == [[(1, (FINISH, {"state": "interrupted", "error": "", "elsewhere": True}))]]
    await forget_connections()
