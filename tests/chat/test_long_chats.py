"""Long chats: the page has the last messages, and the earlier ones come when somebody scrolls to them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from chat import links
from chat.models import Chat, Message
from chat.selectors import BESIDE, WINDOW
from rbac.grants import Grant
from rbac.services import set_grants
from tests.factories.accounts import a_system_admin
from tests.factories.knowledge import make_base

pytestmark = pytest.mark.django_db
LONG = 200
Texts = list[str]


def long_chat(owner: Any, count: int = LONG, **first: Any) -> tuple[Chat, list[Message]]:
    """Questions and answers in turn, each with its number; `first` goes into the first question."""
    chat = Chat.objects.create(owner=owner, title="Long", model_ids=["fake-small"])
    rows: list[Message] = []
    for number in range(count):
        author = "assistant" if number % 2 else "user"
        more = first if not rows else {}
        rows.append(Message(chat=chat, author=author, content=f"m{number}.", parent=rows[-1] if rows else None, **more))
    Message.objects.bulk_create(rows)
    Chat.objects.filter(pk=chat.pk).update(current=rows[-1].pk)
    return chat, rows


def numbers(html: str) -> list[int]:
    return [int(found) for found in re.findall(r"<p>m(\d+)\.</p>", html)]


def test_a_page_has_the_last_messages_and_scrolling_brings_the_others(alice, client_for):
    chat, rows = long_chat(alice)
    page = client_for(alice).get(f"/c/{chat.pk}").content.decode()
    assert numbers(page) == list(range(LONG - WINDOW, LONG))
    seen = numbers(page)
    while found := re.search(r'hx-get="(/c/[^"]+/earlier)"', page):
        page = client_for(alice).get(found[1]).content.decode()
        seen = numbers(page) + seen
    assert seen == list(range(LONG))
    elsewhere = client_for(alice).get(f"/c/{chat.pk}/messages/{uuid.uuid4()}/earlier")
    assert elsewhere.status_code == 200 and numbers(elsewhere.content.decode()) == []


def test_a_short_chat_comes_whole(alice, client_for):
    chat, _rows = long_chat(alice, WINDOW)
    page = client_for(alice).get(f"/c/{chat.pk}").content.decode()
    assert numbers(page) == list(range(WINDOW)) and "/earlier" not in page


def test_what_is_done_with_an_early_message_shows_it(alice, client_for):
    """Somebody who scrolled up and turns to another version goes on reading there."""
    chat, rows = long_chat(alice)
    other = Message.objects.create(chat=chat, author="assistant", content="other", parent=rows[50])
    html = client_for(alice).post(f"/c/{chat.pk}/messages/{other.pk}/select").content.decode()
    assert "other" in html and numbers(html)[-1] == 50
    html = client_for(alice).post(f"/c/{chat.pk}/messages/{rows[51].pk}/select").content.decode()
    assert numbers(html) == list(range(50 - BESIDE, LONG))
    html = client_for(alice).post(f"/c/{chat.pk}/messages/{rows[60].pk}/delete").content.decode()
    assert numbers(html) == [number for number in range(58 - BESIDE, LONG) if number != 60]


def test_answers_of_several_models_stay_with_their_question(alice, client_for):
    chat, rows = long_chat(alice, LONG - 1)
    for column in range(3):
        meta = {"modelIdx": column}
        last = Message.objects.create(
            chat=chat, author="assistant", content=f"c{column}", parent=rows[-1], meta=meta, model_name=f"M{column}"
        )
    Chat.objects.filter(pk=chat.pk).update(current=last.pk)
    page = client_for(alice).get(f"/c/{chat.pk}").content.decode()
    first = numbers(page)[0]
    assert first % 2 == 0 and all(f"c{column}" in page for column in range(3))


def test_knowledge_of_the_first_question_stays_chosen(alice, client_for):
    base = make_base(owner=alice, name="Protocols")
    files = [
        {"type": "image", "url": "data:image/png;base64,AAAA"},
        {"type": "collection", "id": str(base.pk), "name": "Protocols"},
    ]
    chat, _rows = long_chat(alice, files=files)
    page = client_for(alice).get(f"/c/{chat.pk}").content.decode()
    assert str(base.pk) in page and "AAAA" not in page


def test_a_long_chat_takes_no_more_statements_than_a_short_one(
    alice: Any, client_for: Callable[..., Client], django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    page, (chat, rows) = client_for(alice), long_chat(alice)
    page.get(f"/c/{chat.pk}")
    with django_assert_max_num_queries(10):
        assert page.get(f"/c/{chat.pk}").status_code == 200
    with django_assert_max_num_queries(8):
        assert page.get(f"/c/{chat.pk}/messages/{rows[100].pk}/earlier").status_code == 200


def test_a_shared_page_goes_on_where_one_scrolls_to(alice, bob, client_for):
    chat, _rows = long_chat(alice)
    shared = links.share_chat(by=alice, chat_id=chat.pk)
    url = f"/s/{shared.pk}?after={WINDOW}"
    assert client_for(bob).get(url).status_code == 404
    set_grants(shared, [Grant("anyone", "*", "read")], by=a_system_admin())
    page = client_for().get(f"/s/{shared.pk}").content.decode()
    assert numbers(page) == list(range(WINDOW)) and f'hx-get="{url}"' in page
    page = client_for().get(url).content.decode()
    assert numbers(page) == list(range(WINDOW, 2 * WINDOW)) and "<html" not in page
    assert "hx-get" not in client_for().get(f"/s/{shared.pk}?after={LONG - 10}").content.decode()


def test_pages_go_compressed_over_the_wire(alice, client_for):
    chat, _rows = long_chat(alice)
    for path in ("/", f"/c/{chat.pk}"):
        plain = client_for(alice).get(path)
        small = client_for(alice).get(path, headers={"accept-encoding": "gzip"})
        assert small["Content-Encoding"] == "gzip" and len(small.content) < len(plain.content) / 4
