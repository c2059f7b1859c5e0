"""Permission keys, generated over the whole table: default, environment, stored value, group, ancestor."""

from __future__ import annotations

import pytest

from owui.lib.errors import Refused
from rbac import services
from rbac.permissions import (
    PERMISSIONS,
    default_permissions,
    effective_permissions,
    environment_defaults,
    may,
    nested,
    require,
    with_flat_keys,
)
from tests.factories.accounts import UserFactory
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db
KEYS = sorted(PERMISSIONS)
every_key = pytest.mark.parametrize("key", KEYS)


def fresh(user):
    """The same person in the next request."""
    return type(user).objects.get(pk=user.pk)


@every_key
def test_a_key_has_its_default(key, bob):
    assert may(bob, key) is PERMISSIONS[key].default


@every_key
def test_the_environment_sets_the_default(key, bob, monkeypatch):
    monkeypatch.setenv(PERMISSIONS[key].env, "FALSE" if PERMISSIONS[key].default else "True")
    environment_defaults.cache_clear()
    assert may(bob, key) is not PERMISSIONS[key].default


@every_key
def test_the_stored_default_outranks_the_environment(key, bob, dana):
    wanted = not PERMISSIONS[key].default
    services.set_default_permissions(nested({key: wanted}), by=dana)
    assert may(bob, key) is wanted


@every_key
def test_a_group_adds_a_key_and_no_group_takes_it_away(key, bob, dana):
    services.set_default_permissions(nested({key: False}), by=dana)
    assert not may(bob, key)
    make_group(members=[bob], permissions=nested({key: True}))
    make_group(members=[bob], permissions=nested({key: False}))
    assert may(fresh(bob), key)


@every_key
def test_an_ancestor_adds_a_key_to_those_below(key, bob, carol, dana):
    services.set_default_permissions(nested({key: False}), by=dana)
    top = make_group(permissions=nested({key: True}))
    make_group(members=[bob], parent=make_group(parent=top))
    assert may(bob, key) and not may(carol, key)


@every_key
def test_administrators_always_may_and_those_outside_never(key, dana, pending, settings):
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    make_group(members=[pending], permissions=nested({key: True}))
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
