"""Ports for servers that tests start themselves."""

from __future__ import annotations

import os
import random
import socket

#: below what systems hand out for outgoing connections (Linux from 32768, others from 49152), so that no client of
#: another test takes the port between its choice and its use
_FIRST, _LAST = 15_000, 32_000
_random = random.Random(os.getpid())  # noqa: S311  workers of one run begin at different places


def free_ports(count: int = 1) -> int:
    """A port with `count - 1` free ones after it."""
    while True:
        first = _random.randrange(_FIRST, _LAST - count)
        try:
            for number in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return first
