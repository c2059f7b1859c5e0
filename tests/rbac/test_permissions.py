"""Permission keys, generated over the whole table: default, environment, stored value, group, ancestor."""

from __future__ import annotations

import random

import pytest

from owui.lib.errors import Refused
from rbac import services
from rbac.permission_table import SWITCHES
from rbac.permissions import (
    PERMISSIONS,
    default_permissions,
    effective_permissions,
    environment_defaults,
    is_bound,
    is_offered,
    is_true,
    may,
    nested,
    require,
    require_feature,
    with_flat_keys,
)
from tests.factories.accounts import UserFactory
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db
KEYS = sorted(PERMISSIONS)
every_key = pytest.mark.parametrize("key", KEYS)


def branch(key, value=True):
    """A key with the parents above it, without which it counts for nothing."""
    flat = {key: value}
    while key := PERMISSIONS[key].parent:
        flat[key] = True
    return nested(flat)


def fresh(user):
    """The same person in the next request."""
    return type(user).objects.get(pk=user.pk)


@every_key
def test_a_key_has_its_default(key, bob):
    assert may(bob, key) is PERMISSIONS[key].default


@every_key
def test_the_environment_sets_the_default(key, bob, monkeypatch):
    for section, names in branch(key, not PERMISSIONS[key].default).items():
        for name, value in names.items():
            monkeypatch.setenv(PERMISSIONS[f"{section}.{name}"].env, "True" if value else "FALSE")
    environment_defaults.cache_clear()
    assert may(bob, key) is not PERMISSIONS[key].default


@every_key
def test_the_stored_default_outranks_the_environment(key, bob, dana):
    wanted = not PERMISSIONS[key].default
    services.set_default_permissions(branch(key, wanted), by=dana)
    assert may(bob, key) is wanted


@every_key
def test_a_group_adds_a_key_and_no_group_takes_it_away(key, bob, dana):
    services.set_default_permissions(nested({key: False}), by=dana)
    assert not may(bob, key)
    make_group(members=[bob], permissions=branch(key))
    make_group(members=[bob], permissions=branch(key, False))
    assert may(fresh(bob), key)


@every_key
def test_an_ancestor_adds_a_key_to_those_below(key, bob, carol, dana):
    services.set_default_permissions(nested({key: False}), by=dana)
    top = make_group(permissions=branch(key))
    make_group(members=[bob], parent=make_group(parent=top))
    assert may(bob, key) and not may(carol, key)


@every_key
def test_administrators_always_may_and_those_outside_never(key, dana, pending, settings):
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    make_group(members=[pending], permissions=branch(key))
    assert may(dana, key)
    for nobody in (pending, None, UserFactory(role="admin", is_active=False)):
        assert not may(nobody, key)


def test_an_unknown_key_is_a_bug(bob):
    with pytest.raises(KeyError):
        may(bob, "chat.fly")


def test_names_of_keys_and_variables_are_unique_and_parents_exist():
    rows = PERMISSIONS.values()
    assert len({row.env for row in rows}) == len(PERMISSIONS)
    assert all(row.parent in PERMISSIONS for row in rows if row.parent)
    assert {row.section for row in rows} == {"workspace", "sharing", "access_grants", "chat", "features", "settings"}


def test_every_key_says_what_it_opens():
    for row in PERMISSIONS.values():
        assert str(row.label) and str(row.help).endswith("."), row.key
        assert str(row.label) != str(row.help), row.key


@pytest.mark.parametrize("key", [key for key in KEYS if PERMISSIONS[key].needs])
def test_a_key_without_its_parent_opens_nothing_and_is_still_shown(key, bob, dana):
    services.set_default_permissions(nested({key: True, PERMISSIONS[key].parent: False}), by=dana)
    assert not may(bob, key)
    assert is_true(effective_permissions(bob), key), "clients see the object as it was merged"
    make_group(members=[bob], permissions=nested({PERMISSIONS[key].parent: True}))
    assert may(fresh(bob), key), "the parent may come from another group than the key"


def test_a_limit_never_binds_an_administrator(bob, dana, pending):
    services.set_default_permissions(nested({"chat.temporary_enforced": True}), by=dana)
    bound = [is_bound(person, "chat.temporary_enforced") for person in (bob, dana, pending)]
    assert bound == [True, False, False]
    services.set_default_permissions(nested({"chat.temporary_enforced": True, "chat.temporary": False}), by=dana)
    assert not is_bound(fresh(bob), "chat.temporary_enforced")


@pytest.mark.parametrize("key", sorted(SWITCHES))
def test_the_switch_of_a_feature_holds_for_administrators_too(key, dana, set_config):
    set_config(f"ui.{SWITCHES[key]}", False)
    assert not is_offered(key)
    with pytest.raises(Refused) as refused:
        require_feature(dana, key, status=401)
    assert refused.value.status == 403
    set_config(f"ui.{SWITCHES[key]}", True)
    require_feature(dana, key)


def test_rights_over_a_tree_of_groups_are_the_sum_of_what_lies_above(bob, dana):
    """Against the definition, written a second time: default or any group at or above one that the person is in."""
    draw = random.Random(17)  # noqa: S311  the same worlds each time
    keys = ["workspace.models", "workspace.models_export", "chat.delete", "features.api_keys", "sharing.public_chats"]
    for _world in range(12):
        defaults = {key: draw.random() < 0.3 for key in keys}
        services.set_default_permissions(nested(defaults), by=dana)
        groups, flat = [], {}
        for _group in range(draw.randint(1, 7)):
            own = {key: draw.random() < 0.3 for key in keys}
            parent = draw.choice([None, *groups])
            group = make_group(parent=parent, permissions=nested(own), members=[bob] if draw.random() < 0.4 else [])
            flat[group] = (own, parent)
            groups.append(group)
        reached = {group for group in groups if group.members.filter(pk=bob.pk).exists()}
        for group in reversed(groups):
            if group in reached and flat[group][1] is not None:
                reached.add(flat[group][1])
        wanted = {key: defaults[key] or any(flat[group][0][key] for group in reached) for key in keys}
        got = effective_permissions(fresh(bob))
        assert {key: is_true(got, key) for key in keys} == wanted
        whole = {**{key: row.default for key, row in PERMISSIONS.items()}, **wanted}
        for key in keys:
            assert may(fresh(bob), key) is all(whole[k] for k in (key, PERMISSIONS[key].parent) if k)
        for group in reversed(groups):
            services.delete_group(group, by=dana)


def test_strange_stored_values_do_not_grant(bob, set_config):
    set_config("user.permissions", {"chat": "yes", "features": {"api_keys": None}, "unknown": {"x": True}})
    assert may(bob, "chat.delete") is True and may(bob, "features.api_keys") is False
    make_group(members=[bob], permissions={"features": {"api_keys": "true"}, "workspace": []})
    assert not may(fresh(bob), "features.api_keys"), "only a real true grants"


def test_the_refusal_carries_the_code_of_the_route(bob):
    for status, text in ((401, "401 Unauthorized"), (403, "do not have permission")):
        with pytest.raises(Refused) as refused:
            require(bob, "workspace.models", status=status)
        assert refused.value.status == status and text in refused.value.message


def test_unknown_keys_are_dropped_when_defaults_are_stored(dana):
    answer = services.set_default_permissions({"chat": {"fly": True, "delete": False}, "x": {"y": True}}, by=dana)
    assert answer == default_permissions()
    assert "fly" not in answer["chat"] and answer["chat"]["delete"] is False and "x" not in answer


def test_the_whole_tree_takes_two_statements_once_a_request(bob, django_assert_max_num_queries):
    make_group(members=[bob], permissions=nested({"workspace.models": True}))
    default_permissions()
    with django_assert_max_num_queries(2):
        tree = effective_permissions(bob)
        for key in KEYS:
            may(bob, key)
    assert with_flat_keys(tree)["workspace.models"] is True and tree["workspace"]["models"] is True
