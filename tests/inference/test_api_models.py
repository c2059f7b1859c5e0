"""`/api/models` and `/api/v1/models`: who sees and changes what, and what it costs."""

from __future__ import annotations

import base64
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inference.models import AIModel
from tests.factories.rbac import make_group
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = ("alice", "bob", "carol", "mallory", "dana")


@pytest.fixture
def world(
    people: SimpleNamespace,
    connect: Callable[..., None],
    server: FakeModelServer,
    base: Any,
    share: Any,
    carols_group: Any,
) -> SimpleNamespace:
    """alice owns fake-small and a preset on it; bob may read both, carol's group may write both."""
    connect([server])
    row = base(owner=people.alice)
    preset = base("preset", owner=people.alice, base_model=row, meta={"tags": [{"name": "law"}]})
    for thing in (row, preset):
        share(thing, people.bob, "read")
        share(thing, carols_group, "write")
    people.row, people.preset = row, preset
    return people


def ids(answer: Any) -> set[str]:
    return {item["id"] for item in answer.json()["data"]}


@pytest.mark.parametrize("path", ["/api/models", "/api/v1/models", "/api/v1/models/", "/v1/models", "/api/models/"])
def test_listing_is_what_each_may_use(world: SimpleNamespace, api_for: Any, path: str) -> None:
    seen = {name: ids(api_for(getattr(world, name)).get(path)) for name in PEOPLE}
    both = {"fake-small", "preset"}
    assert seen == {"alice": both, "bob": both, "carol": both, "mallory": set(), "dana": both | {"fake-large"}}
    assert api_for(world.pending).get(path).status_code == 401
    assert api_for(None).get(path).status_code == 401


def test_switched_off_models_are_not_listed(world: SimpleNamespace, api_for: Any) -> None:
    AIModel.objects.filter(pk=world.row.pk).update(is_active=False)
    assert ids(api_for(world.alice).get("/api/models")) == set()
    assert "fake-small" not in ids(api_for(world.dana).get("/api/models"))


def test_refresh_asks_the_servers(world: SimpleNamespace, api_for: Any, server: FakeModelServer) -> None:
    api = api_for(world.dana)
    api.get("/api/models")
    server.models.models.append("fresh")
    assert "fresh" in ids(api.get("/api/models?refresh=true"))


def test_raw_list_is_for_administrators(world: SimpleNamespace, api_for: Any) -> None:
    assert ids(api_for(world.dana).get("/api/models/base")) == {"fake-small", "fake-large"}
    assert api_for(world.alice).get("/api/models/base").status_code == 401


CODES = {
    # name: read, update, toggle, delete
    "alice": (200, 200, 200, 200),
    "bob": (200, 401, 401, 401),
    "carol": (200, 200, 200, 200),
    "mallory": (401, 404, 404, 404),
    "dana": (200, 200, 200, 200),
}


@pytest.mark.parametrize("name", PEOPLE)
def test_codes_of_the_workspace(world: SimpleNamespace, api_for: Any, name: str) -> None:
    api = api_for(getattr(world, name))
    form = {"id": "preset", "base_model_id": "fake-small", "name": "Renamed"}
    got = (
        api.get("/api/v1/models/model?id=preset").status_code,
        api.post("/api/v1/models/model/update", form).status_code,
        api.post("/api/v1/models/model/toggle?id=preset").status_code,
        api.post("/api/v1/models/model/delete", {"id": "preset"}).status_code,
    )
    assert got == CODES[name]
    assert AIModel.objects.filter(model_id="preset").exists() == (CODES[name][3] != 200)
    assert api.get("/api/v1/models/model?id=nowhere").status_code == 404


def test_write_access_is_told(world: SimpleNamespace, api_for: Any) -> None:
    told = {n: api_for(getattr(world, n)).get("/api/v1/models/model?id=preset").json() for n in ("bob", "carol")}
    assert (told["bob"]["write_access"], told["carol"]["write_access"]) == (False, True)
    assert told["bob"]["user"]["name"] == "Alice Meyer"


def test_access_update_is_strict_and_create_is_not(world: SimpleNamespace, api_for: Any) -> None:
    make_group("Makers", members=[world.alice], permissions={"workspace": {"models": True}})
    everyone = {"principal_type": "user", "principal_id": "*", "permission": "read"}
    api = api_for(world.alice)
    answer = api.post("/api/v1/models/model/access/update", {"id": "preset", "access_grants": [everyone]})
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "You do not have permission to share with the requested audience.",
    )
    form = {"id": "mine", "base_model_id": "fake-small", "name": "Mine", "access_grants": [everyone], "extra": 1}
    made = api.post("/api/v1/models/create", form)
    assert (made.status_code, made.json()["access_grants"]) == (200, [])
    answer = api_for(world.dana).post("/api/v1/models/model/access/update", {"id": "mine", "access_control": None})
    assert (answer.json()["access_grants"], answer.json()["access_control"]) == ([everyone], None)
    assert ids(api_for(world.mallory).get("/api/models")) == set()  # the base is not theirs


def test_create_needs_the_permission(world: SimpleNamespace, api_for: Any) -> None:
    form = {"id": "mine", "base_model_id": "fake-small", "name": "Mine"}
    answer = api_for(world.bob).post("/api/v1/models/create", form)
    assert (answer.status_code, answer.json()) == (401, {"detail": "401 Unauthorized"})


def test_workspace_list_holds_presets_and_filters(world: SimpleNamespace, api_for: Any) -> None:
    api = api_for(world.bob)
    answer = api.get("/api/v1/models/list").json()
    assert (answer["total"], [i["id"] for i in answer["items"]]) == (1, ["preset"])
    for query, total in (
        ("query=pres", 1),
        ("query=zzz", 0),
        ("tag=law", 1),
        ("tag=none", 0),
        ("view_option=created", 0),
        ("view_option=shared", 1),
        ("order_by=name&direction=asc&page=2", 1),
    ):
        assert api.get(f"/api/v1/models/list?{query}").json()["total"] == total, query
    assert api_for(world.mallory).get("/api/v1/models/list").json() == {"items": [], "total": 0}
    assert api.get("/api/v1/models/tags").json() == ["law"]
    assert api_for(world.mallory).get("/api/v1/models/tags").json() == []


def test_lists_of_administrators(world: SimpleNamespace, api_for: Any) -> None:
    api = api_for(world.dana)
    assert {r["id"] for r in api.get("/api/v1/models/all").json()} == {"fake-small", "preset"}
    assert [r["id"] for r in api.get("/api/v1/models/base").json()] == ["fake-small"]
    assert api.get("/api/v1/models/base/tags").json() == []
    for path in ("all", "base", "base/tags"):
        assert api_for(world.alice).get(f"/api/v1/models/{path}").status_code == 401


def test_export_import_and_sync(world: SimpleNamespace, api_for: Any) -> None:
    api = api_for(world.dana)
    exported = api.get("/api/v1/models/export").json()
    assert {r["id"] for r in exported} == {"fake-small", "preset"}
    assert [r["id"] for r in api.get("/api/v1/models/export?ids=preset").json()] == ["preset"]
    assert api_for(world.alice).get("/api/v1/models/export").status_code == 401
    assert api_for(world.alice).post("/api/v1/models/import", {"models": []}).status_code == 401
    assert api_for(world.alice).post("/api/v1/models/sync", {"models": []}).status_code == 401
    assert api.delete("/api/v1/models/delete/all").json() is True
    assert AIModel.objects.count() == 0
    assert api.post("/api/v1/models/import", {"models": list(reversed(exported))}).json() is True
    back = AIModel.objects.get(model_id="preset")
    assert back.base_model is not None and back.base_model.model_id == "fake-small"
    assert ids(api_for(world.bob).get("/api/models")) == {"fake-small", "preset"}  # grants travel too
    kept = [r for r in exported if r["id"] == "fake-small"]
    assert [r["id"] for r in api.post("/api/v1/models/sync", {"models": kept}).json()] == ["fake-small"]
    assert api.post("/api/v1/models/import", {"models": [{"name": "no id"}]}).status_code == 422


def test_delete_by_the_old_form(world: SimpleNamespace, api_for: Any) -> None:
    assert api_for(world.alice).delete("/api/v1/models/model/delete?id=preset").json() is True


def test_profile_image(world: SimpleNamespace, api_for: Any, settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    png = b"\x89PNG\r\n\x1a\n"
    path = "/api/v1/models/model/profile/image?id=preset"
    for stored, expected in (
        ("data:image/png;base64," + base64.b64encode(png).decode(), 200),
        ("data:image/svg+xml;base64,PHN2Zz4=", 302),
        ("https://elsewhere.example/x.png", 302),
        ("//elsewhere.example/x.png", 302),
        ("/static/own.png", 302),
        ("", 302),
    ):
        AIModel.objects.filter(pk=world.preset.pk).update(meta={"profile_image_url": stored})
        answer = api_for(world.bob).get(path)
        assert answer.status_code == expected, stored
        if expected == 200:
            assert (answer.content, answer["content-type"]) == (png, "image/png")
            assert api_for(world.mallory).get(path).status_code == 302
        else:
            assert answer["location"].startswith("/static/")


def test_listing_costs_the_same_for_one_and_fifty(world: SimpleNamespace, api_for: Any, base: Any) -> None:
    def cost(path: str) -> int:
        api = api_for(world.alice)
        api.get(path)  # what is remembered between requests is read now
        with CaptureQueriesContext(connection) as captured:
            assert api.get(path).status_code == 200
        return len(captured)

    paths = ("/api/v1/models/list", "/api/v1/models/tags")
    before = {path: cost(path) for path in paths}
    for number in range(50):
        base(f"more-{number}", owner=world.alice, base_model=world.row)
    assert {path: cost(path) for path in paths} == before
    assert max(before.values()) <= 8
