"""What a socket does to a page in the end equals what a reload shows, from wherever it was attached."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from chat import rendering, selectors, turnlog
from chat.engine.events import FINISH, REASONING, SOURCES, STATUS, TEXT, Logged, Transcript
from chat.models import Citation, Message
from chat.rendering import TurnView
from tests.chat.helpers import ask, end
from tests.chat.page import grown

SOURCE = [{"source": {"id": "k"}, "document": ["x"], "metadata": [{"source": "d1"}], "distances": [0.9]}]
MARKDOWN = (
    "# Head\n\nSome *words* and `code` [1].\n\n- one\n- two\n  more\n\n",
    "```python\nprint(1)\n```\n\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n",
    "A formula $x^2$ and <b>html</b> & [link](https://example.org).\n\n",
    "1. first\n2. second\n\n> quoted\n\nlast line",
)


class Dom:
    """Elements by id, and the operations of `static/owui/socket.js`."""

    def __init__(self) -> None:
        self.elements: dict[str, str] = {}
        self.attributes: dict[str, Any] = {}

    def apply(self, ops: list[Any]) -> None:
        for op, name, *rest in ops:
            if op == "append":
                self.elements[name] = self.elements.get(name, "") + rest[0]
            elif op == "replace":
                self.elements[name] = rest[0]
            elif op == "grow":
                self.elements[name] = grown(self.elements[name], rest[0])
            elif op == "attr":
                self.attributes[rest[0]] = rest[1]
            else:
                raise AssertionError(op)

    def part(self, message: uuid.UUID, name: str) -> str:
        return self.elements.get(f"message-{message}-{name}", "")


def events_of(text: str, cuts: list[int], sources: bool) -> list[Logged]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in zip(edges, edges[1:], strict=False) if a < b]
    head: list[Logged] = [(STATUS, {"action": "knowledge_search", "description": "Searching"})] if sources else []
    head += [(SOURCES, SOURCE)] if sources else []
    return [*head, (REASONING, "I *think*"), *((TEXT, piece) for piece in pieces)]


def numbered(events: list[Logged], after: int = 0) -> list[tuple[int, Logged]]:
    return [(seq, event) for seq, event in enumerate(events, start=1) if seq > after]


documents = st.lists(st.sampled_from(MARKDOWN), min_size=1, max_size=4).map("".join)


@settings(max_examples=40, deadline=None)
@given(documents, st.lists(st.integers(0, 10**6), max_size=12), st.booleans(), st.data())
def test_page_attached_anywhere_shows_what_one_attached_from_the_start_shows(
    text: str, cuts: list[int], sources: bool, data: st.DataObject
) -> None:
    events, message = events_of(text, cuts, sources), uuid.uuid4()
    live, late = Dom(), Dom()
    view = TurnView(message)
    live.apply(view.full())
    for item in numbered(events):
        live.apply(view.feed([item]))
    at = data.draw(st.integers(0, len(events)))
    second = TurnView(message)
    if at:
        second.feed(numbered(events)[:at])
    late.apply(second.full())
    late.apply(second.feed(numbered(events, at)) if at < len(events) else [])
    assert second.seq == view.seq == len(events)
    for part in ("status", "reasoning"):
        assert live.part(message, part) == late.part(message, part)
    shown = [dom.part(message, "blocks") + dom.part(message, "tail") for dom in (live, late)]
    assert shown[0] == shown[1]
    # And the words are those of the finished answer.
    whole = rendering.render(text, citations=1 if sources else 0)
    assert re.sub(r"<[^>]+>|\s", "", shown[0]) == re.sub(r"<[^>]+>|\s", "", whole)


def test_citations_are_buttons_while_the_answer_is_written_also_for_who_came_early() -> None:
    message = uuid.uuid4()
    events = events_of("See [1] and [7].\n\nMore", [4, 6, 9], sources=True)
    dom, view = Dom(), TurnView(message)
    dom.apply(view.feed(numbered(events)[:1]))
    dom.apply(view.full())  # attached before the sources were known
    for item in numbered(events, 1):
        dom.apply(view.feed([item]))
    shown = dom.part(message, "blocks") + dom.part(message, "tail")
    assert "<button" in shown
    assert "[7]" in shown


def test_continued_answer_keeps_its_beginning_on_every_page() -> None:
    message = uuid.uuid4()
    dom, view = Dom(), TurnView(message, prefix="First part, ")
    dom.apply(view.full())
    assert "First part," in dom.part(message, "tail")
    dom.apply(view.feed([(1, (TEXT, "second part.\n\nThird\n\n"))]))
    assert dom.part(message, "blocks").startswith("<p>First part, second part.</p>")


def test_beginning_of_a_continued_answer_gets_its_citations_with_the_first_word() -> None:
    message = uuid.uuid4()
    dom, view = Dom(), TurnView(message, prefix="See [1]. And")
    dom.elements[f"message-{message}-tail"] = "<p>See [1]. And</p>\n"  # drawn before the sources were known
    for item in ((1, (SOURCES, SOURCE)), (2, (TEXT, " so")), (3, (TEXT, " on"))):
        dom.apply(view.feed([item]))
    assert "<button" in dom.part(message, "tail")
    assert dom.part(message, "tail").endswith(". And so on</p>\n")


@pytest.mark.parametrize(
    ("start", "pieces"),
    [
        ("```python\n", [f"value_{n} = {n} & <tag>\n" for n in range(2000)]),
        ("1. One *item*\n2. The", [f" word {n}, (and so on)." for n in range(2000)]),
    ],
)
def test_long_code_and_long_paragraphs_are_sent_once(start: str, pieces: list[str]) -> None:
    message = uuid.uuid4()
    view, dom, sent = TurnView(message), Dom(), 0
    for seq, text in enumerate([start, *pieces], start=1):
        ops = view.feed([(seq, (TEXT, text))])
        sent += sum(len(str(part)) for op in ops for part in op)
        dom.apply(ops)
    whole = Dom()
    whole.apply(view.full())
    assert dom.part(message, "tail") == whole.part(message, "tail")
    assert sent < 6 * sum(map(len, pieces))


def test_end_is_no_operation_of_its_own() -> None:
    view = TurnView(uuid.uuid4())
    assert view.feed([(1, (FINISH, {"state": "done", "error": ""}))]) == []
    assert view.finished


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["done", "stopped", "interrupted", "failed"])
def test_last_operations_equal_a_reload(alice: Any, state: str) -> None:
    started = ask(alice)
    Citation.objects.create(message=started.message, number=1, document_name="SOP-17.pdf", text="x", score=0.8)
    events = events_of("".join(MARKDOWN), [3, 50, 120], sources=True)
    view, dom = TurnView(started.message.pk), Dom()
    for item in numbered(events):
        dom.apply(view.feed([item]))
    turnlog.finish(started.turn.pk, state=state, error="Why" * (state == "failed"), added=Transcript().add(events))
    branch = selectors.load_branch(started.chat, reader=alice, only=started.message.pk)
    (final,) = rendering.branch_views(branch.messages, branch.everything, branch.citations, branch.running)
    can = rendering.can_of(alice)
    dom.apply(rendering.final_ops(final, can))
    assert dom.attributes == {"aria-busy": None, "data-turn": None}
    from django.template.loader import render_to_string

    page = render_to_string("chat/_message.html", {"message": final, "can": can})
    for part in ("status", "reasoning", "blocks", "error", "sources", "foot"):
        assert dom.part(started.message.pk, part) in page, part
    assert dom.part(started.message.pk, "tail") == ""
    assert "SOP-17.pdf" in page


@pytest.mark.django_db
def test_running_answer_on_a_page_is_what_a_socket_goes_on_from(alice: Any) -> None:
    started = ask(alice)
    events = events_of("".join(MARKDOWN[:2]) + "open en", [10, 60], sources=True)
    turnlog.append([turnlog.Batch(started.turn.pk, 1, events)])
    branch = selectors.load_branch(started.chat, reader=alice)
    view = rendering.branch_views(branch.messages, branch.everything, branch.citations, branch.running)[-1]
    assert (view["sequence"], view["turn_id"]) == (len(events), started.turn.pk)
    page, socket = Dom(), TurnView(started.message.pk)
    page.elements = {
        f"message-{started.message.pk}-blocks": str(view["html"]),
        f"message-{started.message.pk}-tail": str(view["tail_html"]),
    }
    socket.feed(numbered(events))
    page.apply(socket.feed([(len(events) + 1, (TEXT, "d.\n\nNext"))]))
    other = Dom()
    other.apply(socket.full())
    for part in ("blocks", "tail"):
        assert page.part(started.message.pk, part) == other.part(started.message.pk, part)


@pytest.mark.django_db
def test_answer_that_ends_while_the_page_is_read_is_shown_ended(alice: Any, monkeypatch: Any) -> None:
    started = ask(alice)
    real = selectors._running

    def ends_now(messages: list[Message]) -> Any:
        end(started, "The end.")
        return real(messages)

    monkeypatch.setattr(selectors, "_running", ends_now)
    branch = selectors.load_branch(started.chat, reader=alice)
    assert branch.messages[-1].state == "done"
    assert branch.messages[-1].content == "The end."


@pytest.mark.django_db
def test_number_of_statements_does_not_grow_with_the_chat(alice: Any, django_assert_max_num_queries: Any) -> None:
    started = ask(alice, "0")
    end(started)
    for number in range(1, 20):
        started = ask(alice, str(number), chat_id=started.chat.pk)
        if number < 19:
            end(started)
    with django_assert_max_num_queries(5):
        branch = selectors.load_branch(started.chat, reader=alice)
        rendering.branch_views(branch.messages, branch.everything, branch.citations, branch.running)
    assert len(branch.messages) == 40


def test_what_a_text_refers_to_may_stand_behind_a_fold() -> None:
    fold = '<details type="reasoning" duration="4">\n<summary>x</summary>\n> hm\n</details>'
    html = rendering.answer_html(
        f"It boils[^1] at [100][r].\n\n{fold}\nAll of it.\n\n[^1]: Water.\n\n[r]: https://example.org\n"
    )
    assert "Water." in html and 'href="https://example.org"' in html and "[^1]" not in html
    assert html.index("It boils") < html.index("Thought for 4 seconds") < html.index("All of it.")
    assert rendering.answer_html(fold).count("<details") == 1


def test_an_answer_says_how_long_was_thought(alice: Any) -> None:
    started = ask(alice)
    message = started.message
    message.reasoning, message.usage = "Let me see.", {"reasoning_ms": 4400}
    assert rendering.message_view(message)["reasoning_label"] == "Thought for 4 seconds"
    message.usage = {"reasoning_ms": 300}
    assert rendering.message_view(message)["reasoning_label"] == "Thought for 1 second"


def test_the_renderers_own_words_are_in_the_readers_language() -> None:
    text = "```python\nx\n```"
    with translation.override("de"):
        assert ">Kopieren</button>" in rendering.answer_html(text)
        assert ">Kopieren</button>" in rendering.extras(None, text)["reasoning_html"]
    assert ">Copy</button>" in rendering.answer_html(text)
