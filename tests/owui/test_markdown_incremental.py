"""However the text is cut, the pieces add up to the whole."""

from __future__ import annotations

from html import escape

import pyromark
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from owui.lib.markdown import IncrementalRenderer, render
from owui.lib.markdown.incremental import _OPTIONS, LIST_PART, LONG_BLOCK
from tests.chat.page import grown

WORDS = st.sampled_from(
    ["a", "the", "word", "**bold**", "*it*", "`code`", "[1]", "[1, 2]", "[9]", "[l](http://x.y)", "$x^2$", "\\(a_1\\)"]
    + [
        "\\[b\\]",
        "$5",
        "**",
        "*",
        "`",
        "~~s~~",
        "<b>x</b>",
        "&",
        "<",
        "中文。",
        "**重点。**后",
        "H<sub>2</sub>O",
        "<br>",
    ]
    + [
        "[^1]",
        "![i](/p.png)",
        "![e](http://e/p)",
        "https://a.b/c",
        "\\",
        "|",
        "#",
        ">",
        "-",
        "+",
        "=",
        "1.",
        "_x_",
        "\u00a0",
    ]
    + ["é", "🎉"]
)
LINE = st.lists(WORDS, min_size=1, max_size=7).map(" ".join)


@st.composite
def fence(draw: st.DrawFn) -> str:
    mark = draw(st.sampled_from(["```", "~~~", "````", "  ```"]))
    body = draw(st.lists(st.one_of(LINE, st.sampled_from(["", "``", "  x = 1", "$$", "# c"])), max_size=4))
    info = draw(st.sampled_from(["", "python", "js title", "zzz"]))
    close = draw(st.sampled_from([mark, mark + " ", ""]))
    return "\n".join([mark + info, *body, *([close] if close else [])])


@st.composite
def listing(draw: st.DrawFn) -> str:
    mark = draw(st.sampled_from(["-", "*", "1.", "3)"]))
    pad = " " * (len(mark) + 1)
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        lines.append(f"{mark} {draw(LINE)}")
        inner = draw(st.one_of(st.none(), LINE, fence(), st.just("\\[\na\n- b\n\\]"), st.just("- sub\n- sub")))
        if inner is not None:
            lines += [pad + line for line in inner.split("\n")]
        if draw(st.booleans()):
            lines.append("")
    return "\n".join(lines)


BLOCK = st.one_of(
    st.lists(LINE, min_size=1, max_size=3).map("\n".join),
    LINE.map("## {}".format),
    fence(),
    listing(),
    st.sampled_from(
        [
            "| a | b |\n|---|--:|\n| 1 | $|x|$ |",
            "text\n| a |\n|---|\n| 1 |",
            "$$\na\n- b\n\nc\n$$",
            "$$\nnever closed",
            "\\[ x\n= y \\] after",
            "> quote\n> - a\n>\n> $$\n> x\n> $$",
            "> [!NOTE]\n> n",
            "***",
            "title\n===",
            "<div>\nhtml\n</div>",
            "<!-- open",
            "    indented $$\n    code",
            "[^1]: note",
            "- a\n- b\n- c " + "long " * 50,
            "",
        ]
    ),
)
DOCUMENT = st.lists(st.tuples(BLOCK, st.sampled_from(["\n", "\n\n", "\n\n\n", "\r\n\r\n"])), max_size=8).map(
    lambda parts: "".join(block + gap for block, gap in parts)
)


def stream(text: str, cuts: list[int], citations: int = 2) -> tuple[str, str]:
    """What a reader has before and after the end."""
    renderer = IncrementalRenderer(citations)
    done, tail, last = "", "", 0
    for cut in [*sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]:
        patch = renderer.feed(text[last:cut])
        done, tail, last = done + patch.append, renderer.tail, cut
    return done + tail, done + renderer.finish().append


def tail_after(renderer: IncrementalRenderer, text: str) -> str:
    renderer.feed(text)
    return renderer.tail


RELAXED = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@RELAXED
@given(DOCUMENT, st.lists(st.integers(0, 5_000), max_size=25))
def test_any_cutting_gives_the_same(text: str, cuts: list[int]) -> None:
    once, finished_once = stream(text, [])
    cut, finished_cut = stream(text, cuts)
    assert cut == once
    assert finished_cut == finished_once == render(text, citations=2)


@settings(RELAXED, max_examples=40)
@given(DOCUMENT)
def test_one_character_at_a_time(text: str) -> None:
    text = text[:400]
    assert stream(text, list(range(len(text)))) == stream(text, [])


@settings(RELAXED, max_examples=150)
@given(
    st.text(alphabet="ab1.-*+_`~$\\[]()<>!|:#=&\n\n \t\r中。", max_size=120), st.lists(st.integers(0, 200), max_size=12)
)
def test_any_cutting_of_noise(text: str, cuts: list[int]) -> None:
    assert stream(text, cuts) == stream(text, [])
    assert stream(text, cuts)[1] == render(text, citations=2)


@settings(RELAXED, max_examples=150)
@given(DOCUMENT, st.integers(0, 5_000))
def test_resume_goes_on_as_if_nothing_happened(text: str, cut: int) -> None:
    cut %= len(text) + 1
    renderer, patch = IncrementalRenderer.resume(text[:cut], 2)
    rest = renderer.feed(text[cut:])
    assert patch.append + rest.append + renderer.tail == stream(text, [])[0]


@settings(RELAXED, max_examples=100)
@given(st.lists(LINE, min_size=1, max_size=6), st.sampled_from(["", "  "]), st.lists(st.integers(0, 400), max_size=20))
def test_grow_adds_up_to_the_tail(lines: list[str], indent: str, cuts: list[int]) -> None:
    text = f"{indent}```python\n" + "\n".join(indent + line for line in lines)
    renderer = IncrementalRenderer()
    shown, last = "", 0
    for cut in [*sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]:
        patch = renderer.feed(text[last:cut])
        last = cut
        shown = renderer.tail if patch.grow is None else grown(shown, patch.grow)
        assert shown == renderer.tail


def test_blocks_are_those_of_the_parser() -> None:
    text = "# T\n\npara\ngo on\n\n- a\n\n  b\n- c\n\n> q\n\n1. x\n2. y\n\n***\n\nend\n"
    expected = pyromark.html(text, options=_OPTIONS)
    expected = expected.replace("<h1>", '<h3 class="md-h1">').replace("</h1>", "</h3>").replace("<hr />", "<hr>")
    assert render(text).replace("\n", "") == expected.replace("\n", "")


def test_finished_blocks_come_once_and_early() -> None:
    renderer = IncrementalRenderer()
    assert renderer.feed("first\n\n").append == ""
    patch = renderer.feed("second\n")
    assert patch.append == "<p>first</p>\n"
    assert renderer.tail == "<p>second</p>\n"
    assert renderer.finish().append == "<p>second</p>\n"


def test_long_list_is_given_away_in_parts_and_goes_on_counting() -> None:
    text = "".join(f"1. item {number} {'x' * 60}\n" for number in range(100))
    html = render(text)
    assert html.count("<ol") > 2
    assert html.count("<li>") == 100
    second = html.split('<ol class="list-more" start="')[1]
    before = html.split('<ol class="list-more"')[0].count("<li>")
    assert second.startswith(f'{before + 1}"')
    renderer = IncrementalRenderer()
    tails = [len(tail_after(renderer, line + "\n")) for line in text.split("\n")]
    assert max(tails) < LIST_PART * 2


def test_long_open_block_shows_new_text_at_once_and_ends_right() -> None:
    text = "| a | b |\n|---|---|\n" + "".join(f"| {number} | `x` |\n" for number in range(3_000))
    renderer = IncrementalRenderer()
    done = ""
    full = 0
    for start in range(0, len(text), 50):
        patch = renderer.feed(text[start : start + 50])
        done += patch.append
        full += patch.grow is None
        if start > LONG_BLOCK:
            assert escape(text[start + 48 : start + 50].strip(" |\n`")) in renderer.tail[-400:]
    assert full < 300
    assert done + renderer.finish().append == render(text)


def test_text_of_a_long_block_stays_out_of_a_formula_that_waits() -> None:
    renderer = IncrementalRenderer()
    renderer.feed("word\n" * (LONG_BLOCK // 4) + "$$\nx = ")
    assert renderer.feed("*y").grow is None
    shown = grown(renderer.tail, "z")
    assert renderer.feed("z").grow == "z"
    assert renderer.tail == shown
    assert shown.endswith('<div class="math-source">$$\nx = </div>\n<div class="html-source" data-grow>*yz</div>\n')


def test_after_a_long_block_finished_parts_come_at_once() -> None:
    renderer = IncrementalRenderer()
    renderer.feed("| a |\n|---|\n" + "| 1 |\n" * 4_000)
    assert "</table>" in renderer.feed("\nNext paragraph\n").append


def test_open_code_is_plain_and_coloured_once_closed() -> None:
    renderer = IncrementalRenderer()
    assert '<span class="k"' not in tail_after(renderer, "```python\nimport os\n")
    patch = renderer.feed("```\n")
    assert '<span class="kn">' in patch.append and renderer.tail == ""


def test_link_definitions_are_the_documented_exception() -> None:
    late = "See [x].\n\nMore.\n\n[x]: http://a.b\n"
    early = "[x]: http://a.b\n\nSee [x].\n\nMore.\n"
    assert 'href="http://a.b"' in render(late)
    assert stream(late, [3, 9, 20]) == stream(late, [])
    assert "href" not in stream(late, [])[1]
    assert stream(early, list(range(40)))[1] == render(early)
    assert 'href="http://a.b"' in render(early)
    renderer = IncrementalRenderer()
    renderer.feed(late)
    renderer.finish()
    assert renderer.has_definitions
