"""Groups by REST: who may know of one, who may change its members, and what a body may say."""

from __future__ import annotations

import pytest

from rbac import services
from rbac.models import Group, GroupManager, Membership
from tests.factories.accounts import UserFactory
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db
G = "/api/v1/groups"


def share(group: Group, value: object) -> Group:
    Group.objects.filter(pk=group.pk).update(data={"config": {"share": value}})
    return group


def test_a_group_is_known_to_members_managers_and_those_who_may_share_with_it(api_for, dana, alice, bob, mallory):
    above = share(make_group("above"), False)
    make_group("below", parent=above, members=[bob])
    services.set_managers(above, [alice.pk], by=dana)
    path = f"{G}/id/{above.pk}/info"
    assert [api_for(person).get(path).status_code for person in (bob, alice, dana)] == [200, 200, 200]
    assert api_for(mallory).get(path).status_code == 404
    assert api_for(mallory).get(f"{G}/id/{share(make_group('open'), True).pk}/info").status_code == 200
    assert api_for(mallory).get(f"{G}/id/nonsense/info").status_code == 404


def test_people_list_their_own_groups_and_those_they_may_share_with(api_for, bob):
    make_group("mine", parent=make_group("above"), members=[bob])
    share(make_group("open"), True)
    share(make_group("closed"), False)
    names = {g["name"] for g in api_for(bob).get(f"{G}/").json()}
    assert names == {"mine", "above"}
    assert {g["name"] for g in api_for(bob).get(f"{G}/?share=true").json()} == {"mine", "above", "open"}
    assert [g["member_count"] for g in api_for(bob).get(f"{G}/").json()] == [0, 1]


def test_members_come_in_pages_by_how_they_belong(api_for, dana, bob, carol):
    above = make_group("above", members=[bob])
    make_group("below", parent=above, members=[bob, carol])
    services.add_members(above, [bob.pk], by=dana, source="oidc")
    path = f"{G}/id/{above.pk}/members"

    def names(query: str) -> list[str]:
        body = api_for(dana).get(f"{path}?{query}").json()
        assert body["total"] == len(body["users"])
        return [user["name"] for user in body["users"]]

    assert names("") == names("membership=direct") == [bob.name]
    assert names("membership=inherited") == [carol.name]
    assert names("membership=effective") == [bob.name, carol.name]
    assert names("membership=effective&query=CAROL") == [carol.name]
    assert api_for(dana).get(f"{path}?page=2").json() == {"users": [], "total": 1}
    assert api_for(dana).get(path).json()["users"][0]["sources"] == ["manual", "oidc"]
    assert api_for(dana).get(f"{path}?membership=some").status_code == 400


def test_an_export_names_the_members(api_for, dana, bob):
    group = make_group("G", members=[bob])
    body = api_for(dana).get(f"{G}/id/{group.pk}/export").json()
    assert body["name"] == "G" and body["user_ids"] == [str(bob.pk)]


def test_a_manager_changes_the_members_of_the_group_and_of_no_other(api_for, dana, alice, bob):
    group, other = make_group("mine"), make_group("other")
    assert api_for(dana).post(f"{G}/id/{group.pk}/managers", {"user_ids": [str(alice.pk)]}).json() == [
        {"id": str(alice.pk), "name": alice.name, "email": alice.email}
    ]
    api, body = api_for(alice), {"user_ids": [str(bob.pk)]}
    assert api.post(f"{G}/id/{group.pk}/users/add", body).json()["member_count"] == 1
    assert [u["name"] for u in api.post(f"{G}/id/{group.pk}/users").json()] == [bob.name]
    assert api.post(f"{G}/id/{group.pk}/users/remove", body).json()["member_count"] == 0
    refused = api.post(f"{G}/id/{other.pk}/users/add", body)
    assert refused.status_code == 401
    assert refused.json()["detail"].startswith("You do not have permission to access this resource.")
    assert not Membership.objects.exists()


def test_a_manager_cannot_raise_his_own_rights(api_for, dana, alice):
    group = make_group("mine")
    services.set_managers(group, [alice.pk], by=dana)
    api, me = api_for(alice), {"user_ids": [str(alice.pk)]}
    assert api.post(f"{G}/id/{group.pk}/users/add", me).status_code == 403
    for path, body in (
        (f"{G}/id/{group.pk}/update", {"permissions": {"workspace": {"tools": True}}}),
        (f"{G}/id/{group.pk}/managers", me),
        (f"{G}/create", {"name": "x"}),
    ):
        assert api.post(path, body).status_code == 401
    assert api.delete(f"{G}/id/{group.pk}/delete").status_code == 401
    assert not Membership.objects.exists() and GroupManager.objects.count() == 1


def test_whether_a_group_exists_is_not_told_to_those_who_do_not_manage_it(api_for, mallory, dana):
    paths = [f"{G}/id/{pk}/users/add" for pk in (make_group().pk, "00000000-0000-4000-8000-000000000000", "x")]
    answers = [api_for(mallory).post(path, {"user_ids": []}) for path in paths]
    assert {(a.status_code, a.json()["detail"]) for a in answers} == {(401, answers[0].json()["detail"])}
    assert [api_for(dana).post(path, {"user_ids": []}).status_code for path in paths] == [200, 404, 404]


def test_unknown_people_are_refused_and_nobody_is_added(api_for, dana, bob):
    group = make_group()
    for verb in ("users/add", "managers"):
        answer = api_for(dana).post(f"{G}/id/{group.pk}/{verb}", {"user_ids": [str(bob.pk), "ghost"]})
        assert answer.status_code == 400 and "ghost" in answer.json()["detail"]
    assert not Membership.objects.exists() and not GroupManager.objects.exists()


def test_permission_keys_of_other_releases_are_left_out(api_for, dana):
    sent = {"chat": {"delete": True, "levitate": True}, "magic": {"wand": True}, "features": {"notes": False}}
    made = api_for(dana).post(f"{G}/create", {"name": "G", "permissions": sent}).json()
    assert made["permissions"] == {"chat": {"delete": True}, "features": {"notes": False}}
    path = f"{G}/id/{made['id']}/update"
    assert api_for(dana).post(path, {"permissions": {"chat": {"fly": True}}}).json()["permissions"] is None


@pytest.mark.parametrize("tree", [{"chat": True}, {"chat": {"delete": "yes"}}, {"chat": {"delete": 1}}, ["x"]])
def test_permissions_of_a_wrong_type_are_422(api_for, dana, tree):
    group = make_group(permissions={"chat": {"delete": True}})
    assert api_for(dana).post(f"{G}/id/{group.pk}/update", {"permissions": tree}).status_code == 422
    assert api_for(dana).post(f"{G}/create", {"name": "x", "permissions": tree}).status_code == 422
    assert api_for(dana).post("/api/v1/users/default/permissions", tree).status_code == 422
    group.refresh_from_db()
    assert group.permissions == {"chat": {"delete": True}}


@pytest.mark.parametrize(
    "config", [{"share": "friends"}, {"share": 1}, {"default_models": "a"}, {"default_models": [1]}, "x"]
)
def test_what_decides_about_sharing_must_be_understood(api_for, dana, config):
    group = make_group()
    answer = api_for(dana).post(f"{G}/id/{group.pk}/update", {"data": {"config": config}})
    assert answer.status_code == 400 and "data.config" in answer.json()["detail"]
    group.refresh_from_db()
    assert group.data == {"config": {"share": "members"}}


@pytest.mark.parametrize("value", [True, False, "members", None])
def test_every_way_of_sharing_is_kept_as_it_was_sent(api_for, dana, value):
    config = {"share": value, "default_models": ["a", "b"]}
    body = api_for(dana).post(f"{G}/create", {"name": "G", "data": {"config": config}}).json()
    assert body["data"] == {"config": config}


@pytest.mark.parametrize("path", ["members?membership=effective", "managers", "info"])
def test_a_group_costs_the_same_for_one_person_and_for_thirty(api_for, dana, path):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    group = make_group()
    api = api_for(dana)

    def cost(people: int) -> int:
        users = [UserFactory(password=None) for _ in range(people)]
        services.add_members(group, [u.pk for u in users], by=dana)
        services.set_managers(group, [u.pk for u in users], by=dana)
        with CaptureQueriesContext(connection) as queries:
            assert api.get(f"{G}/id/{group.pk}/{path}").status_code == 200
        return len(queries)

    cost(1)
    assert cost(1) == cost(29) <= 6


def test_a_picker_tells_no_more_of_other_peoples_groups_than_their_info(api_for, dana, mallory, carol):
    more = {"permissions": {"workspace": {"tools": True}}, "data": {"config": {"share": True}}, "meta": {"m": 1}}
    group = services.create_group(name="Open", by=dana, **more)
    (shown,) = api_for(mallory).get("/api/v1/groups/?share=true").json()
    assert shown == {"id": str(group.pk), "name": "Open", "description": "", "member_count": 0}
    services.add_members(group, [carol.pk], by=dana)
    (own,) = api_for(carol).get("/api/v1/groups/?share=true").json()
    assert own["meta"] == {"m": 1} and own["member_count"] == 1
