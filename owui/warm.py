"""What a process does before its first request, so that the first ones do not pay for it; and its housekeeping."""

from __future__ import annotations

import asyncio
import gc

from django.urls import get_resolver

#: seconds between two looks for garbage among what has lived long
TIDY_EVERY = 30.0


def prepare() -> None:
    """Reads all routes, which imports every view, and takes what is in memory by now out of the garbage collector's
    rounds: looking through half a million objects that stay stops everything for a quarter of a second, each time that
    a burst of requests makes it do so. Old garbage is looked for by `tidy`."""
    get_resolver().reverse_dict  # noqa: B018
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 1_000)


async def tidy() -> None:
    """Takes away what streams and tasks that are over leave in circles: some hundredths of a second each time. Left to
    itself, the collector looks for it so rarely that a busy process grows by gigabytes a day."""
    while True:
        await asyncio.sleep(TIDY_EVERY)
        gc.collect()
