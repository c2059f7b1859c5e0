"""Python of an answer, run in the reader's browser and reaching nothing from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, call
from tests.browser.test_accessible import faults
from tests.browser.test_messages import begun

pytestmark = MARKS
Visit = Callable[..., Page]
START = 120_000

HELLO = """import sys
print("Hello")
print("a warning", file=sys.stderr)
sum(n * n for n in range(4))"""
LONG = """print("begun")
while True:
    pass"""
DRAWN = """class Drawing:
    def _repr_svg_(self):
        return '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>'

Drawing()"""
FAULT = """def inner():
    return 1 / 0

inner()"""
#: what a program could try from where it runs
ESCAPE = """import js
from pyodide.http import pyfetch

async def reached(address):
    try:
        return str((await pyfetch(address)).status)
    except BaseException as error:
        return type(error).__name__

out = [js.location.origin]
for address in ADDRESSES:
    out.append(await reached(address))
for name in ("document", "localStorage", "parent"):
    out.append(name + "=" + str(hasattr(js, name)))
print("|".join(out))"""


def asked(visit: Visit, person: Person, code: str, **look: Any) -> Page:
    return begun(visit, person, f"Show it [[text=This:\n\n```python\n{code}\n```\n\nDone.]]", **look)


def run(page: Page) -> Any:
    block = page.locator(".message.assistant .code").last
    block.get_by_role("button", name="Run").click()
    return block.locator(".code-output")


def ended(output: Any, text: str) -> None:
    expect(output.locator("[data-state]")).to_have_text(text, timeout=START)


def test_a_program_prints_and_has_a_result(visit: Visit, alice: Person) -> None:
    page = asked(visit, alice, HELLO)
    assert page.locator("iframe").count() == 0, "Python comes when somebody runs something"
    output = run(page)
    expect(output.get_by_role("button", name="Stop")).to_be_focused()
    ended(output, "The program has ended.")
    expect(output.locator("pre")).to_contain_text("Hello")
    expect(output.locator("pre .fault")).to_have_text("a warning\n")
    expect(output.locator("pre")).to_contain_text("14")
    expect(page.get_by_role("button", name="Run")).to_be_focused()
    expect(page.locator("iframe")).to_have_count(0)
    assert faults(page) == []
    page.locator(".message.assistant").last.get_by_role("button", name="Copy", exact=True).last.click()
    assert "14" not in page.evaluate("() => navigator.clipboard.readText()")
    output.get_by_role("button", name="Close").click()
    expect(output).to_have_count(0)


def test_an_error_shows_the_lines_of_the_program(visit: Visit, alice: Person) -> None:
    page = asked(visit, alice, FAULT)
    output = run(page)
    ended(output, "The program ended with an error.")
    expect(output.locator("pre")).to_contain_text("ZeroDivisionError: division by zero")
    expect(output.locator("pre")).to_contain_text("line 4")
    expect(output.locator("pre")).not_to_contain_text("_pyodide")
    assert faults(page) == []
    page = asked(visit, alice, "import numpy")
    output = run(page)
    ended(output, "The program ended with an error.")
    expect(output).to_contain_text("Other packages are not installed.")


def test_a_picture_is_shown(visit: Visit, alice: Person) -> None:
    output = run(asked(visit, alice, DRAWN))
    ended(output, "The program has ended.")
    expect(output.get_by_role("button", name="Picture made by the program")).to_be_visible()


@pytest.fixture
def briefly(site: Any, dana: Person) -> Iterator[None]:
    path = "/api/v1/configs/code_execution"
    call(site, path, {"CODE_EXECUTION_JUPYTER_TIMEOUT": 2}, dana.token)
    yield
    call(site, path, {"CODE_EXECUTION_JUPYTER_TIMEOUT": 60}, dana.token)


def test_a_program_without_an_end_is_stopped(visit: Visit, alice: Person, briefly: None) -> None:
    page = asked(visit, alice, LONG)
    output = run(page)
    ended(output, "The program was stopped: it may take 2 seconds.")
    expect(output.locator("pre")).to_have_text("begun\n")
    output = run(page)
    expect(output.locator("[data-state]")).to_have_text("The program is running…", timeout=START)
    output.get_by_role("button", name="Stop").click()
    ended(output, "You stopped the program.")
    expect(page.locator("iframe")).to_have_count(0)


def test_a_program_reaches_nobody(browsing: Browsing, alice: Person, site: Any) -> None:
    browsing.allow("Content Security Policy|Refused to connect|Fetch API cannot load")
    addresses = [site.url + "/api/config", site.url + "/static/owui/page.js", "http://127.0.0.1:9/"]
    page = asked(browsing.open, alice, ESCAPE.replace("ADDRESSES", repr(addresses)))
    said: list[str] = []
    page.on("request", lambda request: said.append(request.url))
    output = run(page)
    ended(output, "The program has ended.")
    text = output.locator("pre").inner_text()
    assert "200" not in text and "404" not in text, text
    assert "document=False" in text and "localStorage=False" in text and "parent=False" in text
    assert not [url for url in said if url in addresses]
