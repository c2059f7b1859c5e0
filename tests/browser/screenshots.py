"""The pictures in docs/screenshots, made anew from a real site: `python -m tests.browser.screenshots`."""

from __future__ import annotations

import io
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect

# The servers of a test run, started before Django reads its settings.
import tests.plugin  # noqa: F401, I001
from tests.browser.conftest import Browsing, Person, account, ask, call, launch, open_model, wait_finished
from tests.browser.site import BrowserSite
from tests.data import make

OUT = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True,
}  # fmt: skip
LOOKS = (("desktop-light", DESKTOP, "light"), ("desktop-dark", DESKTOP, "dark"), ("phone-light", PHONE, "light"),
         ("phone-dark", PHONE, "dark"))  # fmt: skip

PAGES = {
    "Stability protocol Zelorix.pdf": make.pdf(
        [
            "STABILITY PROTOCOL\nZelorix 20 mg film-coated tablets\nBatches 41, 42 and 43",
            "2 Storage conditions\n\n"
            "Batch 42 is stored at 7.5 degrees Celsius, deviating from the registered range of\n"
            "2 to 8 degrees only within its upper half. The chamber is monitored every five minutes.",
            "3 Deviations\n\nA reading above 8.0 degrees for more than 30 minutes is a deviation. It is reported to\n"
            "Quality within 24 hours on form SOP-QA-042 and assessed by the stability board.",
        ]
    ),
    "Deviation form SOP-QA-042.docx": make.word(
        ["Use this form for every deviation of storage temperature. Quality assigns a number within one working day."],
        heading="Deviation form SOP-QA-042",
    ),
    "Assay results 2026.xlsx": make.workbook(
        {"Assay": [["Batch", "Month", "Assay %"], [41, 6, 99.4], [42, 6, 99.1], [43, 6, 99.6]]}
    ),
    "Board minutes March.txt": b"The stability board met on 12 March and released batches 41 and 43.",
    "Scan of chamber log.pdf": make.scanned_pdf(),
}
QUESTION = "At which temperature is batch 42 stored, and when is it a deviation?"
ANSWER = """Batch 42 is stored at **7.5 °C**, in the upper half of the registered range of 2 to 8 °C [1].

It becomes a deviation when a reading stays **above 8.0 °C for more than 30 minutes** [1]. Then:

1. Report it to Quality within 24 hours on form SOP-QA-042 [1].
2. Quality assigns a number within one working day [2].

| Batch | Storage | Assay after 6 months |
|---|---|---:|
| 41 | 5.0 °C | 99.4 % |
| 42 | 7.5 °C | 99.1 % |
| 43 | 5.0 °C | 99.6 % |

For batch 42 the documents name no decision yet."""
FIRST = (
    "Summarise the board minutes of March",
    "Draft a deviation report for chamber 7",
    "Which batches are due for their 12-month assay?",
    "Explain Arrhenius kinetics to a newcomer",
)


def reply(body: dict[str, Any]) -> str:
    """The scripted model: slow where somebody wants to see it write."""
    messages = str(body["messages"])
    if QUESTION not in messages:
        return "Here is what I found."
    return f"[[tps={16 if body['model'] == 'fake-large' else 0} text={ANSWER} ]]"


def keep(page: Page, name: str) -> None:
    """Writes the window as WebP, small enough for a repository."""
    page.evaluate("() => document.fonts.ready")
    image = Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide")))
    image.convert("RGB").save(OUT / f"{name}.webp", quality=82, method=6)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    with BrowserSite() as site, launch() as chromium, tempfile.TemporaryDirectory() as directory:
        site.models.models.reply = reply
        browsing = Browsing(site, chromium)
        dana = account(site, "Dana Reyes")
        for model in ("fake-small", "fake-large"):
            open_model(site, model, dana)
        people = [account(site, name, by=dana) for name in ("Alice Meyer", "Bob Lindqvist", "Carol Osei", "Ana Costa")]
        alice = people[0]
        waiting = account(site, "Pia Holm", by=dana)
        body = {"role": "pending", "name": "Pia Holm", "email": waiting.email, "profile_image_url": ""}
        call(site, f"/api/v1/users/{waiting.id}/update", body, dana.token)
        for name in ("Quality", "Stability board"):
            group = call(site, "/api/v1/groups/create", {"name": name, "description": ""}, dana.token)
            members = {"user_ids": [p.id for p in people[:3]]}
            call(site, f"/api/v1/groups/id/{group['id']}/users/add", members, dana.token)
        call(site, "/api/v1/users/default/permissions", _permissions(site, dana), dana.token)

        for look, size, scheme in LOOKS:
            if look in ("desktop-light", "phone-dark"):
                keep(browsing.open(path="/auth", **size, color_scheme=scheme), f"sign-in-{look}")

        page = browsing.open(alice, "/workspace/knowledge/", **DESKTOP)
        page.get_by_role("button", name="New knowledge base").click()
        page.get_by_role("textbox", name="Name").fill("Zelorix stability")
        page.get_by_role("textbox", name="Description").fill("Protocols, forms and results of the stability programme.")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", name="Zelorix stability", level=1)).to_be_visible()
        base = page.url
        for name, data in PAGES.items():
            (Path(directory) / name).write_bytes(data)
        page.locator("#upload-files").set_input_files([Path(directory) / name for name in PAGES])
        expect(page.get_by_text("Ready", exact=True)).to_have_count(len(PAGES) - 1, timeout=40_000)
        expect(page.get_by_text("Failed", exact=True)).to_be_visible()
        # One more that is still in work, for the picture.
        (Path(directory) / "Chamber 7 readings.txt").write_text("Temperature 7.5 at noon. " * 60_000)
        page.locator("#upload-files").set_input_files(Path(directory) / "Chamber 7 readings.txt")
        expect(page.get_by_role("row", name="Chamber 7").get_by_role("progressbar")).to_be_visible()
        time.sleep(1.5)
        keep(page, "knowledge-desktop-light")
        other = browsing.open(alice, base.removeprefix(site.url), **PHONE, color_scheme="dark")
        keep(other, "knowledge-phone-dark")

        for text in FIRST:
            page.goto(site.url)
            ask(page, text)
            wait_finished(page)
        bare = f"/?knowledge={base.rpartition('/')[2]}"
        page.goto(f"{site.url}{bare}&model=fake-large")
        ask(page, QUESTION)
        expect(page).to_have_url(re.compile("/c/"))
        phone = browsing.open(alice, page.url.removeprefix(site.url), **PHONE, color_scheme="dark")
        expect(phone.locator(".message.assistant .prose ol li")).to_have_count(2)
        keep(phone, "chat-streaming-phone-dark")
        expect(page.locator(".message.assistant tbody tr")).to_have_count(2)
        keep(page, "chat-streaming-desktop-light")
        wait_finished(page)

        for look, size, scheme in LOOKS:
            if look == "phone-dark":
                continue
            # As high as the whole answer.
            tall = {**size, "viewport": {**size["viewport"], "height": 960}}
            view = browsing.open(alice, page.url.removeprefix(site.url), **tall, color_scheme=scheme)
            view.get_by_role("button", name="Source 1").first.click()
            expect(view.get_by_role("heading", name="Source 1")).to_be_visible()
            keep(view, f"citation-{look}")
        for look, size, scheme in LOOKS:
            if look in ("desktop-light", "desktop-dark"):
                view = browsing.open(dana, "/admin/accounts/user/", **size, color_scheme=scheme)
                keep(view, f"admin-people-{look}")
        for name, path in (("permission-matrix", "permissions"), ("access-map", "map")):
            view.goto(f"{site.url}/admin/access/{path}/")
            keep(view, f"admin-{name}-desktop-dark")
        view.goto(f"{site.url}/admin/")
        keep(view, "admin-desktop-dark")
        browsing.close()
    for path in sorted(OUT.glob("*.webp")):
        print(f"{path.name} {path.stat().st_size // 1024} KB")


def _permissions(site: BrowserSite, by: Person) -> dict[str, Any]:
    """Everyone may keep knowledge."""
    found = call(site, "/api/v1/users/default/permissions", token=by.token)
    found["workspace"]["knowledge"] = True
    return dict(found)


if __name__ == "__main__":
    main()
