"""The controls of a chat, several models, temporary chats and a person's models, through the server's own stack."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from chat import several
from chat.models import Chat, Message, Turn
from chat.sessions import Place
from inference.models import AIModel
from owui.audit.models import AuditEvent
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from tests.chat.helpers import ask, counted, end
from tests.chat.test_views import browser, saved
from tests.conftest import token_for

live = pytest.mark.django_db(transaction=True)
PLACES = [Place("fake-small", "Fake small"), Place("fake-large", "Fake large")]


@pytest.fixture
def allow(set_config: Callable[..., None]) -> Callable[..., None]:
    """Sets permission keys of everybody, one call upon the other."""
    from rbac.permissions import nested

    held: dict[str, bool] = {}

    def change(key: str, is_allowed: bool) -> None:
        held[key] = is_allowed
        set_config("user.permissions", nested(held))

    return change


@pytest.mark.django_db
def test_controls_are_saved_on_the_chat_and_noted(alice: Any, client_for: Callable[..., Client]) -> None:
    chat = ask(alice).chat
    Chat.objects.filter(pk=chat.pk).update(params={"seed": 7, "of_another_client": 1})
    page, path = client_for(alice, htmx=True), f"/c/{chat.pk}/controls"
    form = {
        "system": " Be brief. ",
        "custom": ["temperature", "stop"],
        "temperature": "0.4",
        "stop": "END",
        "top_k": "9",
    }
    assert page.post(path, form).status_code == 200
    chat.refresh_from_db()
    assert chat.params == {"system": "Be brief.", "temperature": 0.4, "stop": "END", "of_another_client": 1}
    event = AuditEvent.objects.filter(action="chat.controls").latest("pk")
    assert event.detail["changed"] == ["seed", "stop", "system", "temperature"]
    shown = page.get(path).content.decode()
    assert "Be brief." in shown
    assert page.post(path, {"custom": ["temperature"], "temperature": "hot"}).status_code == 422
    assert page.post(path, {"custom": ["temperature"], "temperature": "nan"}).status_code == 422
    assert page.post(path, {"custom": ["custom_params"], "custom_params": "[1]"}).status_code == 422
    chat.refresh_from_db()
    assert chat.params["temperature"] == 0.4


@pytest.mark.django_db
def test_controls_are_trimmed_as_rest_trims_them(
    alice: Any, mallory: Any, client_for: Callable[..., Client], allow: Callable[..., None]
) -> None:
    chat = ask(alice).chat
    Chat.objects.filter(pk=chat.pk).update(params={"system": "Former.", "seed": 1})
    path = f"/c/{chat.pk}/controls"
    form = {"system": "Other.", "custom": ["seed"], "seed": "2"}
    assert client_for(mallory).post(path, form).status_code == 404
    allow("chat.params", False)
    client_for(alice).post(path, form)
    chat.refresh_from_db()
    assert chat.params == {"system": "Other.", "seed": 1}
    allow("chat.controls", False)
    assert client_for(alice).post(path, form).status_code == 403
    assert client_for(alice).get(path).status_code == 403


@pytest.mark.django_db
def test_what_is_taken_off_a_chat_is_gone_from_its_messages(alice: Any, client_for: Callable[..., Client]) -> None:
    started = ask(alice)
    item = {"type": "collection", "id": str(uuid.uuid4()), "name": "Rotas"}
    Message.objects.filter(pk=started.question.pk).update(files=[item, {**item, "id": "other"}])
    page, path = client_for(alice, htmx=True), f"/c/{started.chat.pk}/controls/remove"
    assert "Rotas" in page.get(f"/c/{started.chat.pk}/controls").content.decode()
    assert page.post(path, {"type": "collection", "id": item["id"]}).status_code == 200
    question = Message.objects.get(pk=started.question.pk)
    assert [left["id"] for left in question.files] == ["other"]
    assert question.meta["detached"] == [item], "that it was there stays to be seen"
    assert AuditEvent.objects.filter(action="chat.detach").exists()
    assert page.post(path, {"type": "collection", "id": item["id"]}).status_code == 404


@pytest.mark.django_db
def test_each_column_goes_on_by_itself_until_one_is_chosen(alice: Any) -> None:
    first = several.start_several(by=alice, runner_id=uuid.uuid4(), text="One?", places=PLACES)
    chat = first[0].chat
    assert chat.model_ids == ["fake-small", "fake-large"]
    with pytest.raises(UserError, match="Wait for the answer"):
        several.start_several(by=alice, runner_id=uuid.uuid4(), text="Two?", places=PLACES, chat_id=chat.pk)
    for one, text in zip(first, ("small", "large"), strict=True):
        end(one, text)
    second = several.start_several(by=alice, runner_id=uuid.uuid4(), text="Two?", places=PLACES, chat_id=chat.pk)
    assert [[m["content"] for m in one.history] for one in second] == [
        ["One?", "small", "Two?"],
        ["One?", "large", "Two?"],
    ]
    for one, text in zip(second, ("small too", "large too"), strict=True):
        end(one, text)
    several.choose(by=alice, message_id=second[1].message.pk)
    third = several.start_several(by=alice, runner_id=uuid.uuid4(), text="Three?", places=PLACES, chat_id=chat.pk)
    assert [one.history[-2]["content"] for one in third] == ["large too", "large too"]


@pytest.mark.django_db
def test_several_models_need_the_permission(
    alice: Any, client_for: Callable[..., Client], allow: Callable[..., None]
) -> None:
    assert b"data-model-add" in client_for(alice).get("/").content or not AIModel.objects.exists()
    allow("chat.multiple_models", False)
    with pytest.raises(UserError) as refused:
        several.start_several(by=alice, runner_id=uuid.uuid4(), text="One?", places=PLACES)
    assert refused.value.status == 403
    assert not Chat.objects.exists()


@live
async def test_temporary_chat_is_answered_and_stored_nowhere(process: Any, alice: Any, small: Any) -> None:
    page = browser(await in_thread(token_for)(alice))
    form = {"text": "Hello [[n=5]]", "model": "fake-small", "messages": "[]"}
    answer = await page.post("/c/temporary/messages", form)
    lines = [json.loads(line) for line in b"".join([part async for part in answer.streaming_content]).splitlines()]
    assert "".join(line.get("text", "") for line in lines) == counted(5)
    assert lines[-1]["state"] == "done"
    assert lines[0]["ops"][0][:2] == ["append", "messages"]
    assert not await in_thread(Chat.objects.exists)()
    assert not await in_thread(Message.objects.exists)()
    assert not await in_thread(Turn.objects.exists)()
    event = await in_thread(AuditEvent.objects.filter(action="completion.create").latest)("pk")
    assert event.detail == {"stream": True, "temporary": True}
    assert "Hello" not in json.dumps(event.detail)
    for body, status in (
        ({"text": " "}, 400),
        ({"messages": '[{"role": "system", "content": "x"}]'}, 400),
        ({"messages": "{"}, 400),
        ({"model": "fake-large"}, 404),
        ({"knowledge": str(uuid.uuid4())}, 404),
    ):
        assert (await page.post("/c/temporary/messages", form | body)).status_code == status


@live
async def test_temporary_chats_are_refused_where_they_are_off(
    process: Any, alice: Any, small: Any, allow: Callable[..., None]
) -> None:
    page = browser(await in_thread(token_for)(alice))
    await in_thread(allow)("chat.temporary", False)
    form = {"text": "Hello", "model": "fake-small"}
    assert (await page.post("/c/temporary/messages", form)).status_code == 403


@pytest.mark.django_db
def test_temporary_chat_that_is_kept_is_an_ordinary_one(
    alice: Any, client_for: Callable[..., Client], allow: Callable[..., None]
) -> None:
    said = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "It is.", "model": "fake-small"},
        {"role": "user", "content": "Two?"},
        {"role": "assistant", "content": "Too.", "model": "fake-small"},
    ]
    page = client_for(alice)
    answer = page.post("/c/temporary/save", {"messages": json.dumps(said)})
    chat = Chat.objects.get()
    assert answer.json() == {"url": f"/c/{chat.pk}"}
    assert page.get(f"/c/{chat.pk}").content.decode().count("<article") == 4
    allow("chat.import", False)
    assert page.post("/c/temporary/save", {"messages": json.dumps(said)}).status_code == 403


@pytest.mark.django_db
def test_pages_where_only_temporary_chats_are_allowed(
    alice: Any, client_for: Callable[..., Client], allow: Callable[..., None]
) -> None:
    page = client_for(alice)
    assert "data-temporary" not in page.get("/").content.decode()
    assert "data-temporary" in page.get("/?temporary-chat=true").content.decode()
    allow("chat.temporary_enforced", True)
    for path in ("/", "/?temporary-chat=false"):
        html = page.get(path).content.decode()
        assert "data-temporary" in html
        assert 'hx-post="/c/new/messages"' not in html
    allow("chat.temporary_enforced", False)
    allow("chat.temporary", False)
    assert "data-temporary" not in page.get("/?temporary-chat=true").content.decode()


@live
async def test_first_question_takes_its_parameters_along(process: Any, alice: Any, small: Any) -> None:
    page = browser(await in_thread(token_for)(alice))
    params = json.dumps({"system": "Short.", "temperature": 0.1, "unknown": 1})
    await page.post("/c/new/messages", {"text": "Hi [[n=2]]", "model": "fake-small", "params": params})
    chat = await in_thread(Chat.objects.get)()
    assert chat.params == {"system": "Short.", "temperature": 0.1}
    await saved(chat.current_id)
