"""The log of a running turn in memory: coalesced, numbered, waited for."""

from __future__ import annotations

import asyncio
import uuid

from chat.engine.events import REASONING, STATUS, TEXT
from chat.live import LiveTurn


def turn(interval: float) -> LiveTurn:
    return LiveTurn(uuid.uuid4(), uuid.uuid4(), uuid.uuid4(), uuid.uuid4(), interval=lambda: interval)


async def test_the_first_piece_goes_out_at_once() -> None:
    live = turn(10)
    live.add_text(TEXT, "a")
    assert live.log == [(TEXT, "a")]


async def test_later_pieces_wait_for_the_interval_and_come_as_one() -> None:
    live = turn(0.05)
    for piece in "abc":
        live.add_text(TEXT, piece)
    assert live.log == [(TEXT, "a")]
    await live.news(1)
    assert live.log == [(TEXT, "a"), (TEXT, "bc")]


async def test_kinds_are_not_mixed_and_order_is_kept() -> None:
    live = turn(10)
    live.add_text(REASONING, "think")
    live.add_text(REASONING, "ing")
    live.add_text(TEXT, "answer")
    live.add((STATUS, {"action": "x"}))
    live.close()
    assert live.log == [(REASONING, "think"), (REASONING, "ing"), (TEXT, "answer"), (STATUS, {"action": "x"})]


async def test_every_waiting_reader_wakes_and_the_end_wakes_all() -> None:
    live = turn(0)

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
        live.add_text(TEXT, piece)
        await asyncio.sleep(0)
    live.close()
    assert await asyncio.gather(*readers) == ["hello"] * 3
