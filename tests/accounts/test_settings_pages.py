"""One's own settings: profile, theme, password."""

from __future__ import annotations

import pytest

from accounts import services
from accounts.models import User
from tests.conftest import Api, token_for
from tests.factories.accounts import PASSWORD

pytestmark = pytest.mark.django_db


def test_the_profile_is_saved(client_for, alice):
    client = client_for(alice)
    assert client.post("/settings", {"name": " Alice M. ", "bio": "Signals"})["Location"] == "/settings"
    alice.refresh_from_db()
    assert (alice.name, alice.bio) == ("Alice M.", "Signals")
    assert client.post("/settings", {"name": ""}).status_code == 400


def test_saving_a_profile_cannot_undo_a_change_of_role(alice, dana):
    stale = User.objects.get(pk=alice.pk)
    services.update_user(alice, by=dana, role="pending")
    services.update_profile(stale, name="Alice")
    assert User.objects.get(pk=alice.pk).role == "pending"


@pytest.mark.parametrize(("sent", "kept"), [("dark", "dark"), ("light", "light"), ("", ""), ("neon", "")])
def test_the_theme_is_remembered_and_used_on_every_page(client_for, alice, sent, kept):
    client = client_for(alice, htmx=True)
    assert client.post("/settings/theme", {"theme": sent}).status_code == 204
    assert client.get("/settings").context["page"]["theme"] == kept


def test_changing_the_password_ends_all_other_sessions(client_for, alice):
    here, elsewhere = client_for(alice), Api(token_for(alice))
    form = {"old": PASSWORD, "new": "another horse"}
    assert here.post("/settings/password", form)["Location"] == "/settings#password"
    assert here.get("/settings").status_code == 200
    assert elsewhere.get("/api/v1/auths/").status_code == 401
    alice.refresh_from_db()
    assert alice.check_password("another horse")


def test_rest_keeps_the_session_that_changed_the_password(api_for, alice):
    api, other = api_for(alice), api_for(alice)
    body = {"password": PASSWORD, "new_password": "another horse"}
    assert api.post("/api/v1/auths/update/password", body).json() is True
    assert api.get("/api/v1/auths/").status_code == 200 and other.get("/api/v1/auths/").status_code == 401


@pytest.mark.parametrize(("old", "new", "field"), [("wrong", "another", "old"), (PASSWORD, "", "new")])
def test_a_refused_password_says_where(client_for, alice, old, new, field):
    answer = client_for(alice).post("/settings/password", {"old": old, "new": new})
    assert answer.status_code == 400
    assert list(answer.context["password_form"].errors) == [field]
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_banners_are_shown_to_those_who_are_in(client_for, alice, set_config):
    set_config("ui.banners", [{"type": "strange", "content": "Maintenance at noon"}, {"type": "info"}])
    page = client_for(alice).get("/settings")
    assert page.context["page"]["banner_list"] == [
        {"id": "", "type": "info", "title": "", "content": "<p>Maintenance at noon</p>\n", "dismissible": True}
    ]
    assert client_for().get("/auth").context["page"]["banner_list"] == []


def test_a_page_comes_out_while_the_database_is_away(client_for, alice, monkeypatch, rf):
    from django.db import OperationalError

    from accounts import context

    request = rf.get("/")
    request.user = alice
    monkeypatch.setattr(context, "banners", lambda: (_ for _ in ()).throw(OperationalError()))
    assert context.page(request)["page"]["banner_list"] == []


def test_people_who_wait_see_only_the_waiting_page(client_for, pending, set_config, dana):
    client = client_for(pending)
    for path in ("/settings", "/auth/pending"):
        answer = client.get(path)
        assert answer.status_code == 200 or answer["Location"] == "/auth/pending"
    set_config("ui.show_admin_details", False)
    set_config("ui.pending_user_overlay_title", "Almost there")
    page = client.get("/auth/pending")
    assert b"Almost there" in page.content and dana.email.encode() not in page.content
    services.update_user(pending, by=dana, role="user")
    assert client.get("/auth/pending")["Location"] == "/"
