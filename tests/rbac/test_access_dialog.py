"""The access dialog: who may open it, what it stores, whom one may add, and what it says in words."""

from __future__ import annotations

import pytest

from owui.audit.models import AuditEvent
from rbac import services
from rbac.grants import Grant, grants_of
from rbac.sentences import access_sentence, access_sentences, reach
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
