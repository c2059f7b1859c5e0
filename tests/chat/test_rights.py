"""Rights that go while an answer is written: it ends, says why, and what had arrived is kept."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import OperationalError
from django.test import AsyncClient
from django.utils import timezone

from accounts import services as accounts
from accounts.models import User
from accounts.tokens import identify
from chat import services
from chat.dispatch import standing_of, start
from chat.models import Folder, Message
from inference.api import relay
from inference.catalogue import resolve_for
from owui.lib.aio import in_thread
from rbac import watch as watch_module
from rbac.grants import Grant
from rbac.services import add_members, remove_members, set_grants
from rbac.watch import Lost, next_ends, watch, while_allowed
from tests.chat.helpers import counted, plan_for, until
from tests.chat.test_runner import ended, launch
from tests.chat.test_sockets import attach, frame, opened
from tests.conftest import token_for
from tests.factories.knowledge import make_base, make_document
from tests.factories.rbac import make_group
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)
LONG = "[[n=3000 tps=100]]"


async def running(runner: Any, user: Any, **arguments: Any) -> Any:
    """An answer that is being written, started as a page starts it."""
    resolved = await resolve_for(user, "fake-small")
    names = {"model_id": resolved.model_id, "model_name": resolved.name}
    started = await start(user, resolved, services.start_turn, text=f"Mixer? {LONG}", **names, **arguments)
    live = runner.turns[started.turn.pk]
    await until(lambda: len(live.log) > 4)
    return live


def give(model: Any, *grants: Grant, by: Any) -> None:
    set_grants(model, grants, by=by)
    model.refresh_from_db()


def read(principal: Any, **more: Any) -> Grant:
    return Grant("group" if hasattr(principal, "parent_id") else "user", str(principal.pk), "read", **more)


@pytest.fixture
def granted(small: Any, people: Any) -> Any:
    """The model, readable by bob alone, and by carol's group."""
    group = make_group(members=[people.carol])
    give(small, read(people.bob), read(group), by=people.dana)
    return group


@pytest.mark.parametrize("change", ["grant", "denial", "pending", "switched off", "model off", "deleted"])
async def test_answer_ends_when_its_person_loses_the_right(
    process: Any, people: Any, small: Any, granted: Any, settings: Any, change: str
) -> None:
    settings.ENABLE_DENY_GRANTS = True
    bob, dana = people.bob, people.dana
    changes: dict[str, Callable[[], Any]] = {
        "grant": lambda: set_grants(small, [read(granted)], by=dana),
        "denial": lambda: set_grants(small, [read(bob), read(granted)], denials=[read(bob)], by=dana),
        "pending": lambda: accounts.update_user(bob, by=dana, role="pending"),
        "switched off": lambda: accounts.update_user(bob, by=dana, is_active=False),
        "model off": lambda: _switch_off(small),
        "deleted": lambda: accounts.delete_user(bob, by=dana),
    }
    live, other = await running(process, bob), await running(process, people.carol)
    await in_thread(changes[change])()
    await asyncio.wait_for(asyncio.shield(live.task), 5)
    if change != "deleted":
        message = await in_thread(Message.objects.get)(pk=live.message_id)
        assert message.state == "stopped" and message.error.startswith("The answer ends here")
        assert message.content and counted(3000).startswith(message.content)
    if change != "model off":
        assert not other.task.done(), "nobody else's answer ends"


def _switch_off(small: Any) -> None:
    from rbac.services import announce

    type(small).objects.filter(pk=small.pk).update(is_active=False)
    announce("model", str(small.pk))


async def test_answer_ends_when_its_person_leaves_the_group_that_may_use_the_model(
    process: Any, people: Any, granted: Any
) -> None:
    live = await running(process, people.carol)
    other = await in_thread(make_group)(members=[people.carol])
    await in_thread(remove_members)(other, [people.carol.pk], by=people.dana)
    await until(lambda: not watch._doubted)
    assert not live.work.done(), "a group that opens nothing here does not matter"
    await in_thread(remove_members)(granted, [people.carol.pk], by=people.dana)
    assert (await ended(live)).state == "stopped"


async def test_answer_ends_at_the_moment_at_which_its_grant_ends(
    process: Any, people: Any, small: Any, granted: Any
) -> None:
    """Nobody changes anything: no signal is sent."""
    give_until = timezone.now() + timedelta(seconds=1.2)
    await in_thread(give)(small, read(people.bob), read(granted, expires_at=give_until), by=people.dana)
    bobs, carols = await running(process, people.bob), await running(process, people.carol)
    assert timezone.now() < give_until
    message = await ended(carols)
    assert message.state == "stopped" and timezone.now() >= give_until
    assert not bobs.work.done()


@pytest.fixture
def base(people: Any, server: FakeModelServer, set_config: Callable[..., None]) -> Any:
    """A base of alice's that bob may read, with a document about mixers."""
    for key, value in {"engine": "openai", "model": "fake-embeddings"}.items():
        set_config(f"rag.embedding_{key}", value)
    set_config("rag.openai_api_base_url", server.openai_url)
    kb = make_base(people.alice)
    make_document(people.alice, "The mixer is cleaned daily.", bases=[kb])
    set_grants(kb, [read(people.bob)], by=people.dana)
    return kb


async def test_answer_ends_when_the_knowledge_it_was_made_from_is_shared_no_longer(
    process: Any, people: Any, granted: Any, base: Any
) -> None:
    with_knowledge = await running(process, people.bob, knowledge_ids=[str(base.pk)])
    assert with_knowledge.used == {("collection", str(base.pk))}
    without = await running(process, people.bob)
    await in_thread(set_grants)(base, [], by=people.dana)
    message = await ended(with_knowledge)
    assert message.state == "stopped" and "knowledge" in message.error
    assert not without.work.done()


async def test_answer_goes_on_while_the_database_is_away_and_ends_afterwards(
    process: Any, people: Any, small: Any, granted: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(watch_module, "RETRY_SECONDS", 0.02)
    live = await running(process, people.bob)
    real, away = watch_module._answers, [3]

    def answers(holds: Any) -> Any:
        if away[0]:
            away[0] -= 1
            raise OperationalError("away")
        return real(holds)

    monkeypatch.setattr(watch_module, "_answers", answers)
    await in_thread(set_grants)(small, [read(granted)], by=people.dana)
    assert (await ended(live)).state == "stopped" and away == [0]


async def test_a_question_that_breaks_keeps_no_other_from_being_asked(
    process: Any, people: Any, small: Any, granted: Any
) -> None:
    def broken() -> str:
        raise RuntimeError("a fault of ours")

    live = await running(process, people.bob)
    with watch.holding([people.bob.pk], broken, lambda reason: None):
        await in_thread(set_grants)(small, [read(granted)], by=people.dana)
        assert (await ended(live)).state == "stopped"


async def test_all_changes_that_come_together_are_one_round(
    process: Any, people: Any, small: Any, granted: Any
) -> None:
    live = await running(process, people.bob)
    await until(lambda: not watch._doubted)
    rounds = watch.rounds
    for _ in range(20):
        watch.doubt("model", None)
        await asyncio.sleep(0)
    watch.doubt("prompt", None)
    watch.doubt("group", [str(people.alice.pk)])
    await until(lambda: not watch._doubted)
    assert watch.rounds <= rounds + 1
    assert not live.work.done()


async def test_process_that_hears_nobody_asks_the_database_each_second(
    process: Any, people: Any, small: Any, granted: Any, monkeypatch: Any
) -> None:
    from chat import nodes as nodes_module

    live = await running(process, people.bob)
    # Another process's change whose news was lost: nothing but the row.
    monkeypatch.setattr("chat.notices.nodes.announce_sync", lambda message: None)
    await in_thread(set_grants)(small, [read(granted)], by=people.dana)
    await asyncio.sleep(0.3)
    assert not live.work.done()
    monkeypatch.setattr(nodes_module, "DEAF_AFTER", -1.0)
    assert (await ended(live)).state == "stopped"


async def test_reader_of_a_shared_folder_is_shown_no_more_when_the_grant_ends(
    process: Any, people: Any, server: FakeModelServer
) -> None:
    def shared() -> Any:
        folder = Folder.objects.create(owner=people.alice, name="Shared")
        ends = timezone.now() + timedelta(seconds=8)
        set_grants(folder, [read(people.bob, expires_at=ends)], by=people.dana)
        started = services.start_turn(
            by=people.alice, runner_id=process.id, text="hi", model_id="fake-small", model_name="Fake small"
        )
        type(started.chat).objects.filter(pk=started.chat.pk).update(folder=folder)
        return started, ends

    started, ends = await in_thread(shared)()
    async with opened(await in_thread(token_for)(people.bob)) as connection:
        live = launch(process, started, plan_for(server, "[[n=3000 tps=50]]"))
        await attach(connection, started.turn.pk)
        assert (await frame(connection))["ops"]
        async with asyncio.timeout(20):
            while not await connection.receive_nothing(0.3):
                await connection.receive_from(1)
        assert timezone.now() >= ends and not live.task.done()
        await connection.send_to(text_data='{"type":"ping"}')
        assert await frame(connection) == {"type": "pong"}


async def test_stream_ends_with_its_right_and_closes_its_source(process: Any, alice: Any) -> None:
    closed, lost = asyncio.Event(), [""]

    async def source() -> Any:
        try:
            yield 1
            yield 2
            await asyncio.sleep(60)  # a silent server
            yield 3
        finally:
            closed.set()

    seen = []
    with pytest.raises(Lost, match="gone"):
        async for item in while_allowed(source(), [alice.pk], lambda: lost[0], ()):
            seen.append(item)
            if item == 2:
                lost[0] = "gone"
                watch.doubt("user", [str(alice.pk)])
    assert seen == [1, 2]
    await asyncio.wait_for(closed.wait(), 1)


async def test_stream_passes_on_everything_and_every_fault(process: Any, alice: Any) -> None:
    async def source(fault: bool) -> Any:
        for number in range(50):
            yield number
        if fault:
            raise ValueError("broken")

    assert [n async for n in while_allowed(source(False), [alice.pk], lambda: "", ())] == list(range(50))
    with pytest.raises(ValueError, match="broken"):
        assert [n async for n in while_allowed(source(True), [alice.pk], lambda: "", ())]


def test_the_next_end_is_that_of_the_person_or_a_group_above(small: Any, people: Any) -> None:
    top = make_group()
    below = make_group(parent=top, members=[people.carol])
    now = timezone.now()
    ends = {people.bob: 100, top: 200, below: 300}
    give(small, *(read(p, expires_at=now + timedelta(seconds=s)) for p, s in ends.items()), by=people.dana)
    add_members(below, [people.alice.pk], by=people.dana)
    who = [people.bob.pk, people.carol.pk, people.alice.pk, people.mallory.pk]
    found = next_ends(who, ["model", "knowledge"])
    assert {pk: round(seconds, -1) for pk, seconds in found.items()} == {
        people.bob.pk: 100, people.carol.pk: 200, people.alice.pk: 200,
    }  # fmt: skip
    assert next_ends(who, ["folder"]) == {} == next_ends(who, [])


def test_what_an_answer_stands_on_costs_few_statements(
    small: Any, people: Any, granted: Any, django_assert_max_num_queries: Any
) -> None:
    from asgiref.sync import async_to_sync

    resolved = async_to_sync(resolve_for)(people.bob, "fake-small")
    standing = standing_of(User.objects.get(pk=people.bob.pk), resolved, [])
    assert standing.lost(()) == ""
    with django_assert_max_num_queries(2):
        assert standing.lost(()) == ""
    with django_assert_max_num_queries(1):
        assert next_ends([people.bob.pk, uuid.uuid4()], ["model", "knowledge"]) == {}


@pytest.mark.parametrize(("content_type", "end"), [("text/event-stream", "data: "), ("application/x-ndjson", "{")])
async def test_stream_of_the_proxies_ends_with_the_right_to_the_model(
    process: Any, people: Any, small: Any, granted: Any, content_type: str, end: str
) -> None:
    closed = asyncio.Event()

    class Answer:
        """An upstream answer that says one word and is silent then."""

        def __init__(self) -> None:
            self.status, self.content_type = 200, content_type

        async def aiter_bytes(self) -> Any:
            yield b"first"
            await asyncio.sleep(60)

        async def aclose(self) -> None:
            closed.set()

    token = await in_thread(token_for)(people.bob)
    identity = await in_thread(identify)({"authorization": f"Bearer {token}"}, {}, "/openai/chat/completions")
    assert identity is not None
    pieces: Any = relay._allowed(Answer(), relay.Right(identity, "fake-small"))  # type: ignore[arg-type]
    first = b""
    while not first:  # an empty one comes before, so that whoever leaves at once is noticed
        first = await anext(pieces)
    assert first == b"first"
    await in_thread(set_grants)(small, [read(granted)], by=people.dana)
    last = (await asyncio.wait_for(anext(pieces), 5)).decode()
    assert "Model not found" in last and last.strip().startswith(end)
    assert [piece async for piece in pieces] == [] and closed.is_set()


async def test_a_whole_answer_that_passes_through_ends_with_the_right_to_its_model(
    process: Any, people: Any, small: Any, granted: Any, server: FakeModelServer
) -> None:
    body = {"model": "fake-small", "messages": [{"role": "user", "content": LONG}]}
    asked = asyncio.create_task(
        AsyncClient().post(
            "/openai/chat/completions",
            data=body,
            content_type="application/json",
            headers={"authorization": f"Bearer {await in_thread(token_for)(people.bob)}"},
        )
    )
    await until(lambda: [r for r in server.requests if r.path.endswith("/chat/completions")])
    await in_thread(set_grants)(small, [read(granted)], by=people.dana)
    answer = await asyncio.wait_for(asked, 10)
    assert (answer.status_code, orjson.loads(answer.content)["detail"]) == (403, "Model not found")
