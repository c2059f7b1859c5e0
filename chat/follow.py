"""Reading a turn from any position, in any process.

In the process that writes it: from memory. Elsewhere: from what that process sends (`chat.wire`), and where it sends
nothing from the saved log. What the broker loses (a restart, a reader that came late) is seen as a gap in the numbers.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing

from chat import turnlog
from chat.engine.events import FINISH, Numbered
from chat.models import State
from chat.runner import runner
from owui.lib.aio import in_thread

#: seconds of silence after which the log is looked at; less where the writing process was just asked
POLL, ANSWER_WITHIN = 1.0, 0.25


async def follow(
    turn_id: uuid.UUID, after: int = 0, *, writer: uuid.UUID | None = None
) -> AsyncGenerator[list[Numbered], None]:
    """Yields batches of numbered events behind a position, each exactly once and in order, until the turn is over.

    A slow reader gets everything new in one larger batch; nothing is buffered for it.

    :param writer: the process that writes the turn; without it the log is read where the turn is not written here
    """
    live = runner.turns.get(turn_id)
    if live is None:
        async with aclosing(_remote(turn_id, after, writer)) as batches:
            async for batch in batches:
                yield batch
        return
    while True:
        await live.news(after)
        events = live.after(after)
        if not events:
            return
        yield list(enumerate(events, start=after + 1))
        after += len(events)


async def _remote(turn_id: uuid.UUID, after: int, writer: uuid.UUID | None) -> AsyncGenerator[list[Numbered], None]:
    wire = runner.wire
    inbox, is_first = wire.open(turn_id), True
    try:
        while True:
            wait = 0.0 if is_first else POLL
            if writer is not None and not inbox.is_served and await wire.ask(inbox, writer, after):
                wait = ANSWER_WITHIN if is_first else POLL
            is_first = False
            # While the news fit on seamlessly the database is not asked at all.
            while (batch := await inbox.next(after, wait)) is not None:
                after, wait = batch[-1][0], POLL
                yield batch
                if batch[-1][1][0] == FINISH:
                    writer = None
                    return
            saved, state = await in_thread(turnlog.read)(turn_id, after)
            if saved:
                after = saved[-1][0]
                yield saved
                if saved[-1][1][0] == FINISH:
                    return
            if state != State.RUNNING:
                # Somebody else ended it: what is in the message is not all in the log.
                yield [(after + 1, (FINISH, {"state": state, "error": "", "elsewhere": True}))]
                return
    finally:
        wire.close(inbox, writer)
