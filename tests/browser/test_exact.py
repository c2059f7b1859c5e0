"""The page in Python that the property tests use makes of frames what the real scripts make of them in a browser."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from chat.engine.events import FINISH, REASONING, TEXT, Logged
from chat.rendering import TurnView, final_ops
from owui.lib.markdown import IncrementalRenderer
from tests.browser.conftest import MARKS
from tests.chat.page import PARTS
from tests.chat.page import Page as Twin
from tests.chat.test_exact import CAN, PIECES, Turn

pytestmark = MARKS
SCRIPTS = Path(__file__).resolve().parents[2] / "static" / "owui"

# Prose that only grows: in letters that join, that go from right to left, that are more than one character.
WORDS = ("and", " so on", ", ", "(don't ", "x)", " 中文。", " עברית", "e\u0301 ", "👩\u200d🔬", "क्षि ", " 3", ".", "  ")

# Neither server nor htmx: frames come from here.
STUBS = """
window.htmx = { process() {}, trigger() {}, onLoad(handler) { window.loaded = handler; } };
window.owui = {};
window.sent = [];
window.WebSocket = class {
  static OPEN = 1;
  constructor() { this.readyState = 1; window.socket = this; }
  send(text) { window.sent.push(JSON.parse(text)); }
};
"""
# What the page asks for when a frame comes, and how its parts look then beside how they should. Both sides are written
# out by the browser, without blank text between blocks.
RECEIVE = """([frame, parts]) => {
  const tidy = (node) => {
    for (const child of [...node.childNodes])
      if (child.nodeType === Node.TEXT_NODE && !child.nodeValue.trim()) child.remove();
    node.normalize();
    const box = document.createElement("div");
    box.append(node);
    for (const element of box.querySelectorAll("*")) {
      const attributes = [...element.attributes].sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const { name } of attributes) element.removeAttribute(name);
      for (const one of attributes) element.setAttribute(one.name, one.value);
    }
    return box.innerHTML;
  };
  const both = ([id, wanted]) => {
    const template = document.createElement("template");
    template.innerHTML = wanted;
    const copy = document.createDocumentFragment();
    copy.append(...document.getElementById(id).cloneNode(true).childNodes);
    return [tidy(copy), tidy(template.content)];
  };
  sent.length = 0;
  socket.onmessage({ data: JSON.stringify(frame) });
  return [sent.map((one) => one.type), parts.map(both)];
}"""


def a_log(chance: random.Random) -> list[Logged]:
    events: list[Logged] = [(REASONING, "I *think*\n\n")] if chance.random() < 0.5 else []
    for _ in range(8):
        events.append((TEXT, "".join(chance.choices(PIECES, k=chance.randint(1, 3)))))
        events += [(TEXT, word) for word in chance.choices(WORDS, k=chance.randint(0, 4))]
    return [*events, (FINISH, {"state": "done", "error": ""})]


def frames_of(turn: Turn, chance: random.Random) -> list[dict[str, Any]]:
    """What a reader is sent: changes, everything once after a break, changes from elsewhere, the end."""
    view, told, frames = TurnView(turn.answer.pk), 0, []
    for seq, event in enumerate(turn.events[:-1], start=1):
        ops = view.feed([(seq, event)])
        frame: dict[str, Any] = {"turn": str(turn.id), "seq": seq, "after": told, "ops": ops}
        if chance.random() < 0.2:
            frame = {"turn": str(turn.id), "seq": seq, "ops": view.full()}
        elif chance.random() < 0.2:
            frames.append({**frame, "after": told + 100})  # for a page that is elsewhere
        frames += [frame, frame] if chance.random() < 0.2 else [frame]
        told = seq
    return [*frames, {"turn": str(turn.id), "seq": told + 2, "ops": final_ops(turn.final(), CAN)}]


@pytest.fixture
def _plain_files(settings: Any) -> None:
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}


@pytest.mark.usefixtures("_plain_files")
def test_twin_and_browser_agree_after_every_frame(chromium: Browser) -> None:
    page = chromium.new_page()
    try:
        seen = set()
        for seed in range(12):
            chance = random.Random(seed)  # noqa: S311
            turn = Turn(a_log(chance), "")
            twin = Twin(turn.answer.pk, turn.article(0))
            page.goto("about:blank")
            page.set_content(f'<p id="connection" hidden></p><main>{turn.article(0)}</main>')
            page.add_script_tag(content=STUBS)
            for name in ("morph.js", "ops.js", "socket.js"):
                page.add_script_tag(content=(SCRIPTS / name).read_text())
            for frame in frames_of(turn, chance):
                again = twin.receive(frame)
                seen |= {(op[0], "data-grow" in twin.html["tail"]) for op in frame["ops"]}
                parts = [(f"message-{turn.answer.pk}-{part}", twin.html[part]) for part in PARTS]
                asked, looks = page.evaluate(RECEIVE, [frame, parts])
                assert (asked == ["attach"]) == again
                for part, (shown, wanted) in zip(PARTS, looks, strict=True):
                    assert shown == wanted, (seed, part, frame)
            assert twin.turn is None
            assert page.locator("[data-turn]").count() == 0
        assert {("grow", False), ("grow", True)} <= seen
    finally:
        page.close()


def test_words_that_come_leave_the_reader_s_selection_alone(chromium: Browser) -> None:
    page = chromium.new_page()
    try:
        page.set_content('<div id="tail"></div>')
        page.add_script_tag(content=STUBS)
        for name in ("morph.js", "ops.js"):
            page.add_script_tag(content=(SCRIPTS / name).read_text())
        renderer = IncrementalRenderer()
        renderer.feed("- one\n- the **first** words")
        page.evaluate("(html) => owui.apply([['replace', 'tail', html]])", renderer.tail)
        page.evaluate("""() => {
          window.text = document.querySelector("li:last-child").lastChild;
          getSelection().setBaseAndExtent(text, 1, text, 6);
        }""")
        for piece in (" come", ", one by", " one", " and so on"):
            page.evaluate("(text) => owui.apply([['grow', 'tail', text]])", renderer.feed(piece).grow)
            assert page.evaluate("getSelection().toString()") == "words"
            assert page.evaluate("text.isConnected && text.parentNode.lastChild === text")
        assert page.locator("li").all_inner_texts() == ["one", "the first words come, one by one and so on"]
    finally:
        page.close()
