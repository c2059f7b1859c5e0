"""What the page tells of answers that one does not look at, and what it says and hears aloud."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, account, ask, wait_finished

pytestmark = MARKS
#: a browser that remembers what it was told to notify of and to say, and understands one sentence
STAND_INS = """
window.told = []; window.spoken = [];
window.Notification = class {
  static permission = "default";
  static async requestPermission() { return (Notification.permission = "granted"); }
  constructor(title, options) { window.told.push([title, options.body]); }
};
Document.prototype.hasFocus = () => !window.away;
window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
Object.defineProperty(window, "speechSynthesis", { value: {
  getVoices: () => [{ name: "Anna", lang: "en-GB" }],
  speak: (said) => { window.spoken.push([said.text, said.voice?.name, said.rate]); said.onend?.(); },
  cancel: () => {},
}});
window.SpeechRecognition = class {
  static async available({ processLocally }) { return processLocally ? "available" : "unavailable"; }
  start() {
    window.ear = this;
    setTimeout(() => this.onresult({ results: [[{ transcript: "the blender" }]] }), 50);
  }
  stop() { this.onend(); }
  abort() { this.onend(); }
};
"""


@pytest.fixture(scope="module")
def nell(site: object, dana: Person) -> Person:
    return account(site, "Nell Moreau", by=dana)  # type: ignore[arg-type]


def opened(browsing: Browsing, person: Person, path: str = "/") -> Page:
    window = browsing.window(person)
    window.add_init_script(STAND_INS)
    page = window.new_page()
    page.goto(browsing.site.url + path)
    return page


def test_an_answer_that_ends_elsewhere_is_told_in_the_corner_and_outside(browsing: Browsing, nell: Person) -> None:
    page = opened(browsing, nell, "/settings")
    with page.expect_response("**/settings/interface"):
        page.get_by_role("switch", name=re.compile("Tell me outside this page")).check()
    with page.expect_response("**/settings/interface"):
        page.get_by_role("switch", name="Play a sound with it").check()
    expect(page.locator("#notices .saved")).to_have_text("Saved")

    page.goto(browsing.site.url)
    page.evaluate("() => { Notification.permission = 'granted'; }")
    ask(page, "A slow one [[ttft=1500 n=3]]")
    expect(page).to_have_url(re.compile("/c/[0-9a-f-]{36}$"))
    slow = page.url
    page.evaluate("() => { window.away = true; }")
    wait_finished(page)
    page.wait_for_timeout(700)
    assert page.evaluate("() => window.told") == [], "whoever looks at it is told nothing"

    ask(page, "Another [[ttft=2500 n=3]]")
    expect(page.locator(".message.assistant").last).to_have_attribute("aria-busy", "true")
    page.goto(browsing.site.url)
    page.evaluate("() => { Notification.permission = 'granted'; window.away = true; }")
    toast = page.locator(".toast", has_text="Answer finished")
    expect(toast).to_be_visible()
    expect(toast.get_by_role("link")).to_contain_text("A slow one")
    told = page.evaluate("() => window.told")
    assert len(told) == 1 and told[0][0] == "Answer finished" and "A slow one" in told[0][1]
    toast.get_by_role("link").click()
    expect(page).to_have_url(slow)


def test_answers_are_read_by_the_chosen_voice_and_questions_are_dictated(browsing: Browsing, nell: Person) -> None:
    page = opened(browsing, nell, "/settings")
    for label, value in (("Voice", "Anna"), ("Speed of reading", "1.5")):
        with page.expect_response("**/settings/interface"):
            page.get_by_label(label).select_option(value)
    with page.expect_response("**/settings/interface"):
        page.get_by_role("switch", name="Read each answer aloud when it is finished").check()

    page.goto(browsing.site.url)
    box = page.get_by_role("textbox", name="Message", exact=True)
    box.fill("Clean [[ttft=400 n=2]]")
    box.press("Home")
    for _step in "Clean":
        box.press("ArrowRight")
    page.keyboard.press("Control+Shift+L")
    expect(box).to_have_value("Clean the blender [[ttft=400 n=2]]")
    mic = page.get_by_role("button", name="Dictate")
    expect(mic).to_have_attribute("aria-pressed", "true")
    box.press("Enter")
    expect(mic).to_have_attribute("aria-pressed", "false")
    wait_finished(page)
    expect(page.locator(".message.user")).to_contain_text("Clean the blender")
    expect(page.locator(".message.assistant")).to_contain_text("t2")
    assert page.evaluate("() => window.spoken") == [["t1 t2", "Anna", 1.5]]
