"""A page that attaches to the answer it began, in the process that writes it: from memory, and no one else is."""

from __future__ import annotations

from typing import Any

import pytest

from chat import dispatch, selectors
from chat.consumers import ChatConsumer
from chat.models import Message
from chat.views.messages import message_html
from owui.lib.aio import in_thread
from tests.chat.helpers import ask, plan_for
from tests.chat.test_rendering import Dom
from tests.chat.test_runner import launch
from tests.chat.test_sockets import attach, frame, opened
from tests.conftest import token_for
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)


async def run(process: Any, person: Any, server: FakeModelServer) -> Any:
    """An answer that is begun as the page begins it."""
    started = await in_thread(ask)(person, "hi", process.id)
    live = launch(process, started, plan_for(server, "[[n=40 tps=100]]"))
    live.own = dispatch._own(person, started)
    return started


async def test_ones_own_answer_is_shown_from_memory_and_ends_as_a_reload_shows_it(
    process: Any, people: Any, server: FakeModelServer, monkeypatch: Any
) -> None:
    asked: list[str] = []
    former = selectors.attachable_turn

    def attachable(user: Any, turn_id: Any) -> Any:
        asked.append(user.name)
        return former(user, turn_id)

    monkeypatch.setattr(selectors, "attachable_turn", attachable)
    # Rights that are doubted meanwhile, as on a machine too busy to hear the others, are asked for by other tests.
    monkeypatch.setattr(ChatConsumer, "_look", lambda self: {})
    started = await run(process, people.alice, server)
    async with opened(await in_thread(token_for)(people.alice)) as connection:
        await attach(connection, started.turn.pk)
        dom = Dom()
        while "data-turn" not in dom.attributes:
            dom.apply((await frame(connection))["ops"])
        assert asked == []
        message = await in_thread(Message.objects.select_related("chat").get)(pk=started.message.pk)
        html = await in_thread(message_html)(people.alice, message)
        assert dom.part(message.pk, "foot") in html and dom.part(message.pk, "blocks") in html
        assert message.content.count("t40") == 1
        await attach(connection, started.turn.pk)  # over: the database is asked
        assert (await frame(connection))["ops"] and asked == [people.alice.name]


async def test_somebody_else_is_shown_nothing_from_memory(process: Any, people: Any, server: FakeModelServer) -> None:
    started = await run(process, people.alice, server)
    async with opened(await in_thread(token_for)(people.mallory)) as connection:
        await attach(connection, started.turn.pk)
        assert (await frame(connection))["error"] == "missing"


async def test_an_answer_in_a_chat_of_somebody_else_is_no_ones_own(people: Any) -> None:
    started = await in_thread(ask)(people.alice)
    assert dispatch._own(people.bob, started) is None
    own = dispatch._own(people.alice, started)
    assert own is not None and own.is_own and own.user_id == people.alice.pk
