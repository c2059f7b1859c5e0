"""Whether this process was asked to end: then no load balancer shall send anybody to it any more."""

from __future__ import annotations

_asked = False


def begin() -> None:
    global _asked
    _asked = True


def is_asked() -> bool:
    return _asked
