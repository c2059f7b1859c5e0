"""Other sites make a visitor's browser do nothing here, and nothing planted beforehand survives a sign-in."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import Session
from tests.access.rows import Row, all_rows, path_for
from tests.access.test_table import make_world
from tests.conftest import token_for
from tests.factories.accounts import PASSWORD

pytestmark = pytest.mark.django_db
#: a provider, not a browser, calls it: what it sends is signed
CALLED = ("/oauth/backchannel-logout",)
VERBS = ("POST", "PUT", "PATCH", "DELETE")
FORMS = [row for row in all_rows() if row.page and row.method in VERBS and row.path not in CALLED]


def test_every_form_refuses_a_request_without_its_token() -> None:
    """A cookie alone, as a form of another site would send it."""
    world = make_world()
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.cookies["token"] = token_for(world.owner)
    accepted = [str(row) for row in FORMS if _code(client, row, world) != 403]
    assert len(FORMS) > 40 and accepted == []


def _code(client: Client, row: Row, world: Any) -> int:
    send: Any = getattr(client, row.method.lower())
    return int(send(path_for(row, world), data={}).status_code)


def test_signing_in_gives_a_new_session_whatever_was_in_the_browser(client_for, alice, mallory):
    planted = token_for(mallory)
    client = client_for()
    client.cookies["token"] = planted
    client.cookies["csrftoken"] = "a" * 32
    client.post("/auth/signout")
    client.cookies["token"] = planted
    answer = client.post("/auth", {"email": alice.email, "password": PASSWORD})
    token = answer.cookies["token"].value
    assert token and token != planted and client.cookies["csrftoken"].value != "a" * 32
    assert Session.objects.filter(user=alice).count() == 1
