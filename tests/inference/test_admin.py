"""Governance pages: changes go through the services."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.sites import AdminSite
from django.test import RequestFactory

from inference.admin import AIModelAdmin, SkillAdmin, ToolAdmin
from inference.models import AIModel, Skill, Tool
from owui.audit.models import AuditEvent
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db


def request_of(user: Any) -> Any:
    request = RequestFactory().get("/")
    request.user = user
    return request


def test_saving_a_model_is_the_services_work(people: SimpleNamespace, base: Any) -> None:
    admin = AIModelAdmin(AIModel, AdminSite())
    request = request_of(people.dana)
    new = AIModel(model_id="new", name="New", base_model=base(), params={"top_p": 1}, meta={})
    admin.save_model(request, new, None, change=False)
    stored = AIModel.objects.get(model_id="new")
    assert (stored.pk, stored.owner) == (new.pk, people.dana)
    stored.name = "Newer"
    admin.save_model(request, stored, None, change=True)
    admin.remove(request, stored)
    said = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))
    assert said == ["model.created", "model.updated", "model.deleted"]


def test_lists_start_from_the_choke_point(people: SimpleNamespace, base: Any, settings: Any) -> None:
    base(owner=people.alice)
    admin = AIModelAdmin(AIModel, AdminSite())
    assert admin.get_queryset(request_of(people.dana)).count() == 1
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert admin.get_queryset(request_of(people.dana)).count() == 0


@pytest.mark.parametrize(("admin_class", "model", "kind"), [(ToolAdmin, Tool, "tool"), (SkillAdmin, Skill, "skill")])
def test_tools_and_skills_are_only_looked_at(people: SimpleNamespace, admin_class: Any, model: Any, kind: str) -> None:
    row = make_shared(kind, people.alice)
    admin = admin_class(model, AdminSite())
    request = request_of(people.dana)
    assert list(admin.get_queryset(request)) == [row]
    assert not admin.has_add_permission(request)
    assert not admin.has_delete_permission(request)
    assert set(admin.fields) - set(admin.get_readonly_fields(request)) == {"general_access"}
    admin.save_model(request, row, None, change=True)
