"""From an empty server to the second person's first answer."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import MARKS, PASSWORD, Browsing, Person, answer, ask, wait_finished

pytestmark = MARKS

CLICKS = """addEventListener("click", (event) => {
  if (event.isTrusted && event.detail) sessionStorage.clicks = Number(sessionStorage.clicks || 0) + 1;
}, true);"""


def test_the_first_person_is_administrator_and_lets_the_second_in(browsing: Browsing) -> None:
    window = browsing.window()
    window.add_init_script(CLICKS)
    page = window.new_page()
    page.goto(browsing.site.url)
    expect(page.get_by_role("heading", name="Create an account")).to_be_visible()
    expect(page.get_by_text("The first account becomes the administrator")).to_be_visible()
    page.get_by_label("Name").fill("Dana Reyes")
    page.get_by_label("E-mail").fill("dana@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()

    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_focused()
    page.keyboard.type("Hello [[n=3]]")
    page.get_by_role("button", name="Send").click()
    expect(answer(page)).to_contain_text("t1")
    assert int(page.evaluate("() => sessionStorage.clicks")) <= 3
    wait_finished(page)

    # Sign-up closed itself; the administrator opens it, and the second one waits.
    second = browsing.open(path="/auth/signup")
    expect(second.get_by_text("New accounts are made by an administrator here")).to_be_visible()
    page.get_by_role("button", name="Dana Reyes").click()
    page.get_by_role("link", name="Administration").click()
    page.get_by_role("link", name="Settings", exact=True).first.click()
    page.get_by_role("link", name="Sign-in", exact=True).click()
    page.get_by_label("Sign-up is open").check()
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(browsing.site.url)
    second.close()
    second = browsing.open(path="/auth/signup")
    expect(second.get_by_text("becomes the administrator")).to_have_count(0)
    second.get_by_label("Name").fill("Nora Newman")
    second.get_by_label("E-mail").fill("nora@example.org")
    second.get_by_label("Password").fill(PASSWORD)
    second.get_by_role("button", name="Create account").click()
    expect(second.get_by_role("heading", name="waits for approval")).to_be_visible()
    second.goto(browsing.site.url + "/workspace/models")
    expect(second.get_by_role("heading", name="waits for approval")).to_be_visible()

    # The administrator shares a model with everyone and approves the account.
    page.get_by_role("link", name="Models").click()
    page.get_by_role("button", name="Make fake-small available to others").click()
    page.get_by_role("button", name="Change access to fake-small").click()
    page.get_by_label("Everyone signed in may read", exact=True).check()
    page.get_by_role("button", name="Save access").click()
    expect(page.get_by_role("row", name="fake-small")).to_contain_text("everyone signed in")

    page.get_by_role("button", name="Dana Reyes").click()
    page.get_by_role("link", name="Administration").click()
    page.get_by_role("link", name="People", exact=True).last.click()
    page.get_by_role("row", name="nora@example.org").get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("Approve (make user)")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_text("1 person may come in now.")).to_be_visible()

    second.get_by_role("link", name="Check again").click()
    ask(second, "Good morning [[n=4]]")
    expect(answer(second)).to_contain_text("t1 t2 t3 t4")
    wait_finished(second)
    expect(second.get_by_role("link", name="Administration")).to_have_count(0)


def test_a_question_sent_before_the_scripts_have_come_is_not_lost(browsing: Browsing, alice: Person) -> None:
    page = browsing.window(alice, java_script_enabled=False).new_page()
    page.goto(browsing.site.url)
    page.get_by_role("textbox", name="Message", exact=True).fill("Hello early bird [[n=3]]")
    page.get_by_role("button", name="Send").click()
    expect(page).to_have_url(re.compile("/c/[0-9a-f-]{36}$"))
    expect(page.locator(".message.user")).to_contain_text("Hello early bird")
    page.wait_for_timeout(500)
    page.reload()
    expect(answer(page)).to_contain_text("t3")
