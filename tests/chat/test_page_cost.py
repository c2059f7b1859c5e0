"""The page of a chat asks ten statements at most, however full the sidebar is and whatever the answers stand on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.models import Chat, Citation, Folder, Message
from rbac.models import Membership
from tests.chat.helpers import ask
from tests.chat.test_organising import talk
from tests.factories.knowledge import make_base, make_document

pytestmark = pytest.mark.django_db
BUDGET = 10


def counted(page: Any, address: str) -> list[str]:
    page.get(address)  # what a process asks once, and "last seen"
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert page.get(address).status_code == 200
    return [query["sql"] for query in asked.captured_queries]


def test_a_full_page_asks_ten_statements_at_most(
    alice: Any, bob: Any, carols_group: Any, client_for: Any, share: Any
) -> None:
    Membership.objects.create(group=carols_group, user=alice)
    outer = Folder.objects.create(owner=alice, name="Outer", is_expanded=True)
    inner = Folder.objects.create(owner=alice, name="Inner", parent=outer, is_expanded=True)
    share(Folder.objects.create(owner=bob, name="Of Bob"), alice)
    for number in range(3):
        talk(alice, "Q", "A", folder=(outer, inner, None)[number], pinned=number == 2)
        talk(alice, "Q", "A", folder=inner if number else None)
    ask(alice, "Still being answered", folder_id=str(inner.pk))
    chat = talk(alice, "What is stored?", "It is [1].", folder=inner)
    document = make_document(alice, bases=[make_base(alice)])
    answer = Message.objects.get(chat=chat, author="assistant")
    answer.status_history = [{"action": "knowledge_search", "done": True}]
    answer.save()
    Citation.objects.create(message=answer, number=1, document=document, document_name="a.txt", text="At 7.5 degrees.")
    asked = counted(page := client_for(alice), f"/c/{chat.pk}")
    html = page.get(f"/c/{chat.pk}").content.decode()
    assert "a.txt" in html and html.count('class="chat-item') > 6
    assert len(asked) <= BUDGET, "\n\n".join(str(sql)[:300] for sql in asked)
    for address in ("/", f"/folders/{inner.pk}"):
        found = counted(page, address)
        assert len(found) <= BUDGET + 2, "\n\n".join(str(sql)[:300] for sql in found)


def test_what_the_list_says_of_folders_is_what_it_said(alice: Any, bob: Any, client_for: Any, share: Any) -> None:
    """News and running answers, which are read along with the folders and their chats now."""
    open_one = Folder.objects.create(owner=alice, name="Open", is_expanded=True)
    closed = Folder.objects.create(owner=alice, name="Closed")
    theirs = Folder.objects.create(owner=bob, name="Of Bob")
    share(theirs, alice, "write")
    long_ago = timezone.now() - timedelta(days=1)
    for folder, count in ((open_one, 1), (closed, 2), (theirs, 1)):
        for _each in range(count):
            Chat.objects.filter(pk=talk(alice, "Q", "A", folder=folder).pk).update(read_at=long_ago)
    talk(alice, "Q", "A", folder=closed)
    of_bob = talk(bob, "Q", "A", folder=theirs)
    Chat.objects.filter(pk=of_bob.pk).update(read_at=long_ago)  # news to Bob, and to nobody else
    running = ask(alice, "Running", folder_id=str(open_one.pk)).chat

    from chat.folder_tree import folder_tree

    tree = {line["name"]: line for line in folder_tree(alice)}
    assert {name: line["unread_count"] for name, line in tree.items()} == {"Open": 1, "Closed": 2, "Of Bob": 1}
    assert {row["state"] for row in tree["Open"]["chats"]} == {"running", "unread"}
    assert next(row["id"] for row in tree["Open"]["chats"] if row["state"] == "running") == running.pk
    looked_at = Chat.objects.filter(folder=closed).order_by("read_at").first()
    assert looked_at is not None
    again = {line["name"]: line["unread_count"] for line in folder_tree(alice, chat=looked_at.pk)}
    assert again["Closed"] == 1, "what is open is being read"
