"""Where a proxy lets no socket through, or no stream either, the page works all the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, answer, ask, wait_finished

pytestmark = MARKS


def without(browsing: Browsing, person: Person, *, streams: bool) -> tuple[Page, list[str]]:
    """A page that gets no socket, and the addresses that it asks for instead."""
    browsing.allow("Failed to load resource|WebSocket")
    context = browsing.window(person)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    # Accepted and never answered, as by a proxy that waits for the whole answer first.
    context.route_web_socket("**/ws/chat", lambda socket: socket.close(code=1011))
    if not streams:
        context.route("**/c/stream*", lambda _route: None)
    page.goto(browsing.site.url)
    return page, asked


@pytest.mark.parametrize("streams", [True, False], ids=["events", "asking"])
def test_an_answer_is_written_without_a_socket(browsing: Browsing, alice: Person, streams: bool) -> None:
    page, asked = without(browsing, alice, streams=streams)
    ask(page, "Count [[n=200 tps=25]]")
    expect(answer(page)).to_contain_text("t2 ")
    expect(answer(page)).not_to_contain_text("t190 ")  # while it is being written
    expect(page.locator("#connection")).to_be_hidden()
    wait_finished(page)
    found = [int(number) for number in re.findall(r"t(\d+)", answer(page).inner_text())]
    assert found == list(range(1, 201))
    ask(page, "Stop me [[n=900 tps=20]]")
    expect(answer(page)).to_contain_text("t2 ")
    page.get_by_role("button", name="Stop the answer").click()
    expect(page.get_by_text("You stopped this answer.")).to_be_visible()
    polls = [url for url in asked if re.search(r"/messages/[0-9a-f-]{36}$", url)]
    assert any("/c/stream" in url for url in asked) and (len(polls) <= 2 if streams else len(polls) > 4)


def test_what_comes_after_an_answer_arrives_too(browsing: Browsing, alice: Person, site: Any) -> None:
    """In another window, by a socket, the chat is renamed; the page without one shows it in its list when it looks."""
    page, _asked = without(browsing, alice, streams=False)
    ask(page, "A question of its own [[n=3]]")
    wait_finished(page)
    address = page.url
    other = browsing.open(alice, address.removeprefix(site.url))
    token = other.evaluate("() => JSON.parse(document.body.getAttribute('hx-headers'))['X-CSRFToken']")
    headers = {"origin": site.url, "sec-fetch-site": "same-origin", "x-csrftoken": token}
    other.request.post(f"{address}/rename", form={"title": "Renamed elsewhere"}, headers=headers)
    expect(page.locator("#chat-title")).to_have_text("Renamed elsewhere")
