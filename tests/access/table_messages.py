"""What is done with single messages: their owner's alone; ratings are whose who gave them, and administrators'."""

from __future__ import annotations

from typing import Any

from chat.models import Chat, Feedback, Message
from tests.access.rows import Row, World, thing
from tests.access.table_accounts import admins, governance, verified
from tests.access.table_chat import own_page


@thing("answer_id")
def _answer(world: World) -> Any:
    chat = Chat.objects.get(pk=world.made["chat_id"])
    return Message.objects.create(chat=chat, author="assistant", content="Answer", model_id="none").pk


@thing("coded_id")
def _coded(world: World) -> Any:
    chat = Chat.objects.get(pk=world.made["chat_id"])
    return Message.objects.create(chat=chat, author="assistant", content="```python\na = 1\n```", model_id="none").pk


@thing("feedback_id")
def _feedback(world: World) -> Any:
    return Feedback.objects.create(user=world.owner, data={"rating": 1}).pk


_MESSAGE = "/c/{chat_id}/messages/{message_id}"
_CODE = {"fill": {"message_id": "coded_id"}}
_FILL = {"fill": {"message_id": "answer_id"}}
_E = "/api/v1/evaluations"
_OTHERS = {"out": 401, "pending": 401, "outsider": 404, "reader": 404, "writer": 404, "owner": 200}
ROWS = [
    own_page("GET", f"{_MESSAGE}/menu", admin=200),
    own_page("GET", f"{_MESSAGE}/text", admin=200),
    own_page("GET", f"{_MESSAGE}/earlier", admin=200),
    own_page("POST", f"{_MESSAGE}/save", data={"text": "New"}),
    own_page("POST", f"{_MESSAGE}/code", data={"number": "0", "former": "a = 1", "code": "a = 2"}, **_CODE),
    own_page("POST", f"{_MESSAGE}/copy", data={"text": "New"}, **_FILL),
    own_page("GET", f"{_MESSAGE}/delete"),
    own_page("POST", f"{_MESSAGE}/delete"),
    # Administrators may read chats, so they may have a copy of their own.
    own_page("POST", f"{_MESSAGE}/fork", 302, admin=302),
    own_page("GET", f"{_MESSAGE}/rate", **_FILL),
    own_page("POST", f"{_MESSAGE}/rate", data={"rating": "1"}, **_FILL),
    own_page("POST", f"{_MESSAGE}/unrate", **_FILL),
    Row("POST", "/api/v1/chats/{chat_id}/messages/{message_id}", json={"content": "New"}, admin=404, **_OTHERS),
    Row("DELETE", "/api/v1/chats/{chat_id}/messages/{message_id}", admin=404, **_OTHERS),
    Row(
        "POST",
        "/api/v1/chats/{chat_id}/messages/{message_id}/event",
        json={"type": "status", "data": {"description": "Reading"}},
        admin=404,
        **_OTHERS,
    ),
    Row(
        "POST",
        "/api/v1/chats/{chat_id}/compact",
        json={},
        live=True,
        why="too short to be summarised",
        **(_OTHERS | {"owner": 400, "admin": 404}),
    ),
    verified("POST", f"{_E}/feedback", json={"data": {"rating": 1}}),
    Row("GET", f"{_E}/feedback/{{feedback_id}}", **_OTHERS),
    Row("POST", f"{_E}/feedback/{{feedback_id}}", admin=404, json={"data": {"rating": 1}}, **_OTHERS),
    Row("DELETE", f"{_E}/feedback/{{feedback_id}}", **_OTHERS),
    verified("GET", f"{_E}/feedbacks/user"),
    verified("DELETE", f"{_E}/feedbacks"),
    admins("GET", f"{_E}/feedbacks/list"),
    admins("GET", f"{_E}/feedbacks/all/export"),
    admins("GET", f"{_E}/feedbacks/all/ids"),
    admins("GET", f"{_E}/feedbacks/models"),
    admins("DELETE", f"{_E}/feedbacks/all"),
    governance("/admin/chat/messageversion/"),
]
