"""What is shared with a group is seen by its people and by nobody else."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, Browsing, Person, answer, ask, choose_model, wait_finished
from tests.browser.test_knowledge import new_base

pytestmark = MARKS


def share(page: Page, group: str) -> None:
    """In the open access dialog: gives a group the right to read."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Add people or groups").press_sequentially(group[:5])
    dialog.get_by_role("button", name=group).first.click()
    expect(dialog.get_by_label(f"What {group} may do")).to_be_focused()
    dialog.get_by_role("button", name="Save access").click()
    expect(dialog).to_be_hidden()


def test_a_group_sees_what_is_shared_with_it_and_a_stranger_does_not(
    browsing: Browsing, dana: Person, bob: Person, mallory: Person, tmp_path: Path
) -> None:
    browsing.allow("404")
    browsing.allow("403")  # the models page, for whoever may make none
    page = browsing.open(dana, "/admin/rbac/group/add/")
    page.get_by_label("Name").first.fill("Pharmacovigilance")
    page.get_by_text("Add another").first.click()
    page.get_by_role("combobox", name="Person").or_(page.locator(".field-user .select2-selection")).first.click()
    page.get_by_role("searchbox").last.press_sequentially("Bob")
    page.get_by_role("option", name="Bob Lindqvist").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()

    page.goto(f"{browsing.site.url}/workspace/models")
    page.get_by_role("button", name="Make fake-shared available to others").click()
    page.get_by_role("button", name="Change access to fake-shared").click()
    share(page, "Pharmacovigilance")
    expect(page.get_by_role("row", name="fake-shared")).to_contain_text("Read: Pharmacovigilance.")

    (tmp_path / "Signals.txt").write_text("Signals are reviewed every Tuesday.")
    page.get_by_role("link", name="Knowledge").click()
    new_base(page, "Safety signals", [tmp_path / "Signals.txt"])
    expect(page.get_by_text("Ready", exact=True)).to_be_visible(timeout=20_000)
    address = page.url
    expect(page.locator("#access-sentence")).to_contain_text("Only the owner.")
    page.get_by_role("button", name="Change").click()
    share(page, "Pharmacovigilance")
    expect(page.locator("#access-sentence")).to_contain_text("Read: Pharmacovigilance.")
    page.get_by_role("button", name="Change").click()
    page.get_by_text("Who can see this, and why").click()
    expect(page.get_by_role("dialog")).to_contain_text("Bob Lindqvist may read it:")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()

    member = browsing.open(bob, address.removeprefix(browsing.site.url))
    expect(member.get_by_role("heading", name="Safety signals")).to_be_visible()
    expect(member.get_by_role("row", name="Signals.txt")).to_be_visible()
    expect(member.get_by_role("button", name="Add documents")).to_have_count(0)
    member.goto(browsing.site.url)
    choose_model(member, "fake-shared")
    box = member.get_by_role("textbox", name="Message", exact=True)
    box.press_sequentially("#safe")
    member.get_by_role("option", name="Safety signals").click()
    ask(member, "When are signals reviewed? [[text=Every Tuesday [1].]]")
    wait_finished(member)
    expect(answer(member).get_by_role("button", name="Source 1")).to_be_visible()

    stranger = browsing.open(mallory, address.removeprefix(browsing.site.url))
    expect(stranger.get_by_role("heading", name="Nothing is here")).to_be_visible()
    stranger.goto(member.url)
    expect(stranger.get_by_role("heading", name="Nothing is here")).to_be_visible()
    for path in ("/workspace/knowledge/", "/workspace/models", "/"):
        stranger.goto(browsing.site.url + path)
        expect(stranger.get_by_role("main")).to_be_visible()
        for name in ("Safety signals", "fake-shared"):
            expect(stranger.get_by_text(name)).to_have_count(0)
    stranger.locator("#models [data-model-open]").click()
    expect(stranger.locator("#model-list").get_by_role("button", name="fake-small", exact=True)).to_be_visible()
    expect(stranger.locator("#model-list")).not_to_contain_text("fake-shared")
    stranger.keyboard.press("Escape")
    stranger.get_by_role("button", name="Add knowledge").click()
    expect(stranger.get_by_text("No knowledge base is shared with you yet.")).to_be_visible()
