"""Model output is untrusted: nothing in it may run, send or imitate the page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from owui.lib.markdown import IncrementalRenderer, render, render_plain
from owui.lib.markdown.clean import _ATTRIBUTES, _CLASSES, _HTML, clean
from owui.lib.markdown.formula import ELEMENTS
from owui.lib.markdown.labels import Labels
from tests.owui.xss_written import HTML, PAYLOADS

WRAPPERS = [
    "{}",
    "text {} text",
    "- item\n\n  {}",
    "> {}",
    "| a |\n|---|\n| {} |",
    "<div>\n{}\n</div>",
    "**{}**",
    "<sub>{}",
]
ALLOWED = {"class", "tabindex", "type", "target", "rel", "disabled", "loading", "href", "src", "data-grow"}
NEVER = re.compile(r"(?i)javascript:|vbscript:|data:(?!image/(?:png|jpeg|gif|webp);base64,)|blob:|file:")


class Judge(HTMLParser):
    """Fails on every tag, attribute or address that the renderer has no reason to write."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _HTML | ELEMENTS, tag
        for name, value in attrs:
            assert name in ALLOWED | _ATTRIBUTES.get(tag, set()), (tag, name)
            assert not name.startswith("on") and name not in ("style", "id", "name", "action", "formaction", "srcset")
            if name == "class":
                assert set((value or "").split()) <= _CLASSES.get(tag, set()) | {"math-source"}, value
            if name in ("href", "src"):
                assert not NEVER.search(re.sub(r"[\x00-\x20]", "", value or "")), value
            if name == "src":
                assert tag == "img"
                assert re.match(r"[\w./]", value or "") and not re.match(r"(?i)//|/\\|(?!data:)[a-z+.-]*:", value or "")
            if name == "href":
                assert tag == "a"
                assert re.match(r"(?i)https?://|mailto:|/(?![/\\])|#", value or ""), value
        values = dict(attrs)
        if tag == "a" and values.get("href"):
            assert values["target"] == "_blank" and values["rel"] == "noopener noreferrer nofollow"
        if tag == "input":
            assert values["type"] == "checkbox" and "disabled" in values
        if tag == "button":
            assert values["type"] == "button"

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"processing instruction: {data}")


def judge(html: str) -> None:
    parser = Judge(convert_charrefs=True)
    parser.feed(html)
    parser.close()


def test_there_are_enough_of_them() -> None:
    assert len(set(PAYLOADS)) >= 150


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payload_does_nothing(payload: str) -> None:
    for wrapper in WRAPPERS:
        text = wrapper.replace("{}", payload)
        judge(render(text, citations=3))
        judge(render_plain(text))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payload_does_nothing_while_it_comes(payload: str) -> None:
    renderer = IncrementalRenderer(3)
    for character in f"a **b\n\n{payload}\n\n```x\n{payload}":
        patch = renderer.feed(character)
        judge(patch.append + renderer.tail)
    judge(renderer.finish().append)


def test_the_judge_sees_what_it_should() -> None:
    for bad in (
        "<script>",
        "<p onclick=x>",
        '<a href="javascript:x">',
        '<img src="http://e/x">',
        '<p style="x">',
        "<!-- -->",
        "<iframe>",
        "<form>",
        '<img src="//e/x">',
        '<div class="modal">',
        '<a href="//e">',
    ):
        with pytest.raises((AssertionError, KeyError)):
            judge(bad)


@pytest.mark.parametrize("payload", HTML)
def test_the_last_lock_holds_alone(payload: str) -> None:
    """The sanitiser must be enough even if the writer let raw HTML through."""
    html = clean(payload)
    assert not re.search(r"(?i)<(script|iframe|object|embed|form|svg|style|link|meta|base|video|audio)\b", html)
    parser = Lenient()
    parser.feed(html)


class Lenient(HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            assert not name.startswith(("on", "hx-", "data-hx", "style", "form"))
            assert not NEVER.search(value or "")
            if name == "src":
                assert not (value or "").startswith(("http", "//"))


def test_labels_are_escaped() -> None:
    labels = Labels(copy="<script>", source='"onclick="x {number}', done='">', open='">', alerts={"Note": "<script>"})
    judge(render("```\nx\n```\n[1]\n\n- [x] a\n- [ ] b\n\n> [!NOTE]\n> n", citations=1, labels=labels))
