"""Filters, orders, pages and chosen attributes: each one statement, whoever it is about."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.accounts.scim.conftest import BASE, ScimClient
from tests.accounts.scim.test_door import said


@pytest.fixture
def staff(scim: ScimClient) -> ScimClient:
    work = {"type": "work", "primary": True}
    both = [{"value": "ann@corp.example", **work}, {"value": "ann@home.example", "type": "home"}]
    scim.person("ann", displayName="Ann Lee", name={"familyName": "Lee"}, externalId="E1", emails=both)
    scim.person("Bob", displayName="Bob 100%", externalId="e1", emails=[{"value": "bob@corp.example", **work}])
    carl = scim.person("carl_x", active=False, emails=[{"value": "carl@home.example", "type": "home"}])
    scim.group("Team", carl["id"])
    return scim


FOUND = [
    ('userName eq "ANN"', ["ann"]),
    ('userName ne "ann"', ["Bob", "carl_x"]),
    ('userName co "B"', ["Bob"]),
    ('userName sw "CARL"', ["carl_x"]),
    ('userName ew "x"', ["carl_x"]),
    ('userName co "_"', ["carl_x"]),
    ('displayName co "%"', ["Bob"]),
    ('userName gt "b"', ["Bob", "carl_x"]),
    ('userName ge "BOB"', ["Bob", "carl_x"]),
    ('userName lt "bob"', ["ann"]),
    ('userName le "bob"', ["ann", "Bob"]),
    ('externalId eq "E1"', ["ann"]),
    ('externalId eq "e1"', ["Bob"]),
    ("externalId pr", ["ann", "Bob"]),
    ("displayName pr", ["ann", "Bob"]),
    ("not (displayName pr)", ["carl_x"]),
    ("displayName eq null", ["carl_x"]),
    ("name pr", ["ann"]),
    ('name.familyName eq "lee"', ["ann"]),
    ("active eq false", ["carl_x"]),
    ("active eq true", ["ann", "Bob"]),
    ('emails co "corp"', ["ann", "Bob"]),
    ('emails.value ew "home.example"', ["ann", "carl_x"]),
    ('emails.type eq "home"', ["ann", "carl_x"]),
    ('emails.type ne "home"', ["Bob"]),
    ('emails[type eq "work" and value co "ann"]', ["ann"]),
    ('emails[type eq "work" and value co "home"]', []),
    ('emails[not (type eq "work")]', ["ann", "carl_x"]),
    ("emails[primary eq true]", ["ann", "Bob"]),
    ('groups.display eq "team"', ["carl_x"]),
    ("groups pr", ["carl_x"]),
    ('meta.created gt "2020-01-01T00:00:00Z" and meta.lastModified pr', ["ann", "Bob", "carl_x"]),
    ('meta.created lt "2020-01-01T00:00:00Z"', []),
    ('userName eq "ann" or userName eq "bob" and active eq false', ["ann"]),
    ('(userName eq "ann" or userName eq "bob") and active eq true', ["ann", "Bob"]),
    ('urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ann"', ["ann"]),
    ('USERNAME EQ "ann"', ["ann"]),
    ('id eq "not an id"', []),
]


def test_filters_find_whom_they_describe(staff: ScimClient) -> None:
    wrong = {text: found for text, names in FOUND if (found := staff.names(text)) != names}
    assert not wrong


NONE = [
    "userName",
    'userName is "x"',
    'nickName eq "x"',
    "active gt true",
    'active eq "perhaps"',
    'meta.created gt "yesterday"',
    "userName eq 5",
    'userName[type eq "work"]',
    'emails[type eq "work"',
    'emails[colour eq "red"]',
    "not (" * 700 + 'userName eq "a"' + ")" * 700,
    'userName eq "' + "x" * 4000 + '"',
    'userName eq "a\0b"',
    "'; DROP TABLE accounts_user; --",
]


def test_a_filter_that_is_none_is_refused(staff: ScimClient) -> None:
    for text in NONE:
        assert said(staff.get(f"{BASE}/Users", {"filter": text})) == (400, "invalidFilter"), text[:60]


@pytest.mark.parametrize("depth", [20, 120, 400])
def test_a_nested_filter_is_answered_or_refused_and_breaks_nothing(staff: ScimClient, depth: int) -> None:
    """However deep the library still reads it, and wherever it stands."""
    inner = "not (" * depth + 'value eq "x"' + ")" * depth
    answer = staff.get(f"{BASE}/Users", {"filter": inner.replace("value", "userName")})
    assert answer.status_code == 200 or said(answer) == (400, "invalidFilter"), depth
    answer = staff.get(f"{BASE}/Users", {"filter": f"emails[{inner}]"})
    assert answer.status_code == 200 or said(answer) == (400, "invalidFilter"), depth
    group = staff.group(f"deep {depth}")
    answer = staff.change(f"/Groups/{group['id']}", {"op": "remove", "path": f"members[{inner}]"})
    assert answer.status_code in (200, 204, 400), answer.content


def test_pages_have_what_is_asked_for_and_say_how_many_there_are(staff: ScimClient) -> None:
    def page(**asked: Any) -> Any:
        return staff.get(f"{BASE}/Users", asked).json()

    first = page(startIndex=1, count=2)
    assert (first["totalResults"], first["startIndex"], first["itemsPerPage"]) == (3, 1, 2)
    assert [u["userName"] for u in page(startIndex=3, count=2)["Resources"]] == ["carl_x"]
    assert page(startIndex=-5, count=-1)["Resources"] == [] and page(count=0)["totalResults"] == 3
    assert page(startIndex=99)["Resources"] == []
    assert page(count=100_000)["itemsPerPage"] == 3


def test_orders(staff: ScimClient) -> None:
    assert staff.names(sortBy="userName") == ["ann", "Bob", "carl_x"]
    assert staff.names(sortBy="userName", sortOrder="descending") == ["carl_x", "Bob", "ann"]
    assert staff.names(sortBy="emails") == ["ann", "Bob", "carl_x"]
    assert staff.names(sortBy="externalId", sortOrder="descending")[0] == "carl_x", "without a value: first, descending"
    assert staff.names(sortBy="meta.created", sortOrder="descending") == ["carl_x", "Bob", "ann"]
    assert staff.names(sortBy="nonsense[") == ["ann", "Bob", "carl_x"]


def test_chosen_attributes(staff: ScimClient) -> None:
    def first(**asked: str) -> Any:
        return staff.get(f"{BASE}/Users", asked | {"count": "1"}).json()["Resources"][0]

    assert set(first(attributes="userName")) == {"schemas", "id", "userName"}
    assert first(attributes="emails.value")["emails"] == [{"value": "ann@corp.example"}, {"value": "ann@home.example"}]
    assert "emails" not in first(excludedAttributes="emails,meta") and "meta" not in first(excludedAttributes="meta")
    assert "id" in first(excludedAttributes="id")
    assert set(first(excludedAttributes="emails.type,groups")["emails"][0]) == {"value", "primary"}
    answer = staff.get(f"{BASE}/Users", {"attributes": "id", "excludedAttributes": "emails"})
    assert said(answer) == (400, "invalidValue")


def test_a_search_by_post_is_the_same_question(staff: ScimClient) -> None:
    body = {"filter": 'userName eq "ann"', "attributes": ["userName", "emails.value"], "count": 5}
    found = staff.send("post", "/Users/.search", body).json()
    assert [u["userName"] for u in found["Resources"]] == ["ann"] and "active" not in found["Resources"][0]
    everything = staff.send("post", "/.search", {"count": 10}).json()
    assert everything["totalResults"] == 4
    assert [r["meta"]["resourceType"] for r in everything["Resources"]] == ["User", "User", "User", "Group"]
    second = staff.send("post", "/.search", {"startIndex": 3, "count": 2}).json()
    assert [r["meta"]["resourceType"] for r in second["Resources"]] == ["User", "Group"]
    # What only one kind has, the other has no match for.
    assert staff.send("post", "/.search", {"filter": 'userName eq "ann"'}).json()["totalResults"] == 1
    assert staff.send("post", "/.search", {"filter": "nonsense"}).status_code == 400


def test_a_page_costs_the_same_statements_however_many_people(staff: ScimClient) -> None:
    def cost(**asked: Any) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert staff.get(f"{BASE}/Users", asked).status_code == 200
        return len(captured)

    few = cost(filter='emails[type eq "work"] or groups pr')
    for number in range(8):
        staff.person(f"p{number}")
    assert cost(filter="emails pr") == few <= 5
    assert cost(attributes="userName") == 2
