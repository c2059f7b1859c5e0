"""Grants that end by themselves, and denials that beat every grant: in the query, so at every face alike."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from owui.lib.errors import Refused, UserError
from rbac.grants import Grant, denials_of, grants_of, parse_grants, unique, version_of
from rbac.services import Conflict, set_grants
from rbac.sharing import Access, resource_types
from tests.factories.rbac import make_group, make_shared

pytestmark = pytest.mark.django_db
# Connections are for administrators to change, whatever the grants say.
TYPES = sorted(t for t, model in resource_types().items() if not getattr(model, "administered", False))


@pytest.fixture(params=TYPES)
def thing(request, alice):
    return make_shared(request.param, alice)


@pytest.fixture
def base(alice):
    return make_shared("knowledge", alice)


@pytest.fixture
def may_deny(settings):
    settings.ENABLE_DENY_GRANTS = True


def reads(resource, user) -> bool:
    return type(resource).objects.readable_by(user).filter(pk=resource.pk).exists()


def writes(resource, user) -> bool:
    return type(resource).objects.writable_by(user).filter(pk=resource.pk).exists()


def soon(**delta):
    return (timezone.now() + timedelta(**delta)).replace(microsecond=0)


def to(principal, permission="read", ends=None):
    kind = "group" if hasattr(principal, "memberships") and hasattr(principal, "ancestry") else "user"
    return Grant(kind, str(principal.pk), permission, ends)


def put_back_in_time(resource) -> None:
    """What waiting would do."""
    for table in (resource.user_grants, resource.group_grants):
        table.update(expires_at=timezone.now() - timedelta(seconds=1))


# ---------------------------------------------------------------------------------------------------------- end dates
def test_a_grant_counts_until_its_end_and_not_a_moment_longer(thing, bob, carol, carols_group, dana):
    set_grants(thing, [to(bob, "write", soon(days=1)), to(carols_group, "read", soon(days=1))], by=dana)
    assert reads(thing, bob) and writes(thing, bob) and reads(thing, carol)
    put_back_in_time(thing)
    assert not reads(thing, bob) and not writes(thing, bob) and not reads(thing, carol)


def test_an_ended_grant_is_not_shown_and_can_be_given_again(base, bob, dana):
    set_grants(base, [to(bob, "read", soon(days=1))], by=dana)
    put_back_in_time(base)
    assert grants_of([base])[base.pk] == []
    set_grants(base, [to(bob)], by=dana)
    assert grants_of([base])[base.pk] == [to(bob)] and reads(base, bob)


def test_a_list_without_ends_keeps_them(base, bob, carol, dana):
    """An old client sends back what it was shown, less the field that it does not know."""
    ends = soon(days=3)
    set_grants(base, [to(bob, "read", ends)], by=dana)
    sent = [to(who).as_json() for who in (bob, carol)]
    now = set_grants(base, parse_grants(sent), by=dana)
    assert {g.principal_id: g.expires_at for g in now} == {str(bob.pk): ends, str(carol.pk): None}
    cleared = set_grants(base, parse_grants([{**to(bob).as_json(), "expires_at": None}]), by=dana)
    assert cleared == [to(bob)]


def test_an_old_page_does_not_bring_back_what_ended_while_it_was_open(base, bob, carol, dana):
    set_grants(base, [to(bob, "read", soon(days=1))], by=dana)
    page = [to(bob).as_json()]
    put_back_in_time(base)
    for _again in range(2):
        set_grants(base, parse_grants([*page, to(carol).as_json()]), by=dana)
        assert not reads(base, bob) and reads(base, carol)
    set_grants(base, parse_grants([{**page[0], "expires_at": None}]), by=dana)
    assert reads(base, bob), "said in so many words it is meant"


def test_a_grant_that_ended_long_ago_can_be_given_by_an_old_client(base, bob, dana):
    set_grants(base, [to(bob, "read", soon(days=1))], by=dana)
    base.user_grants.update(expires_at=timezone.now() - timedelta(days=2))
    set_grants(base, parse_grants([to(bob).as_json()]), by=dana)
    assert grants_of([base])[base.pk] == [to(bob)]


def test_changing_the_end_needs_the_right_to_share(base, alice, bob, dana):
    set_grants(base, [to(bob, "read", soon(days=1))], by=dana)
    with pytest.raises(Refused):
        set_grants(base, [to(bob, "read", soon(days=9))], by=alice)
    with pytest.raises(Refused):
        set_grants(base, [to(bob)], by=alice)
    set_grants(base, grants_of([base])[base.pk], by=alice)


@pytest.mark.parametrize("ends", ["tomorrow", True, 10**30, "2027-13-45T00:00:00Z", [1]])
def test_an_end_that_is_no_time_is_refused(bob, ends):
    with pytest.raises(UserError) as error:
        parse_grants([{**to(bob).as_json(), "expires_at": ends}])
    assert error.value.status == 422


@pytest.mark.parametrize("ends", [1893456000, "2030-01-01T00:00:00Z", "2030-01-01T00:00:00", 1893456000.4])
def test_an_end_is_epoch_seconds_or_an_iso_text(bob, ends):
    [grant] = parse_grants([{**to(bob).as_json(), "expires_at": ends}])
    assert grant.as_json()["expires_at"] == 1893456000


def test_access_for_everyone_has_no_end():
    everyone = {"principal_type": "user", "principal_id": "*", "permission": "read"}
    assert parse_grants([{**everyone, "expires_at": None}]) == [Grant("user", "*", "read")]
    with pytest.raises(UserError):
        parse_grants([{**everyone, "expires_at": 1893456000}])


def test_of_two_grants_the_longer_one_counts(bob):
    short, long, forever = (Grant("user", str(bob.pk), "read", ends) for ends in (soon(days=1), soon(days=2), None))
    assert unique([short, long]) == unique([long, short]) == [long]
    assert unique([forever, long]) == unique([long, forever]) == [forever]


# ------------------------------------------------------------------------------------------------------------ denials
def test_a_denial_beats_owner_grants_and_general_rule(thing, alice, bob, carol, carols_group, dana, may_deny):
    set_grants(thing, [to(bob, "write"), to(carols_group, "write")], by=dana)
    if thing.sharing_key != "folders":
        type(thing).objects.filter(pk=thing.pk).update(general_access=Access.WRITE)
        thing.refresh_from_db()
    for person, principal in ((bob, bob), (carol, carols_group), (alice, alice)):
        assert reads(thing, person) and writes(thing, person)
        set_grants(thing, grants_of([thing])[thing.pk], denials=[to(principal)], by=dana)
        assert not reads(thing, person) and not writes(thing, person)
        set_grants(thing, grants_of([thing])[thing.pk], denials=[], by=dana)
        assert reads(thing, person) and writes(thing, person)


def test_denying_to_write_leaves_reading(base, bob, dana, may_deny):
    set_grants(base, [to(bob)], denials=[to(bob, "write")], by=dana)
    assert reads(base, bob) and not writes(base, bob)


def test_a_denial_for_a_group_holds_for_members_below_it(base, carol, bob, dana, may_deny):
    top = make_group(members=[bob])
    make_group(parent=top, members=[carol])
    set_grants(base, [to(carol, "write")], denials=[to(top)], by=dana)
    assert not reads(base, carol)


def test_a_denial_can_end(base, bob, dana, may_deny):
    set_grants(base, [to(bob, "write")], denials=[to(bob, "read", soon(days=1))], by=dana)
    assert not reads(base, bob)
    base.user_grants.filter(is_denied=True).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert writes(base, bob)
    assert denials_of([base])[base.pk] == []


def test_the_bypass_of_administrators_stands_above_denials(base, dana, settings, may_deny):
    set_grants(base, [], denials=[to(dana)], by=dana)
    assert reads(base, dana)
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert not reads(base, dana)


def test_switched_off_nothing_new_is_denied_and_nothing_opens(base, bob, dana, settings):
    with pytest.raises(Refused, match="ENABLE_DENY_GRANTS"):
        set_grants(base, [], denials=[to(bob)], by=dana)
    settings.ENABLE_DENY_GRANTS = True
    set_grants(base, [to(bob, "write")], denials=[to(bob)], by=dana)
    settings.ENABLE_DENY_GRANTS = False
    assert not reads(base, bob)
    set_grants(base, [to(bob)], by=dana)
    assert not reads(base, bob), "a list of grants says nothing about denials"
    set_grants(base, [to(bob)], denials=[], by=dana)
    assert reads(base, bob)


def test_only_administrators_deny_and_nobody_denies_everyone(base, alice, bob, dana, may_deny):
    with pytest.raises(Refused):
        set_grants(base, [], denials=[to(bob)], by=alice)
    with pytest.raises(UserError):
        set_grants(base, [], denials=[Grant("user", "*", "read")], by=dana)
    set_grants(base, [], denials=[to(bob)], by=dana)
    with pytest.raises(Refused):
        set_grants(base, [], denials=[], by=alice)


def test_a_listing_with_denials_is_still_one_statement(base, bob, dana, may_deny, django_assert_num_queries):
    set_grants(base, [], denials=[to(bob)], by=dana)
    with django_assert_num_queries(1):
        assert list(type(base).objects.readable_by(bob)) == []


# ---------------------------------------------------------------------------------------------------------- conflicts
def test_the_second_of_two_editors_gets_both_versions_and_nothing_is_stored(base, bob, carol, dana):
    seen = version_of(grants_of([base])[base.pk])
    set_grants(base, [to(bob)], by=dana, version=seen)
    with pytest.raises(Conflict) as error:
        set_grants(base, [to(carol)], by=dana, version=seen)
    assert error.value.status == 409
    assert error.value.theirs == ([to(bob)], []) and error.value.yours == ([to(carol)], [])
    assert grants_of([base])[base.pk] == [to(bob)]
    set_grants(base, [to(carol)], by=dana, version=version_of([to(bob)]))


def test_a_conflict_tells_denials_to_administrators_only(base, alice, bob, carol, dana, may_deny):
    for person, tells in ((dana, True), (alice, False)):
        told = Conflict(([to(bob)], [to(carol)]), ([], []), person).more()
        assert told["theirs"]["access_grants"] == [to(bob).as_json()]
        assert ("access_denials" in told["theirs"], "access_denials" in told["yours"]) == (tells, tells)


def test_denials_are_part_of_the_version(base, bob, dana, may_deny):
    assert version_of([], [to(bob)]) != version_of([to(bob)], []) != version_of([])
    seen = version_of([])
    set_grants(base, [], denials=[to(bob)], by=dana)
    with pytest.raises(Conflict):
        set_grants(base, [], by=dana, version=seen)


def test_the_log_tells_of_ends_and_denials(base, bob, dana, may_deny):
    from owui.audit.models import AuditEvent

    ends = soon(days=1)
    set_grants(base, [], denials=[to(bob, "read", ends)], by=dana)
    detail = AuditEvent.objects.filter(action="access.set").latest("id").detail
    assert detail["denied_before"] == [] and detail["denied_after"] == [to(bob, "read", ends).as_json()]
