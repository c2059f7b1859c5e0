"""What a person tries who may or may not hold a permission key: the questions of `key_faces.py`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from chat.models import Chat, Message
from tests.factories.accounts import UserFactory
from tests.factories.rbac import make_group, make_shared


@dataclass(frozen=True)
class Face:
    """One way to the thing behind a key.

    :param route: as `tests.access.routes` writes it, with the method, or PAGE for HTML
    :param ask: tries it as alice; what it gives back is compared with `without` and `allowed`
    :param also: further keys that alice holds all the time
    :param settings: stored settings it needs
    """

    key: str
    route: str
    ask: Callable[[Any], Any]
    without: Any
    allowed: Any
    also: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    why: str = ""

    def __str__(self) -> str:
        return f"{self.key}: {self.route}{' ' + self.why if self.why else ''}"


class Tries:
    """alice with a browser; each question makes what it asks about anew."""

    def __init__(self, alice: Any, client: Client) -> None:
        self.alice, self.client = alice, client

    def get(self, path: str) -> int:
        return int(self.client.get(path).status_code)

    def shows(self, path: str, text: str) -> bool:
        """Whether a control is on a page."""
        answer = self.client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return text in answer.content.decode()

    def form(self, path: str, **data: Any) -> int:
        return int(self.client.post(path, data).status_code)

    def json(self, path: str, body: Any) -> Any:
        return self.client.post(path, body, content_type="application/json")

    def chat(self) -> tuple[str, str, str]:
        """A chat with a question and its answer: the addresses of all three."""
        chat = Chat.objects.create(owner=self.alice, title="Signals", model_ids=["fake-small"])
        question = Message.objects.create(chat=chat, author="user", content="What?")
        answer = Message.objects.create(
            chat=chat, author="assistant", parent=question, content="That.", model_id="fake-small"
        )
        Chat.objects.filter(pk=chat.pk).update(current=answer)
        path = f"/c/{chat.pk}"
        return path, f"{path}/messages/{question.pk}", f"{path}/messages/{answer.pk}"

    def rest_message(self) -> str:
        """The address of an answer for programs."""
        return f"/api/v1/chats/{self.chat()[2].removeprefix('/c/')}"

    def tell_message(self) -> int:
        event = {"type": "message", "data": {"content": " And more."}}
        return int(self.json(f"{self.rest_message()}/event", event).status_code)

    def set_params(self) -> int:
        path = f"/api/v1/chats/{self.chat()[0].removeprefix('/c/')}/params"
        return int(self.client.patch(path, {"top_k": 3}, content_type="application/json").status_code)

    def sent(self) -> dict[str, Any]:
        """A chat as an older client sends it, with an answer of its own."""
        question, answer = str(uuid.uuid4()), str(uuid.uuid4())
        messages = {
            question: {"id": question, "parentId": None, "role": "user", "content": "What?"},
            answer: {"id": answer, "parentId": question, "role": "assistant", "content": "That."},
        }
        return {"chat": {"history": {"messages": messages, "currentId": answer}}}

    def send_again(self, body: dict[str, Any] | None) -> int:
        """An older client's copy of a chat with something new, or (None) with its answer in other words."""
        chat, _question, answer = self.chat()
        if body is None:
            key = answer.rpartition("/")[2]
            said = {"id": key, "role": "assistant", "content": "Not that."}
            body = {"chat": {"history": {"messages": {key: said}}}}
        return int(self.json(f"/api/v1/chats/{chat.removeprefix('/c/')}", body).status_code)

    def upload(self, path: str) -> int:
        return self.form(path, file=SimpleUploadedFile("a.txt", b"How to clean a mixer.", "text/plain"))

    def settings(self, **ui: Any) -> dict[str, Any]:
        """What is stored of the interface settings that are sent."""
        answer = self.json("/api/v1/users/user/settings/update", {"ui": {"models": ["m"], **ui}})
        assert answer.status_code == 200
        stored = self.client.get("/api/v1/users/user/settings").json()["ui"]
        assert stored.pop("models") == ["m"], "what needs no key is kept"
        return stored

    def model(self, **fields: Any) -> Any:
        return make_shared("model", self.alice, base_model=make_shared("model", self.alice), **fields)

    def model_form(self, **more: Any) -> dict[str, Any]:
        return {"id": f"new-{uuid.uuid4().hex[:6]}", "name": "New", "base_model_id": self.model().model_id, **more}

    def share(self, kind: str, kind_of_principal: str, principal: str) -> int:
        """The access dialog, saved with one more audience."""
        thing = make_shared(kind, self.alice)
        data = {"general_access": "read"} if (kind_of_principal, principal) == ("user", "*") else {}
        if kind_of_principal == "anyone":
            data = {"general_access": "anyone"}
        named = {"principal": f"{kind_of_principal}:{principal}", "permission": "read"}
        return self.form(f"/access/{kind}/{thing.pk}", **(data or {"general_access": "private", **named}))

    def person(self) -> str:
        return str(UserFactory(password=None).pk)

    def group(self) -> str:
        return str(make_group(members=[self.alice]).pk)


def everyone(t: Tries) -> list[dict[str, str]]:
    return [{"principal_type": "user", "principal_id": "*", "permission": "read"}]


def to_person(t: Tries) -> list[dict[str, str]]:
    return [{"principal_type": "user", "principal_id": t.person(), "permission": "read"}]


def dialog(t: Tries, kind: str, control: str) -> bool:
    return t.shows(f"/access/{kind}/{make_shared(kind, t.alice).pk}", control)


def created_with(t: Tries, path: str, body: dict[str, Any], grants: Any) -> int:
    """How many of the grants sent along with something new are there."""
    answer = t.json(path, body | {"access_grants": grants})
    assert answer.status_code == 200, "what may not be granted is dropped without a word"
    return len(answer.json()["access_grants"])


def list_has_hidden(t: Tries, path: str, pick: Callable[[Any], set[str]]) -> bool:
    row = make_shared(
        "model",
        UserFactory(password=None),
        base_model=make_shared("model", t.alice),
        general_access="read",
        name="Out of sight",
        meta={"hidden": True, "tags": [{"name": "Out of sight"}]},
    )
    own = t.model(meta={"hidden": True, "tags": [{"name": "Mine"}]}, name="Mine")
    names = pick(t.client.get(path).json())
    assert own.name in names, "one's own is always listed"
    return row.name in names


def use_key(t: Tries) -> int:
    from accounts import tokens

    key = tokens.new_api_key(t.alice)
    return int(Client(headers={"authorization": f"Bearer {key}"}).get("/api/v1/users/permissions").status_code)


def read_key(t: Tries) -> int:
    from accounts import tokens

    tokens.new_api_key(t.alice)
    return t.get("/api/v1/auths/api_key")


SOURCE = "class Tools:\n    def now(self) -> str:\n        return 'now'\n"


def change_source(t: Tries) -> int:
    """New code for one's own tool."""
    tool: Any = make_shared("tool", t.alice, content=SOURCE)
    body = {"id": tool.tool_id, "name": tool.name, "content": SOURCE.replace("'now'", "'later'")}
    return int(t.json(f"/api/v1/tools/id/{tool.tool_id}/update", body).status_code)


def delete_folder(t: Tries) -> int:
    folder = make_shared("folder", t.alice)
    Chat.objects.create(owner=t.alice, title="Signals", folder_id=folder.pk)
    return int(t.client.delete(f"/api/v1/folders/{folder.pk}").status_code)


def remove_folder(t: Tries) -> int:
    """By the page's dialog, the chats with it."""
    path = folder_of(t)
    Chat.objects.create(owner=t.alice, title="Signals", folder_id=path.rpartition("/")[2])
    return t.form(f"{path}/remove", chats="delete")


def folder_of(t: Tries) -> str:
    return f"/folders/{make_shared('folder', t.alice, name=uuid.uuid4().hex).pk}"
