"""Who may read and change chats: the owner; administrators read while ENABLE_ADMIN_CHAT_ACCESS holds, never write."""

from __future__ import annotations

from typing import Any

from chat.models import Chat, Message, Prompt, PromptVersion, Turn
from tests.access.rows import WS, Row, World, task, thing
from tests.access.table_accounts import admins, governance, page, verified
from tests.factories.rbac import make_shared


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


@thing("artifact_id")
def _artifact(world: World) -> Any:
    chat = Chat.objects.get(pk=world.made["chat_id"])
    return Message.objects.create(chat=chat, author="assistant", content="```html\n<p>x</p>\n```", model_id="none").pk


@thing("task_id")
def _turn(world: World) -> Any:
    chat = Chat.objects.create(owner=world.owner, title="Signals")
    answer = Message.objects.create(chat=chat, author="assistant", state="running")
    return Turn.objects.create(chat=chat, message=answer, user=world.owner).pk


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
    # An endless answer: tests/chat/test_event_stream.py reads it.
    page("GET", "/c/stream", live=True),
    page("GET", "/c/new", 302),
    page("POST", "/c/files", 400),
    # No model server runs here: nobody has a model, so a question goes nowhere.
    page("POST", "/c/new/messages", 404, data={"text": "x", "model": "none"}, live=True),
    own_page("GET", _CHAT, admin=200),
    own_page("POST", f"{_CHAT}/pin"),
    own_page("POST", f"{_CHAT}/rename", data={"title": "New"}),
    own_page("POST", f"{_CHAT}/delete", 302),
    page("POST", f"{_CHAT}/messages", 404, data={"text": "x", "model": "none"}, live=True),
    own_page("GET", f"{_CHAT}/messages", admin=200, live=True),
    own_page("GET", _MESSAGE, admin=200, live=True),
    own_page("GET", f"{_MESSAGE}/edit", live=True),
    page("POST", f"{_MESSAGE}/edit", 404, data={"text": "x", "model": "none"}, live=True),
    page("POST", f"{_MESSAGE}/regenerate", 404, data={"model": "none"}, live=True),
    page("POST", f"{_MESSAGE}/continue", 404, data={"model": "none"}, live=True),
    own_page("POST", f"{_MESSAGE}/stop", 204, live=True),
    own_page("POST", f"{_MESSAGE}/select", live=True),
    page("GET", f"{_MESSAGE}/sources/{{number}}", 404),
    own_page("GET", f"{_MESSAGE}/artifact", admin=200, fill={"message_id": "artifact_id"}),
    own_page("GET", f"{_MESSAGE}/artifact/page", admin=200, fill={"message_id": "artifact_id"}),
    page("GET", "/c/python"),
    # An empty room for shared chats too: it draws what the page around it says.
    Row("GET", "/c/diagrams", out=200, pending=200, user=200),
]
_HIDDEN = {"out": 401, "pending": 401, "outsider": 401, "reader": 401, "writer": 401}
REST = [
    verified("GET", "/api/v1/chats/"),
    verified("GET", "/api/v1/chats/list"),
    verified("POST", "/api/v1/chats/new", json={"chat": {}}),
    Row("GET", "/api/v1/chats/{chat_id}", owner=200, **_HIDDEN),
    Row("POST", "/api/v1/chats/{chat_id}", owner=200, admin=401, json={"chat": {}}, **_HIDDEN),
    Row("DELETE", "/api/v1/chats/{chat_id}", out=401, pending=401, owner=200, admin=404, **_NOT_MINE),
    verified("GET", "/api/tasks/chat/{chat_id}"),
    Row("POST", "/api/tasks/chat/{chat_id}/stop", out=401, pending=401, owner=200, admin=404, **_NOT_MINE),
    verified("GET", "/api/tasks"),
    Row("POST", "/api/tasks/stop/{task_id}", out=401, pending=401, owner=200, admin=200, **_NOT_MINE),
    *(verified("POST", f"{base}/chat/completed", json={}) for base in ("/api", "/api/v1", "/v1")),
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


@thing("prompt_id")
def _prompt(world: World) -> Any:
    return world.share(make_shared("prompt", world.owner)).pk


@thing("version_id")
def _version(world: World) -> Any:
    """The newest of the prompt in the path."""
    return PromptVersion.objects.create(prompt_id=world.made["prompt_id"], snapshot={"name": "A", "content": "B"}).pk


@thing("old_version_id")
def _old_version(world: World) -> Any:
    old = _version(world)
    _version(world)
    return old


@thing("command")
def _command(world: World) -> str:
    row = world.share(make_shared("prompt", world.owner))
    assert isinstance(row, Prompt)
    return row.command


@thing("note_id")
def _note(world: World) -> Any:
    return world.share(make_shared("note", world.owner)).pk


PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@thing("folder_id")
def _folder(world: World) -> Any:
    return world.share(make_shared("folder", world.owner, meta={"background_image_url": PIXEL})).pk


def of_shared(method: str, path: str, *, outsider: int, reader: int, code: int = 200, **extra: Any) -> Row:
    """An operation on one shared thing."""
    codes = {"out": 401, "pending": 401, "outsider": outsider, "reader": reader, "writer": code, "owner": code}
    return Row(method, path, **codes, **extra)


_P, _N, _F = "/api/v1/prompts", "/api/v1/notes", "/api/v1/folders"
_PROMPT = {"command": "new", "name": "New", "content": "Text"}
_ONE_PROMPT, _BY_COMMAND = f"{_P}/id/{{prompt_id}}", f"{_P}/command/{{command}}"
_ONE_NOTE, _ONE_FOLDER = f"{_N}/{{note_id}}", f"{_F}/{{folder_id}}"
SHARED = [
    verified("GET", f"{_P}/"),
    verified("GET", f"{_P}/list"),
    verified("GET", f"{_P}/tags"),
    admins("POST", f"{_P}/create", json=_PROMPT),
    of_shared("GET", _ONE_PROMPT, outsider=401, reader=200),
    of_shared("POST", f"{_ONE_PROMPT}/update", outsider=404, reader=401, json=_PROMPT),
    of_shared("POST", f"{_ONE_PROMPT}/update/meta", outsider=404, reader=401, json=_PROMPT),
    of_shared("POST", f"{_ONE_PROMPT}/access/update", outsider=404, reader=401, json={}),
    of_shared("POST", f"{_ONE_PROMPT}/toggle", outsider=404, reader=401),
    of_shared("DELETE", f"{_ONE_PROMPT}/delete", outsider=404, reader=401),
    of_shared("GET", f"{_ONE_PROMPT}/history", outsider=401, reader=200),
    of_shared("GET", f"{_ONE_PROMPT}/history/{{version_id}}", outsider=401, reader=200),
    of_shared(
        "GET", f"{_ONE_PROMPT}/history/diff?from_id={{version_id}}&to_id={{version_id}}", outsider=401, reader=200
    ),
    of_shared(
        "DELETE",
        f"{_ONE_PROMPT}/history/{{version_id}}",
        outsider=404,
        reader=401,
        fill={"version_id": "old_version_id"},
    ),
    of_shared("POST", f"{_ONE_PROMPT}/update/version", outsider=404, reader=401, json={"version_id": "{version_id}"}),
    of_shared("GET", _BY_COMMAND, outsider=401, reader=200),
    of_shared("POST", f"{_BY_COMMAND}/update", outsider=404, reader=401, json=_PROMPT),
    of_shared("DELETE", f"{_BY_COMMAND}/delete", outsider=404, reader=401),
    verified("GET", f"{_N}/"),
    verified("GET", f"{_N}/list"),
    verified("GET", f"{_N}/search"),
    verified("GET", f"{_N}/pinned"),
    of_shared("POST", f"{_ONE_NOTE}/pin", outsider=403, reader=200),
    verified("POST", f"{_N}/create", json={"title": "New"}),
    of_shared("GET", _ONE_NOTE, outsider=403, reader=200),
    of_shared("POST", f"{_ONE_NOTE}/update", outsider=404, reader=403, json={"title": "New"}),
    of_shared("POST", f"{_ONE_NOTE}/access/update", outsider=404, reader=403, json={}),
    of_shared("DELETE", f"{_ONE_NOTE}/delete", outsider=404, reader=403),
    verified("GET", f"{_F}/"),
    verified("POST", f"{_F}/", json={"name": "New"}),
    verified("GET", f"{_F}/shared"),
    of_shared("GET", _ONE_FOLDER, outsider=404, reader=200),
    of_shared("GET", f"{_ONE_FOLDER}/shared/chats", outsider=404, reader=200),
    of_shared("POST", f"{_ONE_FOLDER}/update", outsider=404, reader=403, json={"name": "New"}),
    # Where it lies decides who else reaches it: a writer who does not own it cannot move it.
    Row(
        "POST",
        f"{_ONE_FOLDER}/update/parent",
        json={"parent_id": None},
        **{"out": 401, "pending": 401, "outsider": 404, "reader": 403, "writer": 403, "owner": 200, "admin": 200},
    ),
    of_shared("POST", f"{_ONE_FOLDER}/update/expanded", outsider=404, reader=403, json={"is_expanded": True}),
    of_shared("POST", f"{_ONE_FOLDER}/access/update", outsider=404, reader=403, json={}),
    of_shared("DELETE", _ONE_FOLDER, outsider=404, reader=403),
]
OTHERS = [
    Row(WS, "/ws/chat", why="verified people, by cookie from our own pages or by token; each chat is asked for again"),
    task("chat.mark_interrupted_turns", "beat; turns of processes that are gone"),
    task("chat.prune_turn_logs", "beat; old turn logs, no contents are read"),
]

ROWS = [*PAGES, *REST, *SHARED, *OTHERS, governance("/admin/chat/chat/"), governance("/admin/chat/turn/")]
