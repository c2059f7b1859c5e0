"""Whoever may no longer use something is asked again at once, and the history knows who took it away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inference import library, services, tool_servers
from inference.models import AIModel, TerminalServer, ToolServer
from inference.services import ModelValues
from owui.lib.errors import UserError
from rbac.grants import Grant
from rbac.models import AccessChange
from rbac.services import set_grants
from rbac.signals import access_changed
from tests.factories.accounts import a_system_admin
from tests.factories.rbac import make_group, make_shared

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(django_capture_on_commit_callbacks: Any) -> Iterator[Callable[[Callable[[], Any]], set[tuple[str, str]]]]:
    """`told(verb)`: the types and ids that were announced when the verb's transaction was committed."""
    heard: list[tuple[str, str]] = []

    def hear(*, resource_type: str, resource_id: str, **_rest: Any) -> None:
        heard.append((resource_type, resource_id))

    def after(verb: Callable[[], Any]) -> set[tuple[str, str]]:
        heard.clear()
        with django_capture_on_commit_callbacks(execute=True):
            verb()
        return set(heard)

    access_changed.connect(hear)
    yield after
    access_changed.disconnect(hear)


def values(row: AIModel, **changes: Any) -> ModelValues:
    return ModelValues(**{"model_id": row.model_id, "name": row.name, "is_active": row.is_active, **changes})


def test_models(told, alice, dana):
    row = make_shared("model", dana)
    mine = {("model", str(row.pk))}
    assert told(lambda: services.set_active(row, is_active=False, by=dana)) == mine
    assert told(lambda: services.set_active(row, is_active=False, by=dana)) == set(), "nothing changed"
    assert told(lambda: services.update_model(row, values=values(row, is_active=True), by=dana)) == mine
    assert told(lambda: services.update_model(row, values=values(row, name="New"), by=dana)) == set()
    assert told(lambda: services.sync_models([], by=dana)) == mine
    row = make_shared("model", dana)
    mine = {("model", str(row.pk))}
    assert told(lambda: services.delete_model(row, by=dana)) == mine
    make_shared("model", dana), make_shared("model", dana)
    assert told(lambda: services.delete_all(by=dana)) == {("model", "")}


def test_tools_and_skills(told, alice):
    tool, skill = make_shared("tool", alice), make_shared("skill", alice)
    tool_id, skill_id = str(tool.pk), str(skill.pk)
    assert told(lambda: library.update_skill(skill, by=alice, is_active=False)) == {("skill", skill_id)}
    assert told(lambda: library.delete_skill(skill, by=alice)) == {("skill", skill_id)}
    assert told(lambda: library.delete_tool(tool, by=alice)) == {("tool", tool_id)}


@pytest.mark.parametrize("model", [ToolServer, TerminalServer])
def test_connections(told, model, dana):
    entry = {"url": "http://lab:1", "id": "lab", "info": {"id": "lab"}}
    tool_servers.replace_connections(model, [entry], by=dana)
    row = model.objects.get()
    mine = {(row.resource_type, str(row.pk))}
    off = entry | {"enabled": False, "config": {"enable": False}}
    assert told(lambda: tool_servers.replace_connections(model, [off], by=dana, keep_access=True)) == mine
    assert told(lambda: tool_servers.replace_connections(model, [], by=dana)) == mine


def test_the_history_says_who_made_and_who_deleted(alice, bob, dana):
    make_group("Makers", members=[alice], permissions={"workspace": {"models": True, "tools": True, "skills": True}})
    base = make_shared("model", dana, general_access="read")

    def model() -> AIModel:
        made = ModelValues(model_id="mine", name="Mine", base_model_id=base.model_id)
        return services.create_model(values=made, by=alice)

    def tool() -> Any:
        return library.create_tool(by=alice, tool_id="t", name="T", content="class Tools: pass", meta={})

    def skill() -> Any:
        return library.create_skill(by=alice, skill_id="s", name="S", description="", content="", meta={})

    for make, delete in ((model, services.delete_model), (tool, library.delete_tool), (skill, library.delete_skill)):
        row = make()
        kind, pk = row.resource_type, row.pk
        set_grants(row, [Grant("user", str(bob.pk), "read")], by=a_system_admin())
        delete(row, by=dana)
        found = AccessChange.objects.filter(object_type=kind, object_id=pk)
        assert found.exists() and {change.ended_by for change in found} == {dana.pk}, kind
        assert alice.pk in {change.changed_by for change in found}, kind


@pytest.mark.parametrize("model", [ToolServer, TerminalServer])
def test_the_history_says_who_connected_and_who_disconnected(model, alice, dana):
    other = a_system_admin()
    tool_servers.replace_connections(model, [{"url": "http://lab:1"}], by=dana)
    pk = model.objects.get().pk
    tool_servers.delete_connection(model.objects.get(), by=other)
    found = AccessChange.objects.filter(object_type=model.resource_type, object_id=pk)
    assert {(change.changed_by, change.ended_by) for change in found} == {(dana.pk, other.id)}


def test_a_refusal_names_only_models_that_the_person_may_see(alice, bob, share):
    base = make_shared("model", alice, general_access="read")
    make_shared("model", bob, base_model=base, name="Project Bluebird takeover")
    make_shared("model", alice, base_model=base, name="My preset")
    with pytest.raises(UserError) as refused:
        services.delete_model(base, by=alice)
    assert "My preset, 1 other." in refused.value.message and "Bluebird" not in refused.value.message
