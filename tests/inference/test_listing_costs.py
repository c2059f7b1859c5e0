"""Listings ask as many statements for a long list as for a short one, through HTTP and with what is remembered warm."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories.knowledge import make_base
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db(transaction=True)
#: beside these the sign-in's one
MODELS, PAGE = 2, 2


def statements(api: Any, path: str) -> tuple[int, Any]:
    """How many a warm request needs, and its answer. What changed is read into the cache by the first request."""
    api.get(path)
    with CaptureQueriesContext(connection) as captured:
        answer = api.get(path)
    assert answer.status_code == 200, answer.content
    return len(captured), answer.json()


@pytest.fixture
def world(people: SimpleNamespace, connect: Any, server: Any, base: Any, share: Any, carols_group: Any) -> Any:
    connect([server])
    people.row = base(owner=people.alice)
    people.group = carols_group
    share(people.row, carols_group)
    return people


def test_models(world: SimpleNamespace, api_for: Any, base: Any, share: Any) -> None:
    api = api_for(world.carol)
    few = {path: statements(api, path) for path in ("/api/models", "/api/v1/models/list")}
    assert len(few["/api/models"][1]["data"]) == 1
    for number in range(40):
        preset = base(f"preset-{number}", owner=world.alice, base_model=world.row)
        share(preset, world.group, "write" if number % 2 else "read")
        share(preset, world.bob)
        share(preset, make_group(f"Group {number}"))
    many = {path: statements(api, path) for path in few}
    assert len(many["/api/models"][1]["data"]) == 41
    page = many["/api/v1/models/list"][1]
    assert (len(page["items"]), page["total"]) == (30, 40)
    assert {item["write_access"] for item in page["items"]} == {True, False}
    assert {item["base_model_id"] for item in page["items"]} == {world.row.model_id}
    for item in page["items"][:2]:
        assert item == api.get("/api/v1/models/model", {"id": item["id"]}).json()
    assert many["/api/models"][0] == few["/api/models"][0] <= 1 + MODELS
    # With nothing on it, the page's second statement is not asked; the permission for hidden models is one more.
    assert many["/api/v1/models/list"][0] == few["/api/v1/models/list"][0] + 1 <= 1 + 1 + PAGE


def test_knowledge_bases(world: SimpleNamespace, api_for: Any, share: Any) -> None:
    api = api_for(world.carol)
    share(make_base(world.alice, "first"), world.group)
    few, _page = statements(api, "/api/v1/knowledge/")
    for number in range(40):
        share(make_base(world.alice, f"base {number}"), world.group)
    many, page = statements(api, "/api/v1/knowledge/")
    assert (len(page["items"]), page["total"]) == (30, 41)
    # One more: whether the person may see the owners' addresses.
    assert many == few <= 1 + 1 + PAGE
    assert statements(api, "/api/v1/knowledge/?page=2")[1]["items"]
    nothing = statements(api, "/api/v1/knowledge/?page=9")[1]
    assert (nothing["items"], nothing["total"]) == ([], 41)
