"""What answers look like once rendered."""

from __future__ import annotations

import math
import re
from html import unescape
from pathlib import Path

import pytest

from owui.lib.markdown import IncrementalRenderer, Labels, render, render_plain
from owui.lib.markdown.code import CLASSES, HIGHLIGHT_LIMIT

STATIC = Path(__file__).parents[2] / "static" / "owui"


def cite(*numbers: int) -> str:
    buttons = "".join(f'<button type="button" data-cite="{n}" aria-label="Source {n}">{n}</button>' for n in numbers)
    return f'\u2060<sup class="cite">{buttons}</sup>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a [1].", f"a{cite(1)}."),
        ("a [1][2]", f"a{cite(1)}{cite(2)}"),
        ("a [1,2]", f"a{cite(1, 2)}"),
        ("a [1, 2]", f"a{cite(1, 2)}"),
        ("**a [1]**", f"<strong>a{cite(1)}</strong>"),
        ("a [4]", "a [4]"),
        ("a [1, 4]", "a [1, 4]"),
        ("a [0]", "a [0]"),
        ("`[1]`", "<code>[1]</code>"),
        ("$[1]$", None),
        ("[1](http://a.b)", '<a href="http://a.b" target="_blank" rel="noopener noreferrer nofollow">1</a>'),
        (
            "[see [1]](http://a.b)",
            '<a href="http://a.b" target="_blank" rel="noopener noreferrer nofollow">see [1]</a>',
        ),
    ],
)
def test_citations(text: str, html: str | None) -> None:
    if html is None:
        assert "data-cite" not in render(text, citations=3)
    else:
        assert render(text, citations=3) == f"<p>{html}</p>\n"


def test_citations_stay_out_of_code_and_definitions() -> None:
    assert "data-cite" not in render("```\n[1]\n```\n", citations=3)
    assert "data-cite" not in render("See [1].\n\n[1]: http://a.b\n", citations=3)
    assert "data-cite" not in render("a [1]")
    assert 'aria-label="Quelle 1"' in render("[1]", 1, labels=Labels(source="Quelle {number}"))


@pytest.mark.parametrize(
    "text",
    [
        "$x^2$",
        "\\(x^2\\)",
        "\\( x^2 \\)",
        "a $x^2$, b",
        "**$x^2$**",
        "- $x^2$",
        "| a |\n|---|\n| $x^2$ |",
        "($x^2$)",
        "是$x^2$。",
    ],
)
def test_inline_math(text: str) -> None:
    assert '<math display="inline"><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>' in render(text)


@pytest.mark.parametrize(
    "text",
    [
        "$$a+b$$",
        "\\[a+b\\]",
        "\\[\na\n+ b\n\\]",
        "$$\na\n\n+ b\n$$",
        "text\n$$\na+b\n$$\ntext",
        "1. one\n   \\[\n   a\n   + b\n   \\]\n2. two",
        "> $$\n> a\n> + b\n> $$",
        "- \\[ a\n  + b \\] after",
    ],
)
def test_display_math(text: str) -> None:
    html = render(text)
    assert '<math display="block"><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow></math>' in html
    assert "$" not in html and "[" not in html


@pytest.mark.parametrize(
    "text", ["$5 and $6", "$5-$6", "$HOME/$USER", "costs 5$ or 6$", "\\$x$", "`$x$`", "a $ b $ c", "$$", "US$5, US$6"]
)
def test_money_and_shell_are_no_math(text: str) -> None:
    assert "<math" not in render(text)


@pytest.mark.parametrize(
    "latex",
    [
        "\\frac{",
        "\\foo{x}",
        "}",
        "\\begin{matrix}",
        "^",
        "_",
        "\\left(",
        "x" * 3_000,
        "{" * 500 + "}" * 500,
        "\\ce{H2O}",
    ]
    + [
        "\\def\\a{\\a\\a}\\a",
        "\\newcommand{\\a}{\\a}\\a",
        "\\sqrt" * 900,
        "\\end{x}",
        "&",
        "\\\\",
        "\\begin{array}{cc}",
    ],
)
def test_bad_math_shows_its_source(latex: str) -> None:
    html = render(f"a \\({latex}\\) b")
    assert "<math" in html or '<code class="math-error">\\(' in html
    assert html.startswith("<p>a ") and html.endswith(" b</p>\n")


def test_code_block() -> None:
    html = render("```Python title=x\nimport os # <b>\n```\n")
    assert '<div class="code" data-lang="python">' in html
    assert '<span class="code-lang">python</span>' in html
    assert '<button type="button" class="code-copy" data-copy="">Copy</button>' in html
    assert '<span class="kn">import</span>' in html or '<span class="kn">import ' in html
    assert "&lt;b&gt;" in html and "style=" not in html


@pytest.mark.parametrize("info", ["", "nosuchlanguage", "text", "{.x}", "mermaid"])
def test_code_without_a_known_language_is_plain(info: str) -> None:
    html = render(f"```{info}\nif x:\n```")
    assert ">if x:\n</code>" in html


def test_very_long_code_stays_plain() -> None:
    assert '<span class="n' not in render("```python\n" + "x = f(1)\n" * (HIGHLIGHT_LIMIT // 9 + 2) + "```\n")


@pytest.mark.parametrize(
    ("name", "source"),
    [("c++", "\n" * 11_000), ("hcl", "-" * 11_000), ("csharp", "a\n" * 5_000), ("java", "a " * 100 + "\n" * 5)]
    + [("diff", " " * 11_000)],
)
def test_code_that_drives_a_lexer_mad_stays_plain(name: str, source: str) -> None:
    assert '<span class="' not in render(f"```{name}\n{source}\n```").partition("<pre")[2]


@pytest.mark.parametrize("source", ["def f():\n\treturn '''a\n\nb'''\n", "\n\n  x\n\n", "a\u00a0b & <c> \"d\" 'e'\n"])
def test_code_text_survives_unchanged(source: str) -> None:
    for info in ("python", ""):
        inner = re.search(r"<code>(.*)</code>", render(f"```{info}\n{source}```\n"), re.DOTALL)
        assert inner and unescape(re.sub(r"<[^>]+>", "", inner[1])) == source


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("para\n| a | b |\n|---|--:|\n| 1 | 2 |", '<p>para</p>\n<div class="table-scroll" tabindex="0"><table>'),
        ("| a | b |\n|---|--:|\n| 1 | 2 |", '<td class="right">2</td>'),
        ("- [x] done", '<li><input type="checkbox" disabled="" aria-label="done" checked=""> done</li>'),
        ("~~x~~", "<del>x</del>"),
        ("> [!WARNING]\n> x", '<blockquote class="alert alert-warning">\n<p class="alert-title">Warning</p>\n<p>x</p>'),
        (
            "a[^1]\n\n[^1]: note",
            '<p>a<sup class="footnote-ref">1</sup></p>\n<div class="footnote"><sup>1</sup>\n<p>note',
        ),
        ("1. a\n   ```js\n   x\n   ```\n2. b", "</div>\n</li>\n<li>b</li>"),
        ("3. a\n4. b", '<ol start="3">'),
        ("# T", '<h3 class="md-h1">T</h3>'),
        # An outline without gaps, wherever the model begins.
        (
            "## A\n\n#### B\n\n## C\n\n### D",
            '<h3 class="md-h2">A</h3>\n<h4 class="md-h4">B</h4>\n<h3 class="md-h2">C</h3>\n<h4 class="md-h3">D</h4>',
        ),
        ("**中文。**后面", "<strong>中文。</strong>后面"),
        ("前**“中文”**后", "前<strong>“中文”</strong>后"),
        ("这是**重点**。", "这是<strong>重点</strong>。"),
        ("H<sub>2</sub>O<br/>x", "H<sub>2</sub>O<br>x"),
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        ("a\\\nb", "a<br>\nb"),
        ("see https://a.b/c_d_(e).", '<a href="https://a.b/c_d_(e)" target='),
        ("![x](http://e/p.png)", '<a href="http://e/p.png" target="_blank" rel="noopener noreferrer nofollow">x</a>'),
        ("![x](/f/p.png)", '<img src="/f/p.png" alt="x" loading="lazy">'),
        ("![x](data:image/png;base64,AAAA)", '<img src="data:image/png;base64,AAAA" alt="x" loading="lazy">'),
        ("[x](/f/1)", '<a href="/f/1"'),
        ("[x](mailto:a@b.c)", '<a href="mailto:a@b.c"'),
        ("[x](ftp://a)", "<p>x</p>"),
        ("a\r\nb\rc", "<p>a\nb\nc</p>"),
        ("a\x00b", "a\ufffdb"),
    ],
)
def test_markdown(text: str, part: str) -> None:
    assert part in render(text)


def test_empty_and_blank() -> None:
    assert render("") == render(" \n\n") == render_plain("") == ""


def test_what_people_type_keeps_its_newlines() -> None:
    assert render_plain("a\nb <i>\n\n**c** [1]") == "<p>a<br>\nb &lt;i&gt;</p>\n<p><strong>c</strong> [1]</p>\n"


def tail_of(text: str, citations: int = 0) -> str:
    renderer = IncrementalRenderer(citations)
    renderer.feed(text)
    return renderer.tail


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ("a **bo", "<p>a <strong>bo</strong></p>\n"),
        ("a **bold*", "<p>a <strong>bold</strong></p>\n"),
        ("a **", "<p>a</p>\n"),
        ("a `co", "<p>a <code>co</code></p>\n"),
        ("a ~~x", "<p>a <del>x</del></p>\n"),
        ("*it", "<p><em>it</em></p>\n"),
        ("para\n-", "<p>para</p>\n"),
        ("para\n=", "<p>para</p>\n"),
        ("para\n#", "<p>para</p>\n"),
        ("para\n1", "<p>para</p>\n"),
        ("see [link](http://x", "<p>see link</p>\n"),
        ("see [lin", "<p>see lin</p>\n"),
        ("see [1", "<p>see</p>\n"),
        ("$$\n<a+", '<div class="math-source">$$\n&lt;a+</div>\n'),
    ],
)
def test_the_open_end_is_quiet(text: str, tail: str) -> None:
    assert tail_of(text, 3) == tail


def test_a_table_is_one_from_its_first_row_on() -> None:
    text = "| a | b |\n|---|:--|\n| 1 | 2 |\n"
    for end in range(3, len(text)):
        tail = tail_of(text[:end])
        assert "<table>" in tail and "--" not in tail, text[:end]
    assert "<td>1</td>" in tail_of(text)


def test_an_open_fence_is_code_and_hides_half_of_its_end() -> None:
    for text in ("```py", "```py\n", "```py\nx", "```py\nx\n`", "```py\nx\n``"):
        tail = tail_of(text)
        assert 'class="code"' in tail and "`" not in tail


# Colours


def luminance(lightness: float, chroma: float, hue: float) -> float:
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    l_, m_, s_ = (
        (lightness + x * a + y * b) ** 3
        for x, y in ((0.3963377774, 0.2158037573), (-0.1055613458, -0.0638541728), (-0.0894841775, -1.2914855480))
    )
    red = 4.0767416621 * l_ - 3.3077115913 * m_ + 0.2309699292 * s_
    green = -1.2684380046 * l_ + 2.6097574011 * m_ - 0.3413193965 * s_
    blue = -0.0041960863 * l_ - 0.7034186147 * m_ + 1.7076147010 * s_
    red, green, blue = (min(1.0, max(0.0, value)) for value in (red, green, blue))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def pair(css: str, name: str) -> list[float]:
    found = re.search(rf"{name}: light-dark\(oklch\(([\d. ]+)\), oklch\(([\d. ]+)\)\)", css)
    assert found, name
    light, dark = (luminance(*map(float, value.split())) for value in found.groups())
    return [light, dark]


def test_code_colours_can_be_read() -> None:
    css = (STATIC / "code.css").read_text()
    surface = pair((STATIC / "tokens.css").read_text(), "--n2")
    names = re.findall(r"(--code-[a-z]+):", css)
    assert len(names) == 10
    for name in names:
        for colour, ground in zip(pair(css, name), surface, strict=True):
            high, low = max(colour, ground), min(colour, ground)
            assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_code_colours_name_real_classes() -> None:
    css = (STATIC / "code.css").read_text()
    used = set(re.findall(r"\.([a-z]+\d?)(?=[,)\s])", "".join(re.findall(r"^\.code .*\{", css, re.MULTILINE))))
    assert used - {"code"} <= CLASSES
