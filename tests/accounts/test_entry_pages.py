"""What the pages before one is in show: the ways that are on in the wanted order, the notice, what happened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from accounts import ways
from accounts.ways import Way

pytestmark = pytest.mark.django_db


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ways, "_makers", [])
    ways.register(lambda: [Way("google", "Google", "/oauth/google/login"), Way("oidc", "SSO", "/x")], order=10)
    ways.register(lambda: [Way("ldap", "Directory", "/auth/ldap")], order=20)
    ways.register(lambda: [], order=5)
    yield


def shown(page) -> list[str]:
    return [way.key for way in page.context["way_list"]]


def test_the_ways_stand_in_the_wanted_order(client_for, dana, three, set_config):
    assert shown(client_for().get("/auth")) == ["google", "oidc", "ldap"]
    set_config("auth.way_order", ["ldap", "unknown", "oidc"])
    assert shown(client_for().get("/auth")) == ["ldap", "oidc", "google"]


def test_every_way_brings_back_to_the_page_one_wanted(client_for, dana, three):
    page = client_for().get("/auth", {"next": "/c/1"})
    assert {way.url.partition("?")[2] for way in page.context["way_list"]} == {"next=%2Fc%2F1"}


def test_the_notice_is_shown_as_text(client_for, dana, set_config):
    set_config("auth.sign_in_notice", "Staff only.\n\n<script>alert(1)</script>")
    page = client_for().get("/auth").content
    assert b"<p>Staff only.</p>" in page and b"<script>alert" not in page


def test_good_news_does_not_look_like_a_failure(client_for, dana):
    done = client_for().get("/auth", {"error": "password_changed"}).content
    assert b"note good" in done and b"note bad" not in done
    assert b"note bad" in client_for().get("/auth", {"error": "signup_closed"}).content
    wrong = client_for().post("/auth?error=password_changed", {"email": dana.email, "password": "x"})
    assert b"note bad" in wrong.content and b"note good" not in wrong.content


def test_where_a_provider_leads_back_for_the_second_step(client_for, dana):
    client = client_for()
    assert client.get("/auth?mfa=1").status_code == 200, "nothing waits"
    client.cookies["mfa_challenge"] = "made-up"
    assert client.get("/auth?mfa=1")["Location"] == "/auth/second-factor"
    assert client.get("/auth/second-factor")["Location"] == "/auth?error=challenge_over"


def test_what_went_wrong_is_said_also_where_the_form_is_hidden(client_for, dana, three, set_config):
    set_config("auth.enable_login_form", False)
    page = client_for().get("/auth", {"error": "challenge_over"})
    assert page.context["form"] is None and b"took too long" in page.content
