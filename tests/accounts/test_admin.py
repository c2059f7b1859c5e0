"""A person's page in the administration: where they are signed in, and what others say of them."""

from __future__ import annotations

from typing import Any

from accounts import services
from accounts.models import ExternalLogin, Session
from accounts.reports import sentences
from tests.accounts.test_devices import FIREFOX, PHONE, signed_in
from tests.conftest import token_for


def test_reports_are_read_as_sentences() -> None:
    assert sentences({}) == ["Nothing changed."]
    report = {
        "is_linked": True,
        "changed": {"role": ["user", "admin"], "active": [True, False], "profile_image_url": ["", "changed"], "x": 5},
        "groups": {"add": ["R&D", "Ops"], "unknown": ["Nobody"], "absent": []},
        "kept": {"email": "This e-mail address is already registered."},
        "of a later release": [1],
    }
    assert sentences(report) == [
        "An account that was here already was linked.",
        "Role: “user” became “admin”.",
        "May sign in: yes became no.",
        "Picture: nothing became “changed”.",
        "No groups were named at all, so they stayed as they were.",
        "Joined: R&D, Ops.",
        "Named, but nobody has such groups: Nobody.",
        "E-mail stayed as it was: This e-mail address is already registered.",
    ]


def test_the_page_shows_devices_and_logins(client_for: Any, dana: Any, alice: Any) -> None:
    signed_in(alice, FIREFOX, "192.0.2.7")
    report = {"groups": {"add": ["<b>R&D</b>"]}}
    ExternalLogin.objects.create(user=alice, provider="oidc", subject="sub-<1>", last_report=report)
    page = client_for(dana).get(f"/admin/accounts/user/{alice.pk}/change/").content.decode()
    assert "Firefox on Linux" in page and "192.0.2.7" in page
    assert "sub-&lt;1&gt;" in page and "Joined: &lt;b&gt;R&amp;D&lt;/b&gt;." in page
    assert client_for(dana).get("/admin/accounts/user/add/").status_code == 200


def test_administrators_end_one_session_or_all(client_for: Any, dana: Any, alice: Any) -> None:
    base = f"/admin/accounts/user/{alice.pk}/sessions/"
    one, session = signed_in(alice, FIREFOX)
    two, _other = signed_in(alice, PHONE)
    admin = client_for(dana)
    answer = admin.post(f"{base}{session.pk}/end/")
    assert answer.status_code == 302 and answer["Location"].endswith(f"/{alice.pk}/change/#devices")
    assert [one.get("/settings").status_code, two.get("/settings").status_code] == [302, 200]
    assert admin.post(f"{base}{session.pk}/end/").status_code == 404
    assert admin.post(f"{base}end/").status_code == 302
    assert two.get("/settings").status_code == 302
    assert admin.get(f"{base}end/").status_code == 405, "a link ends nothing"
    assert not Session.objects.filter(user=alice, revoked_at=None).exists()


def test_only_administrators_do_and_not_with_the_first_one(client_for: Any, dana: Any, alice: Any, bob: Any) -> None:
    services.update_user(bob, by=dana, role="admin")
    token_for(dana)
    theirs = Session.objects.filter(user=dana, revoked_at=None)
    for person in (alice, bob):
        client_for(person).post(f"/admin/accounts/user/{dana.pk}/sessions/end/")
        client_for(person).post(f"/admin/accounts/user/{dana.pk}/sessions/{theirs.get().pk}/end/")
    assert theirs.count() == 1
