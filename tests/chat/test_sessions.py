"""Programs that have answers written into stored chats: the field's session form over REST."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from django.test import AsyncClient

from chat.models import Chat, Message, Turn
from owui.lib.aio import in_thread
from rbac.watch import watch
from tests.chat.helpers import counted, until
from tests.conftest import token_for
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/chat/completions"
Call = Callable[..., Awaitable[tuple[int, Any]]]


def new_id() -> str:
    return str(uuid.uuid4())


async def send(user: Any, path: str, body: Any = None, *, method: str = "post") -> tuple[int, Any]:
    token = await in_thread(token_for)(user)
    data = b"" if body is None else orjson.dumps(body)
    answer: Any = await getattr(AsyncClient(), method)(
        path,
        **({"data": data, "content_type": "application/json"} if method == "post" else {}),
        headers={"authorization": f"Bearer {token}"},
    )
    return answer.status_code, orjson.loads(answer.content)


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "fake-small", "stream": True, "messages": [{"role": "user", "content": text}], **more}


def question(text: str, parent: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": new_id(), "parentId": parent, "role": "user", "content": text, "models": ["fake-small"], **more}


async def begun(user: Any, text: str, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new chat by one call: what was sent as the user's message, and what came back."""
    sent = question(text)
    more = {"parent_id": None, "user_message": sent, "id": new_id(), "session_id": "s", **more}
    status, answer = await send(user, PATH, asked(text, **more))
    assert status == 200, answer
    return sent, answer


async def ended(message_id: str, state: str = "done") -> Message:
    async with asyncio.timeout(30):
        while (found := await in_thread(Message.objects.get)(pk=message_id)).state != state:
            await asyncio.sleep(0.02)
    return found  # type: ignore[no-any-return]


async def read(user: Any, chat_id: str) -> dict[str, Any]:
    status, chat = await send(user, f"/api/v1/chats/{chat_id}", method="get")
    assert status == 200, chat
    return dict(chat["chat"]["history"])


async def test_new_chat_is_made_by_the_server_and_answered_in_the_background(
    process: Any, alice: Any, small: Any, server: FakeModelServer
) -> None:
    answer_id = new_id()
    sent, answer = await begun(alice, "About dosing [[n=40 think=2 tps=40]]", id=answer_id)
    assert answer["status"] is True
    (task,) = answer["task_ids"]
    running = await send(alice, f"/api/tasks/chat/{answer['chat_id']}", method="get")
    assert running == (200, {"task_ids": [task]})
    assert (await send(alice, "/api/tasks", method="get"))[1] == {"tasks": [task]}
    while not (text := (await read(alice, answer["chat_id"]))["messages"][answer_id]["content"]):
        await asyncio.sleep(0.05)
    assert counted(40).startswith(text), "what is there so far can be read"
    message = await ended(answer_id)
    assert (message.content, message.reasoning) == (counted(40), counted(2, "r"))
    history = await read(alice, answer["chat_id"])
    assert history["currentId"] == answer_id
    said, was = history["messages"][answer_id], history["messages"][sent["id"]]
    assert (said["parentId"], said["role"], said["done"], said["model"]) == (
        sent["id"],
        "assistant",
        True,
        "fake-small",
    )
    assert (was["content"], was["childrenIds"], was["parentId"]) == (sent["content"], [answer_id], None)
    assert said["usage"]["completion_tokens"] == 42
    assert [item["type"] for item in said["output"]] == ["reasoning", "message"]
    assert (await in_thread(Chat.objects.get)()).title == "About dosing [[n=40 think=2 tps=40]]"
    assert server.requests[-1].json["messages"] == [{"role": "user", "content": sent["content"]}]


async def test_next_question_follows_and_the_stored_conversation_is_what_the_model_gets(
    process: Any, alice: Any, small: Any, server: FakeModelServer
) -> None:
    first_id, second_id = new_id(), new_id()
    sent, answer = await begun(alice, "One [[n=2]]", id=first_id)
    await ended(first_id)
    more = question("Two [[n=3]]", first_id)
    body = asked("Two [[n=3]]", chat_id=answer["chat_id"], id=second_id, session_id="s", user_message=more)
    body["messages"].insert(0, {"role": "system", "content": "Be brief."})
    body |= {"temperature": 0.5, "params": {"top_p": 0.25}}
    assert (await send(alice, PATH, body))[0] == 200
    assert (await ended(second_id)).content == counted(3)
    upstream = server.requests[-1].json
    assert [m["role"] for m in upstream["messages"]] == ["system", "user", "assistant", "user"]
    assert upstream["messages"][2]["content"] == counted(2)
    assert (upstream["temperature"], upstream["top_p"]) == (0.5, 0.25)
    assert (await read(alice, answer["chat_id"]))["messages"][first_id]["childrenIds"] == [more["id"]]


async def test_without_a_session_the_call_lasts_as_long_as_the_answer(process: Any, alice: Any, small: Any) -> None:
    _sent, answer = await begun(alice, "One [[n=2]]")
    await until(lambda: not process.turns)
    answer_id = new_id()
    body = asked("Two [[n=30 tps=100]]", chat_id=answer["chat_id"], id=answer_id)
    assert await send(alice, PATH, body) == (200, None)
    assert (await in_thread(Message.objects.get)(pk=answer_id)).content == counted(30)
    status, whole = await send(
        alice, PATH, asked("Three [[n=3]]", chat_id=answer["chat_id"], id=new_id(), stream=False)
    )
    assert status == 200
    assert whole["choices"][0]["message"]["content"] == counted(3)
    assert (whole["usage"]["input_tokens"], whole["usage"]["output_tokens"]) == (7, 3)
    history = await read(alice, answer["chat_id"])
    assert [m["role"] for m in history["messages"].values()] == ["user", "assistant"] * 3
    status, refused = await send(
        alice, PATH, asked("[[err=429]]", chat_id=answer["chat_id"], id=new_id(), stream=False)
    )
    assert (status, bool(refused["detail"])) == (502, True)


async def test_several_models_answer_one_question(
    process: Any, alice: Any, small: Any, share: Callable[..., None]
) -> None:
    from inference.models import AIModel

    await in_thread(lambda: share(AIModel.objects.create(model_id="fake-large", name="Fake large"), "*"))()
    ids = [new_id(), new_id()]
    places = [
        {"model_id": m, "message_id": i, "modelIdx": n}
        for n, (m, i) in enumerate(zip(("fake-small", "fake-large"), ids, strict=True))
    ]
    sent, answer = await begun(alice, "[[n=4]]", id=None, message_ids=places)
    assert len(set(answer["task_ids"])) == 2
    for one in ids:
        assert (await ended(one)).content == counted(4)
    history = await read(alice, answer["chat_id"])
    assert history["messages"][sent["id"]]["childrenIds"] == ids
    assert [history["messages"][i]["model"] for i in ids] == ["fake-small", "fake-large"]
    assert [history["messages"][i]["modelIdx"] for i in ids] == [0, 1]
    places = [{"model_id": "fake-small", "message_id": new_id()}, {"model_id": "no-such-model", "message_id": new_id()}]
    status, refused = await send(
        alice,
        PATH,
        asked("x", chat_id=answer["chat_id"], message_ids=places, session_id="s", user_message=question("x")),
    )
    assert (status, refused) == (400, {"detail": "Model not found"})
    assert len((await read(alice, answer["chat_id"]))["messages"]) == 3, "nothing of it is stored"


async def test_answer_is_continued_and_asked_for_again(
    process: Any, alice: Any, small: Any, server: FakeModelServer, set_config: Callable[..., None]
) -> None:
    first = new_id()
    sent, answer = await begun(alice, "[[n=2]]", id=first)
    await ended(first)
    bound = {"chat_id": answer["chat_id"], "session_id": "s"}
    assert (await send(alice, PATH, asked("", **bound, assistant_message_id=first)))[0] == 200
    await until(lambda: len(server.requests) > 1 and not process.turns)
    assert (await ended(first)).content == counted(2) + counted(2)
    going_on = asked("", **bound, id=first)
    going_on["messages"] = [{"role": "user", "content": sent["content"]}, {"role": "assistant", "content": "t1"}]
    assert (await send(alice, PATH, going_on))[0] == 200
    await until(lambda: not process.turns)
    assert (await ended(first)).content == counted(2) * 3
    again = new_id()
    assert (await send(alice, PATH, asked("", **bound, id=again, regeneration_message_id=first)))[0] == 200
    assert (await ended(again)).parent_id == uuid.UUID(sent["id"])
    third = new_id()
    assert (await send(alice, PATH, asked("", **bound, id=third, parent_id=sent["id"])))[0] == 200
    assert (await ended(third)).parent_id == uuid.UUID(sent["id"])
    status, refused = await send(alice, PATH, asked("", **bound, id=third, parent_id=sent["id"]))
    assert status == 409 and "holds an answer already" in refused["detail"]
    assert (await ended(third)).content == counted(2), "it is not written over"
    await in_thread(set_config)(
        "user.permissions", {"chat": {"regenerate_response": False, "continue_response": False, "edit": False}}
    )
    other = question("In other words", None)
    for refusal in (
        {"id": new_id(), "regeneration_message_id": first},
        {"id": new_id(), "parent_id": sent["id"]},
        {"assistant_message_id": first},
        {"id": new_id(), "user_message": other},
    ):
        assert (await send(alice, PATH, asked("x", **bound, **refusal)))[0] == 401, refusal


async def test_stopping_a_task_ends_the_model_servers_work(
    process: Any, alice: Any, bob: Any, dana: Any, small: Any, server: FakeModelServer
) -> None:
    for who, by_chat in ((alice, True), (alice, False), (dana, False)):
        answer_id = new_id()
        _sent, answer = await begun(alice, "[[n=5000 tps=50]]", id=answer_id)
        await until(lambda: server.stats()["active"] == 1)
        (task,) = answer["task_ids"]
        assert (await send(bob, f"/api/tasks/stop/{task}"))[0] == 404
        assert (await send(bob, f"/api/tasks/chat/{answer['chat_id']}/stop"))[0] == 404
        assert task not in (await send(bob, "/api/tasks", method="get"))[1]["tasks"]
        assert server.stats()["active"] == 1
        path = f"/api/tasks/chat/{answer['chat_id']}/stop" if by_chat else f"/api/tasks/stop/{task}"
        status, told = await send(who, path)
        assert (status, told["status"], bool(told["message"])) == (200, True, True)
        await until(lambda: server.stats()["active"] == 0)
        assert (await ended(answer_id, "stopped")).content.startswith("t1 ")
        assert (await send(who, f"/api/tasks/stop/{task}"))[0] == 404
    assert (await in_thread(Turn.objects.filter(state="running").count)()) == 0


async def test_fault_of_the_model_server_is_stored_with_the_message(process: Any, alice: Any, small: Any) -> None:
    answer_id = new_id()
    _sent, answer = await begun(alice, "[[n=9 tps=200 cut=3]]", id=answer_id)
    await ended(answer_id, "failed")
    said = (await read(alice, answer["chat_id"]))["messages"][answer_id]
    assert (said["content"], said["done"]) == (counted(3), True)
    assert "before the answer was complete" in said["error"]["content"]


async def test_words_of_a_fault_that_cannot_be_stored_are_stored_without_that(
    process: Any, alice: Any, small: Any, server: FakeModelServer
) -> None:
    server.models.reply = lambda _body: "[[err=503 msg=bad\x00thing]]"
    answer_id = new_id()
    await begun(alice, "hi", id=answer_id)
    assert (await ended(answer_id, "failed")).error.endswith("It said: bad thing")


async def test_ids_of_others_and_ids_in_use_are_refused_alike(process: Any, alice: Any, bob: Any, small: Any) -> None:
    theirs_id, mine_id = new_id(), new_id()
    theirs, their_chat = await begun(bob, "[[n=1]]", id=theirs_id)
    mine, my_chat = await begun(alice, "[[n=1]]", id=mine_id)
    await until(lambda: not process.turns)
    for chat_id in (their_chat["chat_id"], new_id(), "c1", "channel:1"):
        status, told = await send(alice, PATH, asked("x", chat_id=chat_id, id=new_id(), session_id="s"))
        assert status == 404, chat_id
    bound = {"chat_id": my_chat["chat_id"], "session_id": "s"}
    for wrong in (
        {"id": theirs_id, "user_message": question("x", mine_id)},
        {"id": theirs["id"], "user_message": question("x", mine_id)},
        {"id": mine["id"], "user_message": question("x", mine_id)},
        {"id": new_id(), "user_message": question("x", mine_id) | {"id": theirs["id"]}},
        {"id": new_id(), "user_message": question("x", mine_id) | {"id": theirs_id}},
        {"id": new_id(), "user_message": question("x", mine_id) | {"id": mine_id}},
        {"id": "not-a-uuid", "user_message": question("x", mine_id)},
        {"id": ["x"], "user_message": question("x", mine_id)},
        {"id": new_id(), "user_message": question("x", "no")},
        {"id": new_id(), "user_message": {"content": [1]}},
        {"id": new_id(), "user_message": question(" ", mine_id)},
        {"message_ids": [{"message_id": mine["id"]}, {"message_id": mine["id"]}]},
        {"message_ids": "all"},
        {"message_ids": [{"model_id": "fake-small"}] * 99},
    ):
        status, told = await send(alice, PATH, asked("x", **bound, **wrong))
        assert (status, bool(told["detail"])) == (400, True), (wrong, told)
    for missing in (
        {"id": new_id(), "user_message": question("x", theirs_id)},
        {"id": new_id(), "user_message": question("x", new_id())},
        {"id": new_id(), "parent_id": theirs["id"]},
        {"assistant_message_id": theirs_id},
        {"id": new_id(), "regeneration_message_id": theirs_id},
    ):
        assert (await send(alice, PATH, asked("x", **bound, **missing)))[0] == 404, missing
    folder = {"parent_id": None, "user_message": question("x"), "folder_id": new_id()}
    assert (await send(alice, PATH, asked("x", **folder)))[0] == 404
    assert (await send(alice, PATH, asked("x", **bound, id=new_id()) | {"model": "none"}))[0] == 400
    assert len((await read(alice, my_chat["chat_id"]))["messages"]) == 2
    assert await in_thread(Message.objects.count)() == 4


async def test_same_request_twice_at_once_is_answered_once(process: Any, alice: Any, small: Any) -> None:
    first = new_id()
    _sent, answer = await begun(alice, "[[n=1]]", id=first)
    await ended(first)
    bound = {"chat_id": answer["chat_id"], "session_id": "s", "id": new_id(), "user_message": question("x", first)}
    answers = await asyncio.gather(*(send(alice, PATH, asked("[[n=20 tps=20]]", **bound)) for _ in range(4)))
    assert sorted(status for status, _told in answers) == [200, 409, 409, 409]


async def test_temporary_chats_are_answered_in_the_response_or_refused_plainly(
    process: Any, alice: Any, small: Any, set_config: Callable[..., None]
) -> None:
    for chat_id in ("temporary:abc", "local:abc"):
        status, told = await send(alice, PATH, asked("[[n=2]]", chat_id=chat_id, id=new_id(), session_id="s"))
        assert status == 400 and "Leave out session_id" in told["detail"]
        status, whole = await send(alice, PATH, asked("[[n=2]]", chat_id=chat_id, id=new_id(), stream=False))
        assert (status, whole["choices"][0]["message"]["content"]) == (200, counted(2))
    assert not await in_thread(Chat.objects.exists)()
    await in_thread(set_config)("user.permissions", {"chat": {"temporary": False}})
    assert (await send(alice, PATH, asked("x", chat_id="local:a", id=new_id(), session_id="s")))[0] == 403
    await in_thread(set_config)("user.permissions", {"chat": {"temporary": True, "temporary_enforced": True}})
    assert (await send(alice, PATH, asked("x", parent_id=None, user_message=question("x"))))[0] == 403


async def test_what_the_person_may_not_set_is_left_out(
    process: Any, alice: Any, small: Any, server: FakeModelServer, set_config: Callable[..., None]
) -> None:
    await in_thread(set_config)("user.permissions", {"chat": {"params": False, "system_prompt": False}})
    sent, more = question("[[n=1]]"), {"temperature": 0.9, "params": {"top_p": 0.1, "system": "Obey me."}}
    body = asked("[[n=1]]", parent_id=None, user_message=sent, id=new_id(), session_id="s", **more)
    body["messages"].insert(0, {"role": "system", "content": "Obey me."})
    assert (await send(alice, PATH, body))[0] == 200
    await until(lambda: bool(server.requests) and server.requests[-1].path.endswith("completions"))
    upstream = server.requests[-1].json
    assert not {"temperature", "top_p"} & set(upstream)
    assert [m["role"] for m in upstream["messages"]] == ["user"]


async def test_variables_parameters_and_pictures_of_the_request_reach_the_model(
    process: Any, alice: Any, small: Any, server: FakeModelServer
) -> None:
    small.params = {"system": "{{USER_NAME}} in {{place}}"}
    await in_thread(small.save)()
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    content = [{"type": "text", "text": "What is it? [[n=2]]"}, picture]
    answer_id = new_id()
    await begun(
        alice,
        "What is it? [[n=2]]",
        id=answer_id,
        messages=[{"role": "user", "content": content}],
        params={"temperature": "0.5"},
        variables={"{{USER_NAME}}": "Zed", "{{place}}": "Rome"},
    )
    await ended(answer_id)
    sent = server.requests[-1].json
    assert sent["messages"] == [{"role": "system", "content": "Zed in Rome"}, {"role": "user", "content": content}]
    assert sent["temperature"] == 0.5


async def test_what_old_clients_send_at_the_end_goes_back_as_it_came(process: Any, alice: Any) -> None:
    body = {"chat_id": new_id(), "messages": [{"id": "1", "content": "x"}], "session_id": "s"}
    assert await send(alice, "/api/chat/completed", body) == (200, body)


async def test_the_model_is_asked_what_the_chat_shows(
    process: Any, alice: Any, small: Any, server: FakeModelServer
) -> None:
    answer_id = new_id()
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    hidden = {"role": "user", "content": [{"type": "text", "text": "Something else, not to be stored"}, picture]}
    await begun(alice, "Shown [[n=2]]", id=answer_id, messages=[hidden])
    await ended(answer_id)
    said = server.requests[-1].json["messages"][-1]["content"]
    assert said == [{"type": "text", "text": "Shown [[n=2]]"}, picture]


async def test_only_an_answer_is_asked_for_again(process: Any, alice: Any, small: Any) -> None:
    first, second = new_id(), new_id()
    _sent, answer = await begun(alice, "One [[n=2]]", id=first)
    await ended(first)
    more = question("Two [[n=2]]", first)
    chat = {"chat_id": answer["chat_id"], "session_id": "s"}
    assert (await send(alice, PATH, asked("Two [[n=2]]", id=second, user_message=more, **chat)))[0] == 200
    await ended(second)
    again = asked("Two [[n=2]]", id=new_id(), regeneration_message_id=more["id"], **chat)
    status, refused = await send(alice, PATH, again)
    assert (status, refused["detail"][:12]) == (400, "A message id")


async def test_who_waits_is_told_when_the_answer_ended_for_another_reason(
    process: Any, alice: Any, small: Any, server: FakeModelServer
) -> None:
    _sent, answer = await begun(alice, "One [[n=2]]")
    await until(lambda: not process.turns)
    for why, status, words in (
        (("interrupted", ""), 503, "can be continued"),
        (("stopped", "You may not use it any more."), 403, "may not use"),
    ):
        body = asked("Two [[n=400 tps=20]]", chat_id=answer["chat_id"], id=new_id(), stream=False)
        waiting = asyncio.create_task(send(alice, PATH, body))
        await until(lambda: [turn for turn in process.turns.values() if turn.log])
        (turn,) = process.turns.values()
        process._cancel(turn, *why)
        code, said = await waiting
        assert code == status and words in said["detail"]


async def test_who_is_signed_out_while_waiting_learns_nothing_and_the_answer_goes_on(
    process: Any, alice: Any, small: Any
) -> None:
    from accounts.models import Session

    _sent, answer = await begun(alice, "One [[n=2]]")
    await until(lambda: not process.turns)
    answer_id = new_id()
    body = asked("Two [[n=60 tps=20]]", chat_id=answer["chat_id"], id=answer_id, stream=False)
    waiting = asyncio.create_task(send(alice, PATH, body))
    await until(lambda: [turn for turn in process.turns.values() if turn.log])
    await in_thread(lambda: Session.objects.filter(user=alice).update(revoked_at="2026-01-01T00:00Z"))()
    watch.doubt_all()
    status, said = await waiting
    assert (status, "choices" in said) == (401, False)
    assert process.turns, "the answer is the person's, and is written to its end"
    assert (await ended(answer_id)).content == counted(60)
