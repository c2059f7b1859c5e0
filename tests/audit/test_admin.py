from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib import admin
from django.test import RequestFactory

from owui.audit.admin import AuditEventAdmin
from owui.audit.models import AuditEvent
from owui.audit.record import record

pytestmark = pytest.mark.django_db


def page(query: dict[str, str] | None = None, role: str = "admin") -> tuple[AuditEventAdmin, Any]:
    request = RequestFactory().get("/", query or {})
    request.user = SimpleNamespace(is_active=True, is_staff=True, role=role)  # type: ignore[assignment]
    return AuditEventAdmin(AuditEvent, admin.site), request


def found(**query: str) -> list[str]:
    model_admin, request = page(query)
    return [event.object_id for event in model_admin.get_changelist_instance(request).result_list]


@pytest.fixture
def log(someone: SimpleNamespace) -> None:
    record("chat.deleted", by=someone, object_type="chat", object_id="c1", object_label="Budget")
    record("kb.shared", by=someone, object_type="kb", object_id="k1", object_label="Handbook")
    record("config.changed", by=None, object_type="config", object_id="ui")


def test_the_latest_event_comes_first(log: None) -> None:
    assert found() == ["ui", "k1", "c1"]


def test_filters_and_search(log: None, someone: SimpleNamespace) -> None:
    assert found(action="kb.shared") == ["k1"]
    assert found(actor=str(someone.id)) == ["k1", "c1"]
    assert found(actor="nonsense") == ["ui", "k1", "c1"]
    assert found(q="handb") == ["k1"]
    assert found(q="c1") == ["c1"]
    assert found(q=str(someone.id)) == ["k1", "c1"]
    assert found(at__gte="2000-01-01 00:00:00+00:00") == ["ui", "k1", "c1"]


def test_the_filter_offers_every_action(log: None) -> None:
    model_admin, request = page()
    filters = model_admin.get_changelist_instance(request).filter_specs
    assert [value for value, _ in filters[1].lookup_choices] == ["chat.deleted", "config.changed", "kb.shared"]


def test_nobody_can_change_anything() -> None:
    model_admin, request = page()
    assert model_admin.has_view_permission(request)
    assert not model_admin.has_add_permission(request)
    assert not model_admin.has_change_permission(request)
    assert not model_admin.has_delete_permission(request)


@pytest.mark.parametrize("role", ["user", "pending"])
def test_only_administrators_see_it(role: str) -> None:
    model_admin, request = page(role=role)
    assert not model_admin.has_view_permission(request)
    assert not model_admin.has_module_permission(request)
