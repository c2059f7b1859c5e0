"""The access dialog: who may open it, what it stores, whom one may add, and what it says in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from owui.audit.models import AuditEvent
from rbac import services
from rbac.grants import Grant, denials_of, grants_of, version_of
from rbac.sentences import access_sentence, access_sentences, compare, reach
from tests.factories.accounts import UserFactory
from tests.factories.rbac import make_group, make_shared, types_people_share

pytestmark = pytest.mark.django_db


@pytest.fixture
def kb(alice):
    return make_shared("knowledge", alice, name="Product labels")


def url(resource, tail: str = "") -> str:
    return f"/access/{resource.resource_type}/{resource.pk}{tail}"


@pytest.mark.parametrize("kind", types_people_share())
def test_only_those_who_may_change_it_open_the_dialog(
    kind, client_for, alice, bob, carol, mallory, carols_group, share
):
    thing = make_shared(kind, alice)
    share(thing, bob, "read")
    share(thing, carols_group, "write")
    codes = [client_for(person).get(url(thing)).status_code for person in (alice, carol, bob, mallory)]
    assert codes == [200, 200, 404, 404]
    assert client_for(bob).post(url(thing), {"general_access": "write"}).status_code == 404
    thing.refresh_from_db()
    assert thing.general_access == "private"


def test_what_is_not_there_is_404(client_for, dana, kb):
    client = client_for(dana)
    for path in ("/access/robot/" + str(kb.pk), "/access/knowledge/00000000-0000-4000-8000-000000000000"):
        assert client.get(path).status_code == 404
    assert client.get("/access/knowledge/nonsense").status_code == 404


def test_the_administrator_bypass_can_be_off(client_for, dana, kb, settings):
    assert client_for(dana).get(url(kb)).status_code == 200
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert client_for(dana).get(url(kb)).status_code == 404


def test_strangers_and_those_who_wait_are_shown_the_door(client_for, pending, kb):
    for user in (None, pending):
        assert client_for(user).get(url(kb))["Location"].startswith("/auth")
        answer = client_for(user, htmx=True).get(url(kb))
        assert answer["HX-Redirect"] == "/auth" and not answer.content


def test_saving_stores_pairs_of_principal_and_permission(client_for, dana, kb, bob, carols_group):
    form = {
        "general_access": "read",
        "principal": [f"user:{bob.pk}", f"group:{carols_group.pk}", "user:*", "robot:1"],
        "permission": ["read", "write", "write", "write"],
    }
    answer = client_for(dana, htmx=True).post(url(kb), form)
    assert answer.status_code == 200 and answer["HX-Trigger"] == "access-changed" and not answer.content
    kb.refresh_from_db()
    assert kb.general_access == "read"
    assert set(grants_of([kb])[kb.pk]) == {
        Grant("user", "*", "read"),
        Grant("user", str(bob.pk), "read"),
        Grant("group", str(carols_group.pk), "write"),
    }
    assert AuditEvent.objects.filter(action="access.set", actor_id=dana.pk).count() == 1
    page = client_for(dana).get(url(kb)).content.decode()
    assert "Bob Lindqvist" in page and "Pharmacovigilance" in page


def test_a_refused_audience_is_said_in_the_dialog(client_for, alice, bob, kb):
    form = {"general_access": "private", "principal": [f"user:{bob.pk}"], "permission": ["read"]}
    answer = client_for(alice, htmx=True).post(url(kb), form)
    assert answer.status_code == 422 and "requested audience" in answer.content.decode()
    assert client_for(alice).post(url(kb), form).status_code == 403
    assert grants_of([kb])[kb.pk] == []


# ----------------------------------------------------------------------------------------------------------- searching
def found(client, query: str) -> list[str]:
    return [entry["name"] for entry in client.get("/access/principals", {"q": query}).context["search"]]


def test_search_finds_people_and_groups_by_name_and_people_by_address(client_for, dana, bob, carols_group, pending):
    UserFactory(name="Bob Gone", is_active=False)
    client = client_for(dana)
    assert found(client, "bob") == ["Bob Lindqvist"]
    assert found(client, "BOB@example") == ["Bob Lindqvist"]
    assert found(client, "pharma") == ["Pharmacovigilance"]
    assert found(client, "Waiting") == [], "who waits cannot read anything anyway"
    assert found(client, "") == []
    assert "1 member" in client.get("/access/principals", {"q": "pharma"}).content.decode()


def test_search_is_limited_to_what_one_may_share_with(client_for, alice, bob, dana, set_config):
    mine, others = make_group("Team mine", members=[alice]), make_group("Team others")
    closed = make_group("Team closed", members=[alice])
    services.update_group(closed, by=dana, data={"config": {"share": False}})
    opened = make_group("Team open")
    services.update_group(opened, by=dana, data={"config": {"share": True}})
    old = make_group("Team old")
    services.update_group(old, by=dana, data={})
    client = client_for(alice)
    assert found(client, "team") == ["Team mine", "Team old", "Team open"]
    assert len(found(client_for(dana), "team")) == 5
    set_config("user.permissions", {"access_grants": {"allow_users": False}})
    assert found(client, "bob") == [] and len(found(client, "team")) == 3
    set_config("user.permissions", {"access_grants": {"allow_groups": False}})
    assert found(client, "bob") == ["Bob Lindqvist"] and found(client, "team") == []
    assert mine.name and others.name


def test_a_search_costs_few_statements_whatever_it_finds(client_for, dana, django_assert_max_num_queries):
    for number in range(30):
        make_group(f"Team {number}", members=[UserFactory(name=f"Team member {number}", password=None)])
    client = client_for(dana)
    client.get("/access/principals", {"q": "team"})
    with django_assert_max_num_queries(3):
        client.get("/access/principals", {"q": "team"})


def test_rest_lists_groups_for_sharing(api_for, alice, dana):
    make_group("Mine", members=[alice])
    services.update_group(make_group("Open"), by=dana, data={"config": {"share": True}})
    make_group("Hidden")
    names = [g["name"] for g in api_for(alice).get("/api/v1/groups/").json()]
    sharing = [g["name"] for g in api_for(alice).get("/api/v1/groups/?share=true").json()]
    assert (names, sharing) == (["Mine"], ["Mine", "Open"])


# ------------------------------------------------------------------------------------------------------------ in words
def test_the_sentence_says_who_reads_and_who_writes(kb, bob, carols_group, share):
    assert access_sentence(kb) == "Only the owner."
    share(kb, carols_group, "read")
    share(kb, bob, "write")
    assert access_sentence(kb) == "Read: Pharmacovigilance. Write: Bob Lindqvist."
    share(kb, "*", "read")
    assert access_sentence(kb) == "Read: everyone signed in, Pharmacovigilance. Write: Bob Lindqvist."


def test_the_sentence_says_what_holds_for_everybody(alice, kb, share):
    share(kb, "*", "write")
    assert access_sentence(kb) == "Write: everyone signed in."
    link = make_shared("shared_chat", alice, general_access="anyone")
    assert access_sentence(link) == "Read: anyone with the link."
    assert "Anyone with the link" in {line.name for line in reach(link)}
    type(kb).objects.filter(pk=kb.pk).update(owner=None)
    kb.refresh_from_db()
    assert "owner" not in {line.reason for line in reach(kb)}


def test_read_and_write_of_one_person_are_said_once(kb, bob, share):
    share(kb, bob, "read")
    share(kb, bob, "write")
    assert access_sentence(kb) == "Write: Bob Lindqvist."


def test_a_long_list_is_cut(kb, share):
    for number in range(6):
        share(kb, UserFactory(name=f"P{number}", password=None), "read")
    assert access_sentence(kb) == "Read: P0, P1 and 4 more."


def test_sentences_of_a_page_take_two_statements(alice, bob, share, django_assert_num_queries):
    things = [make_shared("knowledge", alice) for _ in range(20)]
    for thing in things:
        share(thing, bob, "read")
    with django_assert_num_queries(2):
        assert set(access_sentences(things).values()) == {"Read: Bob Lindqvist."}
    assert access_sentences([]) == {}


def test_who_can_see_it_and_why(kb, bob, carol, carols_group, share, client_for, alice, settings):
    share(kb, carols_group, "read")
    share(kb, bob, "write")
    share(kb, make_group("Empty"), "read")
    lines = {line.name: (line.permission, line.reason) for line in reach(kb)}
    assert lines["Alice Meyer"] == ("write", "owner")
    assert lines["Carol Osei"] == ("read", "a grant to the group Pharmacovigilance")
    assert lines["Bob Lindqvist"][0] == "write" and "no members" in lines["Empty"][1]
    assert "Administrators" in lines
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert "Administrators" not in {line.name for line in reach(kb)}
    page = client_for(alice).get(url(kb, "/who")).content.decode()
    assert "Carol Osei" in page


# ------------------------------------------------------------------------------------ ends and denials
def fields(*people, version="", **extra) -> dict:
    """The dialog's form: (person, permission, day, time) each."""
    return {
        "general_access": "private",
        "principal": [f"{'group' if hasattr(p, 'ancestry') else 'user'}:{p.pk}" for p, *_rest in people],
        "permission": [rest[0] for _p, *rest in people],
        "until": [rest[1] if len(rest) > 1 else "" for _p, *rest in people],
        "until_time": [rest[2] if len(rest) > 2 else "" for _p, *rest in people],
        "version": version,
        **extra,
    }


def test_an_end_is_a_day_or_a_day_and_a_time(client_for, dana, kb, bob, carol, carols_group):
    form = fields((bob, "read", "2101-01-31"), (carol, "write", "2101-01-31", "18:00"), (carols_group, "read"))
    assert client_for(dana, htmx=True).post(url(kb), form).status_code == 200
    ends = {g.principal_id: g.expires_at and g.expires_at.isoformat() for g in grants_of([kb])[kb.pk]}
    assert ends == {
        str(bob.pk): "2101-01-31T23:59:59+00:00",
        str(carol.pk): "2101-01-31T18:00:00+00:00",
        str(carols_group.pk): None,
    }
    sentence = (
        "Read: Pharmacovigilance, Bob Lindqvist (until 31 Jan 2101). Write: Carol Osei (until 31 Jan 2101, 18:00)."
    )
    assert access_sentence(kb) == sentence
    shown = {g.name: (g.day, g.hour) for g in client_for(dana).get(url(kb)).context["grant_list"]}
    assert shown["Bob Lindqvist"] == ("2101-01-31", "") and shown["Carol Osei"] == ("2101-01-31", "18:00")
    lines = {(line.name, line.reason) for line in reach(kb)}
    assert ("Bob Lindqvist", "a grant of their own, until 31 Jan 2101") in lines
    # Saving what was shown changes nothing.
    version = client_for(dana).get(url(kb)).context["version"]
    assert client_for(dana, htmx=True).post(url(kb), {**form, "version": version}).status_code == 200
    assert AuditEvent.objects.filter(action="access.set").count() == 1


def test_an_end_to_the_second_is_kept(client_for, dana, kb, bob):
    services.set_grants(kb, [Grant("user", str(bob.pk), "read", datetime(2101, 1, 31, 18, 0, 7, tzinfo=UTC))], by=dana)
    assert client_for(dana).get(url(kb)).context["grant_list"][0].hour == "18:00:07"


@pytest.mark.parametrize(
    ("day", "hour", "says"),
    [
        ("2001-01-31", "", "31 Jan 2001 is over already"),
        ("next week", "", "is no date"),
        ("2101-02-31", "", "is no date"),
        ("9999-12-31", "", "is no date"),
        ("2101-01-31", "25:00", "is no date"),
        ("2101-01-31", "noon", "is no date"),
        ("", "18:00", "Choose a day as well"),
    ],
)
def test_an_end_that_makes_no_sense_is_said_beside_what_the_person_wrote(day, hour, says, client_for, dana, kb, bob):
    answer = client_for(dana, htmx=True).post(url(kb), fields((bob, "write", day, hour)))
    page = answer.content.decode()
    assert answer.status_code == 422 and says in page and "Bob Lindqvist:" in page
    assert answer.context["grant_list"][0].permission == "write" and 'aria-invalid="true"' in page
    assert grants_of([kb])[kb.pk] == []


def test_a_form_without_ends_leaves_them(client_for, dana, kb, bob):
    ends = datetime(2101, 1, 31, tzinfo=UTC)
    services.set_grants(kb, [Grant("user", str(bob.pk), "read", ends)], by=dana)
    form = {"general_access": "private", "principal": [f"user:{bob.pk}"], "permission": ["read"]}
    client_for(dana, htmx=True).post(url(kb), form)
    assert grants_of([kb])[kb.pk] == [Grant("user", str(bob.pk), "read", ends)]


def test_reads_beside_a_right_to_change_are_kept_but_not_shown(client_for, dana, kb, bob, carol):
    """Clients of the field store both rows."""
    soon = datetime(2101, 1, 31, 18, tzinfo=UTC)
    both = [Grant("user", str(bob.pk), "read"), Grant("user", str(bob.pk), "write")]
    apart = [Grant("user", str(carol.pk), "read"), Grant("user", str(carol.pk), "write", soon)]
    services.set_grants(kb, both + apart, by=dana)
    shown = client_for(dana).get(url(kb)).context
    rows = [(g.name, g.permission) for g in shown["grant_list"]]
    assert rows == [("Bob Lindqvist", "write"), ("Carol Osei", "read"), ("Carol Osei", "write")]
    form = fields((bob, "write"), (carol, "read"), (carol, "write", "2101-01-31", "18:00"), version=shown["version"])
    assert client_for(dana, htmx=True).post(url(kb), form).status_code == 200
    assert set(grants_of([kb])[kb.pk]) == {*both, *apart}
    client_for(dana, htmx=True).post(url(kb), fields((bob, "write", "2101-01-31", "18:00")))
    assert {g.expires_at for g in grants_of([kb])[kb.pk]} == {soon}, "no hidden read outlives what is shown"


def test_administrators_keep_people_out(client_for, dana, alice, kb, bob, carol, carols_group, settings, share):
    share(kb, carols_group, "write")
    share(kb, bob, "write")
    assert client_for(dana).get(url(kb)).context["may_deny"] is False
    settings.ENABLE_DENY_GRANTS = True
    client = client_for(dana, htmx=True)
    assert "Kept out" in client.get(url(kb)).content.decode()
    form = fields((carols_group, "write"), (bob, "write")) | {
        "has_denials": "1",
        "denied_principal": [f"user:{carol.pk}", f"user:{bob.pk}", f"user:{alice.pk}"],
        "denied_permission": ["read", "write", "read"],
        "denied_until": ["2101-01-31", "", ""],
        "denied_until_time": ["", "", ""],
    }
    assert client.post(url(kb), form).status_code == 200
    assert {(d.principal_id, d.permission) for d in denials_of([kb])[kb.pk]} == {
        (str(carol.pk), "read"),
        (str(bob.pk), "write"),
        (str(alice.pk), "read"),
    }
    assert "Kept out: Alice Meyer, Carol Osei (until 31 Jan 2101). Not changed by: Bob Lindqvist." in access_sentence(
        kb
    )
    lines = {(line.name, line.permission) for line in reach(kb)}
    assert ("Carol Osei", "out") in lines and ("Carol Osei", "write") not in lines
    assert ("Bob Lindqvist", "read") in lines and ("Bob Lindqvist", "no_write") in lines
    assert ("Alice Meyer", "write") not in lines, "not even the owner"
    page = client.get(url(kb, "/who")).content.decode()
    assert "may not see it:" in page and "may not change it:" in page
    # Switched off again: what there is can be taken away.
    settings.ENABLE_DENY_GRANTS = False
    assert "Denials are switched off" in client.get(url(kb)).content.decode()
    assert client.post(url(kb), fields((bob, "write"), has_denials="1")).status_code == 200
    assert denials_of([kb])[kb.pk] == []
    form["denied_until"][0] = "2001-01-01"
    answer = client.post(url(kb), form)
    assert answer.status_code == 422 and answer.context["may_deny"] is True


def test_a_denied_group_keeps_its_members_out(kb, carol, carols_group, share, dana, settings):
    settings.ENABLE_DENY_GRANTS = True
    share(kb, carol, "write")
    group = Grant("group", str(carols_group.pk), "read")
    both = [group, Grant("group", str(carols_group.pk), "write")]
    services.set_grants(kb, grants_of([kb])[kb.pk], denials=both, by=dana)
    lines = [(line.name, line.permission) for line in reach(kb)]
    assert ("Carol Osei", "write") not in lines and lines.count(("Pharmacovigilance", "out")) == 1


def test_owners_may_neither_deny_nor_undo_a_denial(client_for, alice, kb, bob, dana, settings):
    settings.ENABLE_DENY_GRANTS = True
    services.set_grants(kb, [], denials=[Grant("user", str(bob.pk), "read")], by=dana)
    client = client_for(alice, htmx=True)
    assert client.get(url(kb)).context["may_deny"] is False
    assert client.post(url(kb), fields(has_denials="1")).status_code == 422
    assert client.post(url(kb), fields()).status_code == 200
    assert len(denials_of([kb])[kb.pk]) == 1


def test_results_for_the_second_list_are_added_there(client_for, dana, bob):
    page = client_for(dana).get("/access/principals", {"q": "bob", "part": "denied"}).content.decode()
    assert 'data-add="#denial-list"' in page and 'name="denied_principal"' in page


# ----------------------------------------------------------------------------------------------------- two at once
def test_the_second_editor_sees_both_versions_and_loses_nothing(client_for, dana, alice, kb, bob, carol, carols_group):
    services.set_grants(kb, [Grant("user", str(bob.pk), "read")], by=dana)
    client = client_for(dana, htmx=True)
    version = client.get(url(kb)).context["version"]
    services.set_grants(
        kb, [Grant("user", str(bob.pk), "write"), Grant("group", str(carols_group.pk), "read")], by=dana
    )
    mine = fields((bob, "read"), (carol, "write", "2101-01-31"), version=version)
    answer = client.post(url(kb), mine)
    assert answer.status_code == 409 and answer["HX-Retarget"] == "#dialogs"
    lines = {d.name: (d.theirs, d.yours, d.differs) for d in answer.context["differences"]}
    assert lines == {
        "In general": ("Only people below", "Only people below", False),
        "Bob Lindqvist": ("may change", "may read", True),
        "Carol Osei": ("not on the list", "may change, until 31 Jan 2101", True),
        "Pharmacovigilance": ("may read", "not on the list", True),
    }
    assert [(g.name, g.permission, g.day) for g in answer.context["grant_list"]] == [
        ("Bob Lindqvist", "read", ""),
        ("Carol Osei", "write", "2101-01-31"),
    ]
    assert len(grants_of([kb])[kb.pk]) == 2, "nothing is stored"
    assert client.post(url(kb), {**mine, "version": answer.context["version"]}).status_code == 200
    assert {g.principal_id for g in grants_of([kb])[kb.pk]} == {str(bob.pk), str(carol.pk)}


def test_a_conflict_names_denials_too(kb, dana, bob, settings):
    settings.ENABLE_DENY_GRANTS = True
    out = [Grant("user", str(bob.pk), "read"), Grant("user", str(dana.pk), "write")]
    lines = {d.name: (d.theirs, d.yours) for d in compare(([], out), ([], []))}
    assert lines["Bob Lindqvist"] == ("kept out", "not on the list") and lines["Dana Reyes"][0] == "may not change"


def test_rest_answers_a_conflict_with_both_versions(api_for, dana, kb, bob, carol, settings):
    settings.ENABLE_DENY_GRANTS = True
    path = f"/api/v1/knowledge/{kb.pk}/access/update"
    bobs = {"principal_type": "user", "principal_id": str(bob.pk), "permission": "read"}
    carols = {**bobs, "principal_id": str(carol.pk)}
    seen = version_of([], [])
    api = api_for(dana)
    assert api.post(path, {"access_grants": [bobs], "access_denials": [carols], "version": seen}).status_code == 200
    assert denials_of([kb])[kb.pk] == [Grant("user", str(carol.pk), "read")]
    answer = api.post(path, {"access_grants": [carols], "version": seen})
    body = answer.json()
    assert answer.status_code == 409 and "Somebody else changed" in body["detail"]
    assert body["theirs"] == {"access_grants": [bobs], "access_denials": [carols]}
    assert body["yours"] == {"access_grants": [carols], "access_denials": [carols]}
    assert api.post(path, {"access_grants": [carols], "version": body["version"]}).status_code == 200
    assert [g.principal_id for g in grants_of([kb])[kb.pk]] == [str(carol.pk)]
