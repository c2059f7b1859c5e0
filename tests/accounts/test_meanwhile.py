"""What a stolen password or key must not reach while its owner acts: every test is an attack that once worked."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from django.db import connection
from django.test import Client

from accounts import services
from accounts.backends.directory import wrong
from accounts.backends.identity import ExternalIdentity
from accounts.config import DirectoryConfig
from accounts.models import (
    Authenticator,
    Challenge,
    DirectoryAbsence,
    ExternalLogin,
    Lockout,
    Session,
    SignInFailure,
    User,
)  # fmt: skip
from accounts.services import Pending, throttle
from accounts.services import directory as directory_service
from owui.audit.middleware import nearest_stranger
from owui.audit.models import AuditEvent
from owui.lib.errors import UserError
from tests.conftest import Api
from tests.factories.accounts import PASSWORD

pytestmark = pytest.mark.django_db
AUTHS = "/api/v1/auths"
NEW = "another long password"


@pytest.fixture
def must_enroll(set_config: Any) -> None:
    set_config("auth_mfa.enable", True)
    set_config("auth_mfa.required", "everybody")


@pytest.fixture
def keys_on(set_config: Any) -> None:
    set_config("auth_api_key.enable", True)
    set_config("user.permissions", {"features": {"api_keys": True}})


def waiting(user: User) -> Challenge:
    """The password was right; the second factor is still to come."""
    outcome = services.sign_in(email=user.email, password=PASSWORD)
    assert isinstance(outcome, Pending)
    return services.find_challenge(outcome.challenge)


def now(secret: str) -> str:
    return pyotp.TOTP(secret).at(time.time())


def at_once(work: Callable[[int], Any], number: int) -> list[Any]:
    """The results, or the refusals, of that many threads that begin together."""
    start, found = threading.Barrier(number), []

    def run(which: int) -> None:
        try:
            start.wait(20)
            found.append(work(which))
        except UserError as error:
            found.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(which,)) for which in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == number
    return found


# -------------------------------------------------------------------------------------------------- a password, changed
def test_a_sign_in_that_waits_ends_when_the_password_is_changed(alice: Any, must_enroll: None) -> None:
    """The session that changes it stays, and with it the stamp: the question for a second factor must end all the same,
    or a thief sets up a factor of their own after the owner has acted."""
    _token, here = services.open_session(alice, auth_method="password")
    row = waiting(alice)
    services.change_password(alice, old=PASSWORD, new=NEW, keep=here)
    with pytest.raises(UserError, match="Sign in again"):
        services.finish(row, second_factor="totp")
    assert [session.pk for session in Session.objects.filter(revoked_at=None)] == [here.pk]


def test_a_sign_in_that_waits_ends_with_the_other_sessions(alice: Any, must_enroll: None) -> None:
    _token, here = services.open_session(alice, auth_method="password")
    row = waiting(alice)
    assert services.end_other_sessions(alice, keep=here) == 0
    with pytest.raises(UserError, match="Sign in again"):
        services.finish(row, second_factor="totp")


def test_a_password_that_changes_while_it_is_checked_opens_nothing(alice: Any) -> None:
    _token, here = services.open_session(alice, auth_method="password")
    checked = services.check_password(email=alice.email, password=PASSWORD)
    services.change_password(alice, old=PASSWORD, new=NEW, keep=here)
    with pytest.raises(UserError, match="password is wrong"):
        services.begin_session(checked, auth_method="password")
    assert Session.objects.filter(revoked_at=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_sign_ins_at_once_that_renew_an_old_hash_are_all_let_in(people: Any, settings: Any) -> None:
    from django.contrib.auth.hashers import make_password

    settings.PASSWORD_HASHERS = [*settings.PASSWORD_HASHERS, "django.contrib.auth.hashers.ScryptPasswordHasher"]
    old = make_password(PASSWORD, hasher="scrypt")
    User.objects.filter(pk=people.alice.pk).update(password=old)
    done = at_once(lambda _n: services.sign_in(email=people.alice.email, password=PASSWORD), 4)
    assert [type(outcome).__name__ for outcome in done] == ["Entered"] * 4
    assert User.objects.get(pk=people.alice.pk).password != old


# ---------------------------------------------------------------------------------------------- the first second factor
def test_two_browsers_that_set_up_a_factor_are_never_shown_the_same_secret(alice: Any, must_enroll: None) -> None:
    """Whoever knows the password could look first, wait for the owner to set it up, and have the owner's codes."""
    thief, owner = Client(), Client()
    shown = []
    for browser in (thief, owner):
        browser.post("/auth", {"email": alice.email, "password": PASSWORD})
        page = browser.get("/auth/second-factor").content.decode()
        again = browser.get("/auth/second-factor").content.decode()
        pattern = r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}"
        assert (found := re.search(pattern, page)) and found[0] in again
        shown.append(found[0].replace(" ", ""))
    assert shown[0] != shown[1] and not Authenticator.objects.exists()
    assert owner.post("/auth/second-factor", {"code": now(shown[1])}).status_code == 200
    with pytest.raises(UserError):
        services.verify(alice, code=now(shown[0]))


@pytest.mark.django_db(transaction=True)
def test_of_two_that_set_up_a_factor_at_once_one_wins(people: Any, must_enroll: None) -> None:
    rows = [waiting(people.alice) for _browser in range(4)]
    codes = [now(services.first_app(row)[0]) for row in rows]
    done = at_once(lambda n: services.confirm_first_app(rows[n], code=codes[n]), 4)
    assert sum(isinstance(found, list) for found in done) == 1
    assert {found.code for found in done if not isinstance(found, list)} == {"challenge_over"}
    assert AuditEvent.objects.filter(action="user.mfa.enroll").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_code_on_paper_and_a_code_of_the_app_are_good_once_however_many_come(people: Any, must_enroll: None) -> None:
    row = waiting(people.alice)
    secret = services.first_app(row)[0]
    papers = services.confirm_first_app(row, code=pyotp.TOTP(secret).at(time.time() - 30))
    for code in (papers[0], now(secret)):
        done = at_once(lambda _n, code=code: services.verify(people.alice, code=code), 8)
        assert sum(isinstance(found, str) for found in done) == 1, code


@pytest.mark.django_db(transaction=True)
def test_a_reset_link_is_good_once_however_many_come(people: Any) -> None:
    from accounts import reset_links

    token = reset_links.token_for(people.alice)
    done = at_once(lambda n: services.reset_password(token=token, new=f"{NEW} {n}"), 4)
    assert sum(isinstance(found, User) for found in done) == 1
    assert AuditEvent.objects.filter(action="user.password.reset").count() == 1


# --------------------------------------------------------------------------------------------------------- the throttle
@pytest.mark.django_db(transaction=True)
def test_many_resets_at_once_send_no_more_mails_than_many_in_a_row(db: None) -> None:
    done = at_once(lambda _n: throttle.allow_reset(email="alice@example.org", ip=None), 12)
    assert done.count(True) == throttle.RESETS


def test_a_thief_of_the_password_cannot_keep_the_owner_from_a_new_one(alice: Any, must_enroll: None) -> None:
    """Ten wrong codes lock the second step; who is in already still proves themselves and changes the password."""
    _token, here = services.open_session(alice, auth_method="password")
    row = waiting(alice)
    services.confirm_first_app(row, code=now(services.first_app(row)[0]))
    for _time in range(throttle.FACTOR_TRIES + 1):
        with pytest.raises(UserError):
            services.verify(alice, code="000000")
    assert Lockout.objects.get().kind == "factor"
    services.prove(alice, here, proof=PASSWORD)
    services.change_password(alice, old=PASSWORD, new=NEW, keep=here)
    for _time in range(throttle.FACTOR_TRIES):
        with pytest.raises(UserError, match="wrong"):
            services.change_password(alice, old="guess", new=NEW, keep=here)
    with pytest.raises(UserError, match="Too many"):
        services.change_password(alice, old=NEW, new=PASSWORD, keep=here)


def test_an_ipv4_caller_written_as_ipv6_is_that_caller_and_nobody_else(boot: Any) -> None:
    """All of IPv4 is one /64 there: one stranger's failures would have locked everybody out."""
    assert throttle.network_of("::ffff:192.0.2.1") == "192.0.2.1"
    boot(forwarded_allow_ips="10.0.0.1")
    assert nearest_stranger("::ffff:192.0.2.1", "") == "192.0.2.1"
    assert nearest_stranger("::ffff:10.0.0.1", "203.0.113.9") == "203.0.113.9", "our own proxy is known in both forms"
    assert nearest_stranger("fe80::1%eth0", "") == "fe80::1"


def test_spellings_of_one_directory_name_are_counted_together(
    alice: Any, set_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory finds Strauss by each of these; a spelling must not be worth fifteen more tries."""

    def refuse(*_args: Any) -> Any:
        raise wrong()

    set_config("ldap.enable", True)
    monkeypatch.setattr(directory_service, "_identity", refuse)
    for name in ("strauss", "STRAUSS", "\u017ftrauss", "strau\u017fs", "strauß"):
        with pytest.raises(UserError):
            services.sign_in_by_directory(user=name, password="x")
    assert set(SignInFailure.objects.values_list("email", flat=True)) == {"ldap:strauss"}


def test_sign_up_answers_no_list_of_addresses(alice: Any, set_config: Any) -> None:
    """That an address is taken has to be said; asked a hundred times from one place it is no sign-up."""
    set_config("auth.enable_signup", True)
    set_config("auth.tries_per_address", 3)
    form, program = {"name": "X", "email": alice.email, "password": PASSWORD}, Api()
    assert [program.post(f"{AUTHS}/signup", form).status_code for _time in range(4)] == [400, 400, 400, 429]
    assert Lockout.objects.get().kind == "address"


# ----------------------------------------------------------------------------------------------------------------- keys
def test_an_administrators_key_changes_nobodys_password(people: Any, keys_on: None, api_for: Any) -> None:
    """Not its owner's either, whose old password the form would ask for."""
    program, admin, changes = Api(services.create_api_key(people.dana)), api_for(people.dana), {"name": "Same"}
    for person in (people.dana, people.alice):
        path = f"/api/v1/users/{person.pk}/update"
        refused = program.post(path, changes | {"password": NEW})
        assert refused.status_code == 403 and "API key" in refused.json()["detail"]
        assert program.post(path, changes).status_code == 200
    assert admin.post(f"/api/v1/users/{people.alice.pk}/update", {"password": NEW}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "sessions"),
        ("delete", "sessions"),
        ("delete", "sessions/00000000-0000-0000-0000-000000000000"),
        ("post", "mfa/replace"),
        ("post", "mfa/recovery/codes"),
        ("post", "mfa/enroll/start"),
        ("post", "mfa/enroll/confirm"),
    ],
)
def test_sessions_and_factors_are_shut_for_keys(
    alice: Any, keys_on: None, set_config: Any, method: str, path: str
) -> None:
    set_config("auth_mfa.enable", True)
    program = Api(services.create_api_key(alice))
    args = [{"code": PASSWORD}] if method == "post" else []
    assert getattr(program, method)(f"{AUTHS}/{path}", *args).status_code == 403


def test_every_page_that_changes_something_of_oneself_is_shut_for_keys(
    alice: Any, keys_on: None, set_config: Any
) -> None:
    """Also one that is added some day: what a key may change here is named, the rest is refused."""
    from accounts.urls import urlpatterns

    set_config("auth_mfa.enable", True)
    program = Client(headers={"authorization": f"Bearer {services.create_api_key(alice)}"})
    found = {}
    for pattern in urlpatterns:
        path = re.sub(r"<(\w+):\w+>", lambda kind: "1" if kind[1] == "int" else str(alice.pk), str(pattern.pattern))
        if path.startswith("settings"):
            found[path] = {getattr(program, verb)(f"/{path}").status_code for verb in ("post", "delete")}
    assert len(found) > 10
    # The picture and the name, which REST lets a key change as well, and how the pages look.
    assert {path for path, answers in found.items() if not answers <= {403, 405}} == {
        "settings", "settings/theme", "settings/interface", "settings/keyboard", "settings/language",
    }  # fmt: skip


def test_a_key_ends_no_session_on_the_pages_and_sees_none(alice: Any, keys_on: None) -> None:
    _token, session = services.open_session(alice, auth_method="password", ip="198.51.100.77")
    program = Client(headers={"authorization": f"Bearer {services.create_api_key(alice)}"})
    assert program.post(f"/settings/devices/{session.pk}/end").status_code == 403
    assert program.post("/settings/devices/end-others").status_code == 403
    session.refresh_from_db()
    assert session.revoked_at is None
    services.create_named_key(alice, name="Nightly export")
    page = program.get("/settings").content.decode()
    assert "198.51.100.77" not in page and "Nightly export" not in page


# -------------------------------------------------------------------------------------------------------------- leavers
def test_whom_an_administrator_switched_off_stays_off_when_the_directory_has_them_again(people: Any) -> None:
    """The directory had closed the account before, an administrator opened it, and then closed it for good."""
    login = ExternalLogin.objects.create(user=people.alice, provider="ldap", subject="e-1")
    services.off_board(people.alice, by=None, why="ldap")
    DirectoryAbsence.objects.create(login=login)
    for on in (True, False):
        services.update_user(people.alice, by=people.dana, is_active=on)
    found = ExternalIdentity(provider="ldap", subject="e-1", email=people.alice.email, name="Alice")
    with pytest.raises(UserError, match="switched off"):
        directory_service.admit_from_directory(found, DirectoryConfig.load())
    assert not User.objects.get(pk=people.alice.pk).is_active
