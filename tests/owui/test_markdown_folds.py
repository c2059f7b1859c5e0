"""Folds that other systems keep in the text of an answer, and the page an answer holds."""

from __future__ import annotations

import time

from owui.lib.markdown import Fold, artifact, split

REASONING = (
    '<details type="reasoning" done="true" duration="5">\n<summary>Thought for 5 seconds</summary>\n'
    "> First &lt;this&gt;\n> then that\n</details>\n"
)
TOOL = (
    '<details type="tool_calls" done="true" id="call_1" name="search" '
    'arguments="&quot;{\\&quot;q\\&quot;: \\&quot;a &gt; b\\&quot;}&quot;" '
    'result="&quot;found&quot;" files="" embeds="">\n'
    "<summary>Tool Executed</summary>\n</details>\n"
)
CODE = (
    '<details type="code_interpreter" done="true" output="{&quot;stdout&quot;: &quot;4&quot;}">\n'
    "<summary>Analyzed</summary>\n```python\nprint(2 + 2)\n```\n</details>\n"
)


def test_each_kind_is_found_between_the_text() -> None:
    parts = split(f"Before\n\n{REASONING}{TOOL}Between\n{CODE}After")
    assert [p if isinstance(p, str) else p.kind for p in parts] == [
        "Before\n",
        "reasoning",
        "tool_calls",
        "Between",
        "code_interpreter",
        "After",
    ]
    thought, tool, code = (p for p in parts if isinstance(p, Fold))
    assert (thought.text, thought.seconds) == ("First <this>\nthen that", 5)
    assert (tool.name, tool.values) == ("search", {"arguments": '{\n  "q": "a > b"\n}', "result": "found"})
    assert code.text == "```python\nprint(2 + 2)\n```"
    assert code.values == {"output": '{\n  "stdout": "4"\n}'}


def test_what_is_not_a_fold_stays_text() -> None:
    for text in (
        f"```html\n{REASONING}```\n",
        '<details type="other">\n<summary>x</summary>\n</details>',
        '<details type="reasoning">\nnever closed',
        'inside <details type="reasoning">\nx\n</details>',
        "<details>\nplain\n</details>",
    ):
        assert split(text) == [text]


def test_many_folds_without_an_end_take_no_time() -> None:
    started = time.perf_counter()
    split('<details type="reasoning">\n' * 20_000)
    split('<details type="reasoning" a="' * 5_000 + "\n</details>")
    split("<details" + " a" * 50_000 + "\n</details>")
    split('<details type="reasoning">\n</details>\n' * 5_000)
    assert time.perf_counter() - started < 2


def test_a_page_is_merged_from_its_parts() -> None:
    text = "```html\n<h1>Hi</h1>\n```\n\n```css\nh1 { color: red }\n```\n\n```js\nalert(1)\n```\n"
    found = artifact(text)
    assert found is not None and found.kind == "html"
    page = found.page
    assert page.startswith("<!DOCTYPE html>")
    assert page.index("color: red") < page.index("<h1>") < page.index("alert(1)")


def test_a_whole_page_keeps_its_shape() -> None:
    whole = "<!DOCTYPE html><html><head><title>x</title></head><body>\n<p>x</p>\n</body></html>"
    found = artifact(f"```html\n{whole}\n```\n```css\np {{}}\n```\n```javascript\nrun()\n```")
    assert found is not None
    assert found.source.index("<style>") < found.source.index("</head>")
    assert found.source.index("<p>") < found.source.index("<script>") < found.source.index("</body>")


def test_the_first_drawing_counts_where_there_is_no_page() -> None:
    found = artifact("```xml\n<svg id='a'></svg>\n```\n```svg\n<svg id='b'></svg>\n```\n```xml\n<note/>\n```")
    assert found is not None and found.kind == "svg" and "id='a'" in found.source
    assert artifact("```python\nx\n```") is None and artifact("No code, <html>") is None
    assert artifact("```css\np {}\n```") is None
