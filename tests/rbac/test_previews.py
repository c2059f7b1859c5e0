"""Preview access: every path in its words, on the page and over REST."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from rbac.grants import Grant, grants_of
from rbac.models import AccessChange
from rbac.previews import DENIED, WRITES, Path, Preview, Via, past_page, sections
from rbac.services import add_members, set_default_permissions, set_grants, update_group
from rbac.sharing import Access, NewMember, resource_types
from tests.factories.accounts import UserFactory, a_system_admin
from tests.factories.rbac import make_group, make_shared

pytestmark = pytest.mark.django_db
ENDS = datetime(2999, 1, 1, tzinfo=UTC)


def entry(who, thing, viewer):
    return Preview(who, viewer).explain(type(thing), [thing])[0]


def deny(thing, principal, permission="read"):
    kind = "group" if hasattr(principal, "parent_id") else "user"
    set_grants(
        thing,
        grants_of([thing])[thing.pk],
        denials=[Grant(kind, str(principal.pk), permission)],
        by=a_system_admin(),
    )


@pytest.fixture(autouse=True)
def _denials(settings):
    settings.ENABLE_DENY_GRANTS = True


@pytest.fixture
def kb(alice):
    return make_shared("knowledge", alice, name="Stability")


def test_each_way_in_is_told(kb, alice, bob, carol, carols_group, dana, share):
    above = make_group("Company")
    update_group(carols_group, by=dana, parent_id=above.pk)
    add_members(carols_group, [carol.pk], by=dana, source="ldap")
    set_grants(
        kb,
        [Grant("user", str(bob.pk), "read", ENDS), Grant("group", str(above.pk), "write")],
        by=dana,
    )
    assert entry(alice, kb, dana).paths == (Path("owner", "write"),)
    assert entry(bob, kb, dana).paths == (Path("user", "read", expires_at=ENDS),)
    via = Via(carols_group.pk, "Pharmacovigilance", ("ldap", "manual"))
    assert entry(carol, kb, dana).paths == (Path("group", "write", above.pk, "Company", (via,)),)
    assert entry(dana, kb, dana).paths == (Path("administrator", "write"),)
    share(kb, "*", "read")
    assert entry(bob, kb, dana).paths[0] == Path("general", "read")


def test_memberships_in_two_groups_below_are_both_named(kb, carol, dana):
    top = make_group("Top")
    below = [make_group(name, parent=top, members=[carol]) for name in ("A", "B")]
    set_grants(kb, [Grant("group", str(top.pk), "read")], by=dana)
    assert [via.group_id for via in entry(carol, kb, dana).paths[0].via] == [group.pk for group in below]


def test_a_switch_and_a_role_are_told_apart(alice, dana, bob, settings):
    model, server = make_shared("model", alice), make_shared("tool_server", None)
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert entry(dana, model, dana).paths == ()
    settings.BYPASS_MODEL_ACCESS_CONTROL = True
    assert entry(dana, model, dana).paths == entry(bob, model, dana).paths == (Path("switch", "read"),)
    deny(model, bob)
    assert entry(bob, model, dana).denials == (Path("user", "write"),), "what is denied is the rest"
    assert Preview(bob, dana).page(type(model), show=DENIED).total == 0
    assert entry(dana, server, dana).paths == (Path("administrator", "write"),)


def test_a_denial_beats_and_is_shown_with_what_it_takes_away(kb, bob, dana, share):
    share(kb, bob, "write")
    deny(kb, bob, "write")
    found = entry(bob, kb, dana)
    assert (found.reads, found.writes, found.denials) == (True, False, (Path("user", "write"),))
    deny(kb, bob)
    found = entry(bob, kb, dana)
    assert not found.reads and found.paths == (Path("user", "write"),) and found.denials == (Path("user", "read"),)
    preview = Preview(bob, dana)
    assert preview.page(type(kb)).total == 0
    assert [e.pk for e in preview.page(type(kb), show=DENIED).entries] == [kb.pk]
    bob.role = "admin"
    assert Preview(bob, dana).page(type(kb), show=DENIED).total == 0, "administrators stand above"


def test_folders_are_reached_and_barred_from_above(alice, bob, dana, share):
    top = make_shared("folder", alice)
    inner = make_shared("folder", alice, parent=top)
    share(top, bob, "write")
    assert entry(bob, inner, dana).paths == (Path("above", "write"),)
    share(inner, bob, "read")
    assert entry(bob, inner, dana).paths == (Path("user", "read"), Path("above", "write"))
    deny(inner, bob, "write")
    deny(top, bob)
    found = entry(bob, inner, dana)
    assert not found.reads and found.denials == (Path("user", "write"), Path("above", "read"))


def test_people_without_a_role_reach_open_links_only(alice, pending, dana, share):
    link, kb = make_shared("shared_chat", alice), make_shared("knowledge", alice)
    for thing in (link, kb):
        type(thing).objects.filter(pk=thing.pk).update(general_access=Access.ANYONE)
        thing.refresh_from_db()
        share(thing, pending, "write")
        type(thing).objects.filter(pk=thing.pk).update(general_access=Access.ANYONE)
        thing.refresh_from_db()
    assert entry(pending, link, dana).paths == (Path("general", "read"),)
    assert entry(pending, kb, dana).paths == () and not entry(pending, kb, dana).reads
    assert not any(held.is_held for held in Preview(pending, dana).permissions())


def test_a_group_reaches_what_a_new_member_would(kb, alice, carols_group, dana, share):
    top = make_group("Company", permissions={"workspace": {"models": True}})
    update_group(carols_group, by=dana, parent_id=top.pk)
    share(kb, top, "read")
    mine = make_shared("knowledge", alice, name="Own")
    public = make_shared("knowledge", alice, name="Public")
    share(public, "*", "write")
    preview = Preview(NewMember(carols_group.pk), dana)
    assert [e.name for e in preview.page(type(kb)).entries] == ["Public", "Stability"]
    assert [e.name for e in preview.page(type(kb), show=WRITES).entries] == ["Public"]
    assert mine.pk not in set(preview.objects(type(kb)).values_list("pk", flat=True))
    held = {h.row.key: h for h in preview.permissions()}
    assert held["workspace.models"].is_held and held["workspace.models"].sources == ("Company",)


def test_a_model_that_cannot_be_used_says_so(alice, bob, dana, share):
    base = make_shared("model", alice)
    preset = make_shared("model", alice, base_model=base)
    share(preset, bob)
    assert not entry(bob, preset, dana).is_usable
    share(base, bob)
    assert entry(bob, preset, dana).is_usable


def test_names_are_shown_to_whoever_may_read_them(kb, bob, dana, share, settings):
    share(kb, bob)
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    found = Preview(bob, dana).page(type(kb))
    assert [(e.id, e.name) for e in found.entries] == [(str(kb.pk), "")]
    assert Preview(bob, dana).page(type(kb), query="stab").total == 0
    settings.BYPASS_ADMIN_ACCESS_CONTROL = True
    assert Preview(bob, dana).page(type(kb), query="stab").total == 1


def test_the_deepest_group_says_the_default_models_then_the_oldest(bob, dana):
    def names(group, *models):
        update_group(group, by=dana, data={"config": {"default_models": list(models)}})

    top = make_group("Top")
    older, newer = (make_group(name, parent=top, members=[bob]) for name in ("Z older", "A newer"))
    assert Preview(bob, dana).default_models() == (None, None)
    names(top, "top")
    assert Preview(bob, dana).default_models() == (["top"], top.pk)
    names(newer, "new")
    names(older, "old")
    assert Preview(bob, dana).default_models() == (["old"], older.pk)


def test_looking_back_shows_what_was_reached_then(kb, alice, bob, dana, settings):
    """One transaction is one moment, so the states of days ago are written here as the database would have."""
    then = timezone.now() - timedelta(days=5)

    def state(kind, **values):
        days = {"valid_from": then - timedelta(days=3), "valid_until": then + timedelta(days=3)}
        AccessChange.objects.create(kind=kind, source="test", row_id=str(uuid.uuid4()), **days, **values)

    state("role", object_id=bob.pk, value={"role": "user", "is_active": True})
    for pk, owner in ((kb.pk, alice), (uuid.uuid4(), bob)):
        value = {"owner": str(owner.pk), "general_access": "private"}
        state("resource", object_type="knowledge", object_id=pk, value=value)
    grant = {"permission": "write", "is_denied": False, "expires_at": None}
    state("grant", object_type="knowledge", object_id=kb.pk, principal_type="user", principal_id=bob.pk, value=grant)
    assert Preview(bob, dana).page(type(kb)).total == 0, "nothing of it holds today"
    found = past_page(bob.pk, type(kb), then, dana)
    assert [(e.name, e.writes) for e in found.entries] == [("Stability", True)] and (found.total, found.gone) == (1, 1)
    assert past_page(bob.pk, type(kb), then, dana, show=WRITES).total == 1
    assert past_page(bob.pk, type(kb), then, dana, query="other").total == 0
    assert past_page(bob.pk, type(kb), then - timedelta(days=30), dana).total == 0
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert past_page(bob.pk, type(kb), then, dana).entries[0].name == ""


def test_nothing_to_explain_asks_nothing(bob, dana, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert Preview(bob, dana).explain(resource_types()["knowledge"], []) == []


def test_the_cost_does_not_follow_the_number_of_objects(alice, carol, carols_group, dana, share):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def cost():
        with CaptureQueriesContext(connection) as asked:
            assert Preview(carol, dana).page(resource_types()["model"]).entries
        return len(asked)

    share(make_shared("model", alice), carols_group)
    one = cost()
    for _number in range(8):
        share(make_shared("model", alice), carols_group)
    assert cost() == one <= 11


def test_the_routes_answer_nonsense_with_404(api_for, dana):
    for key in ("nonsense", uuid.uuid4()):
        assert api_for(dana).get(f"/api/v1/users/{key}/preview").status_code == 404
        assert api_for(dana).get(f"/api/v1/groups/id/{key}/preview").status_code == 404


def test_a_persons_preview_has_the_fields_shape(api_for, dana, bob, carol, carols_group, kb, share):
    set_grants(kb, [Grant("group", str(carols_group.pk), "read", ENDS)], by=dana)
    model = make_shared("model", dana)
    share(model, carol, "write")
    body = api_for(dana).get(f"/api/v1/users/{carol.pk}/preview").json()
    assert body["user"] == {"id": str(carol.pk), "name": carol.name}
    assert body["groups"] == [{"id": str(carols_group.pk), "name": "Pharmacovigilance"}]
    assert set(sections()) <= set(body) and {"models", "knowledge", "tools", "prompts"} <= set(body)
    assert body["models"]["total"] == 1 and body["models"]["items"][0]["id"] == model.model_id
    group = {"id": str(carols_group.pk), "name": "Pharmacovigilance"}
    assert body["knowledge"]["items"] == [
        {
            "id": str(kb.pk),
            "name": "Stability",
            "write_access": False,
            "denials": [],
            "paths": [
                {
                    "kind": "group",
                    "permission": "read",
                    "group": group,
                    "via": [{**group, "sources": ["manual"]}],
                    "expires_at": int(ENDS.timestamp()),
                }
            ],
        }
    ]
    assert body["denied"] == {} and body["permissions"]["chat"]["delete"] is True
    deny(kb, carol)
    body = api_for(dana).get(f"/api/v1/users/{carol.pk}/preview").json()
    assert body["knowledge"]["total"] == 0
    assert [item["id"] for item in body["denied"]["knowledge"]["items"]] == [str(kb.pk)]
    assert api_for(bob).get(f"/api/v1/users/{carol.pk}/preview").status_code == 401


def test_a_groups_preview_has_the_fields_shape(api_for, dana, carols_group, kb, share):
    top = make_group("Company", permissions={"workspace": {"models": True}})
    data = {"config": {"default_models": ["small"]}}
    update_group(top, by=dana, data=data)
    update_group(carols_group, by=dana, parent_id=top.pk, permissions={"chat": {"call": True}})
    share(kb, top)
    path = f"/api/v1/groups/id/{carols_group.pk}/preview"
    body = api_for(dana).get(path).json()
    assert body["group"] == {"id": str(carols_group.pk), "name": "Pharmacovigilance"}
    assert body["groups"] == [{"id": str(top.pk), "name": "Company"}]
    assert body["default_models"] == {"local": None, "effective": ["small"], "source_group_id": str(top.pk)}
    assert body["permissions"] == {"chat": {"call": True}}
    assert body["inherited_permissions"]["workspace"]["models"] is True
    assert body["inherited_permissions"]["chat"]["call"] is False
    assert body["effective_permissions"]["chat"]["call"] and body["effective_permissions"]["workspace"]["models"]
    assert [item["name"] for item in body["knowledge"]["items"]] == ["Stability"]
    assert api_for(dana).get(f"{path}?query=nothing").json()["knowledge"] == {"items": [], "total": 0}
    update_group(carols_group, by=dana, data=data)
    own = api_for(dana).get(path).json()["default_models"]
    assert own["local"] == ["small"] and own["source_group_id"] == str(carols_group.pk)


def test_everybody_is_found_by_name(client_for, dana, carols_group):
    page = client_for(dana).get("/admin/preview/").content.decode()
    assert "Bob Lindqvist" in page and "Pharmacovigilance" in page
    page = client_for(dana).get("/admin/preview/?q=vigil").content.decode()
    assert "Nobody has this name" in page and f"/admin/preview/group/{carols_group.pk}/" in page


def test_the_page_says_why(client_for, dana, carol, carols_group, kb, share):
    above = make_group("Company")
    update_group(carols_group, by=dana, parent_id=above.pk)
    set_grants(kb, [Grant("group", str(above.pk), "read", ENDS)], by=dana)
    path = f"/admin/preview/user/{carol.pk}/"
    page = client_for(dana).get(f"{path}?section=knowledge").content.decode()
    assert "Stability" in page and "through Pharmacovigilance" in page
    assert (
        "A grant to the group Company: reads, as a member of Pharmacovigilance (added by hand), until 2999-01-01"
        in page
    )
    deny(kb, above, "write")
    page = client_for(dana).get(f"{path}?section=knowledge").content.decode()
    assert "Changing is denied to the group Company, as a member of" in page
    deny(kb, carol)
    assert "Nothing of this kind" in client_for(dana).get(f"{path}?section=knowledge&page=x").content.decode()
    page = client_for(dana).get(f"{path}?section=knowledge&show=denied").content.decode()
    assert "no access" in page and "Reading is denied to them" in page


def test_the_page_turns_and_keeps_what_was_asked(client_for, dana, alice):
    for number in range(31):
        make_shared("prompt", alice, name=f"Prompt {number:02}")
    page = client_for(dana).get(f"/admin/preview/user/{alice.pk}/?section=prompts&q=prompt").content.decode()
    assert "Page 1 of 2" in page and "section=prompts&amp;q=prompt&amp;page=2" in page and "Prompt 30" not in page
    page = client_for(dana).get(f"/admin/preview/user/{alice.pk}/?section=prompts&page=2").content.decode()
    assert "Prompt 30" in page and "page=1" in page and "Previous" in page


def test_the_page_of_keys_names_who_gives_them(client_for, dana, bob):
    make_group("Writers", members=[bob], permissions={"workspace": {"models_import": True, "tools": True}})
    path = f"/admin/preview/user/{bob.pk}/?section=permissions"
    page = client_for(dana).get(path).content.decode()
    assert "group Writers" in page and "counts only together with" in page and "No group says which model" in page
    page = client_for(dana).get(f"/admin/preview/user/{dana.pk}/?section=permissions").content.decode()
    assert "Administrators may do everything" in page


def test_the_page_looks_back(client_for, dana, bob, kb, share):
    path = f"/admin/preview/user/{bob.pk}/?section=knowledge"
    page = client_for(dana).get(f"{path}&at=2021-01-01T10:00&show=denied").content.decode()
    assert "0 objects as of 2021-01-01 10:00" in page
    assert "0 objects as of" in client_for(dana).get(f"{path}&at=2021-01-01T10:00Z").content.decode()
    assert "has not come yet" in client_for(dana).get(f"{path}&at=2999-01-01T10:00").content.decode()
    for nonsense in ("yesterday", "2021-13-41T10:00"):
        assert "is no date and time" in client_for(dana).get(f"{path}&at={nonsense}").content.decode()


def test_pages_of_nobody_are_missing_and_idle_accounts_are_told(client_for, dana, pending):
    for path in ("user", "group"):
        for key in ("nonsense", uuid.uuid4()):
            assert client_for(dana).get(f"/admin/preview/{path}/{key}/").status_code == 404
    page = client_for(dana).get(f"/admin/preview/user/{pending.pk}/?section=nonsense").content.decode()
    assert "waiting for approval or switched off" in page and "{#" not in page


def test_a_groups_page_and_the_links_to_both(client_for, dana, bob, carols_group, alice, share):
    top = make_group("Company")
    update_group(carols_group, by=dana, parent_id=top.pk, data={"config": {"default_models": ["small"]}})
    base = make_shared("model", alice)
    preset = make_shared("model", alice, name="Preset", base_model=base)
    share(preset, carols_group)
    browser = client_for(dana)
    page = browser.get(f"/admin/preview/group/{carols_group.pk}/?section=models&at=2021-01-01").content.decode()
    assert "Company, a group above" in page and "Not to be used now" in page and "As of" not in page
    page = browser.get(f"/admin/preview/group/{carols_group.pk}/?section=permissions").content.decode()
    assert "A new chat begins with small, as the group Pharmacovigilance says" in page
    for path, wanted in (
        (f"/admin/accounts/user/{bob.pk}/change/", f"/admin/preview/user/{bob.pk}/"),
        (f"/admin/rbac/group/{carols_group.pk}/change/", f"/admin/preview/group/{carols_group.pk}/"),
        ("/admin/", "/admin/preview/"),
    ):
        assert wanted in browser.get(path).content.decode()


def test_keys_merge_as_they_do_for_the_person(bob, dana):
    from rbac.permissions import effective_permissions, is_true, may

    set_default_permissions({"chat": {"delete": False}}, by=dana)
    make_group("Writers", members=[bob], permissions={"workspace": {"models": True, "prompts_import": True}})
    for held in Preview(bob, dana).permissions():
        assert held.is_held == may(bob, held.row.key)
        assert bool(held.sources) == is_true(effective_permissions(bob), held.row.key)
    gone = UserFactory(is_active=False)
    assert not any(held.is_held for held in Preview(gone, dana).permissions())
