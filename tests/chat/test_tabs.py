"""Several tabs and several people on one chat: what each is told, and what readers of another's chat are shown."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from chat import services, several
from chat.models import Chat, Folder, Message, MessageVersion
from chat.sessions import Place
from chat.views import tabs
from owui.lib.aio import in_thread
from tests.chat.helpers import ask, end, until
from tests.chat.test_sockets import attach, frame, opened
from tests.chat.test_views import browser
from tests.conftest import token_for

live = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shared(alice: Any, bob: Any, share: Callable[..., None]) -> Any:
    """Alice's chat with an answered question, in a folder that bob may read."""
    folder = Folder.objects.create(owner=alice, name="Signals")
    share(folder, bob)
    started = ask(alice, "What is it?", folder_id=str(folder.pk))
    end(started)
    return started


# -------------------------------------------------------------------------------------------------------------- readers
@pytest.mark.django_db
def test_a_reader_is_offered_nothing_that_would_be_refused(client_for, alice, bob, shared):
    address = f"/c/{shared.chat.pk}"
    message = f"{address}/messages/{shared.message.pk}"
    refused = ("/edit", "/regenerate", "/continue", "/rate", "/select", "/delete", "data-controls", "composer-files")
    own = client_for(alice).get(address).content.decode()
    assert all(word in own for word in refused if word not in ("/select", "/delete"))
    page = client_for(bob).get(address).content.decode()
    messages = page.partition('id="messages"')[2].partition('id="below"')[0]
    assert "It is so." in messages and "This chat belongs to" in page and alice.name in page
    for html in (
        messages,
        client_for(bob).get(message).content.decode(),
        client_for(bob).get(f"{message}/menu").content.decode(),
    ):
        assert not any(word in html for word in refused)
    assert "data-controls" not in page and "composer-files" not in page
    assert re.search(r"<form id=.composer.[^>]*data-reader hidden", page)
    # The person's own chats in the sidebar keep their menu, and a copy may be made.
    assert 'data-path="delete"' in page and f"{address}/clone" in page
    copy = client_for(bob).post(f"{address}/clone", headers={"hx-request": "true"})
    assert client_for(bob).get(copy["HX-Redirect"]).content.decode().count("data-controls") == 1


@live
async def test_a_reader_who_is_shut_out_is_told_that_the_answer_is_gone(
    process: Any, alice: Any, bob: Any, small: Any, share: Callable[..., None]
) -> None:
    from rbac.services import set_grants

    folder = await in_thread(Folder.objects.create)(owner=alice, name="Signals")
    await in_thread(share)(folder, bob)
    page = browser(await in_thread(token_for)(alice))
    form = {"text": "Slowly [[n=3000 tps=50]]", "model": "fake-small", "folder": str(folder.pk)}
    await page.post("/c/new/messages", form)
    chat = await in_thread(Chat.objects.get)()
    turn = (await in_thread(lambda: chat.turns.get())()).pk
    reader = browser(await in_thread(token_for)(bob))
    async with opened(await in_thread(token_for)(bob)) as connection:
        await attach(connection, turn)
        assert (await frame(connection))["turn"] == str(turn)
        await in_thread(set_grants)(folder, [], by=alice)
        while "error" not in (last := await frame(connection)):
            pass
        assert last["error"] == "missing"
    assert (await reader.get(f"/c/{chat.pk}/messages/{chat.current_id}")).status_code == 404
    await page.post(f"/c/{chat.pk}/messages/{chat.current_id}/stop")
    await until(lambda: not process.turns)


# ----------------------------------------------------------------------------------------------------------------- tabs
@live
async def test_who_saves_over_other_words_is_asked_first(process: Any, alice: Any) -> None:
    started = await in_thread(ask)(alice)
    await in_thread(end)(started)
    page, question = browser(await in_thread(token_for)(alice)), started.question
    address = f"/c/{started.chat.pk}/messages/{question.pk}"

    def mark(response: Any) -> str:
        return re.search(r'name="seen" value="(\w+)"', response.content.decode())[1]  # type: ignore[index]

    async def save(text: str, seen: str) -> Any:
        response = await page.post(f"{address}/save", {"text": text, "seen": seen})
        await in_thread(question.refresh_from_db)()
        return response

    opened_in_both = mark(await page.get(f"{address}/edit"))
    assert (await save("From one tab", opened_in_both)).status_code == 200
    late = await save("<b>From the other</b>", opened_in_both)
    html = late.content.decode()
    assert late.status_code == 409 and late["HX-Retarget"] == f"#message-{question.pk}-blocks"
    assert "&lt;b&gt;From the other&lt;/b&gt;</textarea>" in html and "From one tab" in html
    assert question.content == "From one tab"
    assert (await save("From the other", mark(late))).status_code == 200
    assert question.content == "From the other"
    assert await in_thread(MessageVersion.objects.count)() == 2


@live
async def test_what_one_tab_does_the_others_are_told(process: Any, alice: Any, bob: Any, small: Any) -> None:
    token = await in_thread(token_for)(alice)
    page = browser(token)
    async with opened(token) as tab, opened(await in_thread(token_for)(bob)) as stranger:
        waiting: list[Any] = []

        async def told() -> Any:
            while not waiting:
                found = await frame(tab)
                if found.get("type") == "chat":
                    waiting.extend(found["ops"])
            return waiting.pop(0)

        await page.post("/c/new/messages", {"text": "Hello [[n=2]]", "model": "fake-small"})
        chat = await in_thread(Chat.objects.get)()
        assert await told() == ["stale", "chat-list", "/c/search", f'#chat-list a[href="/c/{chat.pk}"]', ""]
        await until(lambda: not process.turns)
        first = chat.current_id
        await page.post(f"/c/{chat.pk}/messages/{first}/regenerate", {"model": "fake-small"})
        chat = await in_thread(Chat.objects.get)()
        address = f"/c/{chat.pk}/messages"
        assert await told() == ["stale", "messages", address, f"#message-{chat.current_id}", str(chat.pk)]
        assert f"message-{chat.current_id}" in (await page.get(address)).content.decode()
        await until(lambda: not process.turns)
        await page.post(f"{address}/{first}/select")
        assert (await told())[3] == f"#message-{first}"
        await page.post(f"{address}/{first}/delete")
        assert (await told())[3] == f"#messages:not(:has(#message-{first}))"
        await page.post(f"/c/{chat.pk}/rename", {"title": "Said <b>once</b>"})
        assert await told() == ["title", "chat-list", "Said <b>once</b>", str(chat.pk)]
        await page.post(f"/c/{chat.pk}/delete")
        assert (await told())[3] == f'#chat-list:not(:has(a[href="/c/{chat.pk}"]))'
        assert await stranger.receive_nothing(0.1)


@pytest.mark.django_db
def test_news_carry_no_words_of_a_chat(alice, shared):
    news = [tabs.branch_news(alice, shared.chat), tabs.list_news(alice, shared.chat.pk)]
    assert "What is it" not in str(news) and all(one["user_ids"] == [str(alice.pk)] for one in news)


# ------------------------------------------------------------------------------------------------- whose answer it is
@pytest.mark.django_db
def test_an_answer_that_another_model_went_on_with_is_said_to_be_of_both(alice, shared):
    started = services.continue_answer(
        by=alice, runner_id=uuid.uuid4(), message_id=shared.message.pk, model_id="fake-large", model_name="Fake large"
    )
    found = Message.objects.get(pk=shared.message.pk)
    assert (found.model_id, found.model_name) == ("fake-large", "Fake small, Fake large")
    end(started, "It is so, and more.")
    services.continue_answer(
        by=alice, runner_id=uuid.uuid4(), message_id=shared.message.pk, model_id="fake-large", model_name="Fake large"
    )
    assert Message.objects.get(pk=shared.message.pk).model_name == "Fake small, Fake large"


@pytest.mark.django_db
def test_an_answer_of_several_is_asked_again_in_its_own_column(client_for, alice):
    places = [Place("fake-small", "Fake small"), Place("fake-large", "Fake large")]
    begun = several.start_several(by=alice, runner_id=uuid.uuid4(), text="Both?", places=places)
    for one in begun:
        end(one, f"Of {one.message.model_name}.")
    client, address = client_for(alice), f"/c/{begun[0].chat.pk}"
    html = client.get(address).content.decode()
    # Neither is a version of the other.
    assert html.count("Answers of several models") == 1 and "Versions" not in html
    again = services.regenerate(
        by=alice, runner_id=uuid.uuid4(), message_id=begun[1].message.pk, model_id="fake-large", model_name="Fake large"
    )
    end(again, "Of Fake large, better.")
    html = client.get(address).content.decode()
    assert html.count("one-column") == 2 and "Of Fake small." in html and "better" in html
    assert html.count("Versions") == 1 and "2/2" in html
    assert Chat.objects.get(pk=again.chat.pk).model_ids == ["fake-small", "fake-large"]
