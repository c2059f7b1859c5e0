"""Guessing is slowed down by account and by address, and takes the same time for accounts that do not exist."""

from __future__ import annotations

import statistics
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts import hashers, services
from accounts.models import Lockout, SignInFailure
from accounts.services import throttle
from owui.audit.models import AuditEvent
from owui.lib.errors import UserError
from tests.factories.accounts import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


def status_of(email: str, password: str = "wrong", ip: str | None = "192.0.2.1") -> int:
    try:
        services.sign_in(email=email, password=password, ip=ip)
    except UserError as error:
        return error.status
    return 200


def fail(times: int, email: str, ip: str | None = None) -> list[int]:
    return [status_of(email, ip=ip) for _time in range(times)]


@pytest.mark.parametrize("address", ["alice@example.org", "nobody@example.org"])
def test_an_account_is_locked_after_fifteen_failures_whether_or_not_it_exists(alice, address):
    assert fail(15, address) == [400] * 15 and fail(2, address) == [429, 429]
    lock = Lockout.objects.get()
    assert (lock.kind, lock.value) == ("email", address)
    assert lock.until - timezone.now() == pytest.approx(timedelta(minutes=3), abs=timedelta(seconds=20))
    event = AuditEvent.objects.get(action="sign_in.locked")
    assert event.object_label == address and event.detail["times"] == 1


def test_each_lock_out_is_longer_up_to_half_an_hour_and_a_quiet_time_forgives(alice):
    lengths = []
    for _round in range(6):
        fail(16, alice.email)
        lengths.append(round((Lockout.objects.get().until - timezone.now()).total_seconds() / 60))
        Lockout.objects.update(until=timezone.now())
    assert lengths == [3, 6, 12, 24, 30, 30]
    Lockout.objects.update(until=timezone.now() - timedelta(hours=7))
    fail(16, alice.email)
    assert Lockout.objects.get().times == 1


def test_a_right_password_does_not_count_and_the_others_still_do(alice):
    for _time in range(20):
        assert status_of(alice.email, PASSWORD) == 200
    assert not SignInFailure.objects.exists()
    fail(14, alice.email)
    assert status_of(alice.email, PASSWORD) == 200
    assert fail(2, alice.email) == [400, 429]


def test_an_address_is_locked_over_all_accounts_and_only_that_address(alice, set_config):
    set_config("auth.tries_per_address", 20)
    tried = [status_of(f"p{number}@example.org", ip="198.51.100.7") for number in range(21)]
    assert tried == [400] * 20 + [429]
    assert status_of(alice.email, PASSWORD, ip="198.51.100.7") == 429
    assert status_of(alice.email, PASSWORD, ip="198.51.100.8") == 200
    assert AuditEvent.objects.get(action="sign_in.locked").object_label == "198.51.100.7"
    set_config("auth.tries_per_address", 0)
    assert [status_of(f"q{number}@example.org", ip="203.0.113.9") for number in range(30)] == [400] * 30


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.9", "192.0.2.9"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        (None, ""),
    ],
)
def test_all_of_a_machines_ipv6_addresses_are_one(ip, network):
    assert throttle.network_of(ip) == network


def test_an_administrator_lifts_a_lock_out(client_for, dana, alice):
    fail(16, alice.email)
    assert status_of(alice.email, PASSWORD) == 429
    page = {"action": "lift", "_selected_action": [str(Lockout.objects.get().pk)]}
    client_for(dana).post("/admin/accounts/lockout/", page)
    assert status_of(alice.email, PASSWORD) == 200
    assert AuditEvent.objects.get(action="sign_in.lock_lifted").actor_id == dana.pk


@pytest.mark.django_db(transaction=True)
def test_many_tries_at_once_are_no_more_than_many_one_after_the_other(people):
    start, codes = threading.Barrier(30), []

    def guess() -> None:
        try:
            start.wait(10)
            codes.append(status_of(people.alice.email))
        finally:
            connection.close()

    threads = [threading.Thread(target=guess) for _number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(codes) == [400] * 15 + [429] * 15


@pytest.mark.django_db(transaction=True)
def test_many_right_sign_ins_at_once_are_all_let_in(people):
    """Scripts of one account start together; what is under way is no failure."""
    start, codes = threading.Barrier(25), []

    def enter() -> None:
        try:
            start.wait(10)
            codes.append(status_of(people.alice.email, PASSWORD))
        finally:
            connection.close()

    threads = [threading.Thread(target=enter) for _number in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert codes == [200] * 25 and not SignInFailure.objects.exists()


def test_a_try_whose_process_died_counts_as_failed(alice):
    for _number in range(15):
        SignInFailure.objects.create(email=alice.email, at=timezone.now() - timedelta(seconds=61))
    assert status_of(alice.email, PASSWORD) == 429


def test_an_unknown_account_takes_as_long_as_a_known_one(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The difference of the medians is less than what two halves of the same kind differ by, with room for a busy
    machine; without the hash for unknown accounts it would be the whole time of one."""
    from owui import settings as ours

    settings.PASSWORD_HASHERS = ours.PASSWORD_HASHERS
    monkeypatch.setattr(hashers.Argon2, "memory_cost", 24 * 1024)  # as ever, only sooner done
    monkeypatch.setattr(throttle, "TRIES", 10_000)
    known, by_sso, off = UserFactory(), UserFactory(password=None), UserFactory(is_active=False)
    kinds = {"known": known.email, "unknown": "nobody@example.org", "by sso": by_sso.email, "off": off.email}
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _round in range(10):
        for kind, address in kinds.items():  # in turn, so that whatever else runs here hits all alike
            begin = time.perf_counter()
            assert status_of(address, ip=None) == 400
            took[kind].append(time.perf_counter() - begin)
    base = statistics.median(took["known"])
    noise = statistics.quantiles(took["known"], n=4)[2] - statistics.quantiles(took["known"], n=4)[0]
    for kind, times in took.items():
        assert abs(statistics.median(times) - base) < max(base * 0.25, 2 * noise), (kind, took)
