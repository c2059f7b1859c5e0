from __future__ import annotations

import math
import re
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from owui.audit import chain
from owui.audit.context import current_request
from owui.audit.middleware import ActorMiddleware, is_trusted_proxy, nearest_stranger
from owui.audit.models import AuditEvent
from owui.audit.record import record


@pytest.mark.django_db
def test_an_event_says_who_did_what_to_what(someone: SimpleNamespace) -> None:
    record("kb.shared", by=someone, object_type="kb", object_id=5, object_label="Handbook", detail={"to": ["bob"]})
    event = AuditEvent.objects.get()
    assert (event.actor_id, event.actor_label, event.action) == (someone.id, "dana@example.org", "kb.shared")
    assert (event.object_type, event.object_id, event.object_label) == ("kb", "5", "Handbook")
    assert event.detail == {"to": ["bob"]}


@pytest.mark.django_db
def test_a_model_instance_names_itself() -> None:
    other = record("first.event", by=None, object_label="First")
    event = record("event.seen", by=None, obj=other)
    assert (event.object_type, event.object_id) == ("auditevent", str(other.pk))
    assert event.actor_label == "system"


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_nothing_is_recorded() -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        record("chat.deleted", by=None)


@pytest.mark.django_db(transaction=True)
def test_a_rollback_takes_the_event_along() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record("chat.deleted", by=None)
        raise ZeroDivisionError
    assert not AuditEvent.objects.filter(action="chat.deleted").exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "detail",
    [
        {"float": 1e16, "small": 1e-7, "minus": -0.0, "third": 1 / 3, "big": 10**30},
        {"nan": math.nan, "inf": math.inf},
        {"id": UUID(int=3), 5: "number as key", "umlaut": "Übergröße 😀"},
        {"nul": "a\0b", "half": "\ud83d", "nested": [{"a": (1, 2)}, None, True]},
        {},
    ],
)
def test_hashes_survive_the_database(detail: dict[str, Any]) -> None:
    event = AuditEvent.objects.get(pk=record("x.y", by=None, object_label="n\0ul" * 200, detail=detail).pk)
    assert chain.event_hash({name: getattr(event, name) for name in chain.FIELDS}) == event.hash
    assert chain.event_is_genuine(event.hash, event.mac)


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["audit_auditevent", "audit_auditseal"])
@pytest.mark.parametrize("sql", ["UPDATE {} SET hash = 'x'", "DELETE FROM {}"])
def test_the_database_refuses_changes(sealed_log: list[int], table: str, sql: str) -> None:
    with (
        pytest.raises(DatabaseError, match="can only be added to"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql.format(table))


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["audit_auditevent", "audit_auditseal"])
def test_the_database_refuses_truncate_unless_the_session_allows_it(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL owui.allow_audit_truncate = 'off'")
        with pytest.raises(DatabaseError, match="TRUNCATE"), transaction.atomic():
            cursor.execute(f"TRUNCATE {table}")
        cursor.execute("SET LOCAL owui.allow_audit_truncate = 'on'")
        cursor.execute(f"TRUNCATE {table}")


@pytest.mark.parametrize(
    ("peer", "forwarded", "ip"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("2001:db8::1", "198.51.100.1", "2001:db8::1"),
    ],
)
def test_only_our_proxies_are_believed(settings: Any, peer: str, forwarded: str, ip: str) -> None:
    settings.BOOT = settings.BOOT.model_copy(update={"forwarded_allow_ips": "127.0.0.1, 10.0.0.0/8, proxy.local"})
    is_trusted_proxy.cache_clear()
    assert nearest_stranger(peer, forwarded) == ip
    is_trusted_proxy.cache_clear()


@pytest.mark.django_db
def test_events_of_a_request_carry_its_id_and_address() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        record("chat.deleted", by=None)
        return HttpResponse()

    response: Any = ActorMiddleware(view)(RequestFactory().get("/", REMOTE_ADDR="203.0.113.9"))
    event = AuditEvent.objects.get()
    assert event.request_id == response["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", event.request_id)
    assert event.ip == "203.0.113.9"
    assert current_request() is None


async def test_the_middleware_works_in_async_chains() -> None:
    async def view(request: HttpRequest) -> HttpResponse:
        info = current_request()
        assert info is not None
        return HttpResponse(info.id)

    answer: Any = ActorMiddleware(view)(AsyncRequestFactory().get("/"))
    response = await answer
    assert response["X-Request-Id"] == response.content.decode()
    assert current_request() is None
