"""A provisioning client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from owui.config import store

TOKEN = "a-provisioning-token-that-is-long-enough"
BASE = "/api/v1/scim/v2"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class ScimClient(Client):
    """Sends and reads SCIM."""

    def __init__(self, token: str = TOKEN) -> None:
        super().__init__(headers={"authorization": f"Bearer {token}"} if token else {}, raise_request_exception=True)

    def send(self, verb: str, path: str, body: Any = None, **headers: str) -> Any:
        arguments: dict[str, Any] = {"headers": headers}
        if body is not None:
            arguments |= {"data": json.dumps(body), "content_type": "application/scim+json"}
        return getattr(super(), verb)(BASE + path, **arguments)

    def person(self, who: str, **fields: Any) -> dict[str, Any]:
        body = {"schemas": [USER], "userName": who, "emails": [{"value": f"{who}@example.org", "primary": True}]}
        answer = self.send("post", "/Users", body | fields)
        assert answer.status_code == 201, answer.content
        return answer.json()

    def group(self, name: str, *members: str, **fields: Any) -> dict[str, Any]:
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": pk} for pk in members]}
        answer = self.send("post", "/Groups", body | fields)
        assert answer.status_code == 201, answer.content
        return answer.json()

    def change(self, path: str, *operations: dict[str, Any], **headers: str) -> Any:
        return self.send("patch", path, {"schemas": [PATCH], "Operations": list(operations)}, **headers)

    def names(self, text: str = "", kind: str = "Users", key: str = "userName", **more: Any) -> list[str]:
        answer = self.get(f"{BASE}/{kind}", {"filter": text, **more} if text else more)
        assert answer.status_code == 200, answer.content
        return [entry[key] for entry in answer.json()["Resources"]]


@pytest.fixture
def scim_settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`scim_settings(SCIM_ADOPT_ACCOUNTS="True")`: environment variables, read anew."""

    def change(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        store._from_env.clear()

    return change


@pytest.fixture
def scim(dana: Any, scim_settings: Callable[..., None]) -> ScimClient:
    """The client, on an instance that has an administrator."""
    scim_settings(ENABLE_SCIM="True", SCIM_TOKEN=TOKEN)
    return ScimClient()
