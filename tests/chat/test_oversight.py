"""An administrator who reads a chat of somebody else leaves a line in the audit log, whatever way they take."""

from __future__ import annotations

from typing import Any

import pytest

from chat import oversight, selectors
from chat.models import Folder, Turn
from owui.audit.models import AuditEvent
from tests.chat.test_organising import talk

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_former_looks() -> None:
    oversight._looks.clear()


def lines() -> list[tuple[str, str]]:
    events = AuditEvent.objects.filter(action="chat.read").order_by("id")
    return [(event.actor_label, event.object_id) for event in events]


@pytest.mark.parametrize("way", ["page", "rest", "message", "socket"])
def test_reading_is_in_the_log_before_anything_is_shown(way: str, people: Any, client: Any, api_for: Any) -> None:
    from tests.conftest import token_for

    chat = talk(people.alice, "a question", "an answer")
    answer = chat.messages.get(author="assistant")
    client.cookies["token"] = token_for(people.dana)
    if way == "page":
        assert client.get(f"/c/{chat.pk}").status_code == 200
    elif way == "rest":
        assert api_for(people.dana).get(f"/api/v1/chats/{chat.pk}").status_code == 200
    elif way == "message":
        assert client.get(f"/c/{chat.pk}/messages/{answer.pk}").status_code == 200
    else:
        turn = Turn.objects.create(chat=chat, message=answer, user=people.alice)
        assert selectors.attachable_turn(people.dana, turn.pk) is not None
    assert [key for _who, key in lines()] == [str(chat.pk)]
    assert "dana" in lines()[0][0].lower()


def test_one_look_is_one_line_and_a_later_one_another(people: Any, api_for: Any, monkeypatch: Any) -> None:
    chat, api = talk(people.alice, "a question", "an answer"), api_for(people.dana)
    for _ in range(3):
        api.get(f"/api/v1/chats/{chat.pk}")
    assert len(lines()) == 1
    monkeypatch.setattr(oversight, "ONE_LOOK", 0.0)
    api.get(f"/api/v1/chats/{chat.pk}")
    assert len(lines()) == 2


def test_owners_readers_of_a_shared_folder_and_refused_people_leave_none(people: Any, api_for: Any, share: Any) -> None:
    folder = Folder.objects.create(owner=people.alice, name="Signals")
    share(folder, people.bob)
    share(folder, people.dana)
    chat = talk(people.alice, "a question", "an answer", folder=folder)
    for reader, status in ((people.alice, 200), (people.bob, 200), (people.dana, 200), (people.mallory, 401)):
        assert api_for(reader).get(f"/api/v1/chats/{chat.pk}").status_code == status
    assert lines() == []
    own = talk(people.dana, "mine", "yours")
    assert api_for(people.dana).get(f"/api/v1/chats/{own.pk}").status_code == 200
    assert lines() == []
