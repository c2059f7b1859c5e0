"""Small answers at the edges of the rules, each of which somebody relies on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from owui.config.registry import InvalidSetting
from owui.lib.errors import UserError
from rbac import services
from rbac.backends import GrantBackend
from rbac.grants import Grant, as_access_control
from rbac.models import AccessChange
from rbac.services import sync
from tests.factories.rbac import make_group, make_shared

pytestmark = pytest.mark.django_db


def test_the_backend_signs_nobody_in_and_knows_shared_objects_only(alice, dana):
    backend, base = GrantBackend(), make_shared("knowledge", alice)
    assert backend.authenticate(None, username="dana@example.org", password="x") is None
    assert backend.get_user(dana.pk) is None
    assert backend.has_perm(dana, "knowledge.add_knowledgebase") and not backend.has_perm(alice, "knowledge.x")
    assert not backend.has_perm(dana, "accounts.view_user", alice)
    assert not backend.has_perm(alice, "chat.view_knowledgebase", base)
    assert not backend.has_perm(alice, "knowledge.delete_knowledgebase", base)
    assert backend.has_module_perms(dana, "knowledge") and not backend.has_module_perms(alice, "knowledge")


def test_a_person_with_two_reasons_is_one_member(api_for, dana, alice, bob):
    group = make_group(members=[alice, bob])
    services.add_members(group, [alice.pk], by=dana, source="ldap")
    [row] = [g for g in api_for(dana).get("/api/v1/groups/").json() if g["id"] == str(group.pk)]
    assert row["member_count"] == 2
    assert api_for(dana).get("/api/v1/groups/id/not-a-uuid").status_code == 404


def test_a_link_for_anyone_is_nothing_the_old_form_can_say():
    assert as_access_control([Grant("anyone", "*", "read")]) == {
        permission: {"group_ids": [], "user_ids": []} for permission in ("read", "write")
    }


def test_a_type_without_a_sharing_key_is_shared_by_administrators_only(alice, bob, dana):
    kind = SimpleNamespace(sharing_key="", allows_anyone=False)
    grant = Grant("user", str(bob.pk), "read")
    assert services.allowed_audiences(kind, [grant], alice) == []
    assert services.allowed_audiences(kind, [grant], dana) == [grant]


def test_a_group_name_has_an_end(dana):
    with pytest.raises(UserError, match="255"):
        services.create_group(name="x" * 256, by=dana)


def test_permissions_that_the_environment_rules_are_refused_in_words(dana, monkeypatch):
    def locked(**_values):
        raise InvalidSetting("user.permissions", "user.permissions cannot be changed here.")

    monkeypatch.setattr("rbac.services.groups.UserConfig.save", locked)
    with pytest.raises(UserError, match="cannot be changed here"):
        services.set_default_permissions({"chat": {"delete": False}}, by=dana)


def test_a_sync_of_somebody_who_is_gone_does_nothing_and_a_preview_of_nobody_says_so(client_for, alice, dana):
    group = make_group("Safety")
    plan = sync.plan_sync(alice, ["Safety"], source="oidc", create_missing=False)
    assert plan.add
    gone = SimpleNamespace(id=alice.pk, email=alice.email, name=alice.name, role="user", is_active=True)
    alice.delete()
    assert (
        sync._apply(gone, ["Safety"], None, {"source": "oidc", "create_missing": False}, plan, None) == sync.SyncPlan()
    )
    assert not group.memberships.exists()
    with pytest.raises(CommandError, match="no account"):
        call_command("sync_preview", user="nobody@example.org", groups="Safety", source="oidc")
    assert client_for(dana).get(f"/admin/sync/{gone.id}/").status_code == 404


def test_a_state_of_the_history_has_a_name(alice):
    base = make_shared("knowledge", alice)
    assert str(AccessChange.objects.get(kind="resource", object_id=base.pk)) == f"resource knowledge {base.pk}"
