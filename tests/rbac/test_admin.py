"""Groups in Django admin: every change through the services."""

from __future__ import annotations

import pytest

from owui.audit.models import AuditEvent
from rbac.models import Group, Membership
from rbac.permissions import may
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db
NO_MEMBERS = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}


def test_a_group_is_made_with_permissions_and_members(client_for, dana, bob):
    client = client_for(dana)
    assert client.get("/admin/rbac/group/add/").status_code == 200
    form = {
        "name": "Reviewers",
        "description": "",
        "parent": "",
        "share": "false",
        "permission__workspace__models": "on",
        "memberships-TOTAL_FORMS": "1",
        "memberships-INITIAL_FORMS": "0",
        "memberships-0-user": str(bob.pk),
    }
    answer = client.post("/admin/rbac/group/add/", form)
    assert answer.status_code == 302, answer.context["errors"]
    group = Group.objects.get(name="Reviewers")
    assert group.permissions == {"workspace": {"models": True}} and group.data == {"config": {"share": False}}
    assert Membership.objects.get(group=group).source == "manual"
    assert may(bob, "workspace.models")
    actions = set(AuditEvent.objects.filter(object_id=str(group.pk)).values_list("action", flat=True))
    assert actions == {"group.create", "group.members.add"}


def test_a_group_is_changed_and_keeps_what_the_form_does_not_know(client_for, dana, bob):
    group = make_group("Old", members=[bob], permissions={"chat": {"delete": True, "future": True}})
    membership = Membership.objects.get(group=group)
    client = client_for(dana)
    path = f"/admin/rbac/group/{group.pk}/change/"
    page = client.get(path)
    assert page.status_code == 200 and b"Bob Lindqvist" in page.content
    form = {
        "name": "New",
        "description": "x",
        "parent": "",
        "share": "members",
        "permission__chat__share": "on",
        "memberships-TOTAL_FORMS": "1",
        "memberships-INITIAL_FORMS": "1",
        "memberships-0-id": str(membership.pk),
        "memberships-0-group": str(group.pk),
        "memberships-0-DELETE": "on",
    }
    answer = client.post(path, form)
    assert answer.status_code == 302, answer.context["errors"]
    group.refresh_from_db()
    assert group.name == "New" and group.permissions == {"chat": {"future": True, "share": True}}
    assert not group.memberships.exists()
    assert AuditEvent.objects.filter(action="group.members.remove").count() == 1


def test_a_loop_is_refused_with_a_message(client_for, dana):
    top = make_group("top")
    below = make_group("below", parent=top)
    form = {"name": "top", "description": "", "parent": str(below.pk), "share": "members", **NO_MEMBERS}
    answer = client_for(dana).post(f"/admin/rbac/group/{top.pk}/change/", form, follow=True)
    assert "below itself" in str(next(iter(answer.context["messages"])))
    top.refresh_from_db()
    assert top.parent is None


def test_deleting_is_recorded(client_for, dana):
    groups = [make_group(), make_group()]
    client = client_for(dana)
    client.post(f"/admin/rbac/group/{groups[0].pk}/delete/", {"post": "yes"})
    data = {"action": "delete_selected", "_selected_action": [str(groups[1].pk)], "post": "yes"}
    client.post("/admin/rbac/group/", data)
    assert not Group.objects.exists()
    assert AuditEvent.objects.filter(action="group.delete").count() == 2
