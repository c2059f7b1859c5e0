"""The list of chats and their search: what is found, what is not, and that neither grows in statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from chat import search
from chat.models import Chat, Message
from chat.search import parse, search_chats
from chat.selectors import SIDEBAR
from tests.conftest import token_for
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db


def say(owner: Any, title: str, *texts: str, age: int = 0, **fields: Any) -> Chat:
    chat = Chat.objects.create(owner=owner, title=title, **fields)
    for text in texts:
        Message.objects.create(chat=chat, author="user", content=text)
    Chat.objects.filter(pk=chat.pk).update(updated_at=timezone.now() - timedelta(minutes=age))
    return chat


def titles(user: Any, query: str) -> list[str]:
    return ["".join(text for text, _hit in hit.title) for hit in search_chats(user, parse(query)).hits]


@pytest.fixture
def page(alice: Any) -> Client:
    client = Client(headers={"hx-request": "true", "sec-fetch-site": "same-origin"})
    client.cookies["token"] = token_for(alice)
    return client


# ---------------------------------------------------------------------------------------------------------------- words
def test_words_are_found_in_titles_and_in_messages_newest_first(alice: Any) -> None:
    say(alice, "Old stability plan", age=50)
    say(alice, "Chamber", "The STABILITY of batch 42", age=10)
    say(alice, "Lunch", "Where to eat")
    assert titles(alice, "stability") == ["Chamber", "Old stability plan"]


def test_all_words_must_stand_in_one_message(alice: Any) -> None:
    say(alice, "A", "batch 42 is warm", "the chamber is cold")
    say(alice, "B", "batch 42 is in the chamber")
    assert titles(alice, "chamber batch") == ["B"]
    assert sorted(titles(alice, '"the chamber"')) == ["A", "B"]


def test_what_is_others_is_not_found_not_even_by_administrators(alice: Any, bob: Any, dana: Any) -> None:
    folder = make_shared("folder", bob, name="Shared")
    say(bob, "Secret stability", "stability", folder=folder)
    assert titles(alice, "stability") == titles(dana, "stability") == []


def test_signs_of_patterns_are_words(alice: Any) -> None:
    say(alice, "Rate", "is 100% of a_b")
    say(alice, "Other", "is 1000 of acb")
    assert titles(alice, "100%") == ["Rate"]
    assert titles(alice, "a_b") == ["Rate"]
    assert titles(alice, "\\") == []


def test_a_word_far_back_is_found_by_the_index(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three ways of searching give the same chats in the same order."""
    say(alice, "Needle old", "a needle", age=90)
    say(alice, "Titled needle", age=80)
    for number in range(12):
        say(alice, f"Hay {number}", "hay", age=number)
    say(alice, "Newest", "needles", age=0)
    expected = ["Newest", "Titled needle", "Needle old"]
    for near, far, dense in ((250, 600, 1200), (2, 4, 4), (2, 14, 14), (2, 4, 14), (1, 1, 1)):
        monkeypatch.setattr(search, "NEAR", near)
        monkeypatch.setattr(search, "FAR", far)
        monkeypatch.setattr(search, "DENSE", dense)
        assert titles(alice, "needle") == expected, (near, far)
    monkeypatch.setattr(search, "FAR", 4)
    found = search_chats(alice, parse("ee"))
    assert found.is_partial
    assert "Titled needle" in titles(alice, "ee"), "titles are searched whatever their age"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("chromatog", True),  # the beginning of a word
        ("matography", False),  # its end, which the newest chats alone are looked through for
        ("LOT-000712", True),
        ("000712", True),
        ("gradient chromatography", True),
        ("gradient absent", False),
        ("会議", True),
        ("bei 40 °C", True),
        ("docs/setup.md", True),
        ('"the chromatography"', True),
        ("'; DROP", False),
        ("a & b | !c :* (", False),
    ],
)
def test_in_older_chats_words_and_their_beginnings_are_found(
    alice: Any, monkeypatch: pytest.MonkeyPatch, query: str, found: bool
) -> None:
    text = "In the chromatography of LOT-000712 the gradient, see docs/setup.md, 会議室 was Lagerung bei 40 °C"
    say(alice, "Old", text, age=90)
    for number in range(4):
        say(alice, f"Hay {number}", "chromat hay", age=number)
    monkeypatch.setattr(search, "NEAR", 1)
    monkeypatch.setattr(search, "FAR", 2)
    monkeypatch.setattr(search, "DENSE", 2)
    hits = search_chats(alice, parse(query))
    assert ("Old" in ["".join(part for part, _hit in hit.title) for hit in hits.hits]) is found
    assert hits.is_partial, "the person is told that older chats were searched by words"


def test_an_index_that_takes_too_long_is_left(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    say(alice, "Old", "a needle", age=90)
    for number in range(4):
        say(alice, f"Needle {number}", "needle", age=number)
    monkeypatch.setattr(search, "NEAR", 1)
    monkeypatch.setattr(search, "FAR", 2)
    monkeypatch.setattr(search, "DENSE", 2)
    monkeypatch.setattr(search, "INDEX_SECONDS", 0.001)
    monkeypatch.setattr(search, "_WORDS", "to_tsvector('simple', content || pg_sleep(0.2)::text)")
    hits = search_chats(alice, parse("needle"))
    assert hits.is_partial and "Old" not in [hit.title[0][0] for hit in hits.hits]
    assert Chat.objects.count() == 5, "the connection goes on"


def test_the_snippet_marks_the_word_and_nothing_in_it_is_html(alice: Any, page: Client) -> None:
    say(alice, "A", "before " * 30 + "<b>Zelorix</b> after " + "x " * 300)
    html = page.get("/c/found?q=zelorix").content.decode()
    assert "&lt;b&gt;<mark>Zelorix</mark>&lt;/b&gt; after" in html
    assert "…" in html and len(html) < 3000


# -------------------------------------------------------------------------------------------------------------- filters
def test_filters(alice: Any) -> None:
    folder = make_shared("folder", alice, name="My project")
    say(alice, "Tagged", meta={"tags": ["big_ideas"]}, age=1)
    say(alice, "Pinned", pinned=True, age=2)
    say(alice, "Kept", archived=True, age=3)
    say(alice, "Filed", folder=folder, age=4)
    shared = say(alice, "Linked", age=5)
    make_shared("shared_chat", alice, chat=shared, title="Linked")
    assert titles(alice, 'tag:"Big ideas"') == titles(alice, "tag:big_ideas") == ["Tagged"]
    assert "Tagged" not in titles(alice, "tag:none")
    assert titles(alice, "pinned:true") == ["Pinned"]
    assert titles(alice, "archived:true") == ["Kept"]
    assert titles(alice, 'folder:"my project"') == ["Filed"]
    assert titles(alice, "shared:true") == ["Linked"]
    assert titles(alice, "shared:true pinned:true") == []
    assert titles(alice, "pinned:false shared:false folder:none") == ["Tagged"]
    assert titles(alice, "") == ["Tagged", "Pinned", "Filed", "Linked"]
    assert titles(alice, "colour:red") == [], "an unknown filter is a word"


# ------------------------------------------------------------------------------------------------------------- the list
def test_the_list_goes_on_where_it_ended(alice: Any, page: Client) -> None:
    for number in range(2 * SIDEBAR + 5):
        say(alice, f"Chat {number:03}", age=number)
    seen: list[str] = []
    html = page.get("/c/search").content.decode()
    for _page in range(3):
        seen += re.findall(r">(Chat \d{3})</a>", html)
        more = re.search(r'hx-get="(/c/search\?after=[^"]+)"', html)
        if _page == 1:
            say(alice, "Written meanwhile")  # moves every number by one
        html = page.get(more[1].replace("&amp;", "&")).content.decode() if more else ""
    assert seen == [f"Chat {number:03}" for number in range(2 * SIDEBAR + 5)]


def test_a_group_that_goes_on_has_its_label_once(alice: Any, page: Client) -> None:
    for number in range(SIDEBAR + 2):
        say(alice, f"Chat {number}", age=60 * 24 * 400)
    first = page.get("/c/search").content.decode()
    more = re.search(r'hx-get="(/c/search\?after=[^"]+)"', first)
    assert more is not None
    second = page.get(more[1]).content.decode()
    assert first.count('class="side-label" aria-hidden') == 1
    assert 'class="side-label" aria-hidden' not in second and "Chat " in second


_ID = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    "odd", ["x", "1", f"99999999999999999999999.{_ID}", "-1.x", "%00", f"-62135596800000000.{_ID}"]
)
def test_an_odd_place_is_the_beginning(alice: Any, page: Client, odd: str) -> None:
    say(alice, "Here")
    assert "Here" in page.get(f"/c/search?after={odd}").content.decode()


def test_statements_do_not_grow(alice: Any, page: Client, django_assert_max_num_queries: Callable[[int], Any]) -> None:
    for number in range(30):
        folder = make_shared("folder", alice, name=f"F{number}", is_expanded=True)
        say(alice, f"Filed {number}", "word", folder=folder)
        say(alice, f"Chat {number}", "word")
    page.get("/c/search")
    with django_assert_max_num_queries(14):
        assert "Filed 29" in page.get("/c/search").content.decode()
    with django_assert_max_num_queries(10):
        page.get("/c/found?q=word")
