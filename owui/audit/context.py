"""What is known of the request being served, for code far from it: audit events, log lines."""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """One request: its id (also sent as X-Request-Id), the client's address and program."""

    id: str
    ip: str
    user_agent: str


_current: ContextVar[RequestInfo | None] = ContextVar("owui_request", default=None)


def current_request() -> RequestInfo | None:
    """The request being served, None in commands and workers."""
    return _current.get()


def enter(info: RequestInfo) -> Token[RequestInfo | None]:
    """Makes a request the current one. Sockets call it once a connection; `leave` undoes it."""
    return _current.set(info)


def leave(token: Token[RequestInfo | None]) -> None:
    _current.reset(token)
