"""What answers look like: tables, diagrams, pages, pictures, formulas. Nothing of them runs where it must not."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, answer, ask, call, wait_finished
from tests.browser.site import BrowserSite
from tests.owui.xss_corpus import corpus

pytestmark = MARKS

Visit = Callable[..., Page]

TABLE = """## Batches 2026

| Batch | °C | Note |
|---|---:|---|
| 41 | -7.0 | a \\| b |
| 42 | 7.5 | =SUM(A1) |
"""
MERMAID = "```mermaid\ngraph TD\n  A[Receive] --> B{Check}\n  B -->|yes| C[Release]\n  B -->|no| D[Reject]\n```"
BROKEN = "```mermaid\ngraph TD\n  A[Receive --> -->\n```"
VEGA = (
    '```json\n{"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "mark": "bar", '
    '"data": {"values": [{"a": "x", "b": 3}, {"a": "y", "b": 5}]}, '
    '"encoding": {"x": {"field": "a"}, "y": {"field": "b", "type": "quantitative"}}}\n```'
)
PAGE = """```html
<h1>Counter</h1><button id="more">0</button>
```

```css
h1 { color: rgb(0, 128, 128) }
```

```js
document.getElementById("more").onclick = (event) => event.target.textContent++;
try { parent.document.title = "taken" } catch { document.body.dataset.kept = "apart" }
fetch("/api/v1/auths/").catch(() => document.body.dataset.net = "none");
```
"""
FOLDS = """<details type="reasoning" done="true" duration="4">
<summary>Thought for 4 seconds</summary>
> Look it up
</details>
<details type="tool_calls" done="true" id="c" name="search" arguments="&quot;{}&quot;" result="&quot;7.5 °C&quot;">
<summary>Tool Executed</summary>
</details>
It is 7.5 °C."""
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAA"
    "EklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC"
)
RICH = """> [!WARNING]
> Mind the range.

- [x] done
- [ ] open

Energy is \\(E = mc^2\\) and

\\[\\int_0^1 x^2 \\, dx = \\frac{1}{3}\\]

with water \\(\\ce{2H2 + O2 -> 2H2O}\\).[^1]

![A red square](PICTURE)

[^1]: As everybody knows.""".replace("PICTURE", PICTURE)


def keep_chat(site: BrowserSite, person: Person, *pairs: tuple[str, str], title: str = "Kept", **more: Any) -> str:
    """A chat with these questions and answers; its path."""
    messages: dict[str, Any] = {}
    parent = None
    for question, text in pairs:
        for role, content in (("user", question), ("assistant", text)):
            key = str(uuid.uuid4())
            extra = more if role == "user" else {"model": "fake-small", "done": True}
            messages[key] = {"id": key, "parentId": parent, "role": role, "content": content, **extra}
            parent = key
    body = {"chats": [{"chat": {"title": title, "history": {"messages": messages, "currentId": parent}}}]}
    return f"/c/{call(site, '/api/v1/chats/import', body, person.token)[0]['id']}"


def test_a_table_leaves_the_page(visit: Visit, site: BrowserSite, alice: Person) -> None:
    page = visit(alice, keep_chat(site, alice, ("Show", TABLE)))
    page.locator(".table-scroll").hover()
    page.get_by_role("button", name="Copy", exact=True).and_(page.locator("[data-table]")).click()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied.splitlines() == [
        "| Batch | °C | Note |",
        "| --- | ---: | --- |",
        "| 41 | -7.0 | a \\| b |",
        "| 42 | 7.5 | =SUM(A1) |",
    ]
    page.get_by_role("button", name="Copy cells").click()
    expect(page.locator("[data-table=tsv]")).to_have_text("Copied")
    assert page.evaluate("() => navigator.clipboard.readText()").splitlines()[1] == "41\t-7.0\ta | b"
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == "Batches-2026.csv"
    text = Path(download.value.path()).read_text("utf-8-sig")
    # A spreadsheet must not take a model's words for a formula; a number stays one.
    assert text.splitlines()[1:] == ['"41","-7.0","a | b"', '"42","7.5","\'=SUM(A1)"']


def test_diagrams_are_drawn_apart_and_shown_as_pictures(visit: Visit, browsing: Browsing, alice: Person) -> None:
    site = browsing.site
    page = visit(alice, keep_chat(site, alice, ("Hi", "No diagram here.")))
    expect(page.get_by_text("No diagram here.")).to_be_visible()
    assert page.locator("iframe").count() == 0
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(site.url + keep_chat(site, alice, ("Draw", f"{MERMAID}\n\n{VEGA}\n\n{BROKEN}")))
    expect(page.locator(".diagram img")).to_have_count(2)
    for picture in page.locator(".diagram img").all():
        assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 50
    expect(page.get_by_text("This diagram cannot be drawn.")).to_be_visible()
    expect(page.get_by_text("A[Receive --> -->")).to_be_visible()
    assert any("mermaid" in url for url in asked) and all(url.startswith((site.url, "data:")) for url in asked)

    block = page.locator(".code").first
    expect(block.locator("pre")).to_be_hidden()
    block.get_by_role("button", name="Copy SVG").click()
    assert page.evaluate("() => navigator.clipboard.readText()").startswith("<svg")
    block.get_by_role("button", name="Copy PNG").click()
    expect(block.get_by_role("button", name="Copied")).to_have_count(2)
    kinds = "() => navigator.clipboard.read().then((items) => items[0].types)"
    assert page.evaluate(kinds) == ["image/png"]
    block.get_by_role("button", name="Source").click()
    expect(block.locator("pre")).to_contain_text("graph TD")
    block.get_by_role("button", name="Diagram").click()

    block.get_by_role("button", name="Enlarge the picture").click()
    zoom = page.get_by_role("dialog", name="Enlarged picture")
    expect(zoom.locator("img")).to_be_visible()
    page.keyboard.press("+")
    assert "scale(1.25)" in zoom.locator("img").evaluate("(image) => image.style.transform")
    page.keyboard.press("Escape")
    expect(zoom).to_be_hidden()


def test_a_diagram_is_drawn_when_its_block_is_whole(visit: Visit, browsing: Browsing, alice: Person) -> None:
    page = visit(alice)
    ask(page, f"Draw [[tps=20 text={MERMAID}\n\nThat was the diagram, and now some more words follow. ]]")
    expect(page.locator(".tail .code")).to_contain_text("graph")
    expect(page.locator(".blocks .diagram img")).to_be_visible()
    wait_finished(page)
    expect(page.locator(".diagram img")).to_have_count(1)


def test_a_page_opens_beside_the_chat_and_reaches_nothing(visit: Visit, browsing: Browsing, alice: Person) -> None:
    browsing.allow("Content Security Policy|Refused to connect|Blocked a frame|SecurityError")
    site = browsing.site
    second = "```html\n<h1>Second</h1>\n```"
    page = visit(alice, keep_chat(site, alice, ("A page", PAGE), ("Another", second)))
    page.get_by_role("button", name="Preview").first.click()
    frame = page.frame_locator("#panel iframe")
    expect(frame.get_by_role("heading", name="Counter")).to_have_css("color", "rgb(0, 128, 128)")
    frame.get_by_role("button").click()
    expect(frame.get_by_role("button")).to_have_text("1")
    expect(frame.locator("body")).to_have_attribute("data-kept", "apart")
    expect(frame.locator("body")).to_have_attribute("data-net", "none")
    assert "taken" not in page.title()
    panel = page.locator("#panel")
    expect(panel).to_contain_text("1/2")
    panel.get_by_role("button", name="Next version").click()
    expect(frame.get_by_role("heading", name="Second")).to_be_visible()
    panel.get_by_role("button", name="Copy").click()
    assert "<h1>Second</h1>" in page.evaluate("() => navigator.clipboard.readText()")
    with page.expect_download() as download:
        panel.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "artifact.html"
    panel.get_by_role("button", name="Full screen").click()
    page.wait_for_function("() => document.fullscreenElement?.localName === 'iframe'")
    page.evaluate("() => document.exitFullscreen()")
    # By its address it is a stranger too.
    address = page.locator("#panel iframe").get_attribute("src")
    page.goto(f"{site.url}{address}")
    expect(page.get_by_role("heading", name="Second")).to_be_visible()
    assert page.evaluate("() => self.origin") == "null"


def test_an_answer_with_a_page_opens_it_by_itself(visit: Visit, browsing: Browsing, alice: Person) -> None:
    page = visit(alice)
    ask(page, "Make [[text=```html\n<h1>Fresh</h1>\n```\nHere it is. ]]")
    wait_finished(page)
    expect(page.frame_locator("#panel iframe").get_by_role("heading", name="Fresh")).to_be_visible()
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_focused()


def test_folds_alerts_formulas_pictures_and_long_code(visit: Visit, site: BrowserSite, alice: Person) -> None:
    long = "```python\n" + "\n".join(f"line_{n} = {n}" for n in range(40)) + "\n```"
    page = visit(alice, keep_chat(site, alice, ("Old", FOLDS), ("Rich", RICH), ("Long", long)))
    page.get_by_text("Thought for 4 seconds").click()
    expect(page.get_by_text("Look it up")).to_be_visible()
    page.get_by_text("Result of search").click()
    expect(page.locator(".fold").get_by_text("7.5 °C")).to_be_visible()
    expect(page.locator("math")).to_have_count(3)
    expect(page.locator("math msub").first).to_be_visible()
    expect(page.locator(".alert-warning")).to_contain_text("Mind the range")
    page.get_by_role("button", name="A red square. Enlarge the picture").click()
    expect(page.get_by_role("dialog", name="Enlarged picture")).to_be_visible()
    page.keyboard.press("Escape")
    code = page.locator(".code").last
    code.get_by_role("button", name="Fold").click()
    assert code.locator("pre").evaluate("(pre) => pre.clientHeight < pre.scrollHeight")
    code.get_by_role("button", name="Unfold").click()


@pytest.fixture
def attacked(browsing: Browsing) -> Browsing:
    """Everything that could run says so; what the page complains about is kept."""
    watched = browsing.window

    def window(person: Person | None = None, **options: Any) -> Any:
        context = watched(person, **options)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => "
            "(window.__csp ??= []).push(`${event.violatedDirective} ${event.blockedURI}`))"
        )
        context.on("page", lambda page: page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}")))
        return context

    browsing.window = window  # type: ignore[method-assign]
    # Addresses of pictures on this server that are not there.
    browsing.allow("40[0-9]")
    return browsing


def quiet(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    for frame in page.frames:
        assert frame.evaluate("() => window.__xss") is None, frame.url
    assert page.evaluate("() => window.__csp") is None
    assert page.evaluate("() => [...document.querySelectorAll('script')].every((s) => s.src)")


def in_pages(pairs: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """As many as a page shows at once."""
    for start in range(0, len(pairs), 20):
        yield pairs[start : start + 20]


def test_nothing_of_two_thousand_payloads_runs(attacked: Browsing, alice: Person) -> None:
    site = attacked.site
    payloads = corpus()
    size = 60
    parts = ["\n\n".join(payloads[start : start + size]) for start in range(0, len(payloads), size)]
    # One answer ends where a payload leaves a fence open: each gets a few of its own besides.
    singles = [(p, p) for p in payloads[:: len(payloads) // 120]]
    titles = [p for p in payloads if "{" not in p][::300]
    for start in range(0, len(parts), 10):
        pairs = [(part, part) for part in parts[start : start + 10]]
        path = keep_chat(
            site,
            alice,
            *pairs,
            title=titles[start // 10 % len(titles)],
            files=[{"type": "file", "id": "x", "name": name} for name in payloads[start * 20 : start * 20 + 20]],
        )
        page = attacked.open(alice, path)
        expect(page.locator(".message")).to_have_count(2 * len(pairs))
        for details in page.locator("details.fold:not([open]) summary").all()[:20]:
            details.click()
        page.locator("#scroll").evaluate("(scroll) => scroll.scrollTo(0, 0)")
        page.wait_for_timeout(300)
        quiet(page)
        page.context.close()
    for pairs in in_pages(singles):
        page = attacked.open(alice, keep_chat(site, alice, *pairs, title=titles[0]))
        expect(page.locator(".message")).to_have_count(2 * len(pairs))
        quiet(page)
        page.context.close()


def test_nothing_of_hostile_diagrams_runs_while_they_are_drawn(attacked: Browsing, alice: Person) -> None:
    # What the drawing libraries trip over in their own room.
    attacked.allow("diagrams|Cannot read properties|Content Security Policy|Refused to|packages/|data:image/svg|data:,")
    hostile = [p for p in corpus() if p.startswith(("```mermaid", "```vega"))]
    page = attacked.open(alice, keep_chat(attacked.site, alice, ("Draw", "\n\n".join(hostile))))
    blocks = page.locator(".code:is([data-lang=mermaid], [data-lang^=vega])")
    expect(blocks).to_have_count(len(hostile))
    for block in blocks.all():
        block.scroll_into_view_if_needed()
    done = ".code:is([data-lang=mermaid], [data-lang^=vega]):not(:has(.diagram, .diagram-failed))"
    expect(page.locator(done)).to_have_count(0, timeout=60_000)
    assert page.locator(".diagram img").count() > len(hostile) // 3
    for frame in page.frames:
        assert frame.evaluate("() => window.__xss") is None or frame != page.main_frame
    assert page.evaluate("() => window.__xss") is None and page.evaluate("() => window.__csp") is None
    for source in page.locator(".diagram img").evaluate_all("(all) => all.map((i) => decodeURIComponent(i.src))"):
        assert "<script" not in source and "javascript:" not in source


def test_payloads_do_nothing_while_they_are_written(attacked: Browsing, alice: Person) -> None:
    payloads = [p for p in corpus() if "]]" not in p and "[[" not in p][::37]
    page = attacked.open(alice)
    ask(page, f"Write [[tps=400 text={' words '.join(payloads)} ]]")
    wait_finished(page)
    quiet(page)
    assert len(answer(page).inner_text()) > 1_000


def test_a_shared_page_of_payloads_does_nothing(attacked: Browsing, dana: Person, alice: Person) -> None:
    payloads = corpus()[::8]
    for pairs in in_pages([(p, p) for p in payloads[:120]]):
        path = keep_chat(attacked.site, alice, *pairs, title=pairs[0][0])
        made = call(attacked.site, f"/api/v1/chats{path.removeprefix('/c')}/share", {}, alice.token)
        page = attacked.open(alice, f"/s/{made['share_id']}")
        expect(page.locator(".message")).to_have_count(2 * len(pairs))
        quiet(page)
        page.context.close()
