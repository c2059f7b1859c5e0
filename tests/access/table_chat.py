"""Who may read and change chats: the owner; administrators read while ENABLE_ADMIN_CHAT_ACCESS holds, never write."""

from __future__ import annotations

from typing import Any

from chat.models import Chat, Message
from tests.access.rows import WS, Row, World, task, thing
from tests.access.table_accounts import governance, page, verified


@thing("chat_id")
def _chat(world: World) -> Any:
    return Chat.objects.create(owner=world.owner, title="Signals").pk


@thing("message_id")
def _message(world: World) -> Any:
    chat = Chat.objects.get(pk=world.made["chat_id"])
    question = Message.objects.create(chat=chat, author="user", content="Question")
    answer = Message.objects.create(chat=chat, author="assistant", parent=question, content="Answer", model_id="none")
    Chat.objects.filter(pk=chat.pk).update(current=answer)
    return question.pk


@thing("number")
def _number(world: World) -> int:
    return 1


_NOT_MINE = {"outsider": 404, "reader": 404, "writer": 404}


def own_page(method: str, path: str, code: int = 200, *, admin: int = 404, **extra: Any) -> Row:
    """A page about one chat: for all but its owner it is not there."""
    return Row(method, path, out=302, pending=302, owner=code, admin=admin, **_NOT_MINE, **extra)


_CHAT, _MESSAGE = "/c/{chat_id}", "/c/{chat_id}/messages/{message_id}"
PAGES = [
    page("GET", "/"),
    page("GET", "/c/search"),
    page("GET", "/c/new", 302),
    page("POST", "/c/files", 400),
    # No model server runs here: nobody has a model, so a question goes nowhere.
    page("POST", "/c/new/messages", 404, data={"text": "x", "model": "none"}, live=True),
    own_page("GET", _CHAT, admin=200),
    own_page("POST", f"{_CHAT}/pin"),
    own_page("POST", f"{_CHAT}/rename", data={"title": "New"}),
    own_page("POST", f"{_CHAT}/delete", 302),
    page("POST", f"{_CHAT}/messages", 404, data={"text": "x", "model": "none"}, live=True),
    own_page("GET", _MESSAGE, admin=200, live=True),
    own_page("GET", f"{_MESSAGE}/edit", live=True),
    page("POST", f"{_MESSAGE}/edit", 404, data={"text": "x", "model": "none"}, live=True),
    page("POST", f"{_MESSAGE}/regenerate", 404, data={"model": "none"}, live=True),
    page("POST", f"{_MESSAGE}/continue", 404, data={"model": "none"}, live=True),
    own_page("POST", f"{_MESSAGE}/stop", 204, live=True),
    own_page("POST", f"{_MESSAGE}/select", live=True),
    page("GET", f"{_MESSAGE}/sources/{{number}}", 404),
]
_HIDDEN = {"out": 401, "pending": 401, "outsider": 401, "reader": 401, "writer": 401}
REST = [
    verified("GET", "/api/v1/chats/"),
    verified("GET", "/api/v1/chats/list"),
    Row("GET", "/api/v1/chats/{chat_id}", owner=200, **_HIDDEN),
    Row("DELETE", "/api/v1/chats/{chat_id}", out=401, pending=401, owner=200, admin=404, **_NOT_MINE),
    verified("GET", "/api/tasks/chat/{chat_id}"),
    Row("POST", "/api/tasks/chat/{chat_id}/stop", out=401, pending=401, owner=200, admin=404, **_NOT_MINE),
    *(
        Row(
            "POST",
            path,
            json={"model": "none", "messages": [{"role": "user", "content": "x"}]},
            out=401,
            pending=401,
            user=400,
            live=True,
        )
        for path in ("/api/chat/completions", "/api/v1/chat/completions", "/v1/chat/completions")
    ),
]
OTHERS = [
    Row(WS, "/ws/chat", why="verified people, by cookie from our own pages or by token; each chat is asked for again"),
    task("chat.mark_interrupted_turns", "beat; turns of processes that are gone"),
    task("chat.prune_turn_logs", "beat; old turn logs, no contents are read"),
]

ROWS = [*PAGES, *REST, *OTHERS, governance("/admin/chat/chat/"), governance("/admin/chat/turn/")]
