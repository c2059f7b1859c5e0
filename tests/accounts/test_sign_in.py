"""Sign in, sign out, and every kind of credential that is no good."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import jwt
import pytest
from django.test import Client
from django.utils import timezone

from accounts import services, tokens
from accounts.models import Lockout, Session, SignInFailure, User
from tests.conftest import Api
from tests.factories.accounts import PASSWORD

pytestmark = pytest.mark.django_db
ME = "/api/v1/auths/"


def sign_in(client, email, password=PASSWORD, **extra):
    return client.post("/auth", {"email": email, "password": password, **extra})


def test_right_password_opens_a_session(client_for, alice):
    client = client_for()
    answer = sign_in(client, "  ALICE@example.org ")
    assert answer.status_code == 302 and answer["Location"] == "/"
    session = Session.objects.get(user=alice)
    assert session.ip == "127.0.0.1" and session.auth_method == "password"
    assert client.get("/settings").status_code == 200


@pytest.mark.parametrize("target", ["/c/1?x=2", "/admin/"])
def test_after_sign_in_one_comes_back_to_the_page(client_for, alice, target):
    client = client_for()
    assert target.encode() in client.get("/auth", {"next": target}).content
    assert sign_in(client, alice.email, next=target)["Location"] == target


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\/evil", "javascript:alert(1)", "evil", ""],
)
def test_next_never_leaves_this_server(client_for, alice, target):
    assert sign_in(client_for(), alice.email, next=target)["Location"] == "/"
    signed_in = client_for(alice)
    assert signed_in.get("/auth", {"next": target})["Location"] == "/"


@pytest.mark.parametrize(("htmx", "status"), [(False, 400), (True, 422)])
def test_wrong_password_and_unknown_address_read_the_same(client_for, alice, htmx, status):
    texts = []
    for email, password in ((alice.email, "wrong"), ("nobody@example.org", PASSWORD)):
        answer = sign_in(client_for(htmx=htmx), email, password)
        assert answer.status_code == status
        texts.append(answer.context["form"].non_field_errors())
        assert "token" not in answer.cookies
    assert texts[0] == texts[1] and "wrong" in texts[0][0]


def test_htmx_is_sent_on_by_header(client_for, alice):
    answer = sign_in(client_for(htmx=True), alice.email)
    assert answer.status_code == 200 and answer["HX-Redirect"] == "/"


def test_someone_switched_off_cannot_come_in(client_for, alice):
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert sign_in(client_for(), alice.email).status_code == 400


def test_the_sixteenth_try_in_three_minutes_is_refused_even_with_the_right_password(api_for, alice, bob):
    api = api_for()
    for _ in range(15):
        assert api.post(ME + "signin", {"email": alice.email, "password": "x"}).status_code == 400
    good = {"email": alice.email.upper(), "password": PASSWORD}
    answer = api.post(ME + "signin", good)
    assert answer.status_code == 429 and "3 minutes" in answer.json()["detail"]
    assert api.post(ME + "signin", {"email": bob.email, "password": PASSWORD}).status_code == 200
    Lockout.objects.update(until=timezone.now())
    assert api.post(ME + "signin", good).status_code == 200


def test_password_sign_in_can_be_switched_off(client_for, api_for, alice, boot):
    boot(enable_password_auth=False)
    page = client_for().get("/auth")
    assert page.context["form"] is None
    assert api_for().post(ME + "signin", {"email": alice.email, "password": PASSWORD}).status_code == 403


def test_a_reason_in_the_address_is_one_of_our_own_sentences(client_for, dana):
    page = client_for().get("/auth", {"error": "Call 555-1234 and tell us your password"})
    assert b"555-1234" not in page.content and b"did not work" in page.content


def test_the_form_needs_its_csrf_token(client_for, alice):
    client = client_for(csrf=True)
    assert sign_in(client, alice.email).status_code == 403
    page = client.get("/auth")
    token = str(page.context["csrf_token"])
    answer = sign_in(client, alice.email, csrfmiddlewaretoken=token)
    assert answer.status_code == 302
    assert client.cookies["csrftoken"].value != token


# ------------------------------------------------------------------------------------------------------------- tokens
def status_with(token: str) -> int:
    return Api(token).get(ME).status_code


def altered(user, **changes):
    token, _session = tokens.issue(user, auth_method="password")
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    return {k: v for k, v in claims.items() if v is not None}


def test_bad_tokens_are_refused(alice, settings):
    key = settings.SECRET_KEY
    good, session = tokens.issue(alice, auth_method="password")
    assert status_with(good) == 200
    now = int(timezone.now().timestamp())
    bad = {
        "malformed": "nonsense",
        "three parts of nothing": "a.b.c",
        "cut off": good[:-2],
        "foreign key": jwt.encode(altered(alice), "another key that is quite long enough", algorithm="HS256"),
        "no signature": jwt.encode(altered(alice), "", algorithm="none"),
        "another algorithm": jwt.encode(altered(alice), key * 2, algorithm="HS512"),
        "expired by its own claim": jwt.encode(altered(alice, exp=now - 1), key, algorithm="HS256"),
        "no session": jwt.encode(altered(alice, jti=str(uuid.uuid4())), key, algorithm="HS256"),
        "no session named": jwt.encode(altered(alice, jti=None), key, algorithm="HS256"),
        "another stamp": jwt.encode(altered(alice, session_stamp=str(uuid.uuid4())), key, algorithm="HS256"),
    }
    for why, token in bad.items():
        answer = Api(token).get(ME)
        assert answer.status_code == 401, why
        assert "sign in again" in answer.json()["detail"]
    Session.objects.filter(pk=session.pk).update(expires_at=timezone.now())
    assert status_with(good) == 401, "the row expires, whatever the token claims"


def test_a_token_that_names_somebody_else_than_its_session_is_refused(alice, dana, settings):
    for changes in ({"id": str(dana.pk)}, {"id": None}, {"typ": "mfa"}, {"typ": None}):
        claims = altered(alice, **changes)
        assert status_with(jwt.encode(claims, settings.SECRET_KEY, algorithm="HS256")) == 401, changes


def test_a_dead_cookie_is_taken_away(client_for, alice):
    client = client_for(alice)
    services.revoke_sessions(alice, by=alice)
    answer = client.get("/settings")
    assert answer.status_code == 302 and answer["Location"].startswith("/auth?next=")
    assert answer.cookies["token"].value == ""


def test_signing_out_ends_this_session_and_no_other(client_for, alice):
    here, there = client_for(alice), client_for(alice)
    token = here.cookies["token"].value
    answer = here.post("/auth/signout")
    assert answer["Location"] == "/auth" and answer.cookies["token"].value == ""
    assert status_with(token) == 401
    assert there.get("/settings").status_code == 200


@pytest.mark.parametrize("verb", ["get", "post"])
def test_rest_sign_out_revokes_the_token(api_for, alice, verb):
    api = api_for(alice)
    assert getattr(api, verb)(ME + "signout").json() == {"status": True}
    assert api.get(ME).status_code == 401


def test_ending_all_sessions_holds_with_the_next_request(api_for, client_for, alice, dana):
    programs = [api_for(alice), api_for(alice)]
    assert api_for(dana).post(f"/api/v1/users/{alice.pk}/sessions/revoke").json() is True
    assert [p.get(ME).status_code for p in programs] == [401, 401]
    assert api_for(alice).get(ME).status_code == 200


def test_a_deleted_person_is_out_at_once(api_for, alice, dana):
    api = api_for(alice)
    services.delete_user(alice, by=dana)
    assert api.get(ME).status_code == 401


def test_a_changed_role_holds_with_the_next_request(api_for, alice, dana):
    api = api_for(alice)
    assert api.get("/api/v1/users/all").status_code == 401
    services.update_user(alice, by=dana, role="admin")
    assert api.get("/api/v1/users/all").status_code == 200
    services.update_user(alice, by=dana, role="pending")
    assert api.get("/api/v1/groups/").status_code == 401
    assert api.get(ME).json()["role"] == "pending"


def test_a_changing_request_by_cookie_must_come_from_our_own_pages(client_for, alice):
    client = client_for(alice)
    path, body = "/api/v1/auths/update/profile", {"name": "Alice"}
    post = {"content_type": "application/json", "data": body}
    assert client.post(path, **post).status_code == 200
    assert client.post(path, headers={"sec-fetch-site": "", "origin": "http://testserver"}, **post).status_code == 200
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-origin", "origin": "null"},
    ):
        answer = client.post(path, headers=headers, **post)
        assert answer.status_code == 403, headers
    assert client.get(ME, headers={"sec-fetch-site": "cross-site"}).status_code == 200


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4w", 2419200),
        ("1h30m", 5400),
        ("90s", 90),
        ("1.5h", 5400),
        ("-1", None),
        ("0", 2419200),
        ("ever", 2419200),
        ("", 2419200),
        ("5 m", 2419200),
    ],
)
def test_the_length_of_a_session(text, seconds):
    span = tokens.lifetime(text)
    assert (span.total_seconds() if span else None) == seconds


def test_a_session_without_end_has_no_expiry(alice, set_config, client_for):
    set_config("auth.jwt_expires_in", "-1")
    token, session = tokens.issue(alice, auth_method="password")
    assert session.expires_at is None and "exp" not in jwt.decode(token, options={"verify_signature": False})
    assert status_with(token) == 200
    assert int(sign_in(client_for(), alice.email).cookies["token"]["max-age"]) > 10**8


def test_last_seen_moves_at_most_once_an_interval(api_for, alice, django_assert_num_queries):
    api = api_for(alice)
    api.get(ME)
    seen = User.objects.get(pk=alice.pk).last_active_at
    api.get(ME)
    assert User.objects.get(pk=alice.pk).last_active_at == seen
    User.objects.filter(pk=alice.pk).update(last_active_at=seen - timedelta(minutes=2))
    api.get(ME)
    assert User.objects.get(pk=alice.pk).last_active_at > seen


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_another_site_cannot_sign_its_visitors_in(headers, alice):
    """A form of another site can write JSON into a text/plain body; the visitor would work in a stranger's account."""
    form = {"email": alice.email, "password": PASSWORD}
    for path in ("signin", "signup"):
        answer = Client(headers=headers).post(ME + path, json.dumps(form | {"name": "x"}), content_type="text/plain")
        assert answer.status_code == 403 and not answer.cookies, path
    own = Client(headers={"origin": "http://testserver", "sec-fetch-site": "same-origin"})
    assert own.post(ME + "signin", json.dumps(form), content_type="application/json").status_code == 200


def test_a_picture_in_an_answer_cannot_sign_its_reader_out(client_for, alice):
    client = client_for(alice)
    for kind in ("image", "document"):
        assert client.get(ME + "signout", headers={"sec-fetch-dest": kind}).status_code == 403
    assert client.get(ME).status_code == 200
    assert client.get(ME + "signout", headers={"sec-fetch-dest": "empty"}).status_code == 200
    assert client.get(ME).status_code == 401


def test_half_a_character_is_a_bad_request_and_no_fault(api_for, alice):
    answer = api_for().post(ME + "signin", '{"email": "a@b.example", "password": "\\ud800"}', content_type="text/plain")
    assert answer.status_code == 400


def test_a_password_of_megabytes_is_not_hashed(api_for, alice, monkeypatch):
    monkeypatch.setattr(User, "check_password", lambda *_a: pytest.fail("hashed"))
    answer = api_for().post(ME + "signin", {"email": alice.email, "password": "x" * 1_000_000})
    assert answer.status_code == 400 and SignInFailure.objects.count() == 1


def test_a_lifetime_beyond_all_dates_does_not_lock_everybody_out(set_config, api_for, alice):
    set_config("auth.jwt_expires_in", "99999999999w")
    assert api_for().post(ME + "signin", {"email": alice.email, "password": PASSWORD}).status_code == 200


def test_the_cookie_is_secure_when_the_request_was(client_for, alice):
    assert not sign_in(client_for(), alice.email).cookies["token"]["secure"]
    over_tls = client_for().post("/auth", {"email": alice.email, "password": PASSWORD}, secure=True)
    assert over_tls.cookies["token"]["secure"]
