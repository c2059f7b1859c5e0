"""Groups by SCIM: filled, renamed, deleted; and what administrators arranged stays theirs."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ScimAccount, User
from owui.audit.models import AuditEvent
from rbac import services as rbac_services
from rbac.models import Group, Membership
from tests.accounts.scim.conftest import BASE, GROUP, ScimClient
from tests.accounts.scim.test_door import said


def ids(scim: ScimClient, group: dict[str, Any] | str) -> set[str]:
    pk = group if isinstance(group, str) else group["id"]
    return {m["value"] for m in scim.send("get", f"/Groups/{pk}").json().get("members", [])}


def test_a_group_is_made_filled_renamed_and_deleted(scim: ScimClient) -> None:
    ann, ben = scim.person("ann")["id"], scim.person("ben")["id"]
    made = scim.group("Team", ann, externalId="g-1")
    path = f"/Groups/{made['id']}"
    assert made["members"] == [{"value": ann, "$ref": f"http://testserver{BASE}/Users/{ann}", "type": "User"}]
    answer = scim.change(path, {"op": "add", "path": "members", "value": [{"value": ben}]})
    assert (answer.status_code, answer.content) == (204, b""), "a large group is not sent back for one change"
    assert ids(scim, made) == {ann, ben}
    assert scim.change(path, {"op": "replace", "value": {"id": made["id"], "displayName": "Crew"}}).status_code == 204
    assert scim.names('displayName eq "crew"', kind="Groups", key="displayName") == ["Crew"]
    assert scim.names('externalId eq "g-1"', kind="Groups", key="id") == [made["id"]]
    assert scim.names(f'members eq "{ben}"', kind="Groups", key="id") == [made["id"]]
    assert scim.names(f'members[value eq "{ben}" and type eq "User"]', kind="Groups", key="id") == [made["id"]]
    assert scim.send("delete", path).status_code == 204
    assert said(scim.send("get", path)) == (404, None)
    assert not Group.objects.filter(pk=made["id"]).exists()
    assert {e.actor_label for e in AuditEvent.objects.filter(object_type="group")} == {"SCIM"}


@pytest.mark.parametrize(
    ("operations", "left"),
    [
        ([{"op": "remove", "path": 'members[value eq "{ann}"]'}], {"ben", "cy"}),
        ([{"op": "Remove", "path": "members", "value": [{"value": "{ann}"}, {"value": "{ben}"}]}], {"cy"}),
        ([{"op": "remove", "path": "members"}], set()),
        ([{"op": "remove", "path": 'members[value eq "{ann}" or value eq "{cy}"]'}], {"ben"}),
        ([{"op": "replace", "path": "members", "value": [{"value": "{ben}"}]}], {"ben"}),
        ([{"op": "replace", "value": {"members": [{"value": "{cy}"}]}}], {"cy"}),
        ([{"op": "add", "value": {"members": [{"value": "{ann}"}]}}], {"ann", "ben", "cy"}),
        ([{"op": "add", "path": "members", "value": {"value": "{ann}"}}], {"ann", "ben", "cy"}),
        (
            [{"op": "remove", "path": "members"}, {"op": "add", "path": "members", "value": [{"value": "{ann}"}]}],
            {"ann"},
        ),
    ],
)
def test_members_by_patch(scim: ScimClient, operations: list[dict[str, Any]], left: set[str]) -> None:
    people = {name: scim.person(name)["id"] for name in ("ann", "ben", "cy")}
    made = scim.group("Team", *people.values())

    def named(value: Any) -> Any:
        if isinstance(value, str):
            for name, pk in people.items():
                value = value.replace("{" + name + "}", pk)
            return value
        if isinstance(value, list):
            return [named(entry) for entry in value]
        return {key: named(entry) for key, entry in value.items()} if isinstance(value, dict) else value

    assert scim.change(f"/Groups/{made['id']}", *named(operations)).status_code == 204
    assert ids(scim, made) == {people[name] for name in left}


def test_what_cannot_be_changed_is_refused_and_nothing_of_the_request_is_done(scim: ScimClient, alice: Any) -> None:
    ann = scim.person("ann")["id"]
    made = scim.group("Team", ann)
    path, add = f"/Groups/{made['id']}", {"op": "add", "path": "members"}
    gone = {"op": "remove", "path": "members"}
    for operation, kind in (
        (add | {"value": [{"value": str(alice.pk)}]}, "invalidValue"),
        (add | {"value": [{"value": "nobody"}]}, "invalidValue"),
        (add | {"value": [{"value": made["id"], "type": "Group"}]}, "invalidValue"),
        ({"op": "replace", "path": f'members[value eq "{ann}"].value', "value": "x"}, "mutability"),
        ({"op": "remove", "path": "displayName"}, "mutability"),
        ({"op": "replace", "path": "displayName", "value": 5}, "invalidValue"),
        ({"op": "replace", "path": "displayName", "value": ""}, "invalidValue"),
        ({"op": "jump", "path": "members"}, "invalidValue"),
        ({"op": "remove", "path": 'members[colour eq "red"]'}, None),
    ):
        answer = scim.change(path, gone, operation)
        assert answer.status_code == 400, operation
        assert kind is None or said(answer) == (400, kind), operation
    assert ids(scim, made) == {ann}
    assert said(scim.send("post", "/Groups", {"schemas": [GROUP], "displayName": "team"})) == (409, "uniqueness")
    assert said(scim.send("post", "/Groups", {"schemas": [GROUP]})) == (400, "invalidValue")


def test_put_replaces_the_members_that_scim_brought_and_no_others(scim: ScimClient, dana: Any, alice: Any) -> None:
    ann, ben = scim.person("ann")["id"], scim.person("ben")["id"]
    made = scim.group("Team", ann)
    group = Group.objects.get(pk=made["id"])
    rbac_services.add_members(group, [alice.pk, User.objects.get(pk=ann).pk], by=dana)
    body = {"displayName": "Team", "members": [{"value": ben}]}
    answer = scim.send("put", f"/Groups/{made['id']}", body)
    assert {m["value"] for m in answer.json()["members"]} == {ben}
    rows = Membership.objects.filter(group=group).values_list("user__name", "source")
    assert set(rows) == {("ben", "scim"), (alice.name, "manual"), ("ann", "manual")}
    assert scim.send("put", f"/Groups/{made['id']}", {"displayName": "Team"}).status_code == 200
    assert ids(scim, made) == set()
    assert Membership.objects.filter(group=group).count() == 2


def test_a_group_of_the_administrators_is_filled_but_neither_renamed_nor_deleted(
    scim: ScimClient, dana: Any, alice: Any
) -> None:
    group = rbac_services.create_group(name="Biostatistics", by=dana)
    rbac_services.add_members(group, [alice.pk], by=dana)
    ann = scim.person("ann")["id"]
    assert scim.names('displayName eq "biostatistics"', kind="Groups", key="id") == [str(group.pk)]
    path = f"/Groups/{group.pk}"
    assert ids(scim, str(group.pk)) == set(), "whom others put in is not SCIM's to see"
    assert scim.change(path, {"op": "add", "path": "members", "value": [{"value": ann}]}).status_code == 204
    assert said(scim.change(path, {"op": "replace", "path": "displayName", "value": "Mine"})) == (403, None)
    assert said(scim.send("delete", path)) == (403, None)
    assert scim.change(path, {"op": "add", "path": "externalId", "value": "g-9"}).status_code == 204
    assert said(scim.send("delete", path)) == (403, None), "an id of the client's does not make it the client's group"
    assert scim.change(path, {"op": "remove", "path": "members"}).status_code == 204
    assert list(Membership.objects.filter(group=group).values_list("user_id", flat=True)) == [alice.pk]


def test_a_thousand_members_are_a_few_statements(scim: ScimClient) -> None:
    people = [User(email=f"p{n}@example.org", name=f"P{n}", role="user") for n in range(1000)]
    User.objects.bulk_create(people)
    ScimAccount.objects.bulk_create(ScimAccount(user=user, user_name=user.email) for user in people)
    made = scim.group("Everybody")
    path = f"/Groups/{made['id']}"

    def cost(*operations: dict[str, Any]) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert scim.change(path, *operations).status_code == 204
        return len([q for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))])

    some = [{"value": str(user.pk)} for user in people]
    one = cost({"op": "add", "path": "members", "value": some[:1]})
    assert cost({"op": "add", "path": "members", "value": some}) == one <= 16
    assert len(ids(scim, made)) == 1000
    assert cost({"op": "replace", "path": "members", "value": some[:10]}) <= 20
    assert len(ids(scim, made)) == 10
    shown = scim.get(f"{BASE}/Groups", {"excludedAttributes": "members"}).json()["Resources"]
    assert all("members" not in group for group in shown)
