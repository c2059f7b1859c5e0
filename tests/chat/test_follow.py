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
from chat.follow import follow
from chat.live import LiveTurn
from chat.nodes import nodes
from chat.runner import runner
from chat.wire import MOST_KEPT, Wire, behind
from owui.lib.aio import end, in_thread
from owui.lib.bus import publish
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

    def __init__(self, turn: Any, after: int = 0, writer: uuid.UUID | None = None) -> None:
        self.seqs: list[int] = []
        self.text = ""
        self.state = ""
        self.task = asyncio.create_task(self._read(turn.pk, after, writer))

    async def _read(self, turn_id: uuid.UUID, after: int, writer: uuid.UUID | None) -> None:
        async with aclosing(follow(turn_id, after, writer=writer)) as batches:
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


class Writer:
    """The process that writes a turn, at the other end of the real broker."""

    def __init__(self, turn: Any) -> None:
        self.id = uuid.uuid4()
        self.heard: list[tuple[str, int | None]] = []
        self.said: list[str] = []
        self.live: LiveTurn | None = None
        self.wire = Wire(lambda turn_id: self.live, self._tell)
        self.live = LiveTurn(turn.pk, turn.chat_id, turn.message_id, turn.user_id, told=self.wire.told)
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(f"node.{self.id.hex}", channel)
        while True:
            message = await layer.receive(channel)
            self.heard.append((message["kind"], message.get("after")))
            self.wire.handlers()[message["kind"]](message)

    async def _tell(self, node: str, message: dict[str, Any]) -> bool:
        self.said.append(message["kind"])
        said = {**message, "type": "node.message", "origin": self.id.hex, "user_ids": []}
        return await publish(f"node.{node}", said)

    def write(self, first: int, last: int) -> None:
        assert self.live is not None
        assert len(self.live.log) == first - 1
        for kind, value in numbered(first, last):
            self.live.add((kind, value))

    def end(self) -> None:
        assert self.live is not None
        self.live.add((FINISH, {"state": "done", "error": ""}))
        self.live.close()


@pytest.fixture
async def writer(turn: Any, process: Any) -> AsyncIterator[Writer]:
    ours = Writer(turn)
    await asyncio.sleep(0.2)  # both subscriptions
    yield ours
    await end([ours.task])
    await ours.wire.settle()


async def tell(turn: Any, first: int, last: int, *more: list[Any]) -> None:
    """News that nobody asked for, straight to this process."""
    news = [turn.pk.hex, first, numbered(first, last) + list(more)]
    message = {"kind": "turn.news", "news": [news], "type": "node.message", "origin": uuid.uuid4().hex, "user_ids": []}
    await get_channel_layer().group_send(f"node.{nodes.id}", message)


async def save(turn: Any, first: int, last: int) -> None:
    await in_thread(turnlog.append)([turnlog.Batch(turn.pk, first, [(k, v) for k, v in numbered(first, last)])])


def whole(last: int, first: int = 1) -> str:
    return "".join(value for _kind, value in numbered(first, last))


async def test_news_that_fit_are_read_without_the_database(turn: Any, process: Any, monkeypatch: Any) -> None:
    await asyncio.sleep(0.2)  # the subscription
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


async def test_reader_gets_everything_from_the_writing_process(turn: Any, writer: Writer, monkeypatch: Any) -> None:
    """Also what came before it, and what no row holds yet; a second reader costs no second sending."""

    def no_database(*args: Any) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(turnlog, "read", no_database)
    writer.write(1, 3)
    first = Reader(turn, writer=writer.id)
    await first.at(3, 0.2)
    writer.write(4, 4)
    await first.at(4, 0.2)
    second = Reader(turn, writer=writer.id, after=2)
    await second.at(4, 0.2)
    writer.write(5, 9)
    writer.end()
    for reader in (first, second):
        await reader.over()
        assert reader.state == "done"
    assert (first.text, second.text) == (whole(9), whole(9, 3))
    assert writer.heard == [("turn.read", 0), ("turn.read", 2)], "a turn that ended is left without a word"


async def test_nothing_is_sent_for_a_turn_that_nobody_reads(turn: Any, writer: Writer) -> None:
    writer.write(1, 3)
    reader = Reader(turn, writer=writer.id)
    await reader.at(3)
    reader.task.cancel()
    await asyncio.wait({reader.task})
    assert writer.live is not None
    async with asyncio.timeout(5):
        while writer.live.elsewhere:
            await asyncio.sleep(0.01)
    writer.write(4, 8)
    await asyncio.sleep(0.2)
    assert writer.said == ["turn.news"]


async def test_turn_that_is_not_written_there_is_read_from_the_log(turn: Any, writer: Writer) -> None:
    """It has ended between the reader's look and its question."""
    await save(turn, 1, 4)
    await in_thread(turnlog.finish)(turn.pk, state="done", error="", added=Transcript())
    writer.live = None
    reader = Reader(turn, writer=writer.id)
    await reader.over()
    assert (reader.text, reader.state) == (whole(4), "done")


async def test_writing_process_that_does_not_answer_is_not_waited_for(turn: Any, process: Any) -> None:
    await save(turn, 1, 4)
    reader = Reader(turn, writer=uuid.uuid4())
    await reader.at(4, 2)
    reader.task.cancel()
    await asyncio.wait({reader.task})


async def test_what_a_reader_does_not_take_is_not_kept_without_bound(turn: Any, process: Any) -> None:
    inbox = runner.wire.open(turn.pk)
    runner.wire._on_news({"news": [[turn.pk.hex, 1, numbered(1, 10)]], "origin": "x"})
    for first in range(11, 20_000, 1_000):
        runner.wire._on_news({"news": [[turn.pk.hex, first, numbered(first, first + 999)]], "origin": "x"})
    assert sum(len(events) for _seq, events in inbox._pending) <= MOST_KEPT
    assert await inbox.next(0, 1) is None, "the log is asked"
    runner.wire.close(inbox, None)


async def test_gap_is_filled_from_the_log(turn: Any, process: Any) -> None:
    await asyncio.sleep(0.2)
    reader = Reader(turn)
    await save(turn, 1, 2)
    await reader.at(2)
    await save(turn, 3, 7)
    await tell(turn, 6, 7)  # 3 to 5 were lost
    await reader.at(7)
    await tell(turn, 8, 8, [FINISH, {"state": "done", "error": ""}])
    await reader.over()
    assert reader.seqs == list(range(1, 10))


async def test_without_any_broker_the_log_is_read(turn: Any, monkeypatch: Any) -> None:
    async def refuse(node: str, message: Any) -> bool:
        return False

    monkeypatch.setattr(runner.wire, "_tell", refuse)
    monkeypatch.setattr(follow_module, "POLL", 0.05)
    reader = Reader(turn, writer=uuid.uuid4())
    for first in range(1, 30, 3):
        await save(turn, first, first + 2)
        await asyncio.sleep(0.01)
    rest = turnlog.Batch(turn.pk, 31, [(TEXT, "t31 "), (FINISH, {"state": "done", "error": ""})])
    await in_thread(turnlog.finish)(turn.pk, state="done", error="", added=Transcript(), rest=rest)
    await reader.over()
    assert (reader.text, reader.state) == (whole(31), "done")
    assert reader.seqs == list(range(1, 33))


async def test_turn_of_a_dead_process_ends_for_its_readers(turn: Any, process: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(follow_module, "POLL", 60)
    await save(turn, 1, 4)
    reader = Reader(turn, after=2)
    await reader.at(4)
    await in_thread(turnlog.finish)(turn.pk, state="interrupted", error="", added=Transcript())
    await nodes.announce({"kind": "turn.over", "turn_id": turn.pk.hex, "user_ids": []})
    await reader.over()
    assert (reader.text, reader.state) == (whole(4, 3), "interrupted")


async def test_reader_that_leaves_leaves_nothing_behind(turn: Any, writer: Writer) -> None:
    writer.write(1, 1)
    gone, ended = Reader(turn, writer=writer.id), Reader(turn, writer=writer.id)
    await gone.at(1)
    await ended.at(1)
    assert len(runner.wire._inboxes[turn.pk]) == 2
    gone.task.cancel()
    await asyncio.wait({gone.task})
    writer.end()
    await ended.over()
    assert not runner.wire._inboxes


async def test_unknown_turn_is_over_at_once(transactional_db: None) -> None:
    batches = [batch async for batch in follow(uuid.uuid4())]
    assert batches == [[(1, (FINISH, {"state": "interrupted", "error": "", "elsewhere": True}))]]
    await forget_connections()
