"""Who may provision, and how the protocol says no."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.accounts.scim.conftest import BASE, TOKEN, USER, ScimClient
from tests.conftest import Api, token_for

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def said(answer: Any) -> tuple[int, str | None]:
    """Code and kind of a refusal, whose body must be the protocol's."""
    body = answer.json()
    assert answer["Content-Type"] == "application/scim+json"
    assert body["schemas"] == [ERROR] and body["status"] == str(answer.status_code) and body["detail"]
    return answer.status_code, body.get("scimType")


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper()])
def test_only_the_clients_token_opens(scim: ScimClient, token: str) -> None:
    answer = ScimClient(token).send("get", "/Users")
    assert said(answer) == (401, None)
    assert answer["WWW-Authenticate"] == "Bearer"


def test_no_persons_token_or_cookie_opens_it(scim: ScimClient, dana: Any, client_for: Any) -> None:
    assert Api(token_for(dana)).get(f"{BASE}/Users").status_code == 401
    assert client_for(dana).get(f"{BASE}/Users").status_code == 401


def test_without_a_token_configured_nobody_gets_in(scim: ScimClient, scim_settings: Any) -> None:
    scim_settings(SCIM_TOKEN="")
    for token in ("", "x", TOKEN):
        assert ScimClient(token).send("get", "/Users").status_code == 401
    assert Client(headers={"authorization": "Bearer "}).get(f"{BASE}/Users").status_code == 401


def test_off_is_off_also_with_the_right_token(scim: ScimClient, scim_settings: Any) -> None:
    scim_settings(ENABLE_SCIM="False")
    for path in ("/Users", "/Groups", "/ServiceProviderConfig", "/Schemas", "/nothing"):
        assert said(scim.send("get", path)) == (403, None)


def test_the_older_name_of_the_switch_works(scim: ScimClient, scim_settings: Any, monkeypatch: Any) -> None:
    monkeypatch.delenv("ENABLE_SCIM")
    scim_settings(SCIM_ENABLED="true")
    assert scim.send("get", "/Users").status_code == 200


def test_anybody_may_read_what_the_service_can(scim: ScimClient) -> None:
    stranger = ScimClient("")
    config = stranger.send("get", "/ServiceProviderConfig").json()
    assert config["patch"] == {"supported": True} and config["filter"] == {"supported": True, "maxResults": 200}
    assert config["bulk"]["supported"] is False
    types = stranger.send("get", "/ResourceTypes").json()["Resources"]
    assert [entry["endpoint"] for entry in types] == ["/Users", "/Groups"]
    shown = stranger.send("get", f"/Schemas/{USER}").json()
    assert {a["name"] for a in shown["attributes"]} == {"userName", "name", "displayName", "active", "emails", "groups"}
    assert shown["meta"]["location"] == f"http://testserver{BASE}/Schemas/{USER}"


def test_what_is_not_there_or_not_offered_is_said_in_the_protocol(scim: ScimClient) -> None:
    assert said(scim.send("get", "/Printers")) == (404, None)
    assert said(scim.send("get", "/a/b/c/d")) == (404, None)
    assert said(scim.send("get", "/Users/not-an-id")) == (404, None)
    assert said(scim.send("get", "/Schemas/urn:nothing")) == (404, None)
    assert said(scim.send("post", "/Bulk", {})) == (501, None)
    assert scim.send("delete", "/Schemas").status_code == 405


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"text"', "[" * 100_000])
def test_a_body_that_is_no_object_is_refused(scim: ScimClient, body: str) -> None:
    answer = scim.generic("POST", f"{BASE}/Users", body, content_type="application/scim+json")
    assert said(answer) == (400, "invalidSyntax")


@pytest.mark.parametrize(
    "wrong",
    [
        {"active": "perhaps"},
        {"active": 1},
        {"userName": 5},
        {"userName": ""},
        {"userName": "x" * 256},
        {"userName": "a\0b"},
        {"emails": "ann@example.org"},
        {"emails": [{"value": "no address"}]},
        {"emails": [{"type": "work"}]},
        {"name": ["Ann"]},
        {"name": {"givenName": {"x": 1}}},
        {"externalId": 7},
        {"externalId": "e" * 256},
        {"emails": [{"value": "a@example.org", "primary": True}, {"value": "b@example.org", "primary": True}]},
        {"displayName": "\ud800"},
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_and_makes_nobody(scim: ScimClient, wrong: dict[str, Any]) -> None:
    body = {"schemas": [USER], "userName": "ann", "emails": [{"value": "ann@example.org"}]} | wrong
    assert said(scim.send("post", "/Users", body)) == (400, "invalidValue")
    assert scim.names() == []


def test_paging_that_is_no_number_is_refused(scim: ScimClient) -> None:
    for name in ("startIndex", "count"):
        assert said(scim.get(f"{BASE}/Users", {name: "many"})) == (400, "invalidValue")
