"""Nothing planted in a browser beforehand survives a sign-in. What other sites make it send: `test_attacks.py`."""

from __future__ import annotations

import pytest

from accounts.models import Session
from tests.conftest import token_for
from tests.factories.accounts import PASSWORD

pytestmark = pytest.mark.django_db


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
