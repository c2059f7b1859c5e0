"""News of pages are one message a moment, whoever they are for, and reach the sockets of every process."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from chat import news
from chat.nodes import Nodes
from tests.chat.helpers import until

ALICE, BOB = (str(uuid.UUID(int=number)) for number in (1, 2))
RUNNING, ENDED = (["mark", "chat-list", "chat", state, ""] for state in ("running", "ended"))
TITLE = ["title", "chat-list", "Signals", "chat"]


class Socket:
    def __init__(self, person: str) -> None:
        self.user_id, self.heard = uuid.UUID(person), list[Any]()

    async def hear(self, message: dict[str, Any]) -> None:
        self.heard.append(message["ops"])


def test_how_a_chat_stands_is_told_once() -> None:
    gathered = news.Gathered()
    gathered.add([ALICE], [RUNNING])
    gathered.add([ALICE, BOB], [TITLE])
    gathered.add([ALICE], [ENDED])
    assert gathered
    assert gathered.take() == {ALICE: [TITLE, ENDED], BOB: [TITLE]}
    assert not gathered and gathered.take() == {}


async def test_each_process_hears_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    published = []

    async def noted(group: str, message: dict[str, Any]) -> bool:
        published.append(message)
        return await publish(group, message)

    from chat import nodes as module

    publish = module.publish
    monkeypatch.setattr(module, "publish", noted)
    here, there = Nodes(), Nodes()
    await here.start()
    await there.start()
    alice, far, bob = Socket(ALICE), Socket(ALICE), Socket(BOB)
    here.join(alice)
    here.join(bob)
    there.join(far)
    try:
        await until(lambda: here._heard_at > 0 and there._heard_at > 0)
        for ops in ([RUNNING], [TITLE], [ENDED]):
            await here.announce({"kind": news.KIND, "user_ids": [ALICE], "ops": ops})
        here.announce_sync({"kind": news.KIND, "user_ids": [BOB], "ops": [TITLE]})
        await until(lambda: bool(alice.heard and far.heard and bob.heard))
    finally:
        await here.stop()
        await there.stop()
    assert alice.heard == far.heard == [[TITLE, ENDED]]
    assert bob.heard == [[TITLE]]
    assert len([message for message in published if message["kind"] == news.GATHERED]) == 1
