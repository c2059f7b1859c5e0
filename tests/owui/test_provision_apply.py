"""`manage.py apply` and `export`: what they change, what they leave alone, and what they say about it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Role, Session, User
from inference.models import AIModel
from knowledge.models import KnowledgeBase
from owui.audit.models import AuditEvent
from owui.config import store
from owui.config.registry import find
from owui.provision.models import Provisioned
from rbac import services
from rbac.grants import Grant, denials_of, grants_of
from rbac.models import AccessChange, Group, GroupAncestry, GroupManager, Membership
from rbac.permissions import default_permissions, is_true, may
from tests.conftest import token_for
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db

WORLD = """\
version: 1
settings:
  rag: {top_k: 7}
permissions:
  chat.delete: false
groups:
  - name: Company
  - name: Safety
    description: Drug safety
    parent: Company
    permissions: {features: {api_keys: true}}
    share: nobody
    default_models: [small]
    managers: [alice@example.org]
    members: [bob@example.org, new@example.org]
users:
  - {email: New@example.org, name: Nora New, groups: [Safety]}
  - {email: boss@example.org, name: Bo Boss, role: admin}
connections:
  openai:
    - {url: "http://vllm:8000/v1/", key_env: VLLM_KEY, prefix_id: gpu, headers: {X-Team: {env: VLLM_KEY}}}
  ollama:
    - {url: "http://ollama:11434"}
models:
  - {id: small, name: Small, access: {everyone: read}}
  - id: safety
    name: Safety Assistant
    base: small
    params: {temperature: 0.1}
    meta: {description: For drug safety}
    knowledge: [PV Reference]
    access: {groups: {Safety: read}}
knowledge_bases:
  - name: PV Reference
    description: Labels
    access:
      groups: {Safety: write}
      users: {carol@example.org: {permission: read, until: 2099-12-31}}
"""


@pytest.fixture
def apply(tmp_path: Path, people: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`apply(text, "--plan")`: what the command says; the exit code is in `apply.code`."""
    monkeypatch.setenv("VLLM_KEY", "s3cret-of-vllm")

    def run(text: str, *flags: str) -> str:
        path, out = tmp_path / "org.yaml", io.StringIO()
        path.write_text(text, encoding="utf-8")
        run.code = 0  # type: ignore[attr-defined]
        try:
            call_command("apply", str(path), *flags, stdout=out)
        except SystemExit as error:
            run.code = error.code  # type: ignore[attr-defined]
        store.clear_cache()
        return out.getvalue()

    return run


def export() -> str:
    out = io.StringIO()
    call_command("export", stdout=out)
    return out.getvalue()


def grants(resource: Any) -> list[Grant]:
    return grants_of([resource])[resource.pk]


def edited(old: str, new: str) -> str:
    assert old in WORLD
    return WORLD.replace(old, new)


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


def test_an_export_applied_changes_nothing(apply: Any, people: Any, boot: Any, settings: Any) -> None:
    settings.ENABLE_DENY_GRANTS = True
    apply(WORLD)
    by_hand = KnowledgeBase.objects.create(name="Alice's own: notes", owner=people.alice)
    KnowledgeBase.objects.create(name="Alice's own: notes", owner=people.bob, description="no: yes\n08")
    services.set_grants(by_hand, [Grant("user", str(people.bob.pk), "read")], by=people.dana)
    services.set_grants(
        by_hand,
        grants(by_hand),
        by=people.dana,
        denials=[Grant("user", str(people.mallory.pk), "read", timezone.now() + timedelta(days=3))],
    )
    make_group("no", members=[people.mallory])
    text = export()
    assert "s3cret" not in text and "key_env: PROVISION_OPENAI_1_KEY" in text
    assert apply(text, "--plan").endswith("Nothing to change.\n")
    assert apply.code == 0
    assert apply(text, "--prune").endswith("Nothing to change.\n")
    assert export() == text
    assert denials_of([by_hand])[by_hand.pk]


def test_an_export_into_an_empty_instance_makes_the_same_again(apply: Any, people: Any) -> None:
    apply(WORLD)
    text = (
        export().replace("PROVISION_OPENAI_1_KEY", "VLLM_KEY").replace("PROVISION_OPENAI_1_HEADER_X_TEAM", "VLLM_KEY")
    )
    AIModel.objects.exclude(base_model=None).delete()
    for model in (AIModel, KnowledgeBase, Group, Provisioned):
        model.objects.all().delete()  # type: ignore[attr-defined]
    User.objects.filter(email="new@example.org").delete()
    store.reset(["openai.api_base_urls", "openai.api_keys", "openai.api_configs"], by=None)
    apply(text)
    again = export()
    for place in ("VLLM_KEY", "PROVISION_OPENAI_1_KEY", "PROVISION_OPENAI_1_HEADER_X_TEAM"):
        text, again = text.replace(place, "X"), again.replace(place, "X")
    # Accounts are listed in the order they joined.
    assert sorted(again.splitlines()) == sorted(text.splitlines())


def test_an_export_goes_into_a_file_for_its_owner_alone(people: Any, tmp_path: Path) -> None:
    path = tmp_path / "out.yaml"
    call_command("export", "--out", str(path), stdout=io.StringIO())
    assert path.stat().st_mode & 0o777 == 0o600
    assert "dana@example.org" in path.read_text()
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export", "--out", str(tmp_path / "no" / "x"))


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


def test_what_was_given_by_hand_stays_and_is_told(apply: Any, people: Any, share: Any) -> None:
    apply(WORLD)
    hand = make_group("By hand", members=[people.bob])
    safety, kb = Group.objects.get(name="Safety"), KnowledgeBase.objects.get()
    services.add_members(safety, [people.mallory.pk], by=people.dana)
    share(kb, people.mallory, "read")
    said = apply(WORLD)
    assert said.endswith("Nothing to change.\n")
    assert "group Safety: member mallory@example.org was added by hand" in said
    assert "knowledge PV Reference: user mallory@example.org: read was given by hand" in said
    assert KnowledgeBase.objects.readable_by(people.mallory).exists()
    assert Group.objects.filter(pk=hand.pk).exists() and "By hand" not in said


def test_prune_takes_away_what_listed_things_were_given_by_hand_but_no_foreign_things(
    apply: Any, people: Any, share: Any
) -> None:
    apply(WORLD)
    make_group("By hand", members=[people.bob])
    own = KnowledgeBase.objects.create(name="Own", owner=people.alice)
    services.add_members(Group.objects.get(name="Safety"), [people.mallory.pk], by=people.dana)
    share(KnowledgeBase.objects.get(name="PV Reference"), people.mallory, "read")
    apply(WORLD, "--prune")
    assert not Membership.objects.filter(user=people.mallory).exists()
    assert not KnowledgeBase.objects.readable_by(people.mallory).exists()
    assert Group.objects.filter(name="By hand").exists() and KnowledgeBase.objects.filter(pk=own.pk).exists()


def test_what_a_file_gave_goes_with_its_line(apply: Any, people: Any) -> None:
    apply(WORLD)
    apply(
        edited("members: [bob@example.org, new@example.org]", "members: []").replace(
            "      groups: {Safety: write}\n", ""
        )
    )
    safety = Group.objects.get(name="Safety")
    assert list(safety.members.values_list("email", flat=True)) == ["new@example.org"]  # still in users[].groups
    assert [g.principal_type for g in grants(KnowledgeBase.objects.get())] == ["user"]


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


def test_a_base_of_an_ordinary_person_is_never_taken_over_by_its_name(apply: Any, people: Any) -> None:
    trap = KnowledgeBase.objects.create(name="PV Reference", owner=people.mallory)
    apply(WORLD)
    assert KnowledgeBase.objects.filter(name="PV Reference").count() == 2
    assert grants(trap) == []
    apply(f"version: 1\nknowledge_bases: [{{name: Mine, id: {trap.pk}}}]\n")
    trap.refresh_from_db()
    assert trap.name == "Mine" and trap.owner == people.mallory


def test_two_bases_of_one_name_must_be_told_apart(apply: Any, people: Any) -> None:
    for _number in range(2):
        KnowledgeBase.objects.create(name="SOPs", owner=people.dana)
    with pytest.raises(CommandError, match="Several knowledge bases are called 'SOPs'"):
        apply("version: 1\nknowledge_bases: [{name: SOPs}]\n")


def test_denials_and_end_dates_are_applied_and_lifted(apply: Any, people: Any, settings: Any) -> None:
    settings.ENABLE_DENY_GRANTS = True
    text = edited(
        "      groups: {Safety: write}\n", "      groups: {Safety: write}\n      deny: [{user: bob@example.org}]\n"
    )
    apply(text)
    assert not KnowledgeBase.objects.readable_by(people.bob).exists()
    assert apply(text) == "Nothing to change.\n"
    apply(WORLD)
    assert KnowledgeBase.objects.readable_by(people.bob).exists()
    said = apply(edited("until: 2099-12-31", "until: 2020-01-01"))
    assert "the access of carol@example.org has ended" in said
    assert not KnowledgeBase.objects.readable_by(people.carol).exists()


def test_a_denial_by_hand_is_not_lifted_in_passing(apply: Any, people: Any, settings: Any) -> None:
    settings.ENABLE_DENY_GRANTS = True
    apply(WORLD)
    kb, group = KnowledgeBase.objects.get(), make_group("Guests")
    services.set_grants(kb, grants(kb), by=people.dana, denials=[Grant("group", str(group.pk), "read")])
    with pytest.raises(CommandError, match="'Guests' was kept out of 'PV Reference' by hand"):
        apply(edited("      groups: {Safety: write}", "      groups: {Safety: write, Guests: read}"))


def test_lowering_write_to_read_takes_the_write_away(apply: Any) -> None:
    apply(WORLD)
    text = edited("groups: {Safety: write}", "groups: {Safety: read}")
    apply(text)
    bob = User.objects.get(email="bob@example.org")
    assert KnowledgeBase.objects.readable_by(bob).exists() and not KnowledgeBase.objects.writable_by(bob).exists()
    assert apply(text) == "Nothing to change.\n"


def test_access_for_everyone_is_withdrawn_with_its_line(apply: Any, people: Any) -> None:
    apply(WORLD)
    assert AIModel.objects.usable_by(people.mallory).exists()
    apply(edited("access: {everyone: read}", "access: {}"))
    assert not AIModel.objects.usable_by(people.mallory).exists()


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


def test_every_change_is_in_the_audit_log_and_the_history(apply: Any, people: Any) -> None:
    apply(WORLD, "--by", "dana@example.org")
    safety, kb = Group.objects.get(name="Safety"), KnowledgeBase.objects.get()
    logged = {e.action: e for e in AuditEvent.objects.all()}
    assert {e.actor_id for e in logged.values()} == {people.dana.pk}
    assert logged["group.members.add"].object_id == str(safety.pk)
    emails = [user["email"] for user in logged["group.members.add"].detail["users"]]
    assert sorted(emails) == ["bob@example.org", "new@example.org"]
    assert logged["provision.applied"].detail["changes"]["grants.added"] == 3
    access = AuditEvent.objects.get(action="access.set", object_id=str(kb.pk))
    assert {"principal_type": "group", "principal_id": str(safety.pk), "permission": "write"} in access.detail["grants"]
    assert "s3cret" not in str(list(AuditEvent.objects.values_list("detail", flat=True)))
    grant = AccessChange.objects.get(kind="grant", object_id=kb.pk, principal_id=safety.pk)
    assert (grant.value["permission"], grant.changed_by, grant.valid_until) == ("write", people.dana.pk, None)
    with pytest.raises(CommandError, match="alice@example.org is not an active administrator"):
        apply(WORLD, "--by", "alice@example.org")


def test_the_chain_of_the_audit_log_holds_events_written_in_bulk(apply: Any) -> None:
    from owui.audit import chain

    apply(WORLD)
    for event in AuditEvent.objects.all():
        values = {name: getattr(event, name) for name in chain.FIELDS}
        assert chain.event_hash(values) == event.hash and chain.event_is_genuine(event.hash, event.mac)


def test_open_pages_are_told_once(apply: Any, django_capture_on_commit_callbacks: Any) -> None:
    from rbac.signals import access_changed

    heard: list[Any] = []

    def hear(sender: Any, **said: Any) -> None:
        heard.append((said["resource_type"], said["user_ids"]))

    access_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            apply(WORLD)
    finally:
        access_changed.disconnect(hear)
    assert heard == [("provision", [])]


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


def test_memberships_of_the_directory_are_not_the_files_to_end(apply: Any, people: Any) -> None:
    apply(WORLD)
    safety = Group.objects.get(name="Safety")
    services.add_members(safety, [people.mallory.pk], by=people.dana, source="oidc")
    assert apply(WORLD, "--prune") == "Nothing to change.\n"
    assert people.mallory in safety.members.all()


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


def test_a_file_says_who_may_use_a_terminal_and_a_tool_server(apply: Any, people: Any) -> None:
    from inference.models import TerminalServer, ToolServer

    text = f"{WORLD}terminals: [{{id: shell, access: {{groups: {{Safety: read}}}}}}]\n"
    text += "tool_servers: [{id: drugs, access: {everyone: read}}]\n"
    with pytest.raises(CommandError, match="No connection has the id 'shell'. Connect the server first."):
        apply(text)
    shell = TerminalServer.objects.create(server_id="shell", name="Shell", url="http://t")
    drugs = ToolServer.objects.create(server_id="drugs", name="Drugs", url="http://d")
    apply(text)
    assert TerminalServer.objects.readable_by(people.bob).get() == shell
    assert not TerminalServer.objects.readable_by(people.mallory).exists()
    assert ToolServer.objects.readable_by(people.mallory).get() == drugs
    assert apply(text) == "Nothing to change.\n"
    assert apply(export(), "--prune").endswith("Nothing to change.\n")
