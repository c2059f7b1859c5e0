"""Plain prose grows without being parsed, and is what the parser would have made of it all."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from owui.lib.markdown import IncrementalRenderer
from owui.lib.markdown.incremental import LONG_BLOCK
from owui.lib.markdown.source import LINE_LIMIT
from tests.chat.page import grown

ENGLISH = (
    "The quick answer is yes: most people (about 80 percent, by the last count) read an answer while it is still being "
    "written. They don't wait for its end; they follow the words, and a word that jumps is a word that's lost. So what "
    'stands there should stay, and what is new should come "behind" it, on 3.5-year-old machines as on new ones. '
)
TEXTS = {
    "english": ENGLISH * 3,
    "german": "Über größere Flüße führen – seit 1998 – zwei schöne Brücken, „alt“ und „neu“ genannt. " * 8,
    "chinese": "她说：“今天的天气很好，我们去公园吧！”然后他们一起走了出去。" * 12,
    "arabic": "هذه فقرة عربية، فيها كلماتٌ مُشكَّلة، وأرقام ٢٣ وعلامات؟ " * 10,
    "hindi": "यह हिन्दी का एक साधारण अनुच्छेद है। इसमें मात्राएँ भी हैं, " * 10,
    "emoji": "Good 🎉 news 👩‍🔬 for e\u0301veryone 🇩🇪 today, " * 10,
}
PROSE = (
    *("a", "word", " and", " then ", "end.", ", ", "It's", '"so"', "(in", "x)"),
    *("中文。", "שלום", "é", "e\u0301", "🎉", "3", "2."),
)
MARKS = (
    *("**", "*", "_", "~~", "`", "```", "[", "]", "](", "[1]", "[^1]", "]:", "[x]: ", "<", ">", "<b>", "</b>", "<div"),
    *("<br>", "&", "amp", ";", "&amp;", "&#52", "\\", "\\(", "\\)", "$", "$$", "|", "#", " #", "=", "-", "+", "- "),
    *("1.", "2)", ":", "!", "http:", "https", "://", "//", "/", "www.", "a@b.co", "mailto:", ".", ")", "?", "'", '"'),
    *("{", "}", "^", "@", " ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", "  \n", "\n- ", "\n> ", "\n# ", "\n| "),
    *("\n|--", "\n---", "\n===", "\n1. ", "\u00a0", "\u3000", "\ufeff", "\x00", "\u2028", "\ufdd0", "\x1f", "\u2060"),
)
# How an answer may stand when prose goes on.
STARTS = (
    *("", "So ", "**b** ", "- item ", "1. one\n2. two ", "> q ", "> - a\n>   ", "# head ", "a [l](http://x.y) "),
    *("see [1] ", "[x](a ", "[x]: /u ", '[x]: /u "t', "http://", "https://x.y. ", "`c` ", "a\nb ", "- [ ] t "),
    *("`open ", "**open ", "a *b\nc ", "| a | b |\n|---|---|\n| c ", "a | b\n:-", "a | b\n---|---\nc ", "$x$ "),
    *("$$\nx\n", "<div>\n", "a <b ", "&am", "x <!-- ", "H<sub>2</sub>O ", "[^1]: note ", "> [!NOTE]\n> n "),
    *("    code ", "- a\n\n  b ", "a  \nb ", "***\n", "a # ", "# a # ", "1", "- 1"),
)
piece = st.one_of(
    st.sampled_from(PROSE),
    st.sampled_from(PROSE),
    st.sampled_from(MARKS),
    st.text(alphabet="ab1.-*+_`~$\\[]()<>!|:;#=&/@'\" \n中", max_size=6),
    st.text(max_size=4),
)
RELAXED = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def cut(text: str, size: int = 5) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def check(pieces: list[str]) -> int:
    """Feeds them one after the other to a renderer and to the model of a page; how many only grew."""
    renderer, source, done, shown, count = IncrementalRenderer(2), "", "", "", 0
    for piece in pieces:
        source += piece
        patch = renderer.feed(piece)
        done += patch.append
        shown = renderer.tail if patch.grow is None else grown(shown, patch.grow)
        count += patch.grow is not None
        once = IncrementalRenderer(2)
        assert done + renderer.tail == once.feed(source).append + once.tail, source
        assert shown == renderer.tail, source
    whole = IncrementalRenderer(2).whole(source)
    assert done + renderer.finish().append == whole
    return count


@RELAXED
@given(st.sampled_from(STARTS), st.lists(piece, max_size=14))
def test_growing_gives_what_the_parser_gives(start: str, pieces: list[str]) -> None:
    check([start, *pieces])


@settings(RELAXED, max_examples=200)
@given(st.lists(st.one_of(st.sampled_from(STARTS), piece), max_size=8).map("".join), st.integers(1, 5))
def test_growing_by_a_few_characters_gives_what_the_parser_gives(text: str, size: int) -> None:
    check(cut(text, size))


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("start", ["", "Before.\n\n- an item\n- ", "> ", "See [1] and **this**. "])
def test_ordinary_prose_only_grows(name: str, start: str) -> None:
    pieces = cut(TEXTS[name])
    assert check([start, *pieces]) > 0.9 * len(pieces)


def test_tokens_of_the_bench_only_grow() -> None:
    pieces = [f" @{number}-{81_237_123 + number * 20_000}@" for number in range(200)]
    assert check(pieces) == len(pieces) - 1


@pytest.mark.parametrize(
    "pieces",
    [
        *(["see https", "://a.b", "/c", " end"], ["http://", ".", "a"], ["see http://a.b.", "c d", " e"]),
        *(["a $x", "$", " b"], ["R&am", "p", ";"], ["[x]: /u", " end"], ['[x]: /u "t', '"', " b"], ["- 1", ".", " a"]),
        *(["[l](/u", "v", ")"], ['[l](/u "t', '")', " b"], ["[x)](http://a.b)", "y"], ["a <div", "x", ">"]),
        *(["<di", "v", " x"], ["a | b\n:-|", "-", "-"], ["x\n-", "-", " a"], ["# a #", " b", " #"], ["1", "98", "4"]),
        *(["a ", " ", "\n", "b"], ["**a", "b", "** c"], ["*", "a b", "*"], ["a\r", "b"], ["a\\", "!", "b"]),
        *(["1", ".", " a"], ["a@b", ".co", " c"], ["a", "\u00a0", "b"], ["`x", "y", "`"], ["a", "\n", "=", "="]),
    ],
)
def test_what_text_completes_is_parsed(pieces: list[str]) -> None:
    check(pieces)


def test_spaces_wait_for_the_word_behind_them() -> None:
    renderer = IncrementalRenderer()
    assert [renderer.feed(piece).grow for piece in ("a", " ", " b ", "c")] == [None, "", "  b", " c"]
    assert renderer.tail == "<p>a  b c</p>\n"


def test_formulas_of_a_line_that_gets_too_long_are_text_as_the_parser_has_it() -> None:
    text = "So $x^2$ " + "and on " * (LINE_LIMIT // 7)
    renderer = IncrementalRenderer()
    pieces = [text[:7_000], text[7_000 : LINE_LIMIT - 10], "and ", "never ", "ends"]
    assert [renderer.feed(piece).grow is None for piece in pieces] == [True, False, False, False, True]
    assert "$x^2$" in renderer.tail


def test_what_is_no_prose_in_a_long_paragraph_waits_behind_what_grew() -> None:
    text = ENGLISH * (LONG_BLOCK // len(ENGLISH) + 3)
    renderer, shown, grew = IncrementalRenderer(), "", []
    for part in (*cut(text, 400), "a *mark", " and more", "* here", " too"):
        patch = renderer.feed(part)
        shown = renderer.tail if patch.grow is None else grown(shown, patch.grow)
        assert shown == renderer.tail
        grew.append(patch.grow is not None)
    assert grew == [False, *[True] * (len(grew) - 5), False, True, False, True]
    assert shown.endswith('a *mark and more</p>\n<div class="html-source" data-grow>* here too</div>\n')
    assert "<em>mark and more</em> here too" in renderer.finish().append
