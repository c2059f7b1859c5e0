"""What one says of oneself: name, picture, text, birthday, time zone; and a password that changes meanwhile."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from accounts import services
from accounts.models import User
from owui.lib.errors import UserError
from tests.conftest import token_for
from tests.factories.accounts import PASSWORD

pytestmark = pytest.mark.django_db
AUTHS = "/api/v1/auths"


def picture(kind: str = "PNG") -> Any:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, kind)
    file.name = "me.png"
    file.seek(0)
    return file


def test_rest_keeps_what_older_clients_do_not_send(api_for, alice):
    api = api_for(alice)
    whole = {
        "name": "Alice",
        "profile_image_url": "/user.png",
        "bio": "Hi",
        "gender": "f",
        "date_of_birth": "1990-02-03",
    }
    answer = api.post(f"{AUTHS}/update/profile", whole).json()
    assert (answer["bio"], answer["gender"], answer["date_of_birth"]) == ("Hi", "f", "1990-02-03")
    api.post(f"{AUTHS}/update/profile", {"name": "Alice M.", "profile_image_url": "/user.png"})
    mine = api.get(f"{AUTHS}/").json()
    assert (mine["name"], mine["bio"], mine["gender"], mine["date_of_birth"]) == ("Alice M.", "Hi", "f", "1990-02-03")
    api.post(f"{AUTHS}/update/profile", {"name": "Alice", "date_of_birth": None})
    assert api.get(f"{AUTHS}/").json()["date_of_birth"] is None
    bad = api.post(f"{AUTHS}/update/profile", {"name": "Alice", "date_of_birth": "yesterday"})
    assert bad.status_code == 422


def test_the_time_zone_is_one_that_exists(api_for, pending):
    api = api_for(pending)
    assert api.post(f"{AUTHS}/update/timezone", {"timezone": "Europe/Berlin"}).json() == {"status": True}
    assert User.objects.get(pk=pending.pk).timezone == "Europe/Berlin"
    assert api.post(f"{AUTHS}/update/timezone", {"timezone": "Mars/Olympus"}).status_code == 400


def test_a_password_that_was_changed_meanwhile_is_a_conflict(api_for, alice, monkeypatch):
    def meanwhile(password: str, encoded: str) -> tuple[bool, bool]:
        User.objects.filter(pk=alice.pk).update(password="somebody else's")
        return True, False

    monkeypatch.setattr("accounts.services.people.fits", meanwhile)
    body = {"password": PASSWORD, "new_password": "another horse"}
    answer = api_for(alice).post(f"{AUTHS}/update/password", body)
    assert answer.status_code == 409 and "just now" in answer.json()["detail"]
    assert User.objects.get(pk=alice.pk).password == "somebody else's"


def test_guessing_the_current_password_is_slowed_down_too(alice):
    for _time in range(10):
        with pytest.raises(UserError, match="current password is wrong"):
            services.change_password(alice, old="x", new="another horse")
    with pytest.raises(UserError) as refused:
        services.change_password(alice, old=PASSWORD, new="another horse")
    assert refused.value.status == 429


def test_the_form_of_the_password_can_be_hidden(client_for, api_for, alice, set_config):
    assert b"Current password" in client_for(alice).get("/settings").content
    set_config("auth.enable_password_change_form", False)
    assert b"Current password" not in client_for(alice).get("/settings").content
    assert api_for(alice).get("/api/config").json()["features"]["enable_password_change_form"] is False


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_is_kept_as_what_it_is_and_can_be_taken_away(client_for, alice, kind):
    client = client_for(alice)
    assert client.post("/settings", {"name": "Alice", "picture": picture(kind)}).status_code == 302
    shown = client.get(f"/api/v1/users/{alice.pk}/profile/image")
    assert shown.status_code == 200 and shown["Content-Type"] == f"image/{kind.lower()}"
    assert b"Your picture" in client.get("/settings").content
    client.post("/settings", {"name": "Alice", "remove_picture": "on"})
    assert User.objects.get(pk=alice.pk).profile_image_url == "/user.png"


@pytest.mark.parametrize("content", [b"<svg onload=alert(1)>", b"<html>", b"\x89PNG\r\n\x1a\n" + b"x" * 400_000])
def test_what_is_no_picture_or_too_large_is_refused_at_the_field(client_for, alice, content):
    file = io.BytesIO(content)
    file.name = "me.png"
    answer = client_for(alice).post("/settings", {"name": "Alice", "picture": file})
    assert answer.status_code == 400 and b"errorlist" in answer.content
    assert User.objects.get(pk=alice.pk).profile_image_url == "/user.png"


def test_a_session_of_a_person_who_waits_can_set_nothing_but_the_password(client_for, pending):
    client = client_for()
    client.cookies["token"] = token_for(pending)
    assert client.post("/settings", {"name": "Boss"})["Location"] == "/auth/pending"
