"""Who gets through the door of the sockets: the same people as for pages, and only from our own pages."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator

from owui.sockets import FOREIGN_ORIGIN, UNAUTHORISED
from tests.access import routes
from tests.conftest import token_for
from tests.factories.accounts import UserFactory

HOST = (b"host", b"testserver")
OURS = (b"origin", b"http://testserver")


async def knock(path: str, *headers: tuple[bytes, bytes]) -> int:
    """0 when the socket is let in and stays open, else the code it was closed with."""
    from owui.asgi import application

    # Not channels' own communicator: its package wants daphne.
    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": [HOST, *headers], "subprotocols": []}
    socket = ApplicationCommunicator(application, scope)
    await socket.send_input({"type": "websocket.connect"})
    message: dict[str, Any] = await socket.receive_output(5)
    if message["type"] == "websocket.accept" and not await socket.receive_nothing(0.05):
        message = await socket.receive_output(1)
    if message["type"] == "websocket.close":
        await socket.wait(5)
        return int(message.get("code", 1000))
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(5)
    return 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", sorted(routes.sockets()))
async def test_the_door_of_every_socket(path: str) -> None:
    people = {role: await sync_to_async(UserFactory)(role=role) for role in ("user", "admin", "pending")}
    tokens = {role: (await sync_to_async(token_for)(user)).encode() for role, user in people.items()}
    cookie = {role: (b"cookie", b"token=" + token) for role, token in tokens.items()}
    for role in ("user", "admin"):
        assert await knock(path, cookie[role], OURS) == 0, role
        assert await knock(path, (b"authorization", b"Bearer " + tokens[role])) == 0, role
        other = b'prefs={"a": [1, 2]}; ' + cookie[role][1]
        assert await knock(path, (b"cookie", other), OURS) == 0, (
            "a cookie of somebody else on this host does not matter"
        )
    assert await knock(path, OURS) == UNAUTHORISED
    assert await knock(path, cookie["pending"], OURS) == UNAUTHORISED
    assert await knock(path, (b"cookie", b"token=nonsense"), OURS) == UNAUTHORISED
    assert await knock(path, cookie["user"]) == UNAUTHORISED, "a cookie without an origin is not a page of ours"
    assert await knock(path, cookie["user"], (b"origin", b"https://evil.example")) == FOREIGN_ORIGIN
