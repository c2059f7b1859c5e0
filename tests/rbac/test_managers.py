"""Delegated managers: members of their own groups, and nothing that would raise their own rights."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import services as accounts
from owui.audit.models import AuditEvent
from owui.lib.errors import Refused
from rbac import services
from rbac.models import Group, Membership
from tests.factories.accounts import UserFactory, a_system_admin
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db


@pytest.fixture
def group(dana: Any, alice: Any, bob: Any, carol: Any) -> Group:
    """Alice manages it; bob is in it by hand, carol by the directory."""
    top = make_group("Quality")
    made = make_group("Quality control", parent=top, members=[bob])
    make_group("Quality control, night", parent=made)
    services.add_members(made, [carol.pk], by=dana, source="ldap")
    services.set_managers(made, [alice.pk], by=dana)
    return made


def members(group: Group) -> set[str]:
    return set(Membership.objects.filter(group=group).values_list("user__email", flat=True))


def test_a_manager_sees_his_groups_and_nobody_elses(client_for, group, alice, mallory, dana):
    client = client_for(alice)
    page = client.get("/groups")
    assert [g["name"] for g in page.context["group_list"]] == ["Quality control"]
    assert page.context["group_list"][0]["members"] == 2
    assert client.get(f"/groups/{group.pk}").status_code == 200
    for other in Group.objects.exclude(pk=group.pk):
        for path in (f"/groups/{other.pk}", f"/groups/{other.pk}/people?q=bo"):
            assert client.get(path).status_code == 404
        assert client.post(f"/groups/{other.pk}/members", {"user_id": str(mallory.pk)}).status_code == 404
    assert client_for(mallory).get("/groups").context["group_list"] == []
    assert client_for(dana).get("/groups").context["total"] == 3


def test_the_sidebar_names_the_page_to_managers_only(client_for, group, alice, bob, dana):
    assert b'href="/groups"' in client_for(alice).get("/settings").content
    for other in (bob, dana):
        assert b'href="/groups"' not in client_for(other).get("/settings").content


def test_members_are_shown_by_name_and_address_with_the_reason(client_for, group, alice):
    page = client_for(alice).get(f"/groups/{group.pk}")
    shown = {m["email"]: (m["sources"], bool(m["why_not"])) for m in page.context["member_list"]}
    assert shown == {
        "bob@example.org": (["Added by hand"], False),
        "carol@example.org": (["Directory"], True),
    }
    text = page.content.decode()
    assert "Can only be removed where the membership comes from" in text
    assert f"/members/{Membership.objects.get(source='ldap').user_id}/remove" not in text


def test_adding_by_a_search_of_two_letters(client_for, group, alice, pending):
    client = client_for(alice, htmx=True)
    path = f"/groups/{group.pk}"
    assert client.get(f"{path}/people?q=m").context["people"] == []
    assert client.get(f"{path}/people?q=%20m%20").context["people"] == []
    found = client.get(f"{path}/people?q=example.org").context["people"]
    assert {p.email for p in found} == {"dana@example.org", "mallory@example.org", "pending@example.org"}, (
        "neither the members nor oneself"
    )
    answer = client.post(f"{path}/members", {"user_id": str(pending.pk)})
    text = answer.content.decode()
    assert answer.status_code == 200 and 'id="group-members"' in text
    assert "Pia Waiting was added." in text and 'hx-swap-oob="beforeend:#announcer"' in text and "autofocus" in text
    assert "pending@example.org" in members(group)
    event = AuditEvent.objects.filter(action="group.members.add", actor_id=alice.pk).get()
    assert event.detail["users"][0]["email"] == "pending@example.org"


def test_a_search_shows_eight_people_who_may_come(client_for, group, alice):
    for number in range(12):
        UserFactory(name=f"Zoe {number:02}", is_active=number != 0)
    answer = client_for(alice, htmx=True).get(f"/groups/{group.pk}/people?q=zoe")
    assert [p.name for p in answer.context["people"]] == [f"Zoe {n:02}" for n in range(1, 9)]
    assert "user" not in {f for p in answer.context["people"] for f in p.__dict__ if f in ("role", "settings")}


def test_removing_asks_first(client_for, group, alice, bob, carol):
    client = client_for(alice, htmx=True)
    path = f"/groups/{group.pk}/members"
    assert b"confirm-dialog" in client.get(f"{path}/{bob.pk}/remove").content
    assert members(group) == {"bob@example.org", "carol@example.org"}
    answer = client.post(f"{path}/{bob.pk}/remove")
    assert answer["HX-Redirect"] == f"/groups/{group.pk}"
    assert members(group) == {"carol@example.org"}
    assert client.post(f"{path}/{bob.pk}/remove").status_code == 404
    assert client.post(f"{path}/{carol.pk}/remove").status_code == 403
    assert members(group) == {"carol@example.org"}


def test_a_manager_does_not_decide_about_himself(client_for, group, alice, dana):
    client = client_for(alice)
    assert client.post(f"/groups/{group.pk}/members", {"user_id": str(alice.pk)}).status_code == 403
    services.add_members(group, [alice.pk], by=dana)
    page = client.get(f"/groups/{group.pk}")
    own = next(m for m in page.context["member_list"] if m["email"] == alice.email)
    assert "Somebody else decides" in own["why_not"]
    assert client.post(f"/groups/{group.pk}/members/{alice.pk}/remove").status_code == 403
    assert alice.email in members(group)


def test_a_manager_changes_neither_fields_nor_permissions_nor_managers(api_for, group, alice, mallory):
    api = api_for(alice)
    body = {"name": "Mine", "description": "", "permissions": {"workspace": {"models": True}}}
    path = f"/api/v1/groups/id/{group.pk}"
    assert api.post(f"{path}/update", body).status_code == 401
    assert api.delete(f"{path}/delete").status_code == 401
    group.refresh_from_db()
    assert group.name == "Quality control" and group.permissions == {}
    with pytest.raises(Refused):
        services.set_managers(group, [alice.pk, mallory.pk], by=alice)
    for other in Group.objects.exclude(pk=group.pk):
        with pytest.raises(Refused):
            services.change_members(other, by=alice, add=[mallory.pk])


@pytest.mark.parametrize("change", ["removed as manager", "pending", "switched off"])
def test_who_is_no_manager_any_more_loses_it_with_the_next_request(client_for, group, alice, dana, mallory, change):
    client = client_for(alice)
    path = f"/groups/{group.pk}/members"
    if change == "removed as manager":
        services.set_managers(group, [], by=dana)
    else:
        accounts.update_user(alice, by=dana, **({"role": "pending"} if change == "pending" else {"is_active": False}))
    assert client.post(path, {"user_id": str(mallory.pk)}).status_code == (404 if change.startswith("removed") else 302)
    assert mallory.email not in members(group)
    alice.refresh_from_db()
    with pytest.raises(Refused):
        services.change_members(group, by=alice, add=[mallory.pk])


def test_nonsense_is_answered_with_words(client_for, group, alice):
    client = client_for(alice)
    for user_id in ("", "x", "00000000-0000-0000-0000-000000000000"):
        assert client.post(f"/groups/{group.pk}/members", {"user_id": user_id}).status_code == 400
    for page in ("0", "-1", "x", "9" * 40, "99"):
        assert client.get(f"/groups/{group.pk}?page={page}").status_code == 200
    assert client.get(f"/groups/{group.pk}?q=%00bob").context["total"] == 1


def test_a_page_of_members_costs_the_same_for_many(client_for, group, alice, django_assert_max_num_queries):
    client = client_for(alice, htmx=True)
    with django_assert_max_num_queries(7):
        client.get(f"/groups/{group.pk}")
    services.add_members(group, [UserFactory(password=None).pk for _ in range(65)], by=a_system_admin())
    with django_assert_max_num_queries(7):
        answer = client.get(f"/groups/{group.pk}?page=2")
    assert len(answer.context["member_list"]) == 30 and answer.context["page_count"] == 3
    assert b"<html" not in answer.content
    assert client.get(f"/groups/{group.pk}?q=carol").context["total"] == 1
