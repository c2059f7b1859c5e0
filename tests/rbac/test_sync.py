"""Memberships as a directory says them: what comes, what goes, what stays, and that a preview tells the truth."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from owui.audit.models import AuditEvent
from rbac import services
from rbac.models import Group, Membership
from rbac.services.sync import SyncPlan, apply_sync, blocked_patterns, is_blocked, plan_sync
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db


def rows(user: Any) -> set[tuple[str, str]]:
    return set(Membership.objects.filter(user=user).values_list("group__name", "source"))


@pytest.fixture
def world(dana: Any, bob: Any) -> dict[str, Group]:
    """Bob is in A by hand, in B by the sign-in provider, in C by the directory."""
    groups = {name: make_group(name) for name in ("A", "B", "C", "D")}
    services.add_members(groups["A"], [bob.pk], by=dana)
    services.add_members(groups["B"], [bob.pk], by=dana, source="oidc")
    services.add_members(groups["C"], [bob.pk], by=dana, source="ldap")
    return groups


def test_what_the_claims_do_not_name_is_left_whatever_its_source(world, bob):
    plan = apply_sync(bob, ["B", "D", "New"], source="oidc", create_missing=False)
    assert plan == SyncPlan(add=("D",), remove=("A", "C"), unknown=("New",))
    assert rows(bob) == {("B", "oidc"), ("D", "oidc")}
    assert not Group.objects.filter(name="New").exists()


@pytest.mark.parametrize("by_setting", [True, False])
def test_keeping_what_others_say_limits_a_sync_to_its_own_rows(world, bob, settings, by_setting):
    settings.ENABLE_GROUP_SYNC_KEEP_MANUAL = by_setting
    plan = apply_sync(bob, ["A", "D"], source="oidc", create_missing=False, keep_manual=None if by_setting else True)
    assert plan == SyncPlan(add=("A", "D"), remove=("B",), kept=("C",))
    assert rows(bob) == {("A", "manual"), ("A", "oidc"), ("D", "oidc"), ("C", "ldap")}
    apply_sync(bob, [], source="oidc", create_missing=False, keep_manual=True)
    assert rows(bob) == {("A", "manual"), ("C", "ldap")}


def test_scim_never_touches_what_others_say(world, bob):
    plan = apply_sync(bob, ["D"], source="scim", create_missing=False, keep_manual=False)
    assert plan.remove == () and rows(bob) >= {("A", "manual"), ("B", "oidc"), ("C", "ldap"), ("D", "scim")}


def test_unknown_groups_are_made_only_with_the_switch(world, bob):
    plan = apply_sync(bob, ["New", " New ", "", "x" * 256], source="oidc", create_missing=True)
    assert plan.create == ("New",) and plan.unknown == ("x" * 256,)
    group = Group.objects.get(name="New")
    assert rows(bob) == {("New", "oidc")} and group.permissions == {}
    assert group.ancestry.filter(ancestor=group).exists(), "grants to it count"


def test_an_absent_claim_changes_nothing_and_is_reported_an_empty_one_removes(world, bob, caplog):
    before = rows(bob)
    assert apply_sync(bob, None, source="oidc", create_missing=True) == SyncPlan(is_absent=True)
    assert rows(bob) == before and "group claim absent" in caplog.text
    assert AuditEvent.objects.get(action="user.groups.claim_absent").object_id == str(bob.pk)
    assert apply_sync(bob, [], source="oidc", create_missing=True).remove == ("A", "B", "C")
    assert rows(bob) == set()


def test_nothing_is_written_when_nothing_differs(world, bob, django_assert_num_queries):
    events = AuditEvent.objects.count()
    with django_assert_num_queries(2):
        plan = apply_sync(bob, ["A", "B", "C", "Nobody's"], source="oidc", create_missing=False)
    assert not plan.changes and plan.unknown == ("Nobody's",)
    assert AuditEvent.objects.count() == events


def test_names_are_exact(world, bob):
    plan = plan_sync(bob, ["a", "B "], source="oidc", create_missing=False)
    assert plan.unknown == ("a",) and "A" in plan.remove and "B" not in plan.remove


def test_blocked_groups_are_neither_joined_left_nor_made(world, bob):
    plan = apply_sync(bob, ["D", "Secret 1"], source="oidc", create_missing=True, blocked=["A", "^D$", "Secret*"])
    assert plan == SyncPlan(remove=("B", "C"), kept=("A",))
    assert rows(bob) == {("A", "manual")} and not Group.objects.filter(name__startswith="Secret").exists()


@pytest.mark.parametrize(
    ("name", "pattern", "blocked"),
    [
        ("Admins", "Admins", True), ("Admins", "admins", False), ("IT-Admins", "*-Admins", True),
        ("IT1", "IT?", True), ("IT12", "IT?", False), ("abc", "^a", True), ("bca", "^a", False),
        ("x", "[", False), ("[", "[", True), ("Team (old)", r"\(old\)", True), ("a.b", "a.b", True),
        ("axb", "a.b", False),
    ],
)  # fmt: skip
def test_a_pattern_is_a_name_a_regular_expression_or_a_wildcard(name, pattern, blocked):
    assert is_blocked(name, [pattern]) is blocked


def test_blocked_groups_are_written_as_json_or_with_commas():
    assert blocked_patterns('["a, b", "c*"]') == ["a, b", "c*"]
    assert blocked_patterns("a, c*,") == ["a", "c*"]
    assert blocked_patterns("[]") == blocked_patterns("") == []


def test_one_entry_of_the_log_says_everything_and_sockets_are_told(
    world, bob, django_capture_on_commit_callbacks, monkeypatch
):
    told: list[tuple[str, Any]] = []
    monkeypatch.setattr("chat.notices.nodes.announce_sync", lambda message: told.append(message["user_ids"]))
    with django_capture_on_commit_callbacks(execute=True):
        apply_sync(bob, ["B", "D", "E"], source="ldap", create_missing=True)
    event = AuditEvent.objects.get(action="user.groups.sync")
    assert event.detail == {"source": "ldap", "add": ["D"], "remove": ["A", "C"], "create": ["E"]}
    assert event.actor_id is None and event.object_label == bob.email
    assert told and all(user_ids == [str(bob.pk)] for user_ids in told)


@pytest.mark.django_db(transaction=True)
def test_two_sign_ins_at_once_end_in_one_of_the_two_answers(people):
    bob = people.bob
    for name in ("A", "B"):
        make_group(name)
    start, errors = threading.Barrier(8), []

    def sign_in(names: list[str]) -> None:
        try:
            start.wait(10)
            apply_sync(bob, names, source="oidc", create_missing=True)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    claims = [["A", "New"], ["B", "Other"]] * 4
    threads = [threading.Thread(target=sign_in, args=(names,)) for names in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert errors == []
    assert rows(bob) in ({("A", "oidc"), ("New", "oidc")}, {("B", "oidc"), ("Other", "oidc")})
    assert Group.objects.filter(name__in=["New", "Other"]).count() == 2


def test_the_command_previews_and_changes_nothing(world, bob, capsys):
    before = rows(bob)
    call_command("sync_preview", "--user", "BOB@example.org", "--groups", "B,D,New")
    said = capsys.readouterr().out
    assert "Joins these groups: D" in said and "Leaves these groups: A, C" in said and "New" in said
    call_command("sync_preview", "--user", bob.email)
    assert "every membership stays" in capsys.readouterr().out
    assert rows(bob) == before


def test_the_page_previews_and_changes_nothing(world, client_for, dana, bob):
    before = rows(bob)
    client, path = client_for(dana), f"/admin/sync/{bob.pk}/"
    assert client.get(path).context["changes"] is None
    answer = client.post(path, {"groups": '["B", "D", "New"]', "source": "oidc", "create": "on", "blocked": "C"})
    parts = [names for _sentence, names in answer.context["changes"]]
    assert parts == [("D",), ("A",), ("New",), ("C",)]
    assert client.post(path, {"groups": "B\nD", "source": "ldap"}).context["changes"][0][1] == ("D",)
    assert "every membership stays" in client.post(path, {"is_absent": "on", "source": "oidc"}).content.decode()
    for wrong in ("[1]", "[", '["a"'):
        assert client.post(path, {"groups": wrong, "source": "oidc"}).context["form"].errors
    assert rows(bob) == before
    assert path in client.get(f"/admin/accounts/user/{bob.pk}/change/").content.decode()


def test_a_name_that_no_group_can_have_is_not_worked_through_by_patterns():
    from rbac.services.sync import is_blocked

    assert is_blocked("a" * 255, ["^(a|b)*$"])
    assert not is_blocked("a" * 1_000_000, ["^(a|aa)*b$", "*a*a*a*b"])


@pytest.mark.django_db
def test_a_new_group_writes_its_own_place_in_the_tree_and_no_others():
    """A sign-in may make thousands; each rewriting the tree held everybody up for minutes."""
    from rbac.models import GroupAncestry
    from rbac.services import create_group, rebuild_ancestry
    from tests.factories.accounts import a_system_admin

    by = a_system_admin()
    top = create_group(name="Top", by=by)
    middle = create_group(name="Middle", by=by, parent_id=top.pk)
    before = set(GroupAncestry.objects.values_list("pk", flat=True))
    create_group(name="Low", by=by, parent_id=middle.pk)
    create_group(name="Alone", by=by)
    assert before <= set(GroupAncestry.objects.values_list("pk", flat=True))

    def pairs() -> set[tuple[str, str]]:
        return set(GroupAncestry.objects.values_list("group__name", "ancestor__name"))

    found = pairs()
    assert {pair for pair in found if pair[0] in ("Low", "Alone")} == {
        ("Low", "Low"), ("Low", "Middle"), ("Low", "Top"), ("Alone", "Alone"),
    }  # fmt: skip
    rebuild_ancestry()
    assert pairs() == found
