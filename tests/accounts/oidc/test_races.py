"""What happens at the same moment, and what fails half-way: nobody stays in who is out, and nothing is half done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts import services
from accounts.models import ExternalLogin, OAuthSession, Session, User
from accounts.services.oauth import logout, sign_in
from tests.accounts.oidc.forger import CLIENT, Forger
from tests.accounts.oidc.world import Visit, reason

pytestmark = pytest.mark.django_db(transaction=True)
EVENT = {"http://schemas.openid.net/event/backchannel-logout": {}}
LONG = 60


def let_in_by(token: str) -> bool:
    client = Client()
    client.cookies["token"] = token
    return client.get("/api/v1/auths/").status_code == 200


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """The first call of a function stops before it begins; gives (it is there, let it go on)."""
    real, there, go_on = getattr(module, name), threading.Event(), threading.Event()

    def stopping(*arguments: Any, **options: Any) -> Any:
        if not there.is_set():
            there.set()
            assert go_on.wait(LONG)
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, stopping)
    try:
        yield there, go_on
    finally:
        go_on.set()


def in_a_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    return run


PLACES = ("before the account is read", "before it is brought up to date", "before the session")


@pytest.mark.parametrize("where", PLACES)
def test_who_is_switched_off_while_a_sign_in_is_on_its_way_has_no_session_afterwards(
    forger: Forger, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    from accounts.services import provisioning

    configure(OAUTH_UPDATE_NAME_ON_LOGIN="True")
    assert not reason(Visit().back())
    Session.objects.all().delete()
    nora = User.objects.get(email="nora@example.org")
    forger.claims = {"name": "Nora Newer"}
    visit = Visit()
    at = {
        "before the account is read": (sign_in, "admit_by_claims"),
        "before it is brought up to date": (provisioning, "_bring_up_to_date"),
        "before the session": (sign_in, "begin_session"),
    }[where]
    with held(monkeypatch, *at) as (there, go_on), ThreadPoolExecutor(2) as pool:
        coming = pool.submit(in_a_thread(visit.back))
        assert there.wait(LONG)
        going = pool.submit(in_a_thread(lambda: services.off_board(nora, by=None, why="scim")))
        if where != "before the session":
            going.result(LONG)  # nothing is held by the other one yet
        go_on.set()
        reply = coming.result(LONG)
        going.result(LONG)
    # Whoever came first: there is no session that counts, also not once the person is back.
    services.update_user(User.objects.get(pk=nora.pk), by=None, is_active=True)
    assert not Session.objects.filter(user=nora, revoked_at=None).exists()
    token = reply.cookies["token"].value if "token" in reply.cookies else ""
    assert not let_in_by(token)


def told(forger: Forger, **claims: Any) -> Any:
    now = int(time.time())
    body = {"iss": forger.issuer, "aud": CLIENT, "iat": now, "exp": now + 60, "jti": "j1", "events": EVENT} | claims
    return Client().post("/oauth/backchannel-logout", {"logout_token": forger.signed(body)})


@pytest.fixture
def telling(forger: Forger, configure: Callable[..., None]) -> Forger:
    configure(ENABLE_OAUTH_BACKCHANNEL_LOGOUT="True")
    forger.claims = {"sid": "s-1"}
    return forger


def test_a_logout_that_overtakes_a_sign_in_on_its_way_ends_it(telling: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of somebody who was never here before, whom the logout cannot find yet."""
    visit = Visit()
    with held(monkeypatch, sign_in, "_enter") as (there, go_on), ThreadPoolExecutor(1) as pool:
        coming = pool.submit(in_a_thread(visit.back))
        assert there.wait(LONG)
        assert told(telling, sub="sub-1", sid="s-1").status_code == 200
        go_on.set()
        assert reason(coming.result(LONG)) == "oauth_state"
    assert not Session.objects.exists() and not OAuthSession.objects.exists() and User.objects.count() == 1
    telling.claims = {"sid": "s-2"}
    assert not reason(Visit().back()), "a new session there is a new one here"


def test_a_logout_whose_work_failed_can_be_told_again(telling: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not reason(Visit().back())
    with monkeypatch.context() as broken:

        def fail(*_arguments: Any, **_options: Any) -> None:
            raise RuntimeError("the database went away")

        broken.setattr(logout, "end_access", fail)
        with pytest.raises(RuntimeError):
            told(telling, sub="sub-1")
    assert Session.objects.filter(revoked_at=None).exists() and OAuthSession.objects.exists()
    assert told(telling, sub="sub-1").status_code == 200
    assert not Session.objects.filter(revoked_at=None).exists()
    assert told(telling, sub="sub-1").status_code == 400, "and once only"


def test_a_sign_in_that_fails_half_way_leaves_nothing(forger: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise RuntimeError("the database went away")

    monkeypatch.setattr(sign_in, "begin_session", fail)
    visit = Visit()
    with pytest.raises(RuntimeError):
        visit.back()
    rows = (ExternalLogin, OAuthSession, Session)
    assert not any(model.objects.exists() for model in rows) and User.objects.count() == 1


def test_keys_rest_until_the_provider_that_said_so_lets_the_person_in(
    telling: Forger, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from accounts.backends.oidc import presets

    monkeypatch.setattr(presets, "GOOGLE", f"{telling.issuer}/.well-known/openid-configuration")
    configure(GOOGLE_CLIENT_ID=CLIENT, GOOGLE_CLIENT_SECRET="y", OAUTH_MERGE_ACCOUNTS_BY_EMAIL="True")
    assert not reason(Visit().back())
    assert not reason(Visit("google").back())
    ExternalLogin.objects.filter(provider="oidc").update(signed_out_at="2026-01-01T00:00:00Z")
    assert not reason(Visit("google").back())
    assert ExternalLogin.objects.get(provider="oidc").signed_out_at is not None
    assert not reason(Visit().back())
    assert ExternalLogin.objects.get(provider="oidc").signed_out_at is None
