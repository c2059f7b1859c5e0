"""Groups in Django admin: every change through the services."""

from __future__ import annotations

import pytest

from owui.audit.models import AuditEvent
from rbac.models import Group, Membership
from rbac.permissions import may
from rbac.service_admin import ServiceAdmin, consequences
from tests.factories.rbac import make_group, make_shared

pytestmark = pytest.mark.django_db
NO_MANAGERS = {"managers-TOTAL_FORMS": "0", "managers-INITIAL_FORMS": "0"}
NO_MEMBERS = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0", **NO_MANAGERS}


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
        **NO_MANAGERS,
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
        **NO_MANAGERS,
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
    assert answer.status_code == 400 and "below itself" in str(answer.context["errors"])
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


def test_managers_are_chosen_on_the_page_of_the_group(client_for, dana, alice, bob):
    group = make_group("Reviewers")
    path = f"/admin/rbac/group/{group.pk}/change/"
    form = {"name": "Reviewers", "description": "", "parent": "", "share": "members", **NO_MEMBERS}
    client = client_for(dana)
    added = {"managers-TOTAL_FORMS": "1", "managers-0-user": str(alice.pk), "managers-0-group": str(group.pk)}
    assert client.post(path, form | added).status_code == 302
    assert [m.user for m in group.managers.all()] == [alice]
    assert "Alice Meyer" in client.get(path).content.decode()
    exchanged = {
        **{"managers-TOTAL_FORMS": "2", "managers-INITIAL_FORMS": "1", "managers-0-id": str(group.managers.get().pk)},
        **{"managers-0-group": str(group.pk), "managers-0-DELETE": "on"},
        **{"managers-1-user": str(bob.pk), "managers-1-group": str(group.pk)},
    }
    assert client.post(path, form | exchanged).status_code == 302
    assert [m.user for m in group.managers.all()] == [bob]
    assert AuditEvent.objects.filter(action="group.managers.set").count() == 2


def test_keys_of_another_release_are_shown_and_kept(client_for, dana):
    group = make_group("Reviewers")
    Group.objects.filter(pk=group.pk).update(permissions={"chat": {"future": True}, "odd": 7, "workspace": 3})
    path = f"/admin/rbac/group/{group.pk}/change/"
    client = client_for(dana)
    assert "chat.future, odd, workspace" in client.get(path).content.decode()
    form = {"name": "Reviewers", "description": "", "parent": "", "share": "members", **NO_MEMBERS}
    assert client.post(path, form | {"permission__chat__share": "on"}).status_code == 302
    group.refresh_from_db()
    assert group.permissions == {"chat": {"future": True, "share": True}, "odd": 7, "workspace": 3}
    client.post(path, form | {"permission__workspace__models": "on"})
    group.refresh_from_db()
    assert group.permissions["workspace"] == {"models": True}
    Group.objects.filter(pk=group.pk).update(permissions=[])
    assert "unknown to this release" in client.get(path).content.decode().lower()


def test_the_page_for_deleting_says_what_goes_and_what_stays(client_for, dana, alice, bob, share):
    top = make_group("Top", members=[alice, bob])
    make_group("Below", parent=top)
    share(make_shared("knowledge", alice), top)
    client = client_for(dana)
    page = client.get(f"/admin/rbac/group/{top.pk}/delete/").content.decode()
    assert "Memberships: 2, removed with it" in page and "Groups: 1, stay without it" in page
    assert "Grants on knowledge bases: 1, removed with it" in page
    assert "ancestr" not in page.lower()
    chosen = {"action": "delete_selected", "_selected_action": [str(top.pk)]}
    assert "Memberships: 2, removed with it" in client.post("/admin/rbac/group/", chosen).content.decode()
    empty = make_group("Empty")
    assert "removed with it" not in client.get(f"/admin/rbac/group/{empty.pk}/delete/").content.decode()


def test_the_page_for_deleting_says_what_stops_it(client_for, dana, alice):
    base, preset = make_shared("model", alice), make_shared("model", alice, name="Preset on top")
    type(base).objects.filter(pk=preset.pk).update(base_model=base)
    page = client_for(dana).get(f"/admin/inference/aimodel/{base.pk}/delete/").content.decode()
    assert "“Preset on top” needs it" in page and "Yes, I’m sure" not in page
    assert consequences([]) == ([], [])


def test_the_last_administrator_cannot_be_deleted_and_the_page_says_so(client_for, dana, alice, bob):
    client = client_for(dana)
    page = client.get(f"/admin/accounts/user/{dana.pk}/delete/").content.decode()
    assert "last active administrator" in page and "Yes, I’m sure" not in page
    make_shared("knowledge", bob)
    page = client.get(f"/admin/accounts/user/{bob.pk}/delete/").content.decode()
    assert "Knowledge bases: 1, stay without it" in page and "Yes, I’m sure" in page


def test_what_a_service_refuses_to_delete_is_said_on_the_page(client_for, dana, bob, monkeypatch):
    from accounts import services
    from owui.lib.errors import UserError

    def refuse(*_args, **_kwargs):
        raise UserError("Not now. Try again later.")

    monkeypatch.setattr(services, "delete_user", refuse)
    path = f"/admin/accounts/user/{bob.pk}/delete/"
    answer = client_for(dana).post(path, {"post": "yes"}, follow=True)
    assert "Not now." in str(next(iter(answer.context["messages"])))


def test_an_admin_class_says_itself_how_its_objects_are_deleted(rf):
    from django.contrib import admin

    with pytest.raises(NotImplementedError):
        ServiceAdmin(Group, admin.site).delete_model(rf.get("/"), Group())


def test_one_membership_is_ended_on_its_own_page(client_for, dana, alice, bob):
    group = make_group("Reviewers", members=[alice, bob])
    row = Membership.objects.get(group=group, user=bob)
    assert client_for(dana).post(f"/admin/rbac/membership/{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert [m.user for m in group.memberships.all()] == [alice]
    assert AuditEvent.objects.filter(action="group.members.remove").count() == 1
