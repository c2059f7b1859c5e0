"""Slowing down guessing: by account and by address, each time longer, told in the audit log.

A try is written down before the secret is checked and struck out when it was right; while those under way could still
become too many failures, further ones wait. So a thousand at once are no more than a thousand in a row.
Unknown accounts are counted and locked exactly like known ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.config import SignInConfig
from accounts.models import Lockout, SignInFailure, User
from owui.audit.record import record
from owui.lib.errors import UserError

TRIES, WINDOW = 15, timedelta(minutes=3)
#: codes have six digits, so fewer tries and a longer while
FACTOR_TRIES, FACTOR_WINDOW = 10, timedelta(minutes=15)
#: mails that one account, and one place for all accounts, may have sent
RESETS, RESETS_PER_ADDRESS, RESET_WINDOW = 3, 20, timedelta(minutes=15)
#: how long a lock-out may become: an account must not be kept from its owner for a day, an address may wait longer
LONGEST = {
    "email": timedelta(minutes=30),
    "factor": timedelta(hours=1),
    "own": timedelta(hours=1),
    "address": timedelta(hours=2),
}
#: kinds of tries with a lock-out of their own; all others share that of the account
_BY_THEMSELVES = ("factor", "own")
#: a lock-out is the first again after so long without one
FORGIVEN = timedelta(hours=6)
_KEPT = timedelta(hours=1)
#: seconds that a try waits for others, and the time after which one without an end counts as failed
PATIENCE, ABANDONED = 20.0, timedelta(seconds=60)


def network_of(ip: str | None) -> str:
    """What counts as one caller: an IPv4 address, a /64 of IPv6 (one household or machine has all of it)."""
    if not ip:
        return ""
    address = ip_address(ip)
    # Written as IPv6, all of IPv4 would be one network: a stranger's failures would lock everybody out.
    address = getattr(address, "ipv4_mapped", None) or address
    return str(address) if address.version == 4 else str(ip_network(f"{ip}/64", strict=False))


@contextmanager
def attempt(*, email: str, ip: str | None, kind: str = "password") -> Iterator[SignInFailure]:
    """One try of a secret. It counts as failed unless the block ends without an error.

    :param email: whose secret; empty when that is not known yet
    :param kind: `password`; `factor` for the second one, which is counted by itself, and so is `own`: what a person who
        is in already enters again, so that no stranger's failures keep the owner from a new password; `passkey`
    :returns: its row; a way of signing in that could not try at all deletes it
    :raises UserError: 429 before anything is checked, when there were too many
    """
    email, address = email.strip().lower()[:254], network_of(ip)
    row = _admitted(email, address, kind)
    mine = SignInFailure.objects.filter(pk=row.pk)
    try:
        yield row
    except Exception as error:
        if isinstance(error, UserError) and error.status == 503:
            mine.delete()  # nothing was tried
        else:
            mine.update(is_over=True)
        raise
    mine.delete()


def _admitted(email: str, address: str, kind: str) -> SignInFailure:
    """The row of this try. Where those that are being checked could still become too many failures, it waits for them:
    they may be the same person's, and right."""
    deadline = time.monotonic() + PATIENCE
    while (row := _begin(email, address, kind)) is None:
        if time.monotonic() > deadline:
            text = _("Too many sign-ins for this account at this moment. Try again in a minute.")
            raise UserError(text, status=429, code="too_many_tries")
        if not connection.in_atomic_block:
            connection.close()
        time.sleep(0.05)
    return row


def allow_reset(*, email: str, ip: str | None) -> bool:
    """Whether one more mail may go out to this address. 429 when the caller asks for too many people."""
    email, address = email.strip().lower()[:254], network_of(ip)
    with transaction.atomic():
        _in_turn(email, address, "reset")
        now = timezone.now()
        _check_locked(now, "", address, "reset")
        asked = SignInFailure.objects.filter(kind="reset", at__gte=now - RESET_WINDOW)
        if address and asked.filter(address=address).count() >= RESETS_PER_ADDRESS:
            wait = _("Too many mails were asked for from where you are. Wait a quarter of an hour and try again.")
            raise UserError(wait, status=429, code="too_many_tries")
        is_allowed = asked.filter(email=email).count() < RESETS
        SignInFailure.objects.create(kind="reset", email=email, address=address, at=now, is_over=True)
    return is_allowed


def _in_turn(email: str, address: str, kind: str) -> None:
    """Of many at once each sees those before it. The account first, always, so that nobody waits in a circle."""
    with connection.cursor() as cursor:
        for name in (f"{kind}:{email}", f"address:{address}"):
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def _begin(email: str, address: str, kind: str) -> SignInFailure | None:
    """Nothing while it depends on tries that are being checked."""
    with transaction.atomic():
        _in_turn(email, address, kind)
        now = timezone.now()
        _check_locked(now, email, address, kind)
        _forget(now)
        locked, must_wait = None, False
        for what, value, most, window in _limits(email, address, kind):
            mine = Q(address=value) & ~Q(kind="reset") if what == "address" else Q(email=value, kind=kind)
            tries = SignInFailure.objects.filter(mine, at__gte=now - window)
            # What was never ended belongs to a process that died.
            failed = tries.filter(Q(is_over=True) | Q(at__lt=now - ABANDONED)).count()
            if failed >= most:
                locked = _lock(what, value, window, now)
            must_wait = must_wait or tries.count() >= most
        if locked is None and not must_wait:
            return SignInFailure.objects.create(kind=kind, email=email, address=address, at=now)
    if locked is not None:
        raise _too_many(locked, now)
    return None


def _limits(email: str, address: str, kind: str) -> Iterator[tuple[str, str, int, timedelta]]:
    """What is counted: kind of lock-out, account or address, how many are too many, in which time."""
    if email and kind in _BY_THEMSELVES:
        yield kind, email, FACTOR_TRIES, FACTOR_WINDOW
    elif email:
        yield "email", email, TRIES, WINDOW
    if address and (most := SignInConfig.load().tries_per_address):
        yield "address", address, most, WINDOW


def _forget(now: datetime) -> None:
    """What is too old to matter; rows that another try takes away at this moment are left to it."""
    old = SignInFailure.objects.filter(at__lt=now - _KEPT).select_for_update(skip_locked=True).values("pk")[:500]
    SignInFailure.objects.filter(pk__in=[row["pk"] for row in old]).delete()


def _check_locked(now: datetime, email: str, address: str, kind: str) -> None:
    account = kind if kind in _BY_THEMSELVES else "email"
    locks = Lockout.objects.filter(Q(kind=account, value=email) | Q(kind="address", value=address), until__gt=now)
    if last := locks.order_by("-until").first():
        raise _too_many(last, now)


def _lock(kind: str, value: str, first: timedelta, now: datetime) -> Lockout:
    """Doubles with each lock-out in a row. The failures that led to it are settled by it."""
    lock = Lockout.objects.filter(kind=kind, value=value).first()
    Lockout.objects.filter(kind=kind, until__lt=now - 4 * FORGIVEN).delete()
    if lock is None or lock.until < now - 4 * FORGIVEN:
        lock = Lockout(kind=kind, value=value, times=0, until=now)
    elif lock.until > now:
        return lock
    lock.times = 1 if now - lock.until > FORGIVEN else lock.times + 1
    lock.until = now + min(first * 2 ** min(lock.times - 1, 20), LONGEST[kind])
    lock.save()
    failures = SignInFailure.objects.filter(is_over=True)
    if kind == "address":
        failures.filter(address=value).delete()
    else:
        failures.filter(email=value, kind=kind if kind in _BY_THEMSELVES else "password").delete()
    detail = {"what": kind, "until": lock.until, "times": lock.times}
    record("sign_in.locked", by=None, object_type="lockout", object_id=lock.pk, object_label=value, detail=detail)
    return lock


def _too_many(lock: Lockout, now: datetime) -> UserError:
    minutes = max(1, -int(-(lock.until - now).total_seconds() // 60))
    wait = ngettext("Wait %d minute and try again.", "Wait %d minutes and try again.", minutes) % minutes
    text = (
        _("Too many failed sign-ins from where you are.")
        if lock.kind == "address"
        else _("Too many failed sign-ins for this account.")
    )
    return UserError(f"{text} {wait}", status=429, code="too_many_tries")


@transaction.atomic
def lift(lock: Lockout, *, by: User | None) -> None:
    """Lets the account or address try again at once."""
    failures = SignInFailure.objects.filter(kind=lock.kind if lock.kind in _BY_THEMSELVES else "password")
    failures = (
        SignInFailure.objects.filter(address=lock.value)
        if lock.kind == "address"
        else failures.filter(email=lock.value)
    )
    failures.delete()
    record("sign_in.lock_lifted", by=by, object_type="lockout", object_id=lock.pk, object_label=lock.value)
    lock.delete()
