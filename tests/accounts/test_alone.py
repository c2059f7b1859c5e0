"""WEBUI_AUTH=False: one person, no password, and never beside other accounts."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import services
from accounts.models import User
from owui.lib.errors import Refused
from owui.lifespan import _refusal
from owui.security import registry
from tests.factories.accounts import UserFactory

SIGN_IN = "/api/v1/auths/signin"
HERE = {"headers": {"host": "localhost:8080"}}


@pytest.fixture
def alone(boot: Any, settings: Any, db: None) -> None:
    boot(webui_auth=False)
    settings.ALLOWED_HOSTS = ["*"]


def test_whoever_comes_is_the_one_administrator(alone: None) -> None:
    browser = Client(**HERE)
    answer = browser.get("/auth?next=/settings")
    assert (answer.status_code, answer["Location"]) == (302, "/settings")
    assert browser.get("/settings").status_code == 200
    again = Client(**HERE).post(SIGN_IN, {"email": "", "password": ""}, content_type="application/json").json()
    assert (again["email"], again["role"]) == ("admin@localhost", "admin")
    assert User.objects.count() == 1
    assert not User.objects.get().has_usable_password()


def test_it_is_refused_where_there_are_accounts(alone: None) -> None:
    UserFactory(role="admin")
    for path in ("/auth", "/auth?next=/"):
        assert Client(**HERE).get(path).status_code == 400
    answer = Client(**HERE).post(SIGN_IN, {"email": "", "password": ""}, content_type="application/json")
    assert answer.status_code == 400 and "WEBUI_AUTH=True" in answer.json()["detail"]
    assert not User.objects.filter(email="admin@localhost").exists()
    assert "WEBUI_AUTH=True" in _refusal(), "and the server does not start"


def test_a_page_whose_name_was_made_to_point_here_does_not_get_in(alone: None, boot: Any) -> None:
    """DNS rebinding: to the browser it would be the same origin."""
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example"):
        assert Client(headers={"host": host}).get("/auth").status_code == 403, host
    assert not User.objects.exists()
    boot(webui_url="https://mine.example")
    assert Client(headers={"host": "mine.example"}).get("/auth").status_code == 302


def test_there_is_no_second_account(alone: None) -> None:
    Client(**HERE).get("/auth")
    body = {"name": "B", "email": "b@example.org", "password": "long enough"}
    assert Client(**HERE).post("/api/v1/auths/signup", body, content_type="application/json").status_code == 403
    with pytest.raises(Refused):
        services.create_account(name="B", email="b@example.org", password=None, by=None)
    assert _refusal() == ""


def test_with_authentication_nothing_of_this_exists(db: None) -> None:
    assert _refusal() == ""
    assert Client(**HERE).get("/auth").status_code in (200, 302)
    assert not User.objects.exists()


def test_the_security_status_says_it_loudly(alone: None, boot: Any) -> None:
    def state() -> Any:
        check = next(check for check in registry.all_checks() if check.id == "6.2.w")
        return check.look().status.value

    assert state() == "fail"
    UserFactory()
    assert state() == "fail"
    boot(webui_auth=True)
    assert state() == "ok"
