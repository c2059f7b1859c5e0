"""Groups: the tree and its closure, members with their reasons, deletion."""

from __future__ import annotations

import random
import threading

import pytest
from django.db import connection

from owui.audit.models import AuditEvent
from owui.lib.errors import Missing, UserError
from rbac import services
from rbac.models import Group, GroupAncestry, Membership
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db


def closure() -> set[tuple[str, str]]:
    return set(GroupAncestry.objects.values_list("group__name", "ancestor__name"))


def by_walking() -> set[tuple[str, str]]:
    pairs = set()
    for group in Group.objects.select_related("parent"):
        step: Group | None = group
        while step is not None:
            pairs.add((group.name, step.name))
            step = step.parent
    return pairs


def test_a_group_cannot_be_below_itself(dana):
    top = make_group("top")
    below = make_group("below", parent=top)
    deepest = make_group("deepest", parent=below)
    for target in (top, below, deepest):
        with pytest.raises(UserError) as error:
            services.update_group(top, by=dana, parent_id=target.pk)
        assert error.value.status == 400
    assert closure() == by_walking()


def test_an_unknown_parent_is_missing(dana):
    for parent in ("nonsense", "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(Missing):
            services.create_group(name="x", by=dana, parent_id=parent)


def test_the_closure_follows_every_change(dana):
    dice = random.Random(7)
    groups = [make_group(f"g{n}") for n in range(8)]
    for _ in range(40):
        group, parent = dice.sample(groups, 2)
        try:
            services.update_group(group, by=dana, parent_id=dice.choice([parent.pk, None]))
        except UserError:
            group.refresh_from_db()
        assert closure() == by_walking()


def test_children_of_a_deleted_group_stand_alone(dana, bob):
    top = make_group("top")
    middle = make_group("middle", parent=top)
    make_group("bottom", parent=middle, members=[bob])
    services.delete_group(middle, by=dana)
    assert closure() == {("top", "top"), ("bottom", "bottom")}
    assert {g.name for g in services.effective_groups(bob)} == {"bottom"}


def test_names_are_unique_and_not_empty(dana):
    make_group("Safety")
    other = make_group("Other")
    for name in ("Safety", "  ", " Safety "):
        with pytest.raises(UserError):
            services.create_group(name=name, by=dana)
        with pytest.raises(UserError):
            services.update_group(other, by=dana, name=name)
        other.refresh_from_db()


def test_a_person_may_be_in_a_group_for_several_reasons(dana, bob):
    group = make_group(members=[bob])
    services.add_members(group, [bob.pk], by=dana, source="oidc")
    services.remove_members(group, [bob.pk], by=dana, source="oidc")
    assert Membership.objects.filter(group=group, user=bob).count() == 1
    services.add_members(group, [bob.pk], by=dana, source="oidc")
    services.remove_members(group, [bob.pk], by=dana)
    assert not Membership.objects.filter(group=group).exists()


def test_adding_twice_is_recorded_once_and_unknown_people_are_an_error(dana, bob):
    group = make_group()
    services.add_members(group, [bob.pk, str(bob.pk).upper()], by=dana)
    services.add_members(group, [bob.pk], by=dana)
    assert AuditEvent.objects.filter(action="group.members.add").count() == 1
    for unknown in ("nonsense", "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(UserError):
            services.add_members(group, [unknown], by=dana)


def test_changes_are_recorded_with_before_and_after(dana):
    group = make_group("Old")
    services.update_group(group, by=dana, name="New", permissions={"chat": {"delete": True}})
    services.update_group(group, by=dana, name="New")
    event = AuditEvent.objects.get(action="group.update")
    assert event.detail["before"]["name"] == "Old" and event.detail["after"]["name"] == "New"


def test_members_are_told_when_their_groups_change(dana, bob, django_capture_on_commit_callbacks):
    from rbac.signals import access_changed

    heard: list[list[str]] = []
    access_changed.connect(hear := lambda **kwargs: heard.append(kwargs["user_ids"]))
    group = make_group()
    with django_capture_on_commit_callbacks(execute=True):
        services.add_members(group, [bob.pk], by=dana)
        services.delete_group(group, by=dana)
    access_changed.disconnect(hear)
    assert heard == [[str(bob.pk)], [str(bob.pk)]]


@pytest.mark.django_db(transaction=True)
def test_two_administrators_at_once_cannot_close_a_loop(people):
    first, second = make_group("first"), make_group("second")
    barrier = threading.Barrier(2)

    def move(group: Group, parent: Group) -> None:
        try:
            barrier.wait(5)
            services.update_group(Group.objects.get(pk=group.pk), by=people.dana, parent_id=parent.pk)
        except UserError:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=move, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert Group.objects.filter(parent=None).count() == 1
    assert closure() == by_walking()
