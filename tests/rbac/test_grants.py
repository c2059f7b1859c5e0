"""`set_grants`: what is stored, what is refused, and what the audit log says."""

from __future__ import annotations

import pytest
from django.db import transaction

from owui.audit.models import AuditEvent
from owui.lib.errors import Missing, Refused
from rbac.grants import Grant, as_access_control, grants_of, parse_access_control, parse_grants
from rbac.services import set_grants
from rbac.sharing import Access, resource_types
from tests.factories.rbac import make_group, make_shared

pytestmark = pytest.mark.django_db
EVERYONE = Grant("user", "*", "read")
TYPES = sorted(resource_types())


@pytest.fixture
def kb(alice):
    return make_shared("knowledge", alice)


def allow(set_config, **sections) -> None:
    set_config("user.permissions", sections)


def to(user, permission="read") -> Grant:
    return Grant("user", str(user.pk), permission)


def test_a_forbidden_audience_refuses_the_whole_list_and_changes_nothing(kb, alice, bob, carol, set_config):
    allow(set_config, sharing={"knowledge": True})
    set_grants(kb, [to(bob)], by=alice)
    events = AuditEvent.objects.count()
    with pytest.raises(Refused) as refused:
        set_grants(kb, [to(carol, "write"), EVERYONE], by=alice)
    assert refused.value.status == 403
    kb.refresh_from_db()
    assert grants_of([kb])[kb.pk] == [to(bob)]
    assert kb.general_access == Access.PRIVATE
    assert AuditEvent.objects.count() == events


def test_creating_drops_what_is_not_allowed_without_a_word(kb, alice, bob, set_config):
    allow(set_config, sharing={"knowledge": True})
    assert set_grants(kb, [to(bob), EVERYONE], by=alice, strict=False) == [to(bob)]


def test_sharing_needs_the_key_of_the_type(kb, alice, bob, set_config):
    allow(set_config, sharing={"prompts": True, "public_knowledge": True})
    with pytest.raises(Refused):
        set_grants(kb, [to(bob)], by=alice)
    with pytest.raises(Refused):
        set_grants(kb, [EVERYONE], by=alice)


@pytest.mark.parametrize(("key", "kind"), [("allow_users", "user"), ("allow_groups", "group")])
def test_grants_to_people_and_groups_have_keys_of_their_own(kb, alice, bob, set_config, key, kind):
    group = make_group(members=[alice])
    grant = to(bob) if kind == "user" else Grant("group", str(group.pk), "read")
    allow(set_config, sharing={"knowledge": True}, access_grants={key: False})
    with pytest.raises(Refused):
        set_grants(kb, [grant], by=alice)
    allow(set_config, sharing={"knowledge": True}, access_grants={key: True})
    del alice._effective_permissions
    assert set_grants(kb, [grant], by=alice) == [grant]


def test_grants_that_exist_may_stay_when_the_right_to_share_is_gone(kb, alice, bob, carol, share):
    share(kb, bob, "read")
    share(kb, carol, "read")
    assert set_grants(kb, [to(bob)], by=alice) == [to(bob)]


@pytest.mark.parametrize("kind", TYPES)
def test_anyone_is_an_audience_for_shared_chats_only(kind, dana, alice):
    thing = make_shared(kind, alice)
    anyone = Grant("anyone", "*", "read")
    if kind == "shared_chat":
        assert set_grants(thing, [anyone], by=dana) == [anyone]
    else:
        with pytest.raises(Refused):
            set_grants(thing, [anyone], by=dana)


def test_a_folder_is_never_public_not_even_for_an_administrator(dana, alice):
    folder = make_shared("folder", alice)
    with pytest.raises(Refused):
        set_grants(folder, [EVERYONE], by=dana)
    assert set_grants(folder, [EVERYONE], by=dana, strict=False) == []


def test_a_group_closed_to_sharing_is_no_target_for_others(kb, alice, set_config, dana):
    from rbac.services import update_group

    allow(set_config, sharing={"knowledge": True})
    mine, others, closed = make_group(members=[alice]), make_group(), make_group(members=[alice])
    update_group(closed, by=dana, data={"config": {"share": False}})
    grant = {g: Grant("group", str(g.pk), "read") for g in (mine, others, closed)}
    assert set_grants(kb, [grant[mine]], by=alice) == [grant[mine]]
    for group in (others, closed):
        with pytest.raises(Refused):
            set_grants(kb, [grant[group]], by=alice)
    update_group(others, by=dana, data={"config": {"share": True}})
    assert set_grants(kb, [grant[others]], by=alice) == [grant[others]]


def test_unknown_people_are_left_out(kb, dana, bob):
    ghost = Grant("user", "7d0f7c0e-0000-4000-8000-000000000000", "read")
    assert set_grants(kb, [ghost, to(bob)], by=dana) == [to(bob)]


def test_everyone_may_write_is_kept_as_both_rows(kb, dana):
    now = set_grants(kb, [Grant("user", "*", "write")], by=dana)
    assert now == [EVERYONE, Grant("user", "*", "write")]
    assert set_grants(kb, now, by=dana) == now


def test_the_audit_entry_stands_and_falls_with_the_change(kb, dana, bob):
    set_grants(kb, [to(bob)], by=dana)
    event = AuditEvent.objects.get(action="access.set")
    assert event.actor_id == dana.pk and event.object_id == str(kb.pk)
    assert event.detail == {"before": [], "after": [to(bob).as_json()]}
    with pytest.raises(RuntimeError), transaction.atomic():
        set_grants(kb, [], by=dana)
        raise RuntimeError
    assert AuditEvent.objects.filter(action="access.set").count() == 1
    assert grants_of([kb])[kb.pk] == [to(bob)]


def test_nothing_changed_is_not_recorded(kb, dana, bob):
    set_grants(kb, [to(bob)], by=dana)
    set_grants(kb, [to(bob), to(bob)], by=dana)
    assert AuditEvent.objects.filter(action="access.set").count() == 1


def test_a_stale_object_cannot_bring_back_an_old_general_rule(kb, dana, alice, set_config):
    stale = type(kb).objects.get(pk=kb.pk)
    set_grants(kb, [EVERYONE], by=dana)
    set_grants(stale, [], by=alice)
    kb.refresh_from_db()
    assert kb.general_access == Access.PRIVATE
    assert AuditEvent.objects.filter(action="access.set").count() == 2


def test_an_object_that_is_gone_is_missing(kb, dana):
    type(kb).objects.filter(pk=kb.pk).delete()
    with pytest.raises(Missing):
        set_grants(kb, [], by=dana)


def test_those_who_hold_sockets_are_told_after_the_commit(kb, dana, bob, django_capture_on_commit_callbacks):
    from rbac.signals import access_changed

    heard = []
    access_changed.connect(hear := lambda **kwargs: heard.append(kwargs["resource_id"]))
    with django_capture_on_commit_callbacks(execute=True):
        set_grants(kb, [to(bob)], by=dana)
        assert heard == []
    access_changed.disconnect(hear)
    assert heard == [str(kb.pk)]


def test_grants_of_a_page_take_two_statements(alice, bob, share, django_assert_num_queries):
    things = [make_shared("knowledge", alice) for _ in range(10)]
    for thing in things:
        share(thing, bob, "read")
    with django_assert_num_queries(2):
        found = grants_of(things)
    assert len(found) == 10 and all(found.values())


def test_both_json_forms_survive_a_round_trip():
    user, group = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
    grants = [Grant("group", group, "write"), Grant("user", user, "read")]
    assert [g.key for g in parse_access_control(as_access_control(grants))] == [g.key for g in grants]
    assert parse_access_control(None) == [EVERYONE] and as_access_control([EVERYONE]) is None
    assert parse_access_control({}) == [] and as_access_control([]) == {}
    assert parse_access_control({"read": "nonsense", "write": []}) == []


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"principal_type": "user", "principal_id": "x", "permission": "read"},
        {"principal_type": "group", "principal_id": "*", "permission": "read"},
        {"principal_type": "robot", "principal_id": "*", "permission": "read"},
        {"principal_type": "anyone", "principal_id": "*", "permission": "write"},
        {"principal_type": "user", "principal_id": "*", "permission": "own"},
    ],
)
def test_entries_that_make_no_sense_are_dropped(item):
    assert parse_grants([item]) == []
