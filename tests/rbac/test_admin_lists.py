"""The administration with many rows: what a page costs does not grow with what there is."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from inference.models import AIModel
from rbac.admin import MembershipInline
from rbac.grants import Grant, grants_of
from rbac.models import Group, Membership
from rbac.sharing import SharedResource
from tests.factories.accounts import UserFactory
from tests.factories.knowledge import make_base
from tests.factories.rbac import make_group, make_shared

pytestmark = pytest.mark.django_db


def cost(client: Any, path: str) -> int:
    client.get(path)  # what is remembered between requests is read now
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def lists() -> dict[str, str]:
    return {
        model._meta.label: reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    }


def fill(number: int, owner: Any, share: Any) -> None:
    """More of everything that has rows of its own: people in groups, objects with owners, bases and grants."""
    from accounts.models import ApiKey, Session
    from chat.models import Chat

    base = AIModel.objects.create(model_id=f"base-{owner.pk}-{number}", name="Base", owner=owner)
    for at in range(number):
        person = UserFactory()
        group = make_group(members=[person, owner], parent=make_group())
        Session.objects.create(user=person)
        ApiKey.objects.create(user=person, digest=str(person.pk), last_four="abcd")
        Chat.objects.create(owner=person, title="x")
        kb = make_base(person, f"Base {at}")
        things: list[SharedResource] = [kb, *(make_shared(kind, person) for kind in ("model", "tool", "skill"))]
        AIModel.objects.filter(pk=things[1].pk).update(base_model=base)
        for thing in things:
            share(thing, group)
            share(thing, person, "write")


def test_lists_cost_the_same_for_two_rows_and_for_twelve(client_for: Any, dana: Any, share: Any) -> None:
    client = client_for(dana)
    fill(2, dana, share)
    before = {label: cost(client, path) for label, path in lists().items()}
    fill(10, dana, share)
    assert {label: cost(client, path) for label, path in lists().items()} == before
    assert max(before.values()) <= 10, before


def test_list_of_models_shows_the_access_of_each(client_for: Any, dana: Any, bob: Any, share: Any) -> None:
    share(make_shared("model", dana), bob)
    share(make_shared("model", dana), "*")
    page = client_for(dana).get("/admin/inference/aimodel/").content.decode()
    assert "Read: Bob Lindqvist." in page and "Read: everyone signed in." in page


def test_page_of_a_group_shows_the_first_members_and_leads_to_all(
    client_for: Any, dana: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MembershipInline, "shown", 3)
    group = make_group("Site", members=[UserFactory(name=f"Member {at}") for at in range(5)])
    client, path = client_for(dana), f"/admin/rbac/group/{group.pk}/change/"
    page = client.get(path).content.decode()
    assert "Member 2" in page and "Member 3" not in page
    everyone = f"/admin/rbac/membership/?group__id__exact={group.pk}"
    assert f'<a href="{everyone}">5</a>' in page
    assert "Member 4" in client.get(everyone).content.decode()
    few = cost(client, path)
    monkeypatch.setattr(MembershipInline, "shown", 5)
    assert cost(client, path) == few <= 8


def test_whoever_was_shown_before_can_still_be_removed(
    client_for: Any, dana: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may have joined meanwhile, who comes first now."""
    monkeypatch.setattr(MembershipInline, "shown", 1)
    group = make_group("Site", members=[UserFactory(name="Bea")])
    shown = Membership.objects.get(group=group)
    Membership.objects.create(group=group, user=UserFactory(name="Abe"))
    form = {"name": "Site", "description": "", "parent": "", "share": "false"} | {
        "memberships-TOTAL_FORMS": "1",
        "memberships-INITIAL_FORMS": "1",
        "memberships-0-id": str(shown.pk),
        "memberships-0-group": str(group.pk),
        "memberships-0-DELETE": "on",
        "managers-TOTAL_FORMS": "0",
        "managers-INITIAL_FORMS": "0",
    }
    assert client_for(dana).post(f"/admin/rbac/group/{group.pk}/change/", form).status_code == 302
    assert [m.user.name for m in group.memberships.all()] == ["Abe"]


def test_memberships_are_removed_in_one_go_and_recorded(client_for: Any, dana: Any) -> None:
    from owui.audit.models import AuditEvent

    group, other = (make_group(members=[UserFactory(), UserFactory()]) for _ in range(2))
    rows = [*group.memberships.all(), other.memberships.first()]
    form = {"action": "delete_selected", "_selected_action": [str(row.pk) for row in rows], "post": "yes"}
    assert client_for(dana).post("/admin/rbac/membership/", form).status_code == 302
    assert (group.memberships.count(), other.memberships.count()) == (0, 1)
    assert AuditEvent.objects.filter(action="group.members.remove").count() == 2


def test_people_are_filtered_by_one_of_many_groups(
    client_for: Any, dana: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rbac.admin_lists.FILTERED", 2)
    for name in ("A", "B", "C"):
        make_group(name)
    last = make_group("Z", members=[bob])
    client = client_for(dana)
    assert ">C</a>" not in client.get("/admin/accounts/user/").content.decode()
    page = client.get(f"/admin/accounts/user/?direct_groups__id__exact={last.pk}").content.decode()
    assert "bob@example.org" in page and "alice@example.org" not in page


def test_page_of_a_model_costs_the_same_for_few_and_many_grants(
    client_for: Any, dana: Any, alice: Any, share: Any
) -> None:
    row = make_shared("model", alice)
    client, path = client_for(dana), f"/admin/inference/aimodel/{row.pk}/change/"

    def add(number: int) -> None:
        for _ in range(number):
            share(row, UserFactory())
            share(row, make_group(), "write")

    add(1)
    before = cost(client, path)
    add(8)
    assert cost(client, path) == before <= 11


def test_a_grant_keeps_its_person_whatever_is_sent(
    client_for: Any, dana: Any, alice: Any, bob: Any, mallory: Any, share: Any
) -> None:
    row = make_shared("model", alice, name="Plain")
    share(row, bob)
    grant = row.user_grants.get()  # type: ignore[attr-defined]
    form = {"name": "Plain", "base_model": "", "is_active": "on", "general_access": "private", "params": "{}"}
    form |= {"meta": "{}", "user_grants-TOTAL_FORMS": "1", "user_grants-INITIAL_FORMS": "1"}
    form |= {"group_grants-TOTAL_FORMS": "0", "group_grants-INITIAL_FORMS": "0", "user_grants-0-access": "write"}
    form |= {"user_grants-0-id": str(grant.pk), "user_grants-0-content_object": str(row.pk)}
    form |= {"user_grants-0-user": str(mallory.pk)}
    answer = client_for(dana).post(f"/admin/inference/aimodel/{row.pk}/change/", form)
    assert answer.status_code == 302, answer.context["errors"]
    assert grants_of([row])[row.pk] == [Grant("user", str(bob.pk), "write")]


def test_groups_are_counted_by_person(client_for: Any, dana: Any, bob: Any) -> None:
    """A person with two sources of membership is one member; an empty group has none."""
    group = make_group("Twice", members=[bob])
    Membership.objects.create(group=group, user=bob, source="scim")
    make_group("Empty")
    client = client_for(dana)
    page = client.get("/admin/rbac/group/?o=3").content.decode()
    assert f'exact={group.pk}">1</a>' in page
    assert f'exact={Group.objects.get(name="Empty").pk}">0</a>' in page
