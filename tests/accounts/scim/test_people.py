"""People by SCIM: made, taken over, changed, switched off and deleted; and whom it must leave alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from accounts import services, tokens
from accounts.backends.identity import Admission, ExternalIdentity
from accounts.models import ApiKey, ExternalLogin, ScimAccount, Session, User
from owui.audit.models import AuditEvent
from owui.lib.errors import Refused
from rbac.models import Membership
from tests.accounts.scim.conftest import BASE, USER, ScimClient
from tests.accounts.scim.test_door import said
from tests.conftest import Api, token_for
from tests.factories.accounts import PASSWORD, UserFactory

ME = "/api/v1/auths/"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def off(scim: ScimClient, pk: Any, value: Any = False) -> Any:
    return scim.change(f"/Users/{pk}", {"op": "replace", "path": "active", "value": value})


def test_a_new_person_may_come_in_at_once_and_has_no_password(scim: ScimClient) -> None:
    answer = scim.send(
        "post",
        "/Users",
        {
            "schemas": [USER],
            "userName": "Ann.Lee",
            "externalId": "e-1",
            "name": {"givenName": "Ann", "familyName": "Lee"},
            "emails": [{"value": "home@example.org"}, {"value": "Ann@Example.org", "type": "work", "primary": True}],
            "active": True,
            "nickName": "unknown to us",
            ENTERPRISE: {"department": "R&D"},
        },
    )
    made = answer.json()
    assert answer.status_code == 201
    assert answer["Location"] == made["meta"]["location"] == f"http://testserver{BASE}/Users/{made['id']}"
    assert answer["ETag"] == made["meta"]["version"]
    assert "nickName" not in made and "password" not in made
    user = User.objects.get(pk=made["id"])
    assert (user.email, user.name, user.role, user.is_active) == ("ann@example.org", "Ann Lee", "user", True)
    assert not user.has_usable_password()
    assert ExternalLogin.objects.get(user=user).provider == "scim:default"
    assert [(e.actor_label) for e in AuditEvent.objects.filter(object_id=made["id"])] == ["SCIM"] * 3


def test_a_user_name_that_is_an_address_is_enough(scim: ScimClient) -> None:
    answer = scim.send("post", "/Users", {"schemas": [USER], "userName": "bo@example.org"})
    assert answer.status_code == 201
    assert User.objects.get(pk=answer.json()["id"]).email == "bo@example.org"
    answer = scim.send("post", "/Users", {"schemas": [USER], "userName": "bo"})
    assert said(answer) == (400, "invalidValue")


@pytest.mark.parametrize(
    "twin",
    [
        {"userName": "ANN", "emails": [{"value": "other@example.org"}]},
        {"userName": "other", "emails": [{"value": "ANN@example.org"}]},
        {"userName": "other", "emails": [{"value": "other@example.org"}], "externalId": "e-1"},
    ],
)
def test_a_second_one_of_the_same_name_address_or_id_is_refused(scim: ScimClient, twin: dict[str, Any]) -> None:
    scim.person("ann", externalId="e-1")
    assert said(scim.send("post", "/Users", {"schemas": [USER]} | twin)) == (409, "uniqueness")
    assert scim.names() == ["ann"]
    other = scim.person("zoe")
    assert said(scim.change(f"/Users/{other['id']}", {"op": "replace", "value": twin})) == (409, "uniqueness")


def test_accounts_that_scim_did_not_make_do_not_exist_for_it(scim: ScimClient, alice: Any) -> None:
    for verb, body in (
        ("get", None),
        ("put", {"userName": "x", "emails": [{"value": "x@example.org"}]}),
        ("delete", None),
    ):
        assert said(scim.send(verb, f"/Users/{alice.pk}", body)) == (404, None)
    assert said(off(scim, alice.pk)) == (404, None)
    assert scim.names() == []
    answer = scim.send("post", "/Users", {"schemas": [USER], "userName": "alice@example.org"})
    assert said(answer) == (409, "uniqueness")
    assert User.objects.get(pk=alice.pk).is_active


def test_an_account_is_taken_over_by_address_only_when_the_setting_says_so(
    scim: ScimClient, scim_settings: Any, pending: Any
) -> None:
    scim_settings(SCIM_ADOPT_ACCOUNTS="True")
    body = {"schemas": [USER], "userName": "pia", "emails": [{"value": pending.email}], "displayName": "Pia W"}
    answer = scim.send("post", "/Users", body)
    assert (answer.status_code, answer.json()["id"]) == (201, str(pending.pk))
    pending.refresh_from_db()
    assert (pending.role, pending.name) == ("user", "Pia W"), "the directory vouches, so nobody needs to approve"
    assert AuditEvent.objects.filter(action="user.scim.adopt", object_id=str(pending.pk)).exists()


def test_who_opened_the_account_with_another_ones_address_keeps_no_way_in_when_it_is_taken_over(
    scim: ScimClient, scim_settings: Any, set_config: Any
) -> None:
    scim_settings(SCIM_ADOPT_ACCOUNTS="True")
    set_config("auth.enable_signup", True)
    squatter = services.sign_up(name="Not Pia", email="pia@example.org", password=PASSWORD)
    token, _session = services.open_session(squatter, auth_method="password")
    made = scim.person("pia", displayName="Pia W")
    assert made["id"] == str(squatter.pk)
    squatter.refresh_from_db()
    assert squatter.role == "user" and not squatter.has_usable_password()
    assert Api(token).get(ME).status_code == 401


def test_the_first_administrator_is_not_changed_even_when_taken_over(
    scim: ScimClient, scim_settings: Any, dana: Any
) -> None:
    scim_settings(SCIM_ADOPT_ACCOUNTS="True")
    body = {"schemas": [USER], "userName": "dana", "emails": [{"value": dana.email}], "displayName": dana.name}
    assert said(scim.send("post", "/Users", body | {"displayName": "Other"})) == (403, None)
    assert said(scim.send("post", "/Users", body | {"active": False})) == (403, None)
    assert not ScimAccount.objects.exists(), "a refusal leaves nothing half done"
    assert scim.send("post", "/Users", body).status_code == 201
    assert said(off(scim, dana.pk)) == (403, None)
    assert said(scim.send("delete", f"/Users/{dana.pk}")) == (403, None)
    dana.refresh_from_db()
    assert (dana.is_active, dana.role, dana.name) == (True, "admin", "Dana Reyes")


def test_administrators_are_neither_demoted_nor_deleted_but_can_be_switched_off(scim: ScimClient, dana: Any) -> None:
    made = scim.person("ann")
    services.update_user(User.objects.get(pk=made["id"]), by=dana, role="admin")
    whole = {"userName": "ann", "emails": [{"value": "ann@example.org"}]}
    assert scim.send("put", f"/Users/{made['id']}", whole).status_code == 200
    assert User.objects.get(pk=made["id"]).role == "admin"
    assert said(scim.send("delete", f"/Users/{made['id']}")) == (403, None)
    assert off(scim, made["id"]).status_code == 200
    ann = User.objects.get(pk=made["id"])
    assert (ann.role, ann.is_active) == ("admin", False)


def test_the_last_active_administrator_stays_on(scim: ScimClient, dana: Any) -> None:
    made = scim.person("ann")
    services.update_user(User.objects.get(pk=made["id"]), by=dana, role="admin")
    User.objects.filter(pk=dana.pk).update(is_active=False)
    assert said(off(scim, made["id"])) == (403, None)
    assert User.objects.get(pk=made["id"]).is_active


@pytest.mark.parametrize("value", [False, "False", "false"])
def test_inactive_ends_everything_at_once_and_active_lets_in_again(scim: ScimClient, value: Any) -> None:
    made = scim.person("ann")
    ann = User.objects.get(pk=made["id"])
    token = token_for(ann)
    tokens.new_api_key(ann)
    assert Api(token).get(ME).status_code == 200
    assert off(scim, ann.pk, value).json()["active"] is False
    assert Api(token).get(ME).status_code == 401
    assert not Session.objects.filter(user=ann, revoked_at=None).exists()
    assert not ApiKey.objects.filter(user=ann).exists()
    event = AuditEvent.objects.get(action="user.off_board")
    assert (event.actor_label, event.detail) == ("SCIM", {"why": "scim"})
    assert off(scim, ann.pk, True).json()["active"] is True
    assert Api(token).get(ME).status_code == 401, "what ended stays ended"
    assert Api(token_for(ann)).get(ME).status_code == 200


def test_whether_an_account_is_on_cannot_be_removed(scim: ScimClient) -> None:
    made = scim.person("ann")
    assert said(scim.change(f"/Users/{made['id']}", {"op": "remove", "path": "active"})) == (400, "mutability")


def test_put_clears_what_it_leaves_out_but_neither_switches_on_nor_forgets_the_id(scim: ScimClient) -> None:
    made = scim.person("ann", externalId="e-1", displayName="Ann", name={"givenName": "A"})
    off(scim, made["id"])
    answer = scim.send("put", f"/Users/{made['id']}", {"userName": "ann2", "emails": [{"value": "a2@example.org"}]})
    found = answer.json()
    assert "displayName" not in found and "name" not in found
    assert (found["userName"], found["active"], found["externalId"]) == ("ann2", False, "e-1")
    ann = User.objects.get(pk=made["id"])
    assert (ann.email, ann.name) == ("a2@example.org", "ann2")


def test_patch_does_all_or_nothing(scim: ScimClient) -> None:
    made = scim.person("ann")
    answer = scim.change(
        f"/Users/{made['id']}",
        {"op": "replace", "path": "displayName", "value": "Other"},
        {"op": "replace", "path": "emails", "value": [{"value": "nonsense"}]},
    )
    assert said(answer) == (400, "invalidValue")
    assert "displayName" not in scim.send("get", f"/Users/{made['id']}").json()


def test_patch_as_entra_and_okta_write_it(scim: ScimClient) -> None:
    made = scim.person("ann")
    path = f"/Users/{made['id']}"
    answer = scim.change(
        path,
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "work@example.org"},
        {"op": "Replace", "path": "name.givenName", "value": "Ann"},
        {
            "op": "Replace",
            "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            "value": "X",
        },
        {"op": "add", "value": {"displayName": "Ann L", "title": "ignored"}},
    )
    found = answer.json()
    assert {"value": "work@example.org", "type": "work"} in found["emails"]
    assert (found["name"], found["displayName"]) == ({"givenName": "Ann"}, "Ann L")
    answer = scim.change(path, {"op": "replace", "path": 'emails[type eq "work"].primary', "value": True})
    assert [e.get("primary") for e in answer.json()["emails"]] == [False, True]
    assert User.objects.get(pk=made["id"]).email == "work@example.org", "the primary address is the account's"
    answer = scim.change(path, {"op": "remove", "path": 'emails[value co "work"]'})
    assert [e["value"] for e in answer.json()["emails"]] == ["ann@example.org"]
    for operation in (
        {"op": "replace", "path": "groups", "value": []},
        {"op": "replace", "path": "id", "value": "x"},
    ):
        assert said(scim.change(path, operation)) == (400, "mutability")
    assert said(scim.change(path, {"op": "remove"})) == (400, "noTarget")
    assert said(scim.change(path, {"op": "replace", "path": "emails[", "value": 1})) == (400, "invalidPath")


def test_a_deleted_person_is_gone_for_the_client_and_kept_here(scim: ScimClient) -> None:
    made = scim.person("ann", externalId="e-1")
    group = scim.group("Team", made["id"])
    ann = User.objects.get(pk=made["id"])
    token = token_for(ann)
    assert scim.send("delete", f"/Users/{ann.pk}").status_code == 204
    for verb in ("get", "delete"):
        assert said(scim.send(verb, f"/Users/{ann.pk}")) == (404, None)
    assert scim.names() == []
    assert "members" not in scim.send("get", f"/Groups/{group['id']}").json()
    assert Api(token).get(ME).status_code == 401
    ann.refresh_from_db()
    assert not ann.is_active
    assert not Membership.objects.filter(user=ann).exists()
    assert AuditEvent.objects.filter(action="user.scim.delete", actor_label="SCIM").exists()


def test_who_comes_back_under_the_same_id_gets_their_own_account_back(scim: ScimClient) -> None:
    made = scim.person("ann", externalId="e-1")
    scim.send("delete", f"/Users/{made['id']}")
    again = scim.person("ann", externalId="e-1")
    assert again["id"] == made["id"] and again["active"] is True


def test_an_address_given_to_somebody_else_does_not_bring_the_former_persons_chats(
    scim: ScimClient, scim_settings: Any
) -> None:
    made = scim.person("john", externalId="e-1")
    scim.send("delete", f"/Users/{made['id']}")
    for adopt in ("False", "True"):
        scim_settings(SCIM_ADOPT_ACCOUNTS=adopt)
        body = {"schemas": [USER], "userName": "john", "emails": [{"value": "john@example.org"}], "externalId": "e-2"}
        assert said(scim.send("post", "/Users", body)) == (409, "uniqueness")


def test_entity_tags_keep_two_clients_from_overwriting_one_another(scim: ScimClient, dana: Any) -> None:
    made = scim.person("ann")
    path, tag = f"/Users/{made['id']}", made["meta"]["version"]
    assert scim.send("get", path, **{"if-none-match": tag}).status_code == 304
    change = {"op": "replace", "path": "displayName", "value": "One"}
    answer = scim.change(path, change, **{"if-match": tag})
    assert answer.status_code == 200 and answer["ETag"] != tag
    assert said(scim.change(path, change | {"value": "Two"}, **{"if-match": tag})) == (412, None)
    assert said(scim.send("delete", path, **{"if-match": tag})) == (412, None)
    fresh = answer["ETag"]
    services.update_user(User.objects.get(pk=made["id"]), by=dana, is_active=False)
    assert said(scim.change(path, change, **{"if-match": fresh})) == (412, None), "changes made here count too"


def test_nothing_is_written_when_nothing_differs(scim: ScimClient) -> None:
    made = scim.person("ann", externalId="e-1", displayName="Ann")
    events = AuditEvent.objects.count()
    whole = {key: made[key] for key in ("userName", "externalId", "displayName", "emails", "active")}
    assert scim.send("put", f"/Users/{made['id']}", whole).json()["meta"] == made["meta"]
    assert off(scim, made["id"], True).json()["meta"] == made["meta"]
    assert AuditEvent.objects.count() == events


# ------------------------------------------------------------------------------------------ together with signing in
def test_the_sign_in_provider_finds_the_account_that_scim_made_for_the_same_id(
    scim: ScimClient, scim_settings: Any
) -> None:
    scim_settings(SCIM_AUTH_PROVIDER="oidc")
    made = scim.person("ann", externalId="sub-1")
    identity = ExternalIdentity(provider="oidc", subject="sub-1", email="quite-another@example.org")
    user, report = services.admit(identity, Admission())
    assert str(user.pk) == made["id"] and report.is_linked
    assert {login.provider for login in user.external_logins.all()} == {"oidc", "scim:oidc"}
    user, report = services.admit(identity, Admission())
    assert str(user.pk) == made["id"] and not report.is_linked


def test_ids_of_another_provider_open_no_account(scim: ScimClient, scim_settings: Any) -> None:
    scim_settings(SCIM_AUTH_PROVIDER="oidc")
    scim.person("ann", externalId="sub-1")
    with pytest.raises(Refused):
        services.admit(ExternalIdentity(provider="google", subject="sub-1", email="x@example.org"), Admission())


def test_who_signed_in_first_is_taken_over_by_the_providers_id(scim: ScimClient, scim_settings: Any) -> None:
    scim_settings(SCIM_AUTH_PROVIDER="oidc")
    bob = UserFactory(email="robert@example.org")
    ExternalLogin.objects.create(user=bob, provider="oidc", subject="sub-2")
    made = scim.person("bobby", externalId="sub-2", emails=[{"value": "new@example.org"}])
    assert made["id"] == str(bob.pk)
    assert scim.names('externalId eq "sub-2"') == ["bobby"]


def test_what_scim_changed_stands_in_the_report_of_the_login(scim: ScimClient) -> None:
    made = scim.person("ann", externalId="e-1")
    assert ExternalLogin.objects.get().last_report == {"is_new": True}
    scim.change(f"/Users/{made['id']}", {"op": "replace", "path": "displayName", "value": "Ann L"})
    assert ExternalLogin.objects.get().last_report["changed"]["name"] == ["ann", "Ann L"]


# ----------------------------------------------------------------------------------------------------- two at a time
@pytest.mark.django_db(transaction=True)
def test_two_clients_that_make_the_same_person_make_one(scim: ScimClient) -> None:
    def post(_: int) -> int:
        try:
            body = {"schemas": [USER], "userName": "ann", "emails": [{"value": "ann@example.org"}], "externalId": "e"}
            return int(ScimClient().send("post", "/Users", body).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(post, range(4)))
    assert codes == [201, 409, 409, 409]
    assert ScimAccount.objects.count() == 1
