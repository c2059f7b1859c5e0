"""What tests of chats share: questions, plans, and waiting for what happens beside a test."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from chat import services
from chat.engine.events import Logged
from chat.engine.turn import TurnPlan
from chat.services import Started
from inference.providers.base import ConnectionInfo
from tests.fakes.model_server import FakeModelServer

MODEL = {"model_id": "fake-small", "model_name": "Fake small"}


def ask(user: Any, text: str = "What is it?", runner_id: uuid.UUID | None = None, **more: Any) -> Started:
    """A committed question with its waiting answer."""
    return services.start_turn(by=user, runner_id=runner_id or uuid.uuid4(), text=text, **MODEL, **more)


def end(started: Started, text: str = "It is so.", state: str = "done") -> None:
    """Ends a turn as the runner does."""
    from chat import turnlog
    from chat.engine.events import TEXT, Transcript

    turnlog.finish(started.turn.pk, state=state, error="", added=Transcript().add([(TEXT, text)]))


def plan_for(server: FakeModelServer | str, text: str, **more: Any) -> TurnPlan:
    url = server if isinstance(server, str) else server.openai_url
    history = [{"role": "user", "content": text}]
    return TurnPlan(ConnectionInfo("openai", url), "fake-small", history, **more)


def counted(number: int, letter: str = "t") -> str:
    return "".join(f"{letter}{i} " for i in range(1, number + 1))


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.01)


def text_in(events: Sequence[Logged]) -> str:
    return "".join(value for kind, value in events if kind == "t")
