"""The history of access: nothing that decides about access changes without leaving its former state behind."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts.services import delete_user, update_user
from rbac import services
from rbac.grants import Grant
from rbac.history import acting, groups_at, reachable_at, role_at, states_at
from rbac.models import AccessChange, Group, Membership
from rbac.sharing import resource_types
from tests.factories.rbac import make_group, make_shared

db = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)


def rows(**which):
    return [
        (row.value, row.valid_until is None, row.changed_by, row.ended_by)
        for row in AccessChange.objects.filter(**which).order_by("id")
    ]


# ------------------------------------------------------------------------------------------------------ what is kept
@db
def test_every_table_that_decides_about_access_is_tracked():
    tables = {"rbac_membership", "rbac_groupmanager", "rbac_group", "accounts_user", "config_configvalue"}
    for model in resource_types().values():
        tables |= {m._meta.db_table for m in (model, model.user_grant_model(), model.group_grant_model())}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            r"WHERE t.tgname LIKE '%\_history\_%' AND t.tgrelid <> 'rbac_accesschange'::regclass GROUP BY 1"
        )
        found = dict(cursor.fetchall())
    assert found.keys() == tables
    assert all(count >= 2 for count in found.values())


@db
def test_a_grant_is_kept_with_its_permission_its_end_and_who_gave_and_took_it(alice, bob, dana):
    base = make_shared("knowledge", alice)
    ends = timezone.now().replace(microsecond=0) + timedelta(days=1)
    services.set_grants(base, [Grant("user", str(bob.pk), "write", ends)], by=dana)
    services.set_grants(base, [Grant("user", str(bob.pk), "write")], by=dana)
    base.owner = dana
    base.save()
    services.set_grants(base, [], by=alice)
    first, second = rows(kind="grant", object_id=base.pk)
    assert first[0] | {"expires_at": None} == {"permission": "write", "is_denied": False, "expires_at": None}
    assert first[0]["expires_at"].startswith(ends.strftime("%Y-%m-%dT%H:%M"))
    assert second[0]["expires_at"] is None
    assert first[1:] == (False, dana.pk, dana.pk) and second[1:] == (False, dana.pk, alice.pk)
    [row] = AccessChange.objects.filter(kind="grant", object_id=base.pk, value__expires_at=None)
    assert (row.object_type, row.principal_type, row.principal_id) == ("knowledge", "user", bob.pk)


@db
def test_owner_and_general_rule_are_kept_and_other_fields_are_not(alice, bob, dana):
    base = make_shared("knowledge", alice)
    services.set_grants(base, [Grant("user", "*", "read")], by=dana)
    base.refresh_from_db()
    base.name = "Renamed"
    base.save()
    base.owner = bob
    base.save()
    base_id = base.pk
    base.delete()
    values = [(row[0]["owner"], row[0]["general_access"], row[1]) for row in rows(kind="resource", object_id=base_id)]
    assert values == [
        (str(alice.pk), "private", False),
        (str(alice.pk), "read", False),
        (str(bob.pk), "read", False),
    ]


@db
def test_memberships_managers_and_groups_are_kept(alice, dana):
    group = make_group("Before", permissions={"chat": {"delete": True}})
    group_id = group.pk
    services.add_members(group, [alice.pk], by=dana, source="ldap")
    services.set_managers(group, [alice.pk], by=dana)
    services.update_group(group, by=dana, name="After", permissions={}, description="not about access")
    services.delete_group(group, by=dana)
    states = [row[0] for row in rows(kind="group", object_id=group_id)]
    assert [state["name"] for state in states] == ["Before", "After"]
    assert [state["permissions"] for state in states] == [{"chat": {"delete": True}}, {}]
    assert rows(kind="member", object_id=group_id) == [({"source": "ldap"}, False, dana.pk, dana.pk)]
    assert rows(kind="manager", object_id=group_id) == [({}, False, dana.pk, dana.pk)]


@db
def test_roles_are_kept_until_the_account_goes(alice, dana):
    pk = alice.pk
    update_user(alice, by=dana, role="admin")
    update_user(alice, by=dana, name="Another name")
    update_user(alice, by=dana, is_active=False)
    delete_user(alice, by=dana)
    states = rows(kind="role", object_id=pk)
    assert [state[0]["role"] for state in states] == ["user", "admin", "admin"]
    assert [state[0]["is_active"] for state in states] == [True, True, False]
    assert [state[1] for state in states] == [False, False, False]
    assert states[1][2] == states[1][3] == dana.pk


@db
def test_default_permissions_are_kept_and_other_settings_are_not(dana):
    from rbac.config import UserConfig

    services.set_default_permissions({"chat": {"delete": False}}, by=dana)
    services.set_default_permissions({"chat": {"delete": True}}, by=dana)
    states = rows(kind="defaults")
    assert [s[0]["chat"] for s in states[-2:]] == [{"delete": False}, {"delete": True}]
    assert states[-1][1:3] == (True, dana.pk)
    assert UserConfig.load().permissions["chat"] == {"delete": True}
    from owui.config.sections import UiConfig

    before = AccessChange.objects.count()
    UiConfig.save(admin_email="x@example.org", by=dana)
    assert AccessChange.objects.count() == before


@db
def test_statements_past_the_services_are_kept_too(alice, bob):
    group = make_group()
    Membership.objects.bulk_create(Membership(user=user, group=group) for user in (alice, bob))
    assert AccessChange.objects.filter(kind="member", object_id=group.pk, valid_until=None).count() == 2
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM rbac_membership WHERE group_id = %s", [group.pk])
        cursor.execute("UPDATE accounts_user SET role = 'pending' WHERE id = %s", [bob.pk])
    assert not AccessChange.objects.filter(kind="member", object_id=group.pk, valid_until=None).exists()
    assert rows(kind="role", object_id=bob.pk)[-1][0]["role"] == "pending"


@db
def test_one_statement_for_many_rows_is_one_statement_of_history(django_assert_num_queries):
    from accounts.models import User

    group = make_group()
    people = User.objects.bulk_create(User(email=f"p{n}@example.org", name=f"P {n}", role="user") for n in range(300))
    with django_assert_num_queries(1):
        Membership.objects.bulk_create(Membership(user=user, group=group) for user in people)
    assert AccessChange.objects.filter(kind="member", object_id=group.pk).count() == 300


@db
@pytest.mark.parametrize("statement", [
    "DELETE FROM rbac_accesschange",
    "UPDATE rbac_accesschange SET value = '{}'",
    "UPDATE rbac_accesschange SET valid_until = now(), changed_by = NULL, value = '{}' WHERE valid_until IS NULL",
    "UPDATE rbac_accesschange SET valid_until = NULL WHERE valid_until IS NOT NULL",
])  # fmt: skip
def test_the_past_cannot_be_changed(alice, dana, statement):
    update_user(alice, by=dana, role="pending")
    with (
        pytest.raises(DatabaseError, match="can only be added to"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@db
def test_acting_belongs_in_a_transaction_and_names_people_only(dana):
    acting(SimpleNamespace(id="system"))
    group = Group.objects.create(name="made by the system")
    assert rows(kind="group", object_id=group.pk)[0][2] is None
    connection.in_atomic_block, held = False, connection.in_atomic_block
    try:
        with pytest.raises(RuntimeError):
            acting(dana)
    finally:
        connection.in_atomic_block = held


# ------------------------------------------------------------------------------------------------------ looking back
@committed
def test_access_of_then_is_what_the_query_said_then(alice, bob, carol, dana, settings):
    settings.ENABLE_DENY_GRANTS = True
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    top = make_group("Company")
    below = make_group("Safety", parent=top)
    bases = [make_shared("knowledge", alice) for _number in range(3)]
    model = type(bases[0])
    people = (alice, bob, carol, dana)
    seen = []
    all_bases, both_groups = {b.pk for b in bases}, {top.pk, below.pk}

    def look() -> None:
        for person in people:
            person.refresh_from_db()
            for write in (False, True):
                allowed = model.objects.writable_by(person) if write else model.objects.readable_by(person)
                seen.append((person, write, timezone.now(), set(allowed.values_list("pk", flat=True))))

    def to(principal, permission="read", ends=None):
        return Grant("group" if isinstance(principal, Group) else "user", str(principal.pk), permission, ends)

    soon = timezone.now() + timedelta(hours=1)
    steps = [
        lambda: services.set_grants(bases[0], [to(bob), to(top, "write")], by=dana),
        lambda: services.add_members(below, [carol.pk], by=dana),
        lambda: services.set_grants(bases[1], [to(below, "write", soon)], by=dana),
        lambda: services.set_grants(bases[1], [to(below, "write", soon)], denials=[to(carol, "write")], by=dana),
        lambda: services.set_grants(bases[1], [to(below)], denials=[to(carol)], by=dana),
        lambda: services.update_group(below, by=dana, parent_id=None),
        lambda: services.set_grants(bases[2], [Grant("user", "*", "write")], by=dana),
        lambda: update_user(bob, by=dana, role="pending"),
        lambda: services.delete_group(below, by=dana),
        lambda: update_user(bob, by=dana, role="admin"),
        lambda: bases[2].delete(),
    ]
    look()
    for step in steps:
        step()
        look()
    for person, write, moment, pks in seen:
        assert reachable_at(person.pk, "knowledge", moment, write=write) == pks, (person.name, write, moment)
    settings.BYPASS_ADMIN_ACCESS_CONTROL = True
    assert reachable_at(dana.pk, "knowledge", seen[0][2]) == all_bases
    assert role_at(bob.pk, seen[0][2]) == "user" and role_at(bob.pk, timezone.now()) == "admin"
    assert groups_at(carol.pk, seen[20][2]) == both_groups
    assert states_at(timezone.now() - timedelta(days=1)).count() == 0
