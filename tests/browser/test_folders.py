"""A picture behind a folder: made small by the browser, faint on the page, gone on request."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import MARKS, Browsing, Person, account, call
from tests.browser.test_accessible import faults
from tests.browser.test_sidebar import chat

pytestmark = MARKS
BACKGROUND = "img => [img.complete, img.naturalWidth, img.naturalHeight, getComputedStyle(img).opacity]"
ON_TOP = """link => {
  const { x, y } = link.getBoundingClientRect();
  return link.contains(document.elementFromPoint(x + 3, y + 3));
}"""


def photo() -> bytes:
    """Black and white beside each other: the worst that can be behind a text."""
    image = Image.new("RGB", (3200, 2000), "white")
    for left in range(0, 3200, 400):
        image.paste("black", (left, 0, left + 200, 2000))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_a_picture_behind_a_folder(browsing: Browsing, dana: Person, tmp_path: Path) -> None:
    person = account(browsing.site, "Sanna Weir", by=dana)
    folder = call(browsing.site, "/api/v1/folders/", {"name": "Stability"}, person.token)["id"]
    call(browsing.site, "/api/v1/chats/import", {"chats": [chat(1), chat(2)]}, person.token)
    for row in call(browsing.site, "/api/v1/chats/", None, person.token):
        call(browsing.site, f"/api/v1/chats/{row['id']}/folder", {"folder_id": folder}, person.token)
    page = browsing.open(person, f"/folders/{folder}")
    other = page.context.new_page()
    other.goto(page.url)
    for one in (page, other):
        one.wait_for_load_state()
    page.get_by_role("main").get_by_role("button", name="Settings").click()
    field = page.get_by_label("Background", exact=True)
    field.set_input_files({"name": "wall.png", "mimeType": "image/png", "buffer": photo()})
    page.wait_for_function("() => document.getElementById('folder-background').files[0].name === 'background.webp'")
    assert faults(page) == []
    page.get_by_role("button", name="Save").click()
    picture = page.locator(".folder-backdrop")
    expect(picture).to_be_visible()
    page.wait_for_function("() => document.querySelector('.folder-backdrop').complete")
    assert picture.evaluate(BACKGROUND) == [True, 1600, 1000, "0.16"]
    expect(other.locator(".folder-backdrop")).to_be_visible()
    # What stands on it is in front of it.
    assert page.get_by_role("main").get_by_role("link", name="Chat 001").evaluate(ON_TOP)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.screenshot(path=tmp_path / f"folder-{theme}.png")
        assert faults(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=tmp_path / "folder-phone.png")
    assert faults(page) == []
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("main").get_by_role("button", name="Settings").click()
    page.get_by_role("checkbox", name="Remove the picture").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Stability", level=1)).to_be_visible()
    expect(picture).to_have_count(0)
