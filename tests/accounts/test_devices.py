"""Where one is signed in: seen, ended one by one or all at once, and forgotten in time."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import services, tokens
from accounts.devices import device_name
from accounts.models import Session
from accounts.tasks import prune_sessions
from owui.audit.models import AuditEvent
from tests.conftest import Api, token_for

SESSIONS = "/api/v1/auths/sessions"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile Safari/604.1"


def signed_in(user: Any, agent: str, ip: str = "192.0.2.7", way: str = "password") -> tuple[Client, Session]:
    token, session = services.open_session(user, auth_method=way, user_agent=agent, ip=ip)
    browser = Client(headers={"sec-fetch-site": "same-origin", "user-agent": agent})
    browser.cookies["token"] = token
    return browser, session


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (PHONE, "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605 Version/18 Safari/605", "Safari on macOS"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("<script>alert(1)</script>", "Unknown device"),
        ("", "Unknown device"),
    ],
)
def test_devices_have_names_that_people_know(agent: str, name: str) -> None:
    assert device_name(agent) == name


def test_the_page_shows_each_device_and_marks_this_one(alice: Any) -> None:
    here, _session = signed_in(alice, FIREFOX)
    signed_in(alice, PHONE, "198.51.100.9", "ldap")
    page = here.get("/settings").content.decode()
    section = re.sub(r"<[^>]+>|\s+", " ", page[page.index('id="devices"') :])
    assert section.count("This device") == 1
    assert section.index("Firefox on Linux") < section.index("This device") < section.index("Safari on iPhone")
    assert "198.51.100.9" in section and "Directory" in section


def test_one_device_is_ended_and_the_others_stay(alice: Any) -> None:
    here, _session = signed_in(alice, FIREFOX)
    there, session = signed_in(alice, PHONE)
    answer = here.post(f"/settings/devices/{session.pk}/end")
    assert answer.status_code == 302 and answer["Location"] == "/settings#devices"
    assert there.get("/settings").status_code == 302
    assert here.get("/settings").status_code == 200
    assert here.post(f"/settings/devices/{session.pk}/end").status_code == 404, "it is over already"
    event = AuditEvent.objects.get(action="user.session.revoke")
    assert event.actor_id == alice.pk and event.detail == {"session": str(session.pk)}


def test_all_others_are_ended_at_once(alice: Any) -> None:
    here, _session = signed_in(alice, FIREFOX)
    others = [signed_in(alice, PHONE)[0] for _ in range(3)]
    assert here.post("/settings/devices/end-others").status_code == 302
    assert [other.get("/settings").status_code for other in others] == [302, 302, 302]
    assert here.get("/settings").status_code == 200
    assert AuditEvent.objects.get(action="user.sessions.revoke").detail == {"others": 3}


def test_nobody_ends_the_session_of_somebody_else(alice: Any, bob: Any, dana: Any) -> None:
    _there, session = signed_in(alice, FIREFOX)
    for person in (bob, dana):
        here, _own = signed_in(person, FIREFOX)
        assert here.post(f"/settings/devices/{session.pk}/end").status_code == 404
        assert Api(token_for(person)).delete(f"{SESSIONS}/{session.pk}").status_code == 404
    session.refresh_from_db()
    assert session.revoked_at is None


def test_rest_lists_and_ends_ones_own_sessions(alice: Any) -> None:
    token, here = tokens.issue(alice, auth_method="password", user_agent="client/1.0", ip="192.0.2.1")
    there, session = signed_in(alice, PHONE)
    api = Api(token)
    found = api.get(SESSIONS).json()
    assert found[0] == {
        "id": str(here.pk),
        "device": "client",
        "auth_method": "Password",
        "ip_address": "192.0.2.1",
        "created_at": int(here.created_at.timestamp()),
        "last_seen_at": int(here.last_seen_at.timestamp()),
        "expires_at": int(here.expires_at.timestamp()),
        "current": True,
    }
    assert [entry["current"] for entry in found] == [True, False]
    assert api.delete(f"{SESSIONS}/{session.pk}").json() is True
    assert there.get("/settings").status_code == 302
    signed_in(alice, PHONE)
    assert api.delete(SESSIONS).json() == {"ended": 1}
    assert api.delete(f"{SESSIONS}/nonsense").status_code == 404
    assert len(api.get(SESSIONS).json()) == 1


def test_a_key_neither_sees_nor_ends_sessions(alice: Any, dana: Any, set_config: Any) -> None:
    set_config("auth_api_key.enable", True)
    set_config("user.permissions", {"features": {"api_keys": True}})
    api, (_there, session) = Api(services.create_api_key(alice)), signed_in(alice, PHONE)
    assert api.get(SESSIONS).status_code == api.delete(SESSIONS).status_code == 403
    assert api.delete(f"{SESSIONS}/{session.pk}").status_code == 403


def test_an_administrator_ends_all_sessions_of_a_person_by_rest(alice: Any, dana: Any) -> None:
    there, _session = signed_in(alice, PHONE)
    answer = Api(token_for(dana)).post(f"/api/v1/users/{alice.pk}/sessions/revoke")
    assert answer.json() is True
    assert there.get("/settings").status_code == 302
    assert Api(token_for(alice)).post(f"/api/v1/users/{dana.pk}/sessions/revoke").status_code == 401


def test_last_seen_moves_at_most_once_a_minute(alice: Any, django_assert_num_queries: Any) -> None:
    token, session = tokens.issue(alice, auth_method="password")
    Api(token).get(SESSIONS)
    before = Session.objects.get(pk=session.pk).last_seen_at
    Api(token).get(SESSIONS)
    assert Session.objects.get(pk=session.pk).last_seen_at == before
    Session.objects.filter(pk=session.pk).update(last_seen_at=timezone.now() - timedelta(minutes=5))
    Api(token).get(SESSIONS)
    assert timezone.now() - Session.objects.get(pk=session.pk).last_seen_at < timedelta(minutes=1)


def test_a_change_of_role_holds_with_the_next_request(alice: Any, dana: Any) -> None:
    api = Api(token_for(alice))
    assert api.get("/api/v1/users/").status_code == 401
    services.update_user(alice, by=dana, role="admin")
    assert api.get("/api/v1/users/").status_code == 200
    services.update_user(alice, by=dana, role="pending")
    assert api.get("/api/v1/users/").status_code == api.get("/api/v1/chats/").status_code == 401
    assert api.get("/api/v1/auths/").json()["role"] == "pending"


def test_sessions_that_ended_long_ago_are_forgotten(alice: Any) -> None:
    now = timezone.now()
    kept = Session.objects.create(user=alice, expires_at=now + timedelta(days=1))
    never = Session.objects.create(user=alice)
    recent = Session.objects.create(user=alice, revoked_at=now - timedelta(days=29))
    Session.objects.create(user=alice, revoked_at=now - timedelta(days=31))
    Session.objects.create(user=alice, expires_at=now - timedelta(days=31))
    assert prune_sessions() == 2
    assert set(Session.objects.all()) == {kept, never, recent}
