"""Open pages learn of what became of chats and folders, whoever did it: another tab, or a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chat import listed, news, organising
from chat.models import Chat, Folder
from chat.nodes import nodes
from owui.lib.errors import Missing
from tests.chat.test_organising import talk

API = "/api/v1"
pytestmark = pytest.mark.django_db


@pytest.fixture
def told(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> Iterator[Callable[[Callable[[], Any]], list[Any]]]:
    """What is told of a change, by person, when it is there and not before."""
    heard: list[Any] = []
    monkeypatch.setattr(nodes, "announce_sync", heard.append)

    def after(change: Callable[[], Any]) -> list[Any]:
        heard.clear()
        with django_capture_on_commit_callbacks(execute=True):
            change()
            assert heard == []
        return [(message["user_ids"], op) for message in heard if message["kind"] == news.KIND for op in message["ops"]]

    yield after


def test_a_program_s_changes_of_a_chat_are_told_to_its_owner(alice: Any, api_for: Any, told: Any) -> None:
    api, chat, me = api_for(alice), talk(alice, "Question", "Answer"), [str(alice.pk)]
    address, link = f"{API}/chats/{chat.pk}", f'a[href="/c/{chat.pk}"]'
    assert told(lambda: api.post(address, {"chat": {"title": "New <b>"}})) == [
        (me, ["title", "chat-list", "New <b>", str(chat.pk)])
    ]
    ((people, op),) = told(lambda: api.post(f"{address}/pin", {}))
    assert (people, op[:3]) == (me, ["stale", "chat-list", "/c/search"])
    assert op[3] == f'#chat-more-{chat.pk}[data-state="pinned"]'
    assert told(lambda: api.post(f"{address}/pin", {}))[0][1][3].endswith('[data-state="loose"]')
    assert told(lambda: api.post(f"{address}/archive", {}))[0][1][3] == f"#chat-list:not(:has({link}))"
    assert told(lambda: api.post(f"{address}/archive", {}))[0][1][3] == f"#chat-list {link}"
    assert told(lambda: api.post(f"{API}/chats/archive/all", {})) == [(me, listed.list_op())]
    assert told(lambda: api.delete(address))[0][1][3] == f"#chat-list:not(:has({link}))"
    made = {"chat": {"title": "Sent", "history": {"messages": {}}}}
    assert len(told(lambda: api.post(f"{API}/chats/new", made))) == 1


def test_tags_are_told_where_their_dialog_is_open(alice: Any, api_for: Any, client_for: Any, told: Any) -> None:
    chat, page = talk(alice, "Question", "Answer"), client_for(alice, htmx=True)
    address = f"/c/{chat.pk}/tags"
    ((people, op),) = told(lambda: api_for(alice).post(f"{API}/chats/{chat.pk}/tags", {"name": 'Say "so"'}))
    assert people == [str(alice.pk)] and op[:3] == ["stale", f"tags-{chat.pk}", f"{address}?part=1"]
    part, whole = page.get(f"{address}?part=1").content.decode(), page.get(address).content.decode()
    mark = op[3].removeprefix(f"#tags-{chat.pk} [").removesuffix("]")
    assert mark in part and mark in whole and f'id="tags-{chat.pk}"' in whole and "<dialog" not in part
    assert told(lambda: page.post(address, {"remove": 'say_"so"'}))[0][1][3] != op[3]


def test_a_move_is_told_to_the_lists_and_to_the_pages_of_both_folders(
    alice: Any, bob: Any, api_for: Any, client_for: Any, share: Any, told: Any
) -> None:
    first, second = Folder.objects.create(owner=alice, name="A"), Folder.objects.create(owner=bob, name="B")
    share(second, alice, "write")
    chat = talk(alice, "Question", "Answer", folder=first)
    address, link = f"{API}/chats/{chat.pk}/folder", f'a[href="/c/{chat.pk}"]'
    news_of = told(lambda: api_for(alice).post(address, {"folder_id": str(second.pk)}))
    assert {tuple(people) for people, _op in news_of} == {tuple(sorted([str(alice.pk), str(bob.pk)]))}
    lists, left, came = (op for _people, op in news_of)
    assert lists[1] == "chat-list" and f"#folder-item-{second.pk} > .inside > #chat-item-{chat.pk}" in lists[3]
    assert left[1:4] == [
        f"folder-{first.pk}",
        f"/folders/{first.pk}?part=1",
        f"#folder-{first.pk}:not(:has({link}))",
    ]
    assert came[1:4] == [f"folder-{second.pk}", f"/folders/{second.pk}?part=1", f"#folder-{second.pk} {link}"]
    part = client_for(bob, htmx=True).get(came[2]).content.decode()
    assert f'href="/c/{chat.pk}"' in part and "<aside" not in part
    Chat.objects.filter(pk=chat.pk).update(pinned=True)  # stands on top, in a folder or not
    out = told(lambda: organising.move_chat(by=alice, chat_id=chat.pk, folder_id=None))
    assert [op[1] for _people, op in out] == [f"folder-{second.pk}"]
    assert told(lambda: organising.move_chat(by=alice, chat_id=chat.pk, folder_id=None)) == []


def test_what_becomes_of_a_folder_is_told(alice: Any, api_for: Any, client_for: Any, told: Any) -> None:
    api, outer = api_for(alice), Folder.objects.create(owner=alice, name="Outer")
    made = told(lambda: api.post(f"{API}/folders/", {"name": "Inner", "parent_id": str(outer.pk)}))
    inner = Folder.objects.get(name="Inner")
    assert [op[1] for _people, op in made] == ["chat-list", f"folder-{inner.pk}", f"folder-{outer.pk}"]
    renamed = told(lambda: api.post(f"{API}/folders/{inner.pk}/update", {"name": "Other"}))
    inner.refresh_from_db()
    at = f'data-at="{listed.at_of(inner)}"'
    assert renamed[0][1][3] == f"#folder-item-{inner.pk}[{at}]"
    page = client_for(alice).get(f"/folders/{inner.pk}").content.decode()
    assert page.count(at) == 1, "in its own page's heading; in the list it is inside one that is closed"
    api.post(f"{API}/folders/{outer.pk}/update/expanded", {"is_expanded": True})
    assert client_for(alice).get(f"/folders/{inner.pk}").content.decode().count(at) == 2
    moved = told(lambda: api.post(f"{API}/folders/{inner.pk}/update/parent", {"parent_id": None}))
    assert f"folder-{outer.pk}" in [op[1] for _people, op in moved]
    gone = told(lambda: api.delete(f"{API}/folders/{inner.pk}"))
    assert gone == [([str(alice.pk)], listed.list_op(f"#chat-list:not(:has(#folder-item-{inner.pk}))"))]


def test_nobody_is_told_of_what_was_refused(alice: Any, mallory: Any, told: Any) -> None:
    chat = talk(alice, "Question", "Answer")

    def refused() -> None:
        with pytest.raises(Missing):
            organising.toggle_archived(by=mallory, chat_id=chat.pk)

    assert told(refused) == []
