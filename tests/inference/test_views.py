"""The models page of the workspace."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inference import workspace
from inference.live import LiveModel
from inference.models import AIModel
from inference.workspace import Entry, entries
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(
    people: SimpleNamespace,
    connect: Callable[..., None],
    server: FakeModelServer,
    base: Any,
    share: Any,
    set_config: Callable[..., None],
) -> SimpleNamespace:
    """alice owns fake-small, bob reads it; fake-large is registered by nobody. All may open the page."""
    set_config("user.permissions", {"workspace": {"models": True}})
    connect([server])
    people.row = base(owner=people.alice)
    share(people.row, people.bob, "read")
    return people


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """What the page was given; how it looks is the template's affair."""
    from django.http import HttpRequest, HttpResponse

    from inference import views

    given: list[Entry] = []

    def render(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        given[:] = context["model_list"]
        return HttpResponse("page")

    monkeypatch.setattr(views, "render", render)
    return given


def test_page_shows_each_what_is_theirs(world: SimpleNamespace, client_for: Any, shown: list[Entry]) -> None:
    seen = {}
    for name in ("alice", "bob", "mallory", "dana"):
        assert client_for(getattr(world, name)).get("/workspace/models").status_code == 200
        seen[name] = [(e.id, bool(e.pk), e.writable) for e in shown]
    assert seen == {
        "alice": [("fake-small", True, True)],
        "bob": [("fake-small", True, False)],
        "mallory": [],
        "dana": [("fake-small", True, True), ("fake-large", False, True)],
    }


def test_page_says_access_and_hides_addresses(world: SimpleNamespace, client_for: Any, shown: list[Entry]) -> None:
    client_for(world.bob).get("/workspace/models")
    assert (shown[0].access_sentence, shown[0].connection) == ("Read: Bob Lindqvist.", "OpenAI-compatible")
    client_for(world.dana).get("/workspace/models")
    assert "127.0.0.1:" in shown[0].connection
    assert shown[1].access_sentence == "Only administrators."


def test_strangers_are_shown_the_door(world: SimpleNamespace, client_for: Any) -> None:
    assert client_for(None).get("/workspace/models").status_code == 302
    assert client_for(world.pending).get("/workspace/models").status_code == 302


def test_page_needs_the_permission(world: SimpleNamespace, client_for: Any, set_config: Callable[..., None]) -> None:
    set_config("user.permissions", {"workspace": {"models": False}})
    assert client_for(world.alice).get("/workspace/models").status_code == 403
    assert client_for(world.dana).get("/workspace/models").status_code == 200


def test_switch(world: SimpleNamespace, client_for: Any) -> None:
    path = "/workspace/models/fake-small/active"
    assert client_for(world.bob).post(path).status_code == 403
    assert client_for(world.mallory).post(path).status_code == 404
    assert client_for(world.alice).post(path).status_code == 204
    assert not AIModel.objects.get(pk=world.row.pk).is_active
    assert client_for(world.alice).post(path, {"active": "1"}).status_code == 204
    assert AIModel.objects.get(pk=world.row.pk).is_active


def test_switching_off_a_bare_model_gives_it_a_row(world: SimpleNamespace, client_for: Any) -> None:
    path = "/workspace/models/meta/llama:1b/active"
    assert client_for(world.alice).post(path).status_code == 404
    assert client_for(world.dana).post(path).status_code == 204
    row = AIModel.objects.get(model_id="meta/llama:1b")
    assert (row.is_active, row.general_access) == (False, "private")


def test_register(world: SimpleNamespace, client_for: Any) -> None:
    path, form = "/workspace/models/register", {"model": "fake-large"}
    assert client_for(world.alice).post(path, form).status_code == 403
    assert client_for(world.dana).post(path, {"model": "no-such"}).status_code == 404
    assert client_for(world.dana, htmx=True).post(path, form)["HX-Redirect"] == "/workspace/models"
    assert AIModel.objects.get(model_id="fake-large").owner == world.dana


def test_page_costs_the_same_for_one_and_fifty(world: SimpleNamespace, base: Any) -> None:
    def cost() -> int:
        nothing: dict[str, LiveModel] = {}
        with CaptureQueriesContext(connection) as captured:
            entries(world.dana, nothing)
        return len(captured)

    before = cost()
    for number in range(50):
        base(f"more-{number}", owner=world.alice, base_model=world.row)
    assert cost() == before <= 6


def test_page_shows_as_many_as_fit_and_says_where_the_rest_is(
    world: SimpleNamespace, base: Any, client_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "SHOWN", 2)
    for name in ("Beta", "Gamma", "Delta"):
        base(f"id-{name.lower()}", name=name, owner=world.alice, base_model=world.row)
    client = client_for(world.dana)
    seen = []
    for number in ("1", "2", "3", "99", "x", "-1"):
        html = client.get("/workspace/models", {"page": number}).content.decode()
        seen.append([id for id in ("fake-small", "id-beta", "id-delta", "id-gamma", "fake-large") if f">{id}<" in html])
        assert ('rel="next"' in html, 'rel="prev"' in html) == {0: (True, False), 1: (True, True), 2: (False, True)}[
            {"2": 1, "3": 2, "99": 2}.get(number, 0)
        ]
    first = ["id-beta", "id-delta"]
    third = ["fake-large"]
    assert [sorted(seen[0]), seen[2], seen[3], seen[4], seen[5]] == [first, third, third, seen[0], seen[0]]
    assert sorted(seen[0] + seen[1] + seen[2]) == sorted(["fake-small", "id-beta", "id-delta", "id-gamma", *third])


def test_page_can_be_searched(world: SimpleNamespace, base: Any, client_for: Any, shown: list[Entry]) -> None:
    base("id-beta", name="Beta", owner=world.alice, base_model=world.row)
    for query, found in (("BET", ["id-beta"]), ("fake", ["fake-small", "fake-large"]), ("large", ["fake-large"])):
        client_for(world.dana).get("/workspace/models", {"q": query})
        assert [entry.id for entry in shown] == found
    client_for(world.bob).get("/workspace/models", {"q": "beta"})
    assert shown == []
