"""An administrator who reads a chat of somebody else leaves a line in the audit log, whatever way they take."""

from __future__ import annotations

from typing import Any

import pytest

from chat import links, oversight, selectors
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


@pytest.mark.parametrize("way", ["artifact", "artifact/page", "artifact/page?download"])
def test_what_an_answer_holds_to_look_at_is_a_part_of_the_chat(way: str, people: Any, client_for: Any) -> None:
    chat = talk(people.alice, "a page", "```html\n<p>Hello</p>\n```")
    answer = chat.messages.get(author="assistant")
    for person in (people.alice, people.dana):
        assert client_for(person).get(f"/c/{chat.pk}/messages/{answer.pk}/{way}").status_code == 200
    assert [key for _who, key in lines()] == [str(chat.pk)]


@pytest.mark.parametrize("way", ["/s/{}", "/api/v1/chats/share/{}"])
def test_a_link_opened_by_the_bypass_alone_leaves_a_line(way: str, people: Any, client_for: Any, share: Any) -> None:
    """The audit log names the links, so whoever reads it could open all of them."""
    chat = talk(people.alice, "a question", "an answer")
    shared = links.share_chat(by=people.alice, chat_id=chat.pk)
    looks = AuditEvent.objects.filter(action="shared_chat.read")
    for person in (people.alice, people.dana, people.dana):
        assert client_for(person).get(way.format(shared.pk)).status_code == 200
    assert [(e.actor_id, e.object_id, e.detail) for e in looks] == [
        (people.dana.pk, str(shared.pk), {"chat": str(chat.pk)})
    ]
    oversight._looks.clear()
    share(shared, people.dana)
    assert client_for(people.dana).get(way.format(shared.pk)).status_code == 200
    assert looks.count() == 1, "what was shared with somebody is read by that right"


@pytest.mark.parametrize("way", ["/folders/{}", "/api/v1/folders/{}", "/api/v1/folders/{}/shared/chats"])
def test_titles_of_others_in_a_folder_leave_a_line(way: str, people: Any, client_for: Any, share: Any) -> None:
    folder = Folder.objects.create(owner=people.alice, name="Signals")
    talk(people.alice, "a question", "an answer", folder=folder)
    looks = AuditEvent.objects.filter(action="folder.read")
    for person in (people.alice, people.dana, people.dana):
        assert client_for(person).get(way.format(folder.pk)).status_code == 200
    assert [(e.actor_id, e.object_id) for e in looks] == [(people.dana.pk, str(folder.pk))]
    oversight._looks.clear()
    share(folder, people.dana)
    assert client_for(people.dana).get(way.format(folder.pk)).status_code == 200
    assert looks.count() == 1
