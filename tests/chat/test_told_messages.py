"""What programs add to messages, and single parameters of a chat."""

from __future__ import annotations

from typing import Any

import pytest

from chat import told
from chat.models import Chat, Message, MessageVersion
from tests.chat.helpers import ask
from tests.chat.test_organising import talk

pytestmark = pytest.mark.django_db
API = "/api/v1/chats"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    from chat.api import messages

    found: list[Any] = []
    monkeypatch.setattr(messages.nodes, "announce_sync", lambda news: found.append(news["ops"][0]))
    return found


def test_words_states_and_notices(alice: Any, api_for: Any, heard: list[Any]) -> None:
    chat = talk(alice, "Hi", "Hello")
    path = f"{API}/{chat.pk}/messages/{chat.current_id}/event"
    for kind, data in (
        ("message", {"content": " there"}),
        ("chat:message:delta", {"content": "."}),
        ("status", {"description": "Reading <b>", "done": False, "more": "x"}),
    ):
        assert api_for(alice).post(path, {"type": kind, "data": data}).json() is True
    answer = Message.objects.get(pk=chat.current_id)
    assert answer.content == "Hello there."
    assert answer.status_history == [{"action": "", "description": "Reading <b>", "done": False}]
    assert heard == [["stale", "messages", f"/c/{chat.pk}/messages", "#none", str(chat.pk)]] * 3
    api_for(alice).post(path, {"type": "replace", "data": {"content": "New"}})
    assert Message.objects.get(pk=answer.pk).content == "New"
    assert MessageVersion.objects.filter(message=answer).count() == 3, "former words are kept"
    api_for(alice).post(path, {"type": "notification", "data": {"type": "error", "content": "<script>x"}})
    assert heard[-1][:2] == ["append", "toasts"] and "&lt;script&gt;x" in heard[-1][2] and "bad" in heard[-1][2]


def test_what_cannot_be_added_is_refused(alice: Any, bob: Any, api_for: Any, heard: list[Any]) -> None:
    chat, other = talk(alice, "Hi", "Hello"), talk(alice, "Ho", "Hum")
    path = f"{API}/{chat.pk}/messages/{chat.current_id}/event"
    assert api_for(bob).post(path, {"type": "message", "data": {"content": "x"}}).status_code == 404
    assert api_for(alice).post(path, {"type": "execute", "data": {}}).status_code == 400
    wrong = f"{API}/{chat.pk}/messages/{other.current_id}"
    assert api_for(alice).post(f"{wrong}/event", {"type": "message"}).status_code == 404
    assert api_for(alice).post(wrong, {"content": "x"}).status_code == 404
    assert api_for(alice).delete(wrong).status_code == 404
    running = ask(alice)
    path = f"{API}/{running.chat.pk}/messages/{running.message.pk}/event"
    assert api_for(alice).post(path, {"type": "message", "data": {"content": "x"}}).status_code == 409
    assert heard == []
    for number in range(told.MOST_STATUSES + 5):
        told._add_status(chat.current, {"description": str(number)})
    assert len(Message.objects.get(pk=chat.current_id).status_history) == told.MOST_STATUSES


def test_single_messages(alice: Any, api_for: Any) -> None:
    chat = talk(alice, "Hi", "Hello", "And?")
    question, answer, last = chat.messages.order_by("created_at")
    whole = api_for(alice).post(f"{API}/{chat.pk}/messages/{answer.pk}", {"content": "Good day"}).json()
    assert whole["chat"]["history"]["messages"][str(answer.pk)]["content"] == "Good day"
    whole = api_for(alice).delete(f"{API}/{chat.pk}/messages/{answer.pk}").json()
    assert whole["chat"]["history"]["messages"][str(last.pk)]["parentId"] == str(question.pk)


def test_single_parameters(alice: Any, api_for: Any, set_config: Any) -> None:
    chat = talk(alice, "Hi", params={"seed": 1, "system": "Be kind."})
    path = f"{API}/{chat.pk}/params"
    send: Any = api_for(alice).patch
    answer = send(path, {"params": {"top_k": 3, "seed": None, "unknown": 1}}, content_type="application/json")
    assert answer.json()["chat"]["params"] == {"system": "Be kind.", "top_k": 3}
    set_config("user.permissions", {"chat": {"controls": True, "params": True, "system_prompt": False}})
    send(path, {"system": "Be rude.", "top_k": 4}, content_type="application/json")
    assert Chat.objects.get(pk=chat.pk).params == {"system": "Be kind.", "top_k": 4}, "what one may not set stays"


def test_lists_are_sorted_and_searched(alice: Any, bob: Any, api_for: Any) -> None:
    for title, text in (("B", "The zelorix probe"), ("A", "nothing"), ("C", "zelorix again")):
        talk(alice, text, title=title)
    talk(alice, "zelorix", title="Kept", archived=True, meta={"tags": ["big"]})
    talk(bob, "zelorix", title="Bob's")
    api = api_for(alice)
    assert [c["title"] for c in api.get(f"{API}/?sort_by=title&sort_dir=asc").json()] == ["A", "B", "C"]
    found = api.get(f"{API}/search?text=ZELORIX").json()
    assert [c["title"] for c in found] == ["C", "B"]
    assert "zelorix" in found[0]["snippet"]
    assert [c["title"] for c in api.get(f"{API}/search?text=tag:big archived:true").json()] == ["Kept"]
    assert api.get(f"{API}/search?text=zelorix&page=2").json() == []
