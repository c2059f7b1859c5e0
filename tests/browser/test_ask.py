"""A question and its answer, in all that can happen to them."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, answer, ask, wait_finished

pytestmark = MARKS

Visit = Callable[..., Page]

RICH = """## Result

| Batch | °C |
|---|---:|
| 41 | 7.0 |
| 42 | 7.5 |

```python
def mean(values):
    return sum(values) / len(values)
```

The mean is $\\frac{7.0 + 7.5}{2}$, which is **within** the limit."""


def numbers(page: Page) -> list[int]:
    return [int(n) for n in re.findall(r"\bt(\d+)\b", answer(page).inner_text())]


def test_an_answer_grows_and_is_rendered(visit: Visit, alice: Person) -> None:
    page = visit(alice)
    ask(page, "Count [[n=100 tps=40]]")
    expect(page).to_have_url(re.compile("/c/[0-9a-f-]{36}$"))
    expect(page.get_by_role("button", name="Stop the answer")).to_be_visible()
    expect(answer(page)).to_contain_text("t3 ")
    assert len(numbers(page)) < 100
    # The list beside it knows the new chat at once.
    expect(page.locator("#chat-list a[aria-current=page]")).to_contain_text("Count")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Count")
    expect(page).to_have_title(re.compile("Count"))
    wait_finished(page)
    assert numbers(page) == list(range(1, 101))
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_have_value("")

    ask(page, f"Now properly [[text={RICH}]]")
    prose = answer(page)
    expect(prose.get_by_role("heading", name="Result")).to_be_visible()
    expect(prose.get_by_role("row")).to_have_count(3)
    expect(prose.locator(".code .k", has_text="def")).to_be_visible()
    expect(prose.locator("math mfrac")).to_be_visible()
    expect(prose.locator("strong")).to_have_text("within")
    wait_finished(page)
    prose.locator(".code").get_by_role("button", name="Copy").click()
    assert page.evaluate("() => navigator.clipboard.readText()").startswith("def mean(values):\n    return")


def test_stop_continue_again_and_in_other_words(visit: Visit, alice: Person) -> None:
    page = visit(alice)
    ask(page, "Slowly [[n=200 tps=20]]")
    expect(answer(page)).to_contain_text("t3 ")
    page.get_by_role("button", name="Stop the answer").click()
    wait_finished(page)
    expect(page.get_by_text("You stopped this answer.")).to_be_visible()
    kept = numbers(page)
    assert 3 <= len(kept) < 60

    last = page.locator(".message.assistant").last
    last.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("You stopped this answer.")).to_have_count(0)
    expect(answer(page)).to_contain_text(re.compile(rf"t{kept[-1]}\s*t\d"))
    page.keyboard.press("Escape")
    wait_finished(page)

    last = page.locator(".message.assistant").last
    last.get_by_role("button", name="Regenerate").click()
    page.locator("#message-menu").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Stop the answer")).to_be_visible()
    expect(answer(page)).to_contain_text("t2 ")
    page.keyboard.press("Escape")
    wait_finished(page)
    expect(page.get_by_role("group", name="Versions")).to_contain_text("2/2")
    page.get_by_role("button", name="Previous version").click()
    expect(page.get_by_role("group", name="Versions")).to_contain_text("1/2")
    expect(answer(page)).to_contain_text(f"t{kept[-1]}")

    question = page.locator(".message.user").last
    question.hover()
    question.get_by_role("button", name="Edit").click()
    box = question.get_by_role("textbox")
    expect(box).to_be_focused()
    box.fill("Quickly [[n=5]]")
    question.get_by_role("button", name="Send").click()
    expect(question.get_by_role("group", name="Versions")).to_contain_text("2/2")
    wait_finished(page)
    assert numbers(page) == [1, 2, 3, 4, 5]


def test_reloading_and_a_second_tab_show_every_word_once(visit: Visit, alice: Person) -> None:
    page = visit(alice)
    ask(page, "Count on [[n=120 tps=30]]")
    expect(page).to_have_url(re.compile("/c/"))
    expect(answer(page)).to_contain_text("t5 ")
    second = page.context.new_page()
    second.goto(page.url)
    expect(answer(second)).to_contain_text("t20 ")
    page.reload()
    expect(answer(page)).to_contain_text("t35 ")
    page.reload()
    for tab in (page, second):
        wait_finished(tab)
        assert numbers(tab) == list(range(1, 121))
    # A question asked in one tab appears in the other.
    ask(page, "And again [[n=30 tps=30]]")
    expect(second.locator(".message.user")).to_have_count(2)
    expect(answer(second)).to_contain_text("t30")
    wait_finished(second)
    assert numbers(second) == list(range(1, 31))
    expect(page.locator(".message")).to_have_count(4)


def test_closing_the_page_does_not_end_the_answer(visit: Visit, alice: Person) -> None:
    page = visit(alice)
    ask(page, "Go on without me [[n=60 tps=30]]")
    expect(answer(page)).to_contain_text("t2 ")
    address, context = page.url, page.context
    page.close()
    again = context.new_page()
    again.goto(address)
    wait_finished(again)
    assert numbers(again) == list(range(1, 61))


def test_without_a_socket_the_page_asks_instead(browsing: Browsing, alice: Person) -> None:
    browsing.allow("WebSocket")
    window = browsing.window(alice)
    window.route_web_socket(re.compile("/ws/"), lambda socket: socket.close())
    page = window.new_page()
    page.goto(browsing.site.url)
    ask(page, "Through the back door [[n=60 tps=20]]")
    expect(answer(page)).to_contain_text("t10 ")
    expect(page.locator("#connection")).to_be_hidden()
    wait_finished(page)
    assert numbers(page) == list(range(1, 61))


def test_a_failure_says_what_happened_and_offers_another_try(visit: Visit, alice: Person) -> None:
    page = visit(alice)
    ask(page, "Fail [[err=429 msg=Rate limit reached for this key]]")
    expect(page.locator(".message.assistant .note.bad")).to_be_visible()
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    wait_finished(page)
    ask(page, "Break off [[n=20 tps=50 cut=5]]")
    expect(page.locator(".message")).to_have_count(4)
    expect(page.locator(".message.assistant").last.locator(".note")).to_be_visible()
    assert numbers(page) == [1, 2, 3, 4, 5]


def test_a_killed_server_leaves_an_interrupted_answer_that_goes_on(browsing: Browsing, alice: Person) -> None:
    browsing.allow("WebSocket|ERR_CONNECTION|Failed to load|net::ERR|50[0-9] ")
    page = browsing.open(alice)
    ask(page, "Interrupt me [[n=900 tps=20]]")
    expect(answer(page)).to_contain_text("t25 ")
    with browsing.site.without_web_workers():
        expect(page.locator("#connection")).to_contain_text("Reconnecting")
    expect(page.get_by_text("The answer was interrupted. What had arrived is kept.")).to_be_visible(timeout=25_000)
    expect(page.locator("#connection")).to_be_hidden()
    kept = numbers(page)
    assert kept == list(range(1, len(kept) + 1)) and len(kept) >= 8
    page.locator(".message.assistant .note").get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Stop the answer")).to_be_visible()
    expect(answer(page)).to_contain_text(re.compile(rf"t{kept[-1]}\s+t1\b"))
    page.get_by_role("button", name="Stop the answer").click()
    wait_finished(page)
