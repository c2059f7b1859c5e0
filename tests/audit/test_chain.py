"""Sealing and verifying: what an intruder with full rights on the database cannot do unseen."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from owui.audit import chain, sealer
from owui.audit.models import AuditEvent, AuditHead, AuditPending, AuditSeal
from owui.audit.record import record
from owui.audit.sealer import BrokenChainError, seal_batch, seal_forever
from owui.audit.verify import verify

Tamper = Callable[..., None]


def kinds(**options: Any) -> set[str]:
    return {problem.kind for problem in verify(**options).problems}


def test_a_sealed_log_is_whole(sealed_log: list[int]) -> None:
    result = verify()
    assert (result.checked, result.sequence, result.problems) == (6, 6, [])
    assert not AuditPending.objects.exists()
    assert verify(expect=(result.sequence, result.hash)).problems == []


def test_sealing_again_does_nothing(sealed_log: list[int]) -> None:
    assert seal_batch() == 0


@pytest.mark.django_db
def test_batches_go_on_where_the_last_one_ended(someone: SimpleNamespace) -> None:
    for _ in range(5):
        record("chat.deleted", by=someone)
    assert [seal_batch(2), seal_batch(2), seal_batch(2), seal_batch(2)] == [2, 2, 1, 0]
    assert verify().problems == []


EDITS = {
    "actor_label": "'mallory'",
    "action": "'chat.read'",
    "at": "at + interval '1 hour'",
    "detail": "'{\"n\": 99}'",
    "object_id": "'77'",
    "actor_id": "NULL",
    "ip": "'1.2.3.4'",
}


@pytest.mark.parametrize("column", EDITS)
def test_an_edit_is_found(sealed_log: list[int], tamper: Tamper, column: str) -> None:
    tamper(f"UPDATE audit_auditevent SET {column} = {EDITS[column]} WHERE id = %s", [sealed_log[2]])
    problems = verify().problems
    assert {problem.kind for problem in problems} == {"edited"}
    assert f"event {sealed_log[2]}" in problems[0].where


def test_an_edit_with_a_fitting_hash_is_found(sealed_log: list[int], tamper: Tamper) -> None:
    event = AuditEvent.objects.get(pk=sealed_log[2])
    event.actor_label = "mallory"
    digest = chain.event_hash({name: getattr(event, name) for name in chain.FIELDS})
    tamper("UPDATE audit_auditevent SET actor_label = 'mallory', hash = %s WHERE id = %s", [digest, event.pk])
    assert kinds() == {"edited"}


def test_a_deletion_is_found(sealed_log: list[int], tamper: Tamper) -> None:
    tamper("DELETE FROM audit_auditevent WHERE id = %s", [sealed_log[3]])
    assert kinds() == {"deleted"}


def test_a_deletion_with_its_seal_is_found(sealed_log: list[int], tamper: Tamper) -> None:
    tamper("DELETE FROM audit_auditevent WHERE id = %s", [sealed_log[3]])
    tamper("DELETE FROM audit_auditseal WHERE event_id = %s", [sealed_log[3]])
    assert kinds() == {"gap"}


def test_a_cut_tail_is_found(sealed_log: list[int], tamper: Tamper) -> None:
    tamper("DELETE FROM audit_auditevent WHERE id = ANY(%s)", [sealed_log[4:]])
    tamper("DELETE FROM audit_auditseal WHERE event_id = ANY(%s)", [sealed_log[4:]])
    assert kinds() == {"tail"}
    record("chat.deleted", by=None)
    seal_batch()
    assert kinds() == {"gap"}, "sealing on does not cover it up"


def test_a_cut_tail_with_the_head_moved_back_is_found(sealed_log: list[int], tamper: Tamper) -> None:
    tamper("DELETE FROM audit_auditevent WHERE id = ANY(%s)", [sealed_log[4:]])
    tamper("DELETE FROM audit_auditseal WHERE event_id = ANY(%s)", [sealed_log[4:]])
    tamper("UPDATE audit_audithead SET sequence = 4, hash = (SELECT hash FROM audit_auditseal WHERE sequence = 4)")
    assert kinds() == {"head"}
    record("chat.deleted", by=None)
    with pytest.raises(BrokenChainError):
        seal_batch()


def test_a_log_put_back_to_an_earlier_state_is_found_by_its_noted_end(sealed_log: list[int], tamper: Tamper) -> None:
    head = AuditHead.objects.get()
    record("chat.deleted", by=None)
    seal_batch()
    noted = verify()
    tamper("DELETE FROM audit_auditevent WHERE id > %s", [sealed_log[-1]])
    tamper("DELETE FROM audit_auditseal WHERE event_id > %s", [sealed_log[-1]])
    tamper("UPDATE audit_audithead SET sequence = %s, hash = %s, mac = %s", [head.sequence, head.hash, head.mac])
    assert kinds() == set()
    assert kinds(expect=(noted.sequence, noted.hash)) == {"expected"}


def test_a_lost_head_is_found_and_never_made_anew(sealed_log: list[int], tamper: Tamper) -> None:
    tamper("DELETE FROM audit_audithead")
    sealer.begin_chain()
    assert kinds() == {"head"}
    record("chat.deleted", by=None)
    with pytest.raises(BrokenChainError):
        seal_batch()


def test_exchanged_contents_are_found(sealed_log: list[int], tamper: Tamper) -> None:
    columns = (
        "at, actor_id, actor_label, action, object_type, object_id, object_label, detail, ip, request_id, hash, mac"
    )
    source = ", ".join(f"other.{column}" for column in columns.split(", "))
    tamper(
        f"UPDATE audit_auditevent AS event SET ({columns}) = ROW({source}) FROM audit_auditevent AS other"
        " WHERE (event.id, other.id) IN ((%s, %s), (%s, %s))",
        [sealed_log[1], sealed_log[2], sealed_log[2], sealed_log[1]],
    )
    assert kinds() == {"edited"}


def test_exchanged_seals_are_found(sealed_log: list[int], tamper: Tamper) -> None:
    first, second = sealed_log[1:3]
    tamper("UPDATE audit_auditseal SET sequence = -sequence WHERE event_id IN (%s, %s)", [first, second])
    tamper("UPDATE audit_auditseal SET sequence = 3 WHERE event_id = %s", [first])
    tamper("UPDATE audit_auditseal SET sequence = 2 WHERE event_id = %s", [second])
    assert "order" in kinds()


_COPY = (
    "INSERT INTO audit_auditevent (at, actor_id, actor_label, action, object_type, object_id, object_label, detail, ip,"
    " request_id, hash, mac) SELECT at, actor_id, actor_label, action, object_type, object_id, object_label,"
    " detail, ip, request_id, hash, {mac} FROM audit_auditevent WHERE id = %s"
)


def test_an_insertion_past_the_triggers_is_found(sealed_log: list[int], tamper: Tamper) -> None:
    tamper(_COPY.format(mac="mac"), [sealed_log[0]])
    assert kinds() == {"inserted"}


def test_an_insertion_that_gets_sealed_is_found(sealed_log: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_COPY.format(mac="repeat('0', 64)"), [sealed_log[0]])
    assert seal_batch() == 1
    assert kinds() == {"inserted"}


def test_a_deletion_before_sealing_is_found(sealed_log: list[int], tamper: Tamper) -> None:
    tamper("DELETE FROM audit_auditevent WHERE id = %s", [record("chat.deleted", by=None).pk])
    assert kinds() == {"deleted"}


def test_events_that_nobody_seals_are_reported(sealed_log: list[int]) -> None:
    record("chat.deleted", by=None)
    assert kinds() == set()
    assert kinds(backlog=timedelta(0)) == {"unsealed"}


def test_a_part_can_be_checked(sealed_log: list[int], tamper: Tamper) -> None:
    tamper("UPDATE audit_auditseal SET sealed_at = sealed_at - interval '1 day' WHERE sequence <= 3")
    tamper("UPDATE audit_auditevent SET ip = 'x' WHERE id = %s", [sealed_log[0]])
    result = verify(since=timezone.now() - timedelta(hours=1))
    assert (result.checked, result.problems) == (3, [])
    assert kinds() == {"edited"}


def test_a_new_secret_key_needs_a_rekey(sealed_log: list[int], settings: Any) -> None:
    former = settings.SECRET_KEY
    settings.SECRET_KEY = "another one"
    record("chat.deleted", by=None)
    with pytest.raises(BrokenChainError, match="rekey"):
        seal_batch()
    settings.SECRET_KEY_FALLBACKS = [former]
    assert seal_batch() == 1
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a third", []
    call_command("audit", "rekey", reason="key lost", stdout=StringIO())
    assert seal_batch() == 1
    assert verify().problems == []


def test_the_command_names_faults_and_fails(sealed_log: list[int], tamper: Tamper) -> None:
    out = StringIO()
    call_command("audit", "verify", stdout=out)
    assert "6 seals checked" in out.getvalue()
    tamper("UPDATE audit_auditevent SET action = 'x' WHERE id = %s", [sealed_log[0]])
    with pytest.raises(CommandError, match="faults"):
        call_command("audit", "verify", stdout=out)
    assert f"event {sealed_log[0]}: the event was edited (x by dana@example.org" in out.getvalue()


def test_export_and_tail(sealed_log: list[int]) -> None:
    out = StringIO()
    call_command("audit", "export", stdout=out)
    assert out.getvalue().count('"action": "chat.deleted"') == 6
    out = StringIO()
    call_command("audit", "tail", "-n", "2", stdout=out)
    assert out.getvalue().count("dana@example.org: chat.deleted") == 2


@pytest.mark.django_db(transaction=True)
def test_writers_do_not_wait_for_a_sealer_at_work() -> None:
    with transaction.atomic():
        record("chat.deleted", by=None)
    sealed, written = threading.Event(), threading.Event()

    def seal() -> None:
        with transaction.atomic():
            assert seal_batch() == 1
            sealed.set()
            assert written.wait(10)
        connection.close()

    thread = threading.Thread(target=seal)
    thread.start()
    assert sealed.wait(10)
    started = time.monotonic()
    with transaction.atomic():
        record("chat.deleted", by=None)
    took = time.monotonic() - started
    assert seal_batch() == 0, "a second sealer passes by"
    written.set()
    thread.join()
    assert took < 8
    assert seal_batch() == 1
    assert verify().problems == []


@pytest.mark.django_db(transaction=True)
def test_a_late_commit_with_a_lower_id_is_not_overlooked() -> None:
    started, finish = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with transaction.atomic():
            record("slow.write", by=None)
            started.set()
            assert finish.wait(10)
        connection.close()

    thread = threading.Thread(target=write_slowly)
    thread.start()
    assert started.wait(10)
    with transaction.atomic():
        record("fast.write", by=None)
    assert seal_batch() == 1
    finish.set()
    thread.join()
    assert seal_batch() == 1
    events = AuditEvent.objects.in_bulk(AuditSeal.objects.order_by("sequence").values_list("event_id", flat=True))
    assert [event.action for event in sorted(events.values(), key=lambda e: e.pk)] == ["slow.write", "fast.write"]
    assert verify().problems == []


@pytest.mark.django_db(transaction=True)
def test_ten_thousand_events_are_sealed() -> None:
    with transaction.atomic():
        record("bulk.write", by=None)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_auditevent (at, actor_id, actor_label, action, object_type, object_id, object_label,"
            " detail, ip, request_id, hash, mac) SELECT at, actor_id, actor_label, action, object_type, object_id,"
            " object_label, detail, ip, request_id, hash, mac FROM audit_auditevent, generate_series(1, 9999)"
        )
    counts = []
    while count := seal_batch():
        counts.append(count)
    assert sum(counts) == 10_000
    assert verify().problems == []


@pytest.mark.django_db(transaction=True)
async def test_the_background_task_seals_and_outlives_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def write() -> None:
        with transaction.atomic():
            record("chat.deleted", by=None)
        connection.close()

    real, rounds = sealer._work, 0

    def work() -> int:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise OperationalError("the database is away")
        return real()

    monkeypatch.setattr(sealer, "_work", work)
    stop = asyncio.Event()
    task = asyncio.create_task(seal_forever(stop, pause=0.02))
    await asyncio.to_thread(write)
    while rounds < 3:
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(task, 5)

    def look() -> tuple[bool, int]:
        try:
            return AuditPending.objects.exists(), AuditSeal.objects.count()
        finally:
            connection.close()

    assert await asyncio.to_thread(look) == (False, 1)
