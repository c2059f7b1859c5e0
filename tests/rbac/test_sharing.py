"""The choke-point: who may read and who may write, rule by rule, for every shared type."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from rbac.sharing import Access
from tests.factories.accounts import UserFactory
from tests.factories.rbac import make_group, make_shared, types_people_share

pytestmark = pytest.mark.django_db
TYPES = types_people_share()


def reads(resource, user) -> bool:
    return type(resource).objects.readable_by(user).filter(pk=resource.pk).exists()


def writes(resource, user) -> bool:
    return type(resource).objects.writable_by(user).filter(pk=resource.pk).exists()


@pytest.fixture(params=TYPES)
def thing(request, alice):
    return make_shared(request.param, alice)


def test_owner_reads_and_writes_and_an_outsider_does_neither(thing, alice, mallory):
    assert reads(thing, alice) and writes(thing, alice)
    assert not reads(thing, mallory) and not writes(thing, mallory)


def test_read_grant_to_a_person_gives_reading_only(thing, bob, share):
    share(thing, bob, "read")
    assert reads(thing, bob) and not writes(thing, bob)


def test_write_grant_alone_gives_reading_too(thing, bob, share):
    share(thing, bob, "write")
    assert reads(thing, bob) and writes(thing, bob)


def test_grant_to_a_group_reaches_its_members_and_nobody_else(thing, carol, mallory, carols_group, share):
    share(thing, carols_group, "write")
    assert reads(thing, carol) and writes(thing, carol)
    assert not reads(thing, mallory)


def test_grant_to_an_ancestor_reaches_members_of_groups_below(thing, bob, carol, share):
    top = make_group("Company", members=[bob])
    middle = make_group("Safety", parent=top)
    bottom = make_group("Signals", parent=middle, members=[carol])
    share(thing, top, "read")
    assert reads(thing, carol) and not writes(thing, carol)
    other = make_shared(thing.resource_type, thing.owner)
    share(other, bottom, "read")
    assert reads(other, carol) and not reads(other, bob), "membership goes up, never down"


def test_two_ways_in_list_an_object_once(thing, carol, carols_group, share):
    share(thing, carols_group, "read")
    share(thing, carol, "write")
    assert type(thing).objects.readable_by(carol).filter(pk=thing.pk).count() == 1


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE])
def test_everyone_signed_in_means_verified_people(thing, bob, pending, access):
    type(thing).objects.filter(pk=thing.pk).update(general_access=access)
    assert reads(thing, bob)
    assert writes(thing, bob) == (access == Access.WRITE)
    for nobody in (pending, UserFactory(is_active=False), AnonymousUser(), None):
        assert not reads(thing, nobody) and not writes(thing, nobody)


def test_only_shared_chats_are_open_to_anyone(thing, pending):
    type(thing).objects.filter(pk=thing.pk).update(general_access=Access.ANYONE)
    expected = thing.resource_type == "shared_chat"
    for stranger in (None, AnonymousUser(), pending):
        assert reads(thing, stranger) == expected
        assert not writes(thing, stranger)


def test_grants_do_nothing_for_pending_and_inactive_people(thing, pending, share):
    gone = UserFactory()
    share(thing, pending, "write")
    share(thing, gone, "write")
    gone.is_active = False
    assert not reads(thing, pending) and not writes(thing, pending)
    assert not reads(thing, gone) and not writes(thing, gone)


def test_administrators_see_everything_only_while_the_bypass_holds(thing, dana, settings):
    by_default = type(thing).bypass_applies(dana)
    assert reads(thing, dana) == by_default and writes(thing, dana) == by_default
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    settings.ENABLE_ADMIN_CHAT_ACCESS = False
    assert not reads(thing, dana) and not writes(thing, dana)


def test_an_inactive_administrator_bypasses_nothing(thing, dana):
    dana.is_active = False
    assert not reads(thing, dana)


def test_leaving_the_group_ends_access(thing, carol, carols_group, dana, share):
    from rbac.services import remove_members

    share(thing, carols_group, "write")
    remove_members(carols_group, [carol.pk], by=dana)
    assert not reads(thing, carol)


def test_deleting_a_group_deletes_its_grants(thing, carol, carols_group, dana, share):
    from rbac.services import delete_group

    share(thing, carols_group, "write")
    delete_group(carols_group, by=dana)
    assert not reads(thing, carol)
    assert thing.group_grants.count() == 0


def test_a_listing_is_one_statement(thing, carol, carols_group, share, django_assert_num_queries):
    share(thing, carols_group, "read")
    with django_assert_num_queries(1):
        list(type(thing).objects.readable_by(carol))
