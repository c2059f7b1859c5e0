"""Who may open a socket, what it answers, and that it never outlives a right."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from asgiref.testing import ApplicationCommunicator
from django.db import OperationalError

from accounts import services as accounts
from accounts.models import Session
from chat import consumers, selectors, turnlog
from chat.engine.events import Transcript
from owui.lib.aio import in_thread
from tests.chat.helpers import ask, end, plan_for, until
from tests.chat.test_rendering import Dom
from tests.chat.test_runner import launch
from tests.conftest import token_for
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)
ORIGIN = "http://testserver"


class WebsocketCommunicator(ApplicationCommunicator):
    """One socket to the application, without a server. (Channels' own asks for one more server to be installed.)"""

    async def connect(self) -> tuple[bool, int | None]:
        await self.send_input({"type": "websocket.connect"})
        message = await self.receive_output(3)
        return message["type"] == "websocket.accept", message.get("code")

    async def send_to(self, *, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        part = {"text": text_data} if bytes_data is None else {"bytes": bytes_data}
        await self.send_input({"type": "websocket.receive", **part})

    async def receive_from(self, seconds: float = 3) -> str:
        """The next frame; how chats stand in the list is looked at by a test of its own."""
        while True:
            message = await self.receive_output(seconds)
            assert message["type"] == "websocket.send", message
            said = orjson.loads(message["text"])
            if said.get("type") != "chat":
                return str(message["text"])
            said["ops"] = [op for op in said["ops"] if op[0] != "mark"]
            if said["ops"]:
                return orjson.dumps(said).decode()

    async def disconnect(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(3)


def socket(token: str = "", *, origin: str = ORIGIN, bearer: bool = False) -> WebsocketCommunicator:
    from owui.asgi import application

    headers = [(b"host", b"testserver")] + ([(b"origin", origin.encode())] if origin else [])
    if token:
        headers.append(
            (b"authorization", f"Bearer {token}".encode()) if bearer else (b"cookie", f"token={token}".encode())
        )
    scope = {"type": "websocket", "path": "/ws/chat", "headers": headers, "query_string": b"", "subprotocols": []}
    return WebsocketCommunicator(application, scope)


async def code_of(connection: WebsocketCommunicator) -> int:
    """The code a socket is closed with, at once or after it was accepted."""
    accepted, code = await connection.connect()
    if not accepted:
        return int(code or 0)
    return await closed(connection)


async def closed(connection: WebsocketCommunicator, seconds: float = 1) -> int:
    async with asyncio.timeout(seconds):
        while True:
            message = await connection.receive_output(seconds)
            if message["type"] == "websocket.close":
                return int(message["code"])


@asynccontextmanager
async def opened(token: str, **options: Any) -> AsyncIterator[WebsocketCommunicator]:
    connection = socket(token, **options)
    accepted, _protocol = await connection.connect()
    assert accepted
    yield connection
    await connection.disconnect()


async def attach(connection: WebsocketCommunicator, turn: Any, seq: int = 0) -> None:
    await connection.send_to(text_data=orjson.dumps({"type": "attach", "turn": str(turn), "seq": seq}).decode())


async def frame(connection: WebsocketCommunicator, seconds: float = 3) -> Any:
    return orjson.loads(await connection.receive_from(seconds))


async def test_strangers_pending_people_and_other_sites_are_refused(process: Any, people: Any) -> None:
    alice = await in_thread(token_for)(people.alice)
    pending = await in_thread(token_for)(people.pending)
    assert await code_of(socket()) == 4401
    assert await code_of(socket("nonsense")) == 4401
    assert await code_of(socket(pending)) == 4401
    assert await code_of(socket(alice, origin="https://evil.example")) == 4403
    assert await code_of(socket(alice, origin="null")) == 4403
    assert await code_of(socket(alice, origin="https://evil.example", bearer=True)) == 4403
    assert await code_of(socket(alice, origin="")) == 4401  # a cookie without an origin is no browser
    async with opened(alice, origin="", bearer=True):
        pass


async def test_answer_comes_whole_and_its_end_equals_a_reload(
    process: Any, alice: Any, server: FakeModelServer
) -> None:
    started = await in_thread(ask)(alice, "hi", process.id)
    token = await in_thread(token_for)(alice)
    async with opened(token) as connection:
        launch(process, started, plan_for(server, "[[n=40 tps=200]]"))
        await attach(connection, started.turn.pk)
        dom, seqs = Dom(), []
        while "data-turn" not in dom.attributes:
            found = await frame(connection)
            assert found["turn"] == str(started.turn.pk)
            seqs.append(found["seq"])
            dom.apply(found["ops"])
    assert seqs == sorted(set(seqs))
    assert dom.part(started.message.pk, "blocks").count("t17 ") == 1
    assert "t40" in dom.part(started.message.pk, "blocks")


async def test_the_list_is_told_when_an_answer_begins_and_ends(
    process: Any, people: Any, server: FakeModelServer
) -> None:
    """In the person's pages, whatever chat they show; nobody else hears of it."""
    started = await in_thread(ask)(people.alice, "hi", process.id)
    async with (
        opened(await in_thread(token_for)(people.alice)) as connection,
        opened(await in_thread(token_for)(people.bob)) as other,
    ):
        launch(process, started, plan_for(server, "[[n=40 tps=60]]"))
        for state, how in (("running", ""), ("ended", "done")):
            told = orjson.loads((await connection.receive_output(5))["text"])
            assert told == {"type": "chat", "ops": [["mark", "chat-list", str(started.chat.pk), state, how]]}
        assert await other.receive_nothing(0.2)


@pytest.mark.parametrize("who", ["mallory", "nobody"])
async def test_turn_of_somebody_else_gives_an_error_and_no_word(process: Any, people: Any, who: str) -> None:
    started = await in_thread(ask)(people.alice, "secret question")
    await in_thread(end)(started, "secret answer")
    turn = started.turn.pk if who == "mallory" else uuid.uuid4()
    async with opened(await in_thread(token_for)(people.mallory)) as connection:
        await attach(connection, turn)
        assert await frame(connection) == {"turn": str(turn), "seq": 0, "error": "missing", "ops": []}
        assert await connection.receive_nothing(0.1)


async def test_turn_that_is_over_is_shown_at_once_whatever_the_page_had(process: Any, alice: Any) -> None:
    started = await in_thread(ask)(alice)
    await in_thread(end)(started, "All of it.")
    async with opened(await in_thread(token_for)(alice)) as connection:
        for seq in (0, 7, 10**6):
            await attach(connection, started.turn.pk, seq)
            found = await frame(connection)
            assert found["seq"] > seq
            assert any("All of it." in str(op) for op in found["ops"])


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"type":1}', '{"type":"attach"}', '{"type":"attach","turn":5}', "null",
     '{"type":"attach","turn":"x"}', '{"seq":3}', "[" * 5000,
     '{"type":"attach","turn":"00000000-0000-0000-0000-000000000000","seq":[1]}',
     '{"type":"attach","turn":"00000000-0000-0000-0000-000000000000","seq":1e999}'],
)  # fmt: skip
async def test_malformed_frames_are_answered_and_harmless(process: Any, alice: Any, text: str) -> None:
    async with opened(await in_thread(token_for)(alice)) as connection:
        await connection.send_to(text_data=text)
        found = await connection.receive_output(2) if text != '{"type":1}' else {"text": ""}
        if found["text"]:
            assert orjson.loads(found["text"])["type"] == "error"
        await connection.send_to(bytes_data=b"\x00\xff")
        assert (await frame(connection))["type"] == "error"
        await connection.send_to(text_data='{"type":"ping"}')
        assert await frame(connection) == {"type": "pong"}


@pytest.mark.parametrize("change", ["revoked", "signed out", "pending", "switched off", "deleted"])
async def test_socket_closes_within_a_second_of_the_right(process: Any, people: Any, change: str) -> None:
    alice, dana = people.alice, people.dana
    token = await in_thread(token_for)(alice)
    session = await in_thread(Session.objects.get)(user=alice)
    changes: dict[str, Callable[[], Any]] = {
        "revoked": lambda: accounts.revoke_sessions(alice, by=dana),
        "signed out": lambda: accounts.sign_out(alice, session),
        "pending": lambda: accounts.update_user(alice, by=dana, role="pending"),
        "switched off": lambda: accounts.update_user(alice, by=dana, is_active=False),
        "deleted": lambda: accounts.delete_user(alice, by=dana),
    }
    bobs = await in_thread(token_for)(people.bob)
    async with opened(token) as connection, opened(bobs) as other:
        await in_thread(changes[change])()
        assert await closed(connection, 1) == 4401
        await other.send_to(text_data='{"type":"ping"}')
        assert await frame(other) == {"type": "pong"}


async def test_right_is_asked_again_when_the_database_was_away(process: Any, people: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(consumers, "RETRY_SECONDS", 0.05)
    real, away = consumers.still_valid, [3]

    def check(identity: Any) -> Any:
        if away[0]:
            away[0] -= 1
            raise OperationalError("away")
        return real(identity)

    monkeypatch.setattr(consumers, "still_valid", check)
    async with opened(await in_thread(token_for)(people.alice)) as connection:
        await in_thread(accounts.revoke_sessions)(people.alice, by=people.dana)
        assert await closed(connection, 2) == 4401


async def test_reader_is_taken_up_again_when_the_database_was_away(
    process: Any, alice: Any, server: FakeModelServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr(consumers, "RETRY_SECONDS", 0.05)
    real, away = selectors.attachable_turn, [2]

    def look(user: Any, turn_id: Any) -> Any:
        if away[0]:
            away[0] -= 1
            raise OperationalError("away")
        return real(user, turn_id)

    monkeypatch.setattr(selectors, "attachable_turn", look)
    started = await in_thread(ask)(alice)
    await in_thread(end)(started, "All of it.")
    async with opened(await in_thread(token_for)(alice)) as connection:
        await attach(connection, started.turn.pk)
        assert any("All of it." in str(op) for op in (await frame(connection))["ops"])


async def test_administrator_may_read_along_while_that_is_allowed(
    process: Any, people: Any, settings: Any, server: FakeModelServer
) -> None:
    started = await in_thread(ask)(people.alice, "hi", process.id)
    async with opened(await in_thread(token_for)(people.dana)) as connection:
        launch(process, started, plan_for(server, "[[n=3000 tps=50]]"))
        await attach(connection, started.turn.pk)
        assert (await frame(connection))["ops"]
        settings.ENABLE_ADMIN_CHAT_ACCESS = False
        from chat.nodes import nodes

        await nodes.announce({"kind": "access.changed", "user_ids": None})
        async with asyncio.timeout(1):
            while not await connection.receive_nothing(0.25):
                await connection.receive_from(1)


async def test_reader_waits_for_the_end_of_a_turn_that_could_not_save_its_own(
    process: Any, alice: Any, server: FakeModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the sweep has ended it the page goes on showing that it is written; then it shows what a reload does."""
    monkeypatch.setattr(consumers, "RETRY_SECONDS", 0.1)
    really = turnlog.finish

    def broken(*_arguments: Any, **_more: Any) -> bool:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(turnlog, "finish", broken)
    started = await in_thread(ask)(alice, "hi", process.id)
    token = await in_thread(token_for)(alice)
    async with opened(token) as connection:
        launch(process, started, plan_for(server, "[[n=5 tps=200]]"))
        await attach(connection, started.turn.pk)
        await until(lambda: not process.turns)
        await asyncio.sleep(0.3)
        await in_thread(really)(started.turn.pk, state="interrupted", error="", added=Transcript())
        dom = Dom()
        while "data-turn" not in dom.attributes:
            dom.apply((await frame(connection))["ops"])
    assert "interrupted" in dom.part(started.message.pk, "error")
