"""The installed application: a finger moves the sidebar; without a network a page says so and keeps nothing private."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, ask, wait_finished
from tests.browser.test_accessible import PHONE

pytestmark = MARKS
KEPT = """async () => {
  const caches_ = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
  return (await Promise.all(caches_.map((cache) => cache.keys()))).flat().map(({ url }) => new URL(url).pathname);
}"""


def test_a_page_says_that_the_server_is_away_and_comes_back(browsing: Browsing, alice: Person) -> None:
    browsing.allow("WebSocket|ERR_INTERNET_DISCONNECTED|Failed to load")
    context = browsing.window(alice, service_workers="allow")
    page = context.new_page()
    page.goto(browsing.site.url)
    ask(page, "Something private [[n=3]]")
    wait_finished(page)
    page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    kept = page.evaluate(KEPT)
    assert "/offline" in kept and all(path == "/offline" or path.startswith("/static/owui/") for path in kept)
    address = page.url
    context.set_offline(True)
    page.reload(wait_until="domcontentloaded")
    expect(page.get_by_role("heading", name="The server cannot be reached")).to_be_visible()
    assert page.url == address
    expect(page.get_by_role("link", name="Try again")).to_be_visible()
    context.set_offline(False)  # and without anybody's doing
    expect(page.locator(".message.user")).to_contain_text("Something private")


def drag(page: Page, start: int, end: int) -> None:
    """A finger that goes from one place to another, at half height."""
    session = page.context.new_cdp_session(page)
    for kind, x in (("touchStart", start), ("touchMove", (start + end) // 2), ("touchMove", end), ("touchEnd", end)):
        points = [] if kind == "touchEnd" else [{"x": x, "y": 400}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_a_finger_opens_and_closes_the_sidebar(browsing: Browsing, alice: Person) -> None:
    page = browsing.open(alice, **PHONE, reduced_motion="reduce")
    page.wait_for_load_state()
    sidebar = page.locator("#sidebar .brand")
    expect(sidebar).not_to_be_in_viewport()
    address = page.url
    drag(page, 150, 330)  # not from the edge
    page.wait_for_timeout(500)
    expect(sidebar).not_to_be_in_viewport()
    assert page.url == address, "the browser took the finger for the way back in its history"
    # On a busy machine the finger's way may be told in one piece, too late to be one.
    for _try in range(3):
        if "open" not in (page.locator("html").get_attribute("data-sheet") or ""):
            drag(page, 8, 220)
            page.wait_for_timeout(500)
    expect(sidebar).to_be_in_viewport()
    drag(page, 220, 20)
    expect(sidebar).not_to_be_in_viewport()
    assert page.url == address
