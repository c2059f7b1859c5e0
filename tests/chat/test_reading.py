"""What is new in the list: rings while an answer is written, dots for what went on unseen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from chat import reading, selectors
from chat.models import Chat
from tests.chat.helpers import ask, end
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client_for: Any, alice: Any) -> Client:
    return client_for(alice, htmx=True)  # type: ignore[no-any-return]


def state(owner: Any, chat: Any, current: Any = None) -> str:
    shown = selectors.sidebar_of(owner, current)
    rows = [*shown["pinned"], *(row for group in shown["group_list"] for row in group["chats"])]
    return str(next(row["state"] for row in rows if row["id"] == chat.pk))


def later(chat: Any, seconds: int = 60) -> None:
    """The question was asked a while ago."""
    Chat.objects.filter(pk=chat.pk).update(read_at=timezone.now() - timedelta(seconds=seconds))


def test_a_chat_is_running_then_new_then_read(alice: Any, page: Client) -> None:
    started = ask(alice)
    chat = started.chat
    assert state(alice, chat) == reading.RUNNING
    later(chat)
    end(started)
    assert state(alice, chat) == reading.UNREAD
    assert state(alice, chat, current=chat.pk) == "", "what is open is being read"
    assert 'class="chat-state unread"' in page.get("/c/search").content.decode()
    assert page.get(f"/c/{chat.pk}").status_code == 200
    assert state(alice, chat) == ""


def test_what_just_began_is_not_new(alice: Any) -> None:
    chat = Chat.objects.create(owner=alice, title="Now")
    assert state(alice, chat) == ""
    Chat.objects.filter(pk=chat.pk).update(read_at=None)
    assert state(alice, chat) == "", "chats from before there were such marks"


def test_asking_is_reading(alice: Any) -> None:
    first = ask(alice)
    later(first.chat)
    end(first)
    second = ask(alice, "And?", chat_id=first.chat.pk)
    end(second)
    assert state(alice, first.chat) == ""


def test_an_answer_that_ends_before_ones_eyes_is_read(alice: Any, bob: Any, page: Client, client_for: Any) -> None:
    started = ask(alice)
    later(started.chat)
    end(started)
    assert client_for(bob).post(f"/c/{started.chat.pk}/read").status_code == 404
    assert state(alice, started.chat) == reading.UNREAD
    assert page.post(f"/c/{started.chat.pk}/read").status_code == 204
    assert state(alice, started.chat) == ""
    assert not reading.mark_read(by=alice, chat_id=started.chat.pk), "nothing is written where nothing is new"


def test_mark_as_unread(alice: Any, page: Client) -> None:
    chat = Chat.objects.create(owner=alice, title="Later")
    assert "chat-state unread" in page.post(f"/c/{chat.pk}/unread").content.decode()
    assert state(alice, chat) == reading.UNREAD
    away = page.post(f"/c/{chat.pk}/unread", headers={"hx-current-url": f"http://testserver/c/{chat.pk}"})
    assert away["HX-Redirect"] == "/", "on its page it would be read at once"


def test_folders_count_what_is_new_in_them(alice: Any, bob: Any, share: Any, page: Client) -> None:
    folder = make_shared("folder", alice, name="Project")
    share(folder, bob, "write")
    for owner in (alice, alice, bob):
        chat = Chat.objects.create(owner=owner, title="New", folder=folder)
        reading.mark_unread(by=owner, chat_id=chat.pk)
    Chat.objects.create(owner=alice, title="Old", folder=folder)
    html = page.get("/c/search").content.decode()
    assert "2 chats are new" in html, "bob's are bob's to read"
    assert (
        page.get(f"/folders/{folder.pk}").content.decode().count('class="chat-state unread"') == 2 + 1
    )  # and a template
    folder.is_expanded = True
    folder.save()
    html = page.get("/c/search").content.decode()
    assert html.count('class="chat-state unread"') == 2 and "2 chats are new" not in html


def test_rest(alice: Any, bob: Any, api_for: Any) -> None:
    api, chat = api_for(alice), Chat.objects.create(owner=alice, title="A")
    folder = make_shared("folder", alice, name="Project")
    inside = Chat.objects.create(owner=alice, title="B", folder=folder)
    for one in (chat, inside):
        assert api.post(f"/api/v1/chats/{one.pk}/unread").json() is True
        assert api_for(bob).post(f"/api/v1/chats/{one.pk}/unread").status_code == 404
    assert api.get("/api/v1/folders/").json()[0]["unread_count"] == 1
    assert api.get("/api/v1/chats/").json()[0]["last_read_at"] == 0
    assert api.post(f"/api/v1/folders/{folder.pk}/read").json() is True
    assert state(alice, chat) == reading.UNREAD
    assert api.get("/api/v1/folders/").json()[0]["unread_count"] == 0
    assert api.post("/api/v1/chats/read", {"chat_ids": [str(chat.pk)]}).json() is True
    assert state(alice, chat) == ""


def test_running_shows_in_rest(alice: Any, api_for: Any) -> None:
    started = ask(alice)
    assert api_for(alice).get("/api/v1/chats/").json()[0]["active"] is True
    end(started)
    assert api_for(alice).get("/api/v1/chats/").json()[0]["active"] is False
