"""`manage.py apply`: what it changes, what it leaves alone, and what it says about it."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError

from accounts.models import Role, Session, User
from inference.models import AIModel
from knowledge.models import KnowledgeBase
from owui.audit.models import AuditEvent
from owui.config import store
from owui.config.registry import find
from owui.provision.models import Provisioned
from rbac import services
from rbac.grants import Grant
from rbac.models import AccessChange, Group, GroupAncestry, GroupManager
from rbac.permissions import default_permissions, is_true, may
from tests.conftest import token_for
from tests.factories.rbac import make_group
from tests.owui.provision_world import WORLD, grants

pytestmark = pytest.mark.django_db


def test_everything_in_the_file_is_there_afterwards(apply: Any, people: Any) -> None:
    apply(WORLD)
    safety, new = Group.objects.get(name="Safety"), User.objects.get(email="new@example.org")
    assert (safety.description, safety.parent and safety.parent.name) == ("Drug safety", "Company")
    assert safety.data == {"config": {"share": False, "default_models": ["small"]}}
    assert GroupAncestry.objects.filter(group=safety).count() == 2
    assert set(safety.members.values_list("email", flat=True)) == {"bob@example.org", "new@example.org"}
    assert GroupManager.objects.get(group=safety).user == people.alice
    assert (new.name, new.role, new.has_usable_password()) == ("Nora New", Role.USER, False)
    assert may(new, "features.api_keys") and not may(people.carol, "features.api_keys")
    assert not is_true(default_permissions(), "chat.delete")
    assert store.value_of(find("rag.top_k")) == 7
    base, preset = AIModel.objects.get(model_id="small"), AIModel.objects.get(model_id="safety")
    assert (base.general_access, preset.base_model, preset.params) == ("read", base, {"temperature": 0.1})
    kb = KnowledgeBase.objects.get(name="PV Reference")
    assert preset.meta["knowledge"] == [{"id": str(kb.pk), "name": "PV Reference", "type": "collection"}]
    assert grants(kb) == [
        Grant("group", str(safety.pk), "write"),
        Grant("user", str(people.carol.pk), "read", datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ]
    assert KnowledgeBase.objects.writable_by(new).get() == kb
    assert AIModel.objects.usable_by(new).count() == 2 and AIModel.objects.usable_by(people.alice).get() == base


def test_connections_are_stored_where_the_catalogue_reads_them(apply: Any) -> None:
    from inference.connections import load_setup

    apply(WORLD)
    openai, ollama = load_setup().connections()
    assert (openai.info.base_url, openai.info.api_key, openai.prefix) == (
        "http://vllm:8000/v1",
        "s3cret-of-vllm",
        "gpu",
    )
    assert openai.info.config["headers"] == {"X-Team": "s3cret-of-vllm"}
    assert (ollama.info.base_url, ollama.kind) == ("http://ollama:11434", "ollama")


def test_a_second_apply_has_nothing_to_change(apply: Any) -> None:
    apply(WORLD)
    before = (AuditEvent.objects.count(), AccessChange.objects.count(), list(Provisioned.objects.values()))
    assert apply(WORLD) == "Nothing to change.\n"
    assert (AuditEvent.objects.count(), AccessChange.objects.count(), list(Provisioned.objects.values())) == before
    apply(WORLD, "--plan")
    assert apply.code == 0


def test_a_plan_shows_and_writes_nothing(apply: Any) -> None:
    said = apply(WORLD, "--plan")
    assert apply.code == 2
    assert "+ group Safety\n" in said and "    members: + bob@example.org, new@example.org\n" in said
    assert "    chat.delete: true -> false\n" in said
    assert "    access: + group Safety: write, user carol@example.org: read until 2099-12-31 23:59 UTC" in said
    assert "9 to create, 2 to change." in said.splitlines()[-1]
    assert "s3cret" not in said
    assert not Group.objects.exists() and not Provisioned.objects.exists() and not AIModel.objects.exists()


def test_what_was_changed_by_hand_is_told_and_set_right(apply: Any, people: Any) -> None:
    apply(WORLD)
    safety = Group.objects.get(name="Safety")
    services.remove_members(safety, [people.bob.pk], by=people.dana)
    services.update_group(safety, by=people.dana, permissions={"workspace": {"tools": True}})
    kb = KnowledgeBase.objects.get()
    services.set_grants(kb, [], by=people.dana)
    said = apply(WORLD)
    assert 'permissions: ["workspace.tools"] -> ["features.api_keys"]  (changed by hand since the last apply)' in said
    assert "members: + bob@example.org  (changed by hand since the last apply)" in said
    assert "2 changed. 2 of them because of changes made by hand since the last apply." in said
    assert not may(User.objects.get(email="new@example.org"), "workspace.tools")
    assert people.bob in safety.members.all() and len(grants(kb)) == 2


def test_what_left_the_file_stays_until_prune(apply: Any, people: Any) -> None:
    apply(WORLD)
    token_for(boss := User.objects.get(email="boss@example.org"))
    small = "version: 1\npermissions: {chat.delete: false}\nknowledge_bases: [{name: PV Reference}]\n"
    said = apply(small)
    assert said.endswith("Nothing to change.\n") and "group Safety" in said and "person boss@example.org" in said
    assert Group.objects.count() == 2 and AIModel.objects.count() == 2
    said = apply(small, "--prune")
    assert "- group Safety" in said and "- model safety" in said and "is_active: true -> false" in said
    assert not Group.objects.exists() and not AIModel.objects.exists()
    assert store.value_of(find("rag.top_k")) == 3
    boss.refresh_from_db()
    assert not boss.is_active and not Session.objects.filter(user=boss, revoked_at=None).exists()
    assert KnowledgeBase.objects.get().description == "Labels"
    assert apply(small, "--prune") == "Nothing to change.\n"


def test_sections_that_a_file_does_not_have_are_left_alone(apply: Any, people: Any) -> None:
    make_group("Old", members=[people.bob], permissions={"workspace": {"tools": True}})
    KnowledgeBase.objects.create(name="SOPs", owner=people.dana, description="As it was")
    assert apply("version: 1\ngroups: [{name: Old}]\nknowledge_bases: [{name: SOPs}]\n") == "Nothing to change.\n"
    group = Group.objects.get()
    assert group.permissions == {"workspace": {"tools": True}} and group.members.get() == people.bob
    assert KnowledgeBase.objects.get().description == "As it was"


def test_a_password_comes_from_the_environment_once(apply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_PASSWORD", "a long first password")
    text = "version: 1\nusers: [{email: a@x.org, password_env: FIRST_PASSWORD}]\n"
    assert "a long first" not in apply(text)
    user = User.objects.get(email="a@x.org")
    assert user.check_password("a long first password")
    user.set_password("my own")
    user.save()
    monkeypatch.delenv("FIRST_PASSWORD")
    assert apply(text) == "Nothing to change.\n"


def test_the_stored_secret_stays_while_its_variable_is_not_set(apply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(WORLD)
    monkeypatch.delenv("VLLM_KEY")
    said = apply(WORLD)
    assert "The key of openai http://vllm:8000/v1: the variable VLLM_KEY is not there; what is stored stays." in said
    assert said.endswith("Nothing to change.\n")
    monkeypatch.setenv("VLLM_KEY", "another")
    assert 'key: "(set)" -> "(another)"' in apply(WORLD)


def test_a_fault_in_the_middle_leaves_nothing(apply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from owui.provision import writers

    def fail(*_args: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(writers, "write_grants", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        apply(WORLD)
    store.clear_cache()
    assert not Group.objects.exists() and not User.objects.filter(email="new@example.org").exists()
    assert store.value_of(find("rag.top_k")) == 3


def test_the_plan_as_json_has_every_change(apply: Any) -> None:
    found = json.loads(apply(WORLD, "--plan", "--json"))
    assert apply.code == 2
    group = next(change for change in found["changes"] if change["name"] == "Safety")
    assert (group["kind"], group["action"]) == ("group", "create")
    assert found["counts"] == {"create": 9, "change": 2, "remove": 0}


def test_a_model_others_stand_on_is_not_removed(apply: Any) -> None:
    apply(WORLD)
    AIModel.objects.create(model_id="mine", name="Mine", base_model=AIModel.objects.get(model_id="small"))
    with pytest.raises(CommandError, match="is the base of others: Mine. Nothing was applied."):
        apply("version: 1\n", "--prune")
    assert AIModel.objects.count() == 3 and Group.objects.count() == 2


def test_new_accounts_come_into_the_default_group(apply: Any, set_config: Any) -> None:
    group = make_group("Everybody")
    set_config("auth.default_group_id", str(group.pk))
    apply(WORLD)
    assert set(group.members.values_list("email", flat=True)) == {"new@example.org", "boss@example.org"}
    assert apply(WORLD) == "Nothing to change.\n"


def test_a_setting_that_the_environment_rules_is_refused_at_its_line(
    apply: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENABLE_PERSISTENT_CONFIG = False
    monkeypatch.setenv("RAG_TOP_K", "4")
    store.clear_cache()
    with pytest.raises(CommandError, match=r"org.yaml:3:\d+: rag.top_k cannot be changed here"):
        apply(WORLD)


def test_progress_is_shown_on_a_terminal_only() -> None:
    from owui.provision.progress import Progress

    out = io.StringIO()
    with Progress(out, is_shown=True) as progress:
        assert list(progress.over("abc", "People", 3)) == ["a", "b", "c"]
    assert "People: 3 of 3" in out.getvalue()
    quiet = io.StringIO()
    list(Progress(quiet).over("abc", "People", 3))
    assert quiet.getvalue() == ""
