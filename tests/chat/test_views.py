"""The pages and fragments of chats, through the server's own stack."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import AsyncClient, Client

from chat.models import Chat, Citation, Message
from knowledge.models import Document, DocumentPage, KnowledgeDocument
from owui.lib.aio import in_thread
from tests.chat.helpers import ask, counted, end, until
from tests.conftest import token_for
from tests.factories.rbac import make_shared
from tests.fakes.model_server import FakeModelServer

live = pytest.mark.django_db(transaction=True)


class Page(AsyncClient):
    """Sends its own headers with each request; Django's drops those it was made with."""

    own: dict[str, str]

    def generic(self, *args: Any, **kwargs: Any) -> Any:
        return super().generic(*args, **kwargs | {"headers": self.own})


def browser(token: str, *, htmx: bool = True, csrf: bool = False) -> AsyncClient:
    client = Page(enforce_csrf_checks=csrf)
    client.own = {"sec-fetch-site": "same-origin"} | ({"hx-request": "true"} if htmx else {})
    client.cookies["token"] = token
    return client


async def saved(message_id: Any, state: str = "done") -> Message:
    found: list[Message] = []

    async def look() -> bool:
        found[:] = [await in_thread(Message.objects.get)(pk=message_id)]
        return found[0].state == state

    import asyncio

    async with asyncio.timeout(5):
        while not await look():
            await asyncio.sleep(0.02)
    return found[0]


@live
async def test_conversation_by_pages(process: Any, alice: Any, small: Any, server: FakeModelServer) -> None:
    page = browser(await in_thread(token_for)(alice))
    sent = await page.post("/c/new/messages", {"text": "Hello [[n=5 ttft=400]]", "model": "fake-small"})
    assert sent.status_code == 200
    html = sent.content.decode()
    chat = await in_thread(Chat.objects.get)()
    assert sent["HX-Push-Url"] == f"/c/{chat.pk}"
    answer = chat.current_id
    assert html.count("<article") == 2
    assert re.search(rf'id="message-{answer}"[^>]*data-turn="[0-9a-f-]+" data-seq="\d+" aria-busy="true"', html)
    assert (await saved(answer)).content == counted(5)

    # The fragment of one message, the page, a second question.
    assert "t5" in (await page.get(f"/c/{chat.pk}/messages/{answer}")).content.decode()
    whole = browser(await in_thread(token_for)(alice), htmx=False)
    shown = (await whole.get(f"/c/{chat.pk}")).content.decode()
    assert "Hello" in shown
    assert "t5" in shown
    second = await page.post(f"/c/{chat.pk}/messages", {"text": "More [[n=3000 tps=50]]", "model": "fake-small"})
    assert "HX-Push-Url" not in second
    chat = await in_thread(Chat.objects.get)()
    running = f"/c/{chat.pk}/messages/{chat.current_id}"
    busy = await page.post(f"/c/{chat.pk}/messages", {"text": "And?", "model": "fake-small"})
    assert busy.status_code == 409
    assert busy["HX-Retarget"] == "#toasts"
    assert "Wait for the answer" in busy.content.decode()
    assert (await page.post(f"{running}/continue")).status_code == 409
    assert (await page.post(f"{running}/stop")).status_code == 204
    stopped = await saved(chat.current_id, "stopped")
    await until(lambda: server.stats()["active"] == 0)

    # Going on, asking again, other words, the pager.
    going_on = await page.post(f"{running}/continue")
    assert going_on.status_code == 200
    await page.post(f"{running}/stop")
    assert (await saved(chat.current_id, "stopped")).content.startswith(stopped.content)
    again = await page.post(f"/c/{chat.pk}/messages/{answer}/regenerate", {"model": "fake-small"})
    assert (again["HX-Retarget"], again["HX-Reswap"]) == ("#messages", "innerHTML")
    assert "2/2" in again.content.decode()
    newest = (await in_thread(Chat.objects.get)()).current_id
    await saved(newest)
    selected = await page.post(f"/c/{chat.pk}/messages/{answer}/select")
    assert "More" in selected.content.decode()
    question = (await in_thread(Message.objects.get)(pk=answer)).parent_id
    assert "Hello" in (await page.get(f"/c/{chat.pk}/messages/{question}/edit")).content.decode()
    edited = await page.post(f"/c/{chat.pk}/messages/{question}/edit", {"text": "Other [[n=2]]"})
    assert edited.status_code == 200
    assert (await saved((await in_thread(Chat.objects.get)()).current_id)).content == counted(2)


@live
async def test_fault_of_the_model_server_is_kept_with_the_answer(process: Any, alice: Any, small: Any) -> None:
    page = browser(await in_thread(token_for)(alice))
    await page.post("/c/new/messages", {"text": "[[err=503 msg=overloaded]]", "model": "fake-small"})
    chat = await in_thread(Chat.objects.get)()
    message = await saved(chat.current_id, "failed")
    html = (await page.get(f"/c/{chat.pk}/messages/{message.pk}")).content.decode()
    assert message.error
    assert "Retry" in html


@live
async def test_what_cannot_be_sent_is_said_and_leaves_nothing(process: Any, alice: Any, small: Any) -> None:
    page = browser(await in_thread(token_for)(alice))
    for text, model, status, words in (
        (" ", "fake-small", 400, "Please write a message first."),
        ("x" * 5_000_000, "fake-small", 413, "5,000,000"),
        ("hi", "fake-large", 404, "Model not found"),
        ("hi", "", 404, "Model not found"),
    ):
        answer = await page.post("/c/new/messages", {"text": text, "model": model})
        assert answer.status_code == status
        assert words in answer.content.decode()
    assert not await in_thread(Chat.objects.exists)()


@live
async def test_form_of_another_site_is_refused(process: Any, alice: Any, small: Any) -> None:
    page = browser(await in_thread(token_for)(alice), csrf=True)
    answer = await page.post("/c/new/messages", {"text": "hi", "model": "fake-small"})
    assert answer.status_code == 403
    assert not await in_thread(Chat.objects.exists)()


@live
async def test_person_who_leaves_between_the_commit_and_the_start_does_not_stop_the_answer(
    process: Any, alice: Any, small: Any, monkeypatch: Any
) -> None:
    import asyncio
    import threading

    from chat import services
    from chat.dispatch import start
    from inference.catalogue import resolve_for

    resolved, held, committed = await resolve_for(alice, "fake-small"), threading.Event(), asyncio.Event()
    loop, real = asyncio.get_running_loop(), services.start_turn

    def slow(**arguments: Any) -> Any:
        started = real(**arguments)
        loop.call_soon_threadsafe(committed.set)
        held.wait(5)
        return started

    request = asyncio.create_task(
        start(alice, resolved, slow, text="[[n=4]]", model_id="fake-small", model_name="Fake small")
    )
    await committed.wait()
    request.cancel()
    held.set()
    await asyncio.wait({request})
    assert request.cancelled()
    chat = await in_thread(Chat.objects.get)()
    assert (await saved(chat.current_id)).content == counted(4)


@pytest.mark.django_db
def test_chat_of_somebody_else_does_not_exist(alice: Any, mallory: Any, client_for: Callable[..., Client]) -> None:
    started = ask(alice, "secret")
    end(started, "secret too")
    page = client_for(mallory)
    base, message = f"/c/{started.chat.pk}", f"/c/{started.chat.pk}/messages/{started.message.pk}"
    for path in (base, message, f"{base}/rename", f"{base}/delete", f"{message}/sources/1"):
        answer = page.get(path)
        assert answer.status_code == 404, path
        assert b"secret" not in answer.content
        assert answer.status_code == page.get(path.replace(str(started.chat.pk), str(uuid.uuid4()))).status_code
    for path in (f"{base}/pin", f"{base}/rename", f"{base}/delete", f"{message}/select"):
        assert page.post(path, {"title": "x"}).status_code == 404, path


@pytest.mark.django_db
def test_sidebar_actions_answer_with_the_list(alice: Any, client_for: Callable[..., Client]) -> None:
    chat = ask(alice, "About dosing").chat
    page = client_for(alice, htmx=True)
    renamed = page.post(f"/c/{chat.pk}/rename", {"title": "Renamed"})
    assert (renamed["HX-Retarget"], renamed["HX-Reswap"]) == ("#chat-list", "innerHTML")
    assert b"Renamed" in renamed.content
    assert page.post(f"/c/{chat.pk}/pin").status_code == 200
    assert Chat.objects.get().pinned
    assert b"Renamed" in page.get("/c/search").content
    assert b"med</span>" in page.get("/c/found?q=rena").content
    assert b"med</span>" not in page.get("/c/found?q=other").content
    assert page.post(f"/c/{chat.pk}/rename", {"title": " "}).status_code == 400
    deleted = page.post(f"/c/{chat.pk}/delete")
    assert deleted["HX-Redirect"] == "/"
    assert not Chat.objects.exists()


@pytest.fixture
def cited(alice: Any, bob: Any, share: Callable[..., None]) -> Any:
    """Bob's answer on a passage of alice's base, which is shared with him."""
    base = make_shared("knowledge", alice)
    document = Document.objects.create(owner=alice, filename="SOP-17.pdf", state="live")
    KnowledgeDocument.objects.create(knowledge_base=base, document=document, added_by=alice)
    text = "Before it stands this. The batch is released by the qualified person. After it comes that."
    DocumentPage.objects.create(document=document, position=0, number=3, text=text)
    share(base, bob)
    started = ask(bob)
    passage = "The batch is released by the qualified person."
    Citation.objects.create(
        message=started.message, number=1, document=document, knowledge_base=base, document_name="SOP-17.pdf",
        page_position=0, page_number=3, start_index=text.index(passage), text=passage, score=0.91,
    )  # fmt: skip
    end(started, "The qualified person [1].")
    return base, document, f"/c/{started.chat.pk}/messages/{started.message.pk}/sources"


@pytest.mark.django_db
def test_source_shows_the_passage_in_its_page(cited: Any, bob: Any, client_for: Callable[..., Client]) -> None:
    _base, document, path = cited
    html = client_for(bob, htmx=True).get(f"{path}/1").content.decode()
    assert "<mark>The batch is released by the qualified person.</mark>" in html
    assert "Before it stands this." in html
    assert "After it comes that." in html
    assert f"/api/v1/files/{document.pk}/content#page=3" in html
    assert "91 %" in html
    assert client_for(bob).get(f"{path}/2").status_code == 404


@pytest.mark.django_db
def test_source_is_gone_with_the_right_to_the_document(
    cited: Any, alice: Any, bob: Any, client_for: Callable[..., Client]
) -> None:
    from rbac.services import set_grants

    base, document, path = cited
    set_grants(base, [], by=alice)
    answer = client_for(bob, htmx=True).get(f"{path}/1")
    assert answer.status_code == 404
    assert b"qualified person" not in answer.content
    document.delete()
    assert client_for(bob).get(f"{path}/1").status_code == 404


@pytest.mark.django_db
def test_rest_of_chats(alice: Any, mallory: Any, dana: Any, api_for: Callable[..., Any], settings: Any) -> None:
    started = ask(alice, "About dosing")
    end(started, "Twice a day.")
    path = f"/api/v1/chats/{started.chat.pk}"
    (item,) = api_for(alice).get("/api/v1/chats/").json()
    assert (item["id"], item["title"]) == (str(started.chat.pk), "About dosing")
    assert api_for(alice).get("/api/v1/chats/?page=2").json() == []
    chat = api_for(alice).get(path).json()
    history = chat["chat"]["history"]
    assert history["currentId"] == str(started.message.pk)
    answer = history["messages"][str(started.message.pk)]
    assert (answer["role"], answer["content"], answer["done"]) == ("assistant", "Twice a day.", True)
    assert [m["content"] for m in chat["chat"]["messages"]] == ["About dosing", "Twice a day."]
    assert api_for(mallory).get("/api/v1/chats/").json() == []
    assert api_for(mallory).get(path).status_code == 401
    assert api_for(mallory).get(f"/api/v1/chats/{uuid.uuid4()}").json() == api_for(mallory).get(path).json()
    assert api_for(dana).get(path).status_code == 200
    settings.ENABLE_ADMIN_CHAT_ACCESS = False
    assert api_for(dana).get(path).status_code == 401
    assert api_for(mallory).delete(path).status_code == 404
    assert api_for(alice).delete(path).json() is True
    assert api_for(alice).get(path).status_code == 401


@live
def test_rest_of_tasks(alice: Any, mallory: Any, api_for: Callable[..., Any]) -> None:
    started = ask(alice)
    path = f"/api/tasks/chat/{started.chat.pk}"
    assert api_for(alice).get(path).json() == {"task_ids": [str(started.turn.pk)]}
    assert api_for(mallory).get(path).json() == {"task_ids": []}
    assert api_for(mallory).post(f"{path}/stop").status_code == 404
    stopped = api_for(alice).post(f"{path}/stop").json()
    assert stopped["status"] is True
    assert stopped["message"]
    started.turn.refresh_from_db()
    assert started.turn.stop_requested
