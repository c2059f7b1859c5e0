"""Two thousand payloads in every place a text of somebody else can stand: nothing executable comes out."""

from __future__ import annotations

import uuid
from html.parser import HTMLParser
from typing import Any

import pytest
from django.template.loader import render_to_string

from chat.models import Message
from chat.rendering import answer_html, extras, message_view
from owui.lib.markdown import IncrementalRenderer, artifact, render, render_plain
from tests.chat.page import grown
from tests.owui.test_markdown_xss import Judge, judge
from tests.owui.xss_corpus import corpus

CORPUS = corpus()
# In parts, so that a fault names a neighbourhood and the report stays short.
PARTS = [CORPUS[start : start + 125] for start in range(0, len(CORPUS), 125)]
each_part = pytest.mark.parametrize("payloads", PARTS, ids=lambda part: f"{CORPUS.index(part[0])}")


def test_there_are_enough_of_them() -> None:
    assert len(CORPUS) == len(set(CORPUS)) >= 1000


@each_part
def test_whole(payloads: list[str]) -> None:
    for payload in payloads:
        judge(render(payload, citations=3))
        judge(render_plain(payload))
        judge(render(f"- item\n\n  {payload}\n\n| a |\n|---|\n| {payload} |"))


@each_part
def test_in_pieces(payloads: list[str]) -> None:
    """As a page gets it: finished blocks, a tail that is replaced, and text that is put behind it."""
    for number, payload in enumerate(payloads):
        text = f"Plain words that only grow, then {payload}\n\n```\n{payload}"
        renderer, blocks, tail = IncrementalRenderer(3), "", ""
        size = 1 + number % 11
        for start in range(0, len(text), size):
            patch = renderer.feed(text[start : start + size])
            blocks += patch.append
            if patch.append:
                judge(patch.append)
            tail = renderer.tail if patch.grow is None else grown(tail, patch.grow)
            judge(tail)
        judge(blocks + tail)
        judge(renderer.finish().append)


class Shape(HTMLParser):
    """The elements and attributes of a page, without its words and values."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[Any] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, [name for name, _value in attrs]))

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(tag)

    def handle_comment(self, data: str) -> None:
        self.seen.append("comment")


def shape(html: str) -> list[Any]:
    parser = Shape()
    parser.feed(html)
    parser.close()
    return parser.seen


def around(text: str) -> str:
    """Every place beside an answer where a name, a title, a status or the output of a tool is shown."""
    can = dict.fromkeys(("edit", "delete", "share", "regenerate", "continue", "file_upload", "store"), True)
    person = Message(id=uuid.UUID(int=1), chat_id=uuid.UUID(int=2), author="user", content="x", state="done")
    person.files = [{"name": text, "type": "file"}, {"name": text, "type": "collection"}]
    statuses = [{"description": f"s {text}"}, {"description": f"t {text}"}]
    sources = [{"number": 1, "name": text, "label": text, "excerpt": text, "relevance": 3}]
    view = {
        **message_view(person),
        **extras(statuses, ""),
        "author": "assistant",
        "model_name": text,
        "source_list": sources,
        "error": text,
        "state": "failed",
    }
    fold = {"kind": "tool_calls", "name": text, "summary": text}
    return "".join(
        (
            render_to_string("chat/_message.html", {"message": message_view(person), "can": can}),
            render_to_string("chat/_status.html", {"message": view}),
            render_to_string("chat/_source_list.html", {"message": view}),
            render_to_string("chat/_message_error.html", {"message": view, "can": can}),
            render_to_string("chat/_chat_item.html", {"item": {"id": uuid.UUID(int=3), "title": text, "active": True}}),
            render_to_string("chat/_stored_fold.html", {"fold": fold}),
            render_to_string(
                "chat/_source.html", {"source": {"number": 1, "name": text, "passage": text, "text_before": text}}
            ),
        )
    )


@each_part
def test_in_titles_names_statuses_and_sources(payloads: list[str]) -> None:
    """Such a text is text: the page has the same elements and attributes as with a harmless one."""
    harmless = shape(around("x"))
    for payload in payloads:
        assert shape(around(payload)) == harmless, payload


class FoldJudge(Judge):
    """What the template of a fold writes is allowed as it stands there, everything else is judged."""

    OURS = (
        ("details", [("class", "fold")]),
        ("summary", []),
        ("svg", [("class", "icon turn"), ("aria-hidden", "true")]),
        ("div", [("class", "fold-body prose")]),
        ("p", [("class", "quiet small")]),
    )

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        icon = tag == "use" and [name for name, _value in attrs] == ["href"] and "icons." in (attrs[0][1] or "")
        if not icon and (tag, attrs) not in self.OURS:
            super().handle_starttag(tag, attrs)


@each_part
def test_in_folds_of_imported_chats(payloads: list[str]) -> None:
    for payload in payloads:
        html = answer_html(
            f'<details type="reasoning">\n<summary>{payload}</summary>\n> {payload}\n</details>\n{payload}\n'
            f'<details type="tool_calls" name="{payload.replace(chr(34), "&quot;")}" '
            f'result="{payload.replace(chr(34), "&quot;")}">\n</details>\n'
        )
        parser = FoldJudge()
        parser.feed(html)
        parser.close()


@pytest.mark.parametrize("payload", ["```html\n<p>x</p>\n```", "```svg\n<svg></svg>\n```"])
def test_an_artifact_is_the_only_thing_that_keeps_its_html(payload: str) -> None:
    found = artifact(payload)
    assert found is not None and found.source.strip() in found.page
    judge(render(payload))
