"""The log of a running turn in memory: numbered, waited for, told elsewhere."""

from __future__ import annotations

import asyncio
import uuid

from chat.engine.events import REASONING, TEXT
from chat.live import LiveTurn


def turn(told: list[int] | None = None) -> LiveTurn:
    ids = [uuid.uuid4() for _ in range(4)]
    return LiveTurn(*ids, told=lambda live: (told if told is not None else []).append(len(live.log)))


async def test_events_keep_their_order_and_are_there_at_once() -> None:
    live = turn()
    live.add((REASONING, "think"))
    live.add((TEXT, "answer"))
    assert live.after(0) == [(REASONING, "think"), (TEXT, "answer")]
    assert live.after(1) == [(TEXT, "answer")]


async def test_every_waiting_reader_wakes_and_the_end_wakes_all() -> None:
    live = turn()

    async def read() -> str:
        out, seq = [], 0
        while True:
            await live.news(seq)
            events = live.after(seq)
            if not events:
                return "".join(out)
            seq += len(events)
            out += [value for _kind, value in events]

    readers = [asyncio.create_task(read()) for _ in range(3)]
    for piece in "hello":
        live.add((TEXT, piece))
        await asyncio.sleep(0)
    live.close()
    assert await asyncio.gather(*readers) == ["hello"] * 3


async def test_reader_that_was_cancelled_keeps_nobody_from_waking() -> None:
    live = turn()
    gone, other = asyncio.create_task(live.news(0)), asyncio.create_task(live.news(0))
    await asyncio.sleep(0)
    gone.cancel()
    live.add((TEXT, "x"))
    await asyncio.wait_for(other, 1)


async def test_other_processes_are_told_only_while_they_read() -> None:
    told: list[int] = []
    live = turn(told)
    live.add((TEXT, "a"))
    live.elsewhere["node"] = 1
    live.add((TEXT, "b"))
    del live.elsewhere["node"]
    live.add((TEXT, "c"))
    assert told == [2]
