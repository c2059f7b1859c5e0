"""Chats that older clients send whole: nothing stored is lost by an old copy, nothing of others is reached."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from chat.models import Chat, Message, State
from owui.audit.models import AuditEvent
from owui.lib.aio import in_thread
from tests.chat.test_organising import talk
from tests.chat.test_sessions import PATH, asked, ended, read, send
from tests.conftest import Api
from tests.factories.knowledge import make_base
from tests.factories.rbac import make_shared
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db
API = "/api/v1/chats"
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def new_id() -> str:
    return str(uuid.uuid4())


def said(role: str, content: str, parent: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": new_id(), "parentId": parent, "childrenIds": [], "role": role, "content": content, **more}


def sent(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A chat as clients send it; the last message is the shown one."""
    history = {"messages": {m["id"]: m for m in messages}, "currentId": messages[-1]["id"] if messages else None}
    return {"chat": {"id": "", "title": "", "models": ["fake-small"], "history": history, "messages": [], **more}}


def copy_of(api: Api, chat_id: Any) -> dict[str, Any]:
    answer = api.get(f"{API}/{chat_id}")
    assert answer.status_code == 200
    return {"chat": answer.json()["chat"]}


def permit(set_config: Callable[..., None], key: str) -> None:
    set_config("user.permissions", {"chat": {key.removeprefix("chat."): False}})


def test_a_new_chat_keeps_the_ids_of_its_client(alice: Any, api_for: Any) -> None:
    question = said("user", "What is dosing?", files=[{"type": "image", "url": PIXEL}, {"type": "image", "url": "x:y"}])
    waiting = said("assistant", "", question["id"], model="fake-small")
    answer = api_for(alice).post(f"{API}/new", sent(question, waiting, tags=["Dosing"], params={"seed": 1}))
    assert answer.status_code == 200
    made = answer.json()
    assert (made["title"], made["user_id"], made["meta"]) == ("What is dosing?", str(alice.pk), {"tags": ["dosing"]})
    assert made["chat"]["history"]["currentId"] == waiting["id"]
    assert made["chat"]["params"] == {"seed": 1}
    assert [m["id"] for m in made["chat"]["messages"]] == [question["id"], waiting["id"]]
    assert made["chat"]["messages"][0]["files"] == [{"type": "image", "url": PIXEL}]


def test_an_empty_chat_is_one(alice: Any, api_for: Any) -> None:
    made = api_for(alice).post(f"{API}/new", {"chat": {}}).json()
    assert (made["title"], made["chat"]["messages"]) == ("New Chat", [])


@pytest.mark.parametrize(
    "messages",
    [
        {"a": {"id": "no-uuid", "role": "user", "content": "x"}},
        {"a": {"id": str(uuid.UUID(int=7)), "content": "x"}},
        {"a": 5},
        {
            "a": {"id": str(uuid.UUID(int=1)), "parentId": str(uuid.UUID(int=2)), "role": "user", "content": "x"},
            "b": {"id": str(uuid.UUID(int=2)), "parentId": str(uuid.UUID(int=1)), "role": "user", "content": "x"},
        },
        {n: {"id": str(uuid.UUID(int=1)), "role": "user", "content": "x"} for n in "ab"},
        {
            "a": {
                "id": str(uuid.UUID(int=1)),
                "role": "user",
                "content": "x",
                "files": [5, {"type": ["file"]}],
                "model": 5,
                "timestamp": "now",
                "error": [1],
                "usage": 5,
                "parentId": "odd",
            }
        },
    ],
)
def test_odd_messages_are_refused_and_nothing_is_stored(alice: Any, api_for: Any, messages: Any) -> None:
    body = {"chat": {"history": {"messages": messages}}}
    assert api_for(alice).post(f"{API}/new", body).status_code == 400
    assert not Chat.objects.exists()
    chat = talk(alice, "Q", "A")
    assert api_for(alice).post(f"{API}/{chat.pk}", body).status_code == 400
    for odd in (
        {"history": [1], "messages": 5},
        {"title": 5, "models": "x", "params": [], "tags": {}, "messages": [1]},
    ):
        assert api_for(alice).post(f"{API}/{chat.pk}", {"chat": odd}).status_code == 200, "what is no tree is left out"
    chat.refresh_from_db()
    assert (chat.title, chat.model_ids, chat.params) == (chat.title, [], {})


def test_nobodys_messages_are_taken_over(alice: Any, mallory: Any, api_for: Any) -> None:
    theirs, own = talk(alice, "Question", "Answer"), talk(mallory, "Mine", "Too")
    known = theirs.messages.get(author="assistant")
    stolen = {**said("assistant", "Owned"), "id": str(known.pk)}
    api = api_for(mallory)
    assert api.post(f"{API}/new", sent(stolen)).status_code == 400
    assert api.post(f"{API}/{own.pk}", sent(stolen)).status_code == 400
    assert api.post(f"{API}/{theirs.pk}", sent(stolen)).status_code == 401
    below = said("user", "Below", str(known.pk))
    assert api.post(f"{API}/{own.pk}", sent(below)).status_code == 200
    assert Message.objects.get(pk=below["id"]).parent_id is None, "what is not in this chat is not followed"
    known.refresh_from_db()
    assert (known.content, known.chat_id, known.children.count()) == ("Answer", theirs.pk, 0)


def test_others_folders_and_knowledge_are_not_there(alice: Any, mallory: Any, api_for: Any) -> None:
    folder, base = make_shared("folder", alice, name="Hers"), make_base(alice)
    api = api_for(mallory)
    assert api.post(f"{API}/new", {"chat": {}, "folder_id": str(folder.pk)}).status_code == 404
    assert api.post(f"{API}/new", {"chat": {}, "folder_id": "odd"}).status_code == 404
    question = said("user", "Q", files=[{"type": "collection", "id": str(base.pk)}])
    assert api.post(f"{API}/new", sent(question)).status_code == 404
    assert api_for(alice).post(f"{API}/new", {"chat": {}, "folder_id": str(folder.pk)}).status_code == 200
    assert not Chat.objects.filter(owner=mallory).exists()


def test_an_update_adds_and_changes_and_an_old_copy_loses_nothing(alice: Any, api_for: Any) -> None:
    chat, api = talk(alice, "Question", "Answer in full"), api_for(alice)
    old = copy_of(api, chat.pk)
    answer = chat.messages.get(author="assistant")
    answer.reasoning, answer.usage = "Thoughts", {"completion_tokens": 3}
    answer.save()
    more = said("user", "And then?", str(answer.pk))
    newer = copy_of(api, chat.pk)
    newer["chat"]["history"]["messages"][more["id"]] = more
    newer["chat"]["history"]["currentId"] = more["id"]
    said_now = api.post(f"{API}/{chat.pk}", newer).json()["chat"]
    assert [m["content"] for m in said_now["messages"]] == ["Question", "Answer in full", "And then?"]
    old["chat"]["history"]["messages"][str(answer.pk)]["content"] = "Answer in"
    old["chat"] |= {"title": "Renamed", "models": ["a", "b"]}
    said_now = api.post(f"{API}/{chat.pk}", old).json()
    assert (said_now["title"], said_now["chat"]["models"]) == ("Renamed", ["a", "b"])
    kept = said_now["chat"]["history"]["messages"]
    assert {m["content"] for m in kept.values()} == {"Question", "Answer in full", "And then?"}
    answer.refresh_from_db()
    assert (answer.reasoning, answer.usage) == ("Thoughts", {"completion_tokens": 3})
    assert api.post(f"{API}/{chat.pk}", {"chat": {"messages": [said("user", "Flat")]}}).status_code == 200
    assert chat.messages.count() == 3


def test_other_words_need_the_permission_to_edit(alice: Any, api_for: Any, set_config: Any) -> None:
    chat, api = talk(alice, "Question", "Answer"), api_for(alice)
    body = copy_of(api, chat.pk)
    key = str(chat.messages.get(author="assistant").pk)
    body["chat"]["history"]["messages"][key]["content"] = "Something else"
    permit(set_config, "chat.edit")
    assert api.post(f"{API}/{chat.pk}", body).status_code == 401
    beside = said("user", "The same in other words")
    assert api.post(f"{API}/{chat.pk}", sent(beside)).status_code == 401
    permit(set_config, "chat.delete")
    assert api.post(f"{API}/{chat.pk}", body).status_code == 200
    assert Message.objects.get(pk=key).content == "Something else"
    assert AuditEvent.objects.filter(action="message.edit", object_id=key).exists()


def test_answers_of_a_clients_own_are_an_import(alice: Any, api_for: Any, set_config: Any) -> None:
    permit(set_config, "chat.import")
    api = api_for(alice)
    question = said("user", "Q")
    waiting = said("assistant", "", question["id"])
    forged = sent(question, {**waiting, "content": "Made up"})
    assert api.post(f"{API}/new", forged).status_code == 403
    assert not Chat.objects.exists()
    made = api.post(f"{API}/new", sent(question, waiting)).json()
    assert api.post(f"{API}/{made['id']}", forged).status_code == 403
    assert Message.objects.get(pk=waiting["id"]).content == ""


def test_nothing_is_stored_for_who_may_have_temporary_chats_only(alice: Any, api_for: Any, set_config: Any) -> None:
    chat = talk(alice, "Question", "Answer")
    set_config("user.permissions", {"chat": {"temporary": True, "temporary_enforced": True}})
    assert api_for(alice).post(f"{API}/new", {"chat": {}}).status_code == 403
    assert api_for(alice).post(f"{API}/{chat.pk}", {"chat": {"title": "x"}}).status_code == 403


def test_what_is_being_written_is_not_touched(alice: Any, api_for: Any) -> None:
    chat, api = talk(alice, "Question", ""), api_for(alice)
    answer = chat.messages.get(author="assistant")
    Message.objects.filter(pk=answer.pk).update(state=State.RUNNING)
    body = copy_of(api, chat.pk)
    body["chat"]["history"]["messages"][str(answer.pk)]["content"] = "Half"
    assert api.post(f"{API}/{chat.pk}", body).status_code == 200
    answer.refresh_from_db()
    assert (answer.content, answer.state) == ("", "running")


@pytest.mark.django_db(transaction=True)
async def test_the_way_of_older_clients_from_question_to_title(
    process: Any, alice: Any, small: Any, server: FakeModelServer
) -> None:
    """The chat is made, the answer asked for under the id that waits for it, and the copy sent back at the end."""
    question = said("user", "What is dosing? [[n=5]]")
    waiting = said("assistant", "", question["id"], model="fake-small")
    status, made = await send(alice, f"{API}/new", sent(question, waiting))
    assert status == 200
    body = asked(question["content"], chat_id=made["id"], id=waiting["id"], session_id="s")
    assert (await send(alice, PATH, body))[0] == 200
    async with asyncio.timeout(20):
        message = await ended(waiting["id"])
        while not message.content:
            await asyncio.sleep(0.02)
            message = await in_thread(Message.objects.get)(pk=waiting["id"])
    status, whole = await send(alice, f"{API}/{made['id']}", method="get")
    whole["chat"]["title"] = "Dosing"
    status, now = await send(alice, f"{API}/{made['id']}", {"chat": whole["chat"]})
    assert (status, now["title"]) == (200, "Dosing")
    assert set((await read(alice, made["id"]))["messages"]) == {question["id"], waiting["id"]}
