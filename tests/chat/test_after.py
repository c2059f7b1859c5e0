"""Titles, tags and questions that follow an answer of the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chat.after import afterwards
from chat.models import Chat, Message
from owui.lib.aio import in_thread
from tests.chat.helpers import ask, end
from tests.chat.test_cost import answered, statements
from tests.chat.test_sockets import socket
from tests.chat.test_views import browser
from tests.conftest import token_for
from tests.fakes.model_server import FakeModelServer

__all__ = ["statements"]
pytestmark = pytest.mark.django_db(transaction=True)
SAID = '{"title": "Clean mixers", "tags": ["Science", "none", "Cleaning"], "follow_ups": ["With what?", "How often?"]}'
QUESTION = f"How is a mixer cleaned? [[text={SAID}]]"


@pytest.fixture
async def after(process: Any) -> AsyncIterator[Any]:
    afterwards.start()
    yield afterwards
    await afterwards.stop()


async def done() -> None:
    async with asyncio.timeout(20):
        while afterwards._tasks:
            await asyncio.sleep(0.02)


async def said(alice: Any, text: str = QUESTION, path: str = "/c/new/messages") -> Message:
    """The answer, when all that follows it is done."""
    page = browser(await in_thread(token_for)(alice))
    assert (await page.post(path, {"text": text, "model": "fake-small"})).status_code == 200
    from chat.runner import runner

    async with asyncio.timeout(20):
        while runner.turns:
            await asyncio.sleep(0.02)
    await done()
    chat = await in_thread(Chat.objects.latest)("updated_at")
    found: Message = await in_thread(Message.objects.select_related("chat").get)(pk=chat.current_id)
    return found


async def test_a_new_chat_gets_title_tags_and_questions(
    after: Any, alice: Any, small: Any, server: FakeModelServer
) -> None:
    wire = socket(await in_thread(token_for)(alice))
    await wire.connect()
    answer = await said(alice)
    assert answer.chat.title == "Clean mixers"
    assert answer.chat.meta["tags"] == ["science", "cleaning"]
    assert answer.meta["follow_ups"] == ["With what?", "How often?"]
    assert len([r for r in server.requests if r.method == "POST"]) == 4
    told = ""
    while "Clean mixers" not in told or f"message-{answer.pk}-follow-ups" not in told:
        told += await wire.receive_from(5)
    assert '"title"' in told and "With what?" in told
    await wire.disconnect()
    # Later answers are followed by questions alone.
    server.requests.clear()
    await said(alice, path=f"/c/{answer.chat_id}/messages")
    assert len([r for r in server.requests if r.method == "POST"]) == 2


async def test_a_title_that_somebody_chose_stays(after: Any, alice: Any, small: Any) -> None:
    page = browser(await in_thread(token_for)(alice))
    slow = f"[[ttft=400 text={SAID}]]"
    await page.post("/c/new/messages", {"text": slow, "model": "fake-small"})
    chat = await in_thread(Chat.objects.get)()
    await page.post(f"/c/{chat.pk}/rename", {"title": "Mine"})
    from chat.runner import runner

    async with asyncio.timeout(20):
        while runner.turns:
            await asyncio.sleep(0.02)
    await done()
    assert (await in_thread(Chat.objects.get)()).title == "Mine"


async def test_a_title_that_somebody_agreed_with_stays(after: Any, alice: Any, small: Any) -> None:
    """It reads like the automatic one, and is chosen all the same."""
    page = browser(await in_thread(token_for)(alice))
    await page.post("/c/new/messages", {"text": f"[[ttft=400 text={SAID}]]", "model": "fake-small"})
    chat = await in_thread(Chat.objects.get)()
    await page.post(f"/c/{chat.pk}/rename", {"title": chat.title})
    from chat.runner import runner

    async with asyncio.timeout(20):
        while runner.turns:
            await asyncio.sleep(0.02)
    await done()
    assert (await in_thread(Chat.objects.get)()).title == chat.title


@pytest.mark.parametrize(
    ("settings_of_alice", "config", "requests"),
    [
        ({"title": {"auto": False}}, {}, 3),
        ({"autoTags": False, "autoFollowUps": False}, {}, 2),
        ({}, {"task.title": False, "task.tags": False}, 2),
        ({}, {"task.title": False, "task.tags": False, "task.follow_up": False}, 1),
        ("nonsense", {}, 4),
    ],
)
async def test_what_is_switched_off_asks_nobody(
    after: Any,
    alice: Any,
    small: Any,
    server: FakeModelServer,
    set_config: Any,
    settings_of_alice: Any,
    config: Any,
    requests: int,
) -> None:
    alice.settings = {"ui": settings_of_alice}
    await in_thread(alice.save)()
    for name, value in config.items():
        await in_thread(set_config)(name, value)
    server.requests.clear()
    await said(alice)
    assert len([r for r in server.requests if r.method == "POST"]) == requests


async def test_the_houses_switches_count_for_who_chose_nothing(
    after: Any, alice: Any, small: Any, server: FakeModelServer, set_config: Any
) -> None:
    await in_thread(set_config)("ui.default_interface_settings", {"autoTags": False, "autoFollowUps": False})
    alice.settings = {"ui": {"autoTags": True}}
    await in_thread(alice.save)()
    server.requests.clear()
    answer = await said(alice)
    assert len([r for r in server.requests if r.method == "POST"]) == 3
    assert answer.chat.meta["tags"] and "follow_ups" not in answer.meta


async def test_a_job_that_fails_is_silent(after: Any, alice: Any, small: Any, set_config: Any) -> None:
    for name in ("title", "follow_up", "tags"):
        await in_thread(set_config)(f"task.{name}_template", "[[err=503]]")
    answer = await said(alice)
    assert answer.state == "done" and "mixer" in answer.chat.title and "follow_ups" not in answer.meta


async def test_an_answer_that_was_stopped_or_failed_is_followed_by_nothing(
    after: Any, alice: Any, small: Any, server: FakeModelServer
) -> None:
    answer = await said(alice, "Hello [[err=500]]")
    assert answer.state == "failed"
    assert len([r for r in server.requests if r.method == "POST"]) == 1


async def test_what_follows_costs_the_answer_no_statement(
    after: Any, alice: Any, small: Any, statements: list[str], set_config: Any
) -> None:
    token = await in_thread(token_for)(alice)
    page, wire = browser(token), socket(token)
    await wire.connect()
    await answered(page, wire, "/c/new/messages")
    await done()
    statements.clear()
    await answered(page, wire, "/c/new/messages")
    assert len(statements) <= 15, "\n".join(statements)
    await done()
    for name in ("title", "tags", "follow_up"):
        await in_thread(set_config)(f"task.{name}", False)
    await answered(page, wire, "/c/new/messages")
    await done()
    statements.clear()
    await answered(page, wire, "/c/new/messages")
    await done()
    assert len(statements) <= 15, "switched off, nothing is read after an answer either"
    await wire.disconnect()


@pytest.mark.django_db
def test_questions_are_shown_as_text(alice: Any, client_for: Any) -> None:
    started = ask(alice)
    end(started)
    Message.objects.filter(pk=started.message.pk).update(meta={"follow_ups": ["<img src=x>?"]})
    html = client_for(alice).get(f"/c/{started.chat.pk}").content.decode()
    assert "&lt;img src=x&gt;?" in html and "<img src=x" not in html
