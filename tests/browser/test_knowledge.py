"""From a folder of documents to an answer that shows what it stands on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, answer, ask, call, wait_finished
from tests.data import make

pytestmark = MARKS

FACT = "The registered storage temperature of Batch 42 of Zelorix is 7.5 degrees Celsius."


def documents(directory: Path) -> list[Path]:
    """A few small files of several kinds; the last one is broken."""
    files = {
        "Archive.txt": b"The keeper of the Zelorix archive is Ana Costa. She works in Basel.",
        "Batch 42.pdf": make.pdf(["Contents of this record\n1 Release\n2 Storage", FACT]),
        "Deviations.docx": make.word(["Deviations are reported to Quality within 24 hours."], heading="Deviations"),
        "Limits.xlsx": make.workbook({"Limits": [["Test", "Limit"], ["pH", 6.8], ["Water", "0.5 %"]]}),
        "Training.pptx": make.slides([("Training", "Everyone is trained once a year.", "")]),
        "Broken.pdf": b"%PDF-1.4 broken",
    }
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return [directory / name for name in files]


def new_base(page: Page, name: str, files: list[Path]) -> None:
    """Makes a base and puts documents on it."""
    page.get_by_role("button", name="New knowledge base").click()
    page.get_by_role("textbox", name="Name").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add documents").click()
    chooser.value.set_files(files)


def test_documents_become_evidence(visit: Callable[..., Page], dana: Person, tmp_path: Path) -> None:
    page = visit(dana, "/workspace/knowledge/")
    files = documents(tmp_path)
    new_base(page, "Zelorix dossier", files)
    expect(page.locator("#documents tr")).to_have_count(len(files))
    broken = page.get_by_role("row", name="Broken.pdf")
    expect(broken).to_contain_text("Failed")
    expect(broken.locator(".reason")).to_contain_text(re.compile(r"\w+ \w+"))
    expect(page.get_by_text("Ready", exact=True)).to_have_count(len(files) - 1, timeout=30_000)
    expect(page.get_by_role("row", name="Batch 42.pdf")).to_contain_text("2")
    broken.get_by_role("button", name="Retry").click()
    expect(broken).to_contain_text("Failed")
    page.reload()
    # What needs attention comes first.
    expect(page.locator("#documents tr").first).to_contain_text("Broken.pdf")

    page.get_by_role("link", name="New chat").first.click()
    box = page.get_by_role("textbox", name="Message", exact=True)
    box.press_sequentially("#zelo")
    expect(page.get_by_role("option", name="Zelorix dossier")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(box).to_have_value("")
    expect(page.get_by_role("list", name="Attached to this message")).to_contain_text("Zelorix dossier")
    ask(page, "What is the storage temperature of Batch 42 of Zelorix? [[text=It is 7.5 °C [1].]]")
    wait_finished(page)
    expect(page.locator(".message.user")).to_contain_text("Zelorix dossier")
    expect(answer(page)).to_contain_text("It is 7.5 °C")

    number = page.get_by_role("button", name="Source 1").first
    number.hover()
    card = page.get_by_role("tooltip")
    expect(card).to_contain_text("Batch 42.pdf")
    expect(card).to_contain_text("Page 2")
    expect(card).to_contain_text("7.5 degrees")
    number.click()
    expect(card).to_be_hidden()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel.get_by_role("heading", name="Source 1")).to_be_focused()
    expect(panel).to_contain_text("Batch 42.pdf")
    expect(panel).to_contain_text("Page 2")
    expect(panel).to_contain_text("Zelorix dossier")
    expect(panel.locator("mark")).to_contain_text(FACT)
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(number).to_be_focused()

    # The same after a reload, and the document itself is one click away.
    page.reload()
    page.get_by_role("button", name="Source 1").first.click()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the document").click()
    assert re.search(r"/content#page=2$", opened.value.url) or opened.value.url == "about:blank"


def test_a_base_that_is_named_before_the_script_is_there_is_found(browsing: Browsing, dana: Person) -> None:
    call(browsing.site, "/api/v1/knowledge/create", {"name": "Quick reference", "description": ""}, dana.token)
    page, held = browsing.window(dana).new_page(), []
    page.route(re.compile(r"/picker[^/]*\.js"), lambda route: held.append(route))
    page.goto(browsing.site.url, wait_until="commit")
    box = page.get_by_role("textbox", name="Message", exact=True)
    box.press_sequentially("#quick")
    held[0].continue_()
    expect(page.get_by_role("option", name="Quick reference")).to_have_attribute("aria-selected", "true")
