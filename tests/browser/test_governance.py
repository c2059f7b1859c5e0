"""An administrator says who may do what; a second one who does so at the same time loses nothing."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import MARKS, Browsing, Person, call

pytestmark = MARKS


def test_the_permission_matrix_is_filled_in_by_keyboard_and_says_what_somebody_else_changed(
    browsing: Browsing, dana: Person
) -> None:
    browsing.allow("409")
    site = browsing.site
    group = call(site, "/api/v1/groups/create", {"name": "Matrix reviewers", "description": ""}, dana.token)
    page = browsing.open(dana, "/admin/")
    page.get_by_role("link", name="Permission matrix").click()
    page.get_by_role("searchbox", name="Group").fill("Matrix")
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="Matrix reviewers")).to_be_visible()
    page.get_by_role("checkbox", name="Create models: Matrix reviewers").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("checkbox", name="Import models: Matrix reviewers")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    expect(page.get_by_text("1 cell changed, not saved yet")).to_be_visible()

    change = {"permissions": {"workspace": {"prompts": True}}}
    call(site, f"/api/v1/groups/id/{group['id']}/update", change, dana.token)
    page.get_by_role("button", name="Save permissions").click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody else changed these permissions")
    expect(page.get_by_role("checkbox", name="Create models: Matrix reviewers")).to_be_checked()
    expect(page.get_by_text("now on")).to_be_visible()
    page.get_by_role("button", name="Save permissions").click()
    expect(page.get_by_text("Saved. 1 column was changed: Matrix reviewers.")).to_be_visible()
    found = call(site, f"/api/v1/groups/id/{group['id']}", token=dana.token)
    assert found["permissions"]["workspace"] == {"models": True, "prompts": True}


def test_access_ends_at_a_day_and_a_second_editor_sees_both_versions(
    browsing: Browsing, dana: Person, bob: Person, mallory: Person
) -> None:
    browsing.allow("409")
    site = browsing.site
    base = call(site, "/api/v1/knowledge/create", {"name": "Visitors' binder", "description": ""}, dana.token)
    page = browsing.open(dana, f"/workspace/knowledge/{base['id']}")
    page.get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Add people or groups").press_sequentially("Bob")
    dialog.get_by_role("button", name="Bob Lindqvist").click()
    dialog.get_by_label("Last day for Bob Lindqvist").fill("2101-01-31")

    grants = [{"principal_type": "user", "principal_id": mallory.id, "permission": "read"}]
    call(site, f"/api/v1/knowledge/{base['id']}/access/update", {"access_grants": grants}, dana.token)
    dialog.get_by_role("button", name="Save access").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Somebody else changed who has access")
    expect(dialog.get_by_role("row", name=re.compile("Mallory Stone differs"))).to_contain_text("may read")
    expect(dialog.get_by_label("Last day for Bob Lindqvist")).to_have_value("2101-01-31")
    dialog.get_by_role("button", name="Save access").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#access-sentence")).to_contain_text("Read: Bob Lindqvist (until 31 Jan 2101).")

    page.goto(f"{site.url}/admin/access/history/?of={base['id']}")
    expect(page.get_by_role("row", name="Mallory Stone")).to_contain_text("by Dana Reyes")
    page.goto(f"{site.url}/admin/access/map/?q=binder")
    expect(page.get_by_role("columnheader", name="Visitors' binder")).to_be_visible()
