"""What a process does before its first request, so that the first ones do not pay for it."""

from __future__ import annotations

import gc

from django.urls import get_resolver


def prepare() -> None:
    """Reads all routes, which imports every view, and takes what is in memory by now out of the garbage collector's
    rounds: looking through half a million objects that stay stops everything for a quarter of a second, each time that
    a burst of requests makes it do so. Streams make objects without end and few circles, so it need not look often."""
    get_resolver().reverse_dict  # noqa: B018
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
