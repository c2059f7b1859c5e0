"""Three answers to one question never differ: the querysets, `has_perm`, and a plain model of the rules."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rbac.grants import Grant
from rbac.services import rebuild_ancestry, set_grants
from rbac.sharing import Access, resource_types
from tests.factories.accounts import UserFactory, a_system_admin
from tests.factories.rbac import make_group, make_shared

TYPES = sorted(resource_types())
PEOPLE, GROUPS = 4, 4


@st.composite
def worlds(draw):
    """A small company: roles, a forest of groups, memberships, one object with owner, rule and grants."""
    roles = draw(
        st.lists(st.sampled_from(["user", "user", "user", "admin", "pending", "off"]), min_size=PEOPLE, max_size=PEOPLE)
    )
    # A parent always has a lower number, so there are no loops.
    parents = [draw(st.one_of(st.none(), st.integers(0, n - 1))) if n else None for n in range(GROUPS)]
    members = draw(st.sets(st.tuples(st.integers(0, PEOPLE - 1), st.integers(0, GROUPS - 1)), max_size=5))
    permission = st.sampled_from(["read", "write"])
    return SimpleNamespace(
        kind=draw(st.sampled_from(TYPES)),
        roles=roles,
        parents=parents,
        members=members,
        owner=draw(st.integers(0, PEOPLE - 1)),
        access=draw(st.sampled_from(list(Access))),
        user_grants=draw(st.sets(st.tuples(st.integers(0, PEOPLE - 1), permission), max_size=4)),
        group_grants=draw(st.sets(st.tuples(st.integers(0, GROUPS - 1), permission), max_size=4)),
        bypass=draw(st.booleans()),
    )


def expected(world, person: int | None, write: bool) -> bool:
    """The rules once more, without a database."""
    model = resource_types()[world.kind]
    if person is None or world.roles[person] in ("pending", "off"):
        return not write and world.access == Access.ANYONE and model.allows_anyone
    if getattr(model, "administered", False) and (world.roles[person] == "admin" or write):
        return world.roles[person] == "admin"
    if (
        world.roles[person] == "admin"
        and world.bypass
        and model.bypass_applies(SimpleNamespace(role="admin", is_active=True))
    ):
        return True
    groups = set()
    for number in {g for p, g in world.members if p == person}:
        step: int | None = number
        while step is not None:
            groups.add(step)
            step = world.parents[step]
    allowed = {"write"} if write else {"read", "write"}
    general = {Access.WRITE} if write else {Access.WRITE, Access.READ, Access.ANYONE}
    return (
        world.owner == person
        or world.access in general
        or any(p == person and permission in allowed for p, permission in world.user_grants)
        or any(g in groups and permission in allowed for g, permission in world.group_grants)
    )


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds())
def test_querysets_has_perm_and_the_rules_agree(world):
    from django.test import override_settings

    with (
        transaction.atomic(),
        override_settings(BYPASS_ADMIN_ACCESS_CONTROL=world.bypass, ENABLE_ADMIN_CHAT_ACCESS=world.bypass),
    ):
        people = [
            UserFactory(role="user" if role == "off" else role, is_active=role != "off", password=None)
            for role in world.roles
        ]
        groups = []
        for number, parent in enumerate(world.parents):
            members = [people[p] for p, g in world.members if g == number]
            groups.append(make_group(parent=groups[parent] if parent is not None else None, members=members))
        rebuild_ancestry()
        thing = make_shared(world.kind, people[world.owner])
        grants = [Grant("user", str(people[p].pk), permission) for p, permission in world.user_grants]
        grants += [Grant("group", str(groups[g].pk), permission) for g, permission in world.group_grants]
        set_grants(thing, grants, by=a_system_admin())
        type(thing).objects.filter(pk=thing.pk).update(general_access=world.access)
        app, name = thing._meta.app_label, thing._meta.model_name
        for person in [*range(PEOPLE), None]:
            user = AnonymousUser() if person is None else people[person]
            for write in (False, True):
                objects = type(thing).objects
                rows = objects.writable_by(user) if write else objects.readable_by(user)
                answer = rows.filter(pk=thing.pk).exists()
                assert answer == expected(world, person, write), (person, write)
                if person is not None:
                    assert user.has_perm(f"{app}.{'change' if write else 'view'}_{name}", thing) == answer
        transaction.set_rollback(True)
