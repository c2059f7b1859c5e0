"""Who may use what after `manage.py apply`: grants, denials, ends, by file and by hand."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError

from accounts.models import User
from inference.models import AIModel, TerminalServer
from knowledge.models import KnowledgeBase
from rbac import services
from rbac.grants import Grant
from rbac.models import Group, Membership
from tests.factories.rbac import make_group
from tests.owui.provision_world import WORLD, edited, export, grants

pytestmark = pytest.mark.django_db


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


ACCESS = "version: 1\nknowledge_bases: [{name: SOPs, access: %s}]\n"
BOB_READS = "{users: {bob@example.org: read}}"
BOB_IS_DENIED = "{deny: [{user: bob@example.org}]}"
SAYS_DENIED = "knowledge SOPs: deny user bob@example.org: read was given by hand, and beats what the file grants"


@pytest.fixture
def sops(people: Any, settings: Any) -> KnowledgeBase:
    settings.ENABLE_DENY_GRANTS = True
    return KnowledgeBase.objects.create(name="SOPs", owner=people.dana)


def rows(kb: KnowledgeBase) -> list[tuple[str, bool]]:
    """The permissions that are stored, and whether each is a denial."""
    found = kb.user_grants.values_list("permission__codename", "is_denied")  # type: ignore[attr-defined]
    return sorted((name.partition("_")[0], denied) for name, denied in found)


@pytest.mark.parametrize("granted", [False, True])
def test_a_denial_by_hand_is_not_lifted_by_a_file_that_grants(
    apply: Any, people: Any, sops: KnowledgeBase, granted: bool
) -> None:
    bob = Grant("user", str(people.bob.pk), "read")
    services.set_grants(sops, [bob] if granted else [], by=people.dana, denials=[bob])
    assert SAYS_DENIED in apply(ACCESS % BOB_READS)
    assert rows(sops) == [("view", False), ("view", True)]
    assert not KnowledgeBase.objects.readable_by(people.bob).exists()
    assert apply(ACCESS % BOB_READS).endswith("Nothing to change.\n")
    assert "access: - deny user bob@example.org: read" in apply(ACCESS % BOB_READS, "--prune")
    assert KnowledgeBase.objects.readable_by(people.bob).exists()


def test_pruning_an_empty_list_takes_the_grant_with_the_denial(apply: Any, people: Any, sops: KnowledgeBase) -> None:
    bob = Grant("user", str(people.bob.pk), "read")
    services.set_grants(sops, [bob], by=people.dana, denials=[bob])
    apply(ACCESS % "{groups: {}}", "--prune")
    assert rows(sops) == []
    assert not KnowledgeBase.objects.readable_by(people.bob).exists()


def test_a_file_keeps_out_whom_it_let_in_and_the_reverse(apply: Any, people: Any, sops: KnowledgeBase) -> None:
    for access, stored in ((BOB_READS, [("view", False)]), (BOB_IS_DENIED, [("view", True)])) * 2:
        apply(ACCESS % access)
        assert rows(sops) == stored
        assert KnowledgeBase.objects.readable_by(people.bob).exists() == (access == BOB_READS)
        assert apply(ACCESS % access) == "Nothing to change.\n"


def test_a_denial_of_the_file_goes_and_the_grant_by_hand_counts_again(
    apply: Any, people: Any, share: Any, sops: KnowledgeBase
) -> None:
    share(sops, people.bob, "read")
    assert "user bob@example.org: read was given by hand" in apply(ACCESS % BOB_IS_DENIED)
    assert not KnowledgeBase.objects.readable_by(people.bob).exists()
    apply(ACCESS % "{users: {}}")
    assert rows(sops) == [("view", False)] and KnowledgeBase.objects.readable_by(people.bob).exists()


def test_what_is_denied_stays_denied_while_denying_is_switched_off(
    apply: Any, people: Any, sops: KnowledgeBase, settings: Any
) -> None:
    apply(ACCESS % BOB_IS_DENIED)
    settings.ENABLE_DENY_GRANTS = False
    assert apply(ACCESS % BOB_IS_DENIED) == "Nothing to change.\n"
    with pytest.raises(CommandError, match="Set ENABLE_DENY_GRANTS=True"):
        apply(ACCESS % "{deny: [{user: bob@example.org, permission: write}]}")


def test_raising_read_to_write_leaves_no_read_behind_when_the_line_goes(
    apply: Any, people: Any, sops: KnowledgeBase
) -> None:
    apply(ACCESS % BOB_READS)
    apply(ACCESS % "{users: {bob@example.org: write}}")
    assert apply(ACCESS % "{users: {bob@example.org: write}}") == "Nothing to change.\n"
    apply(ACCESS % "{users: {}}")
    assert rows(sops) == []


def test_reading_that_outlasts_writing_is_given_at_once(apply: Any, people: Any, sops: KnowledgeBase) -> None:
    apply(ACCESS % "{users: {bob@example.org: write}}")
    both = "{users: {bob@example.org: [read, {permission: write, until: 2099-12-31}]}}"
    apply(ACCESS % both)
    assert rows(sops) == [("change", False), ("view", False)]
    assert apply(ACCESS % both) == "Nothing to change.\n"


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


def test_memberships_of_the_directory_are_not_the_files_to_end(apply: Any, people: Any) -> None:
    apply(WORLD)
    safety = Group.objects.get(name="Safety")
    services.add_members(safety, [people.mallory.pk], by=people.dana, source="oidc")
    assert apply(WORLD, "--prune") == "Nothing to change.\n"
    assert people.mallory in safety.members.all()


def test_a_file_says_who_may_use_a_terminal_and_a_tool_server(apply: Any, people: Any) -> None:
    from inference.models import ToolServer

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
