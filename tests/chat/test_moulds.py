"""Messages put together from moulds look as the templates render them."""

from __future__ import annotations

import itertools
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.utils import timezone, translation

from chat import moulds, rendering
from chat.engine.events import Transcript
from chat.models import Message
from chat.moulds import rendered

HOSTILE = "<script>alert(1)</script> & {{ can }} created_at-"
CAN = {"edit": True, "rate": True, "regenerate": True, "continue": True, "branch": True, "store": True}
TEMPLATES = ("chat/_message.html", "chat/_message_actions.html")


def question(text: str = "Why?") -> dict[str, Any]:
    return rendering.message_view(Message(chat_id=uuid.uuid4(), author="user", content=text, created_at=timezone.now()))


def answer(text: str = "Because.", *, running: bool = False, **more: Any) -> dict[str, Any]:
    more = {"author": "assistant", "model_name": "Fine & small", "state": "done", "created_at": timezone.now()} | more
    message = Message(chat_id=uuid.uuid4(), parent_id=uuid.uuid4(), content=text, **more)
    if running:
        return rendering.message_view(message, turn_id=uuid.uuid4(), running=(Transcript(), 0))
    return rendering.message_view(message)


def as_rendered(template: str, view: dict[str, Any], can: dict[str, bool]) -> None:
    assert rendered(template, view, can) == render_to_string(template, {"message": view, "can": can})


VIEWS = [
    lambda: question(),
    lambda: question(HOSTILE),
    lambda: answer(),
    lambda: answer(HOSTILE, model_name=HOSTILE),
    lambda: answer(model_name=""),
    lambda: answer("", running=True, state="running"),
    lambda: answer(state="stopped"),
    lambda: answer(state="failed", error="The model server is away. Try again."),
    lambda: answer(reasoning="First, *this*."),
    lambda: answer(usage={"completion_tokens": 1200, "tokens_per_second": 31.5, "reasoning_ms": 900}),
    lambda: answer(meta={"annotation": {"rating": -1}, "follow_ups": ["And then?"]}),
    lambda: answer(meta={"modelIdx": 0}),
    lambda: answer(meta={"edited_at": "2026-01-01"}),
    lambda: answer(created_at=timezone.now() - timedelta(days=3)),
    lambda: answer() | {"sibling_count": 2, "sibling_index": 2, "previous_id": uuid.uuid4()},
]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("language", ["en", "de", "ja"])
def test_each_kind_of_message_in_each_language(language: str, template: str) -> None:
    with translation.override(language):
        for view, right in itertools.product(VIEWS, [*CAN, None]):
            for _twice in range(2):  # made, and filled again with another's values
                as_rendered(template, view(), CAN if right is None else CAN | {right: False})


def test_a_mould_is_used_for_all_messages_of_a_kind() -> None:
    before = len(moulds._moulds)
    for number in range(20):
        rendered("chat/_message.html", answer(f"Text {number}", model_name=f"Model {number}"), CAN | {"other": True})
    assert len(moulds._moulds) == before + 1


def test_what_is_filled_in_is_not_looked_at_again() -> None:
    mark = f"model_name-{moulds._SECRET}-"
    assert mark in rendered("chat/_message.html", answer(f"`{mark}`", model_name="Secret model"), CAN)


def test_messages_with_much_of_their_own_fill_no_memory() -> None:
    before = len(moulds._moulds)
    for number in range(5):
        rendered("chat/_message.html", answer(state="failed", error=f"Fault {number}"), CAN)
    assert len(moulds._moulds) == before
