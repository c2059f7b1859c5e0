"""Exact shapes of models and connections in REST, as clients of the field know them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from inference import live
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)

GRANT = {"principal_type": "user", "principal_id": "", "permission": "read"}


@pytest.fixture
def world(people: SimpleNamespace, set_config: Callable[..., None], share: Any) -> Iterator[SimpleNamespace]:
    """An OpenAI-compatible server at place 0 and an Ollama server; bob may use all that is registered."""
    from inference.models import AIModel

    live.forget()
    with FakeModelServer(models=["gpt"]) as openai, FakeModelServer(models=["llama"]) as ollama:
        set_config("openai.api_base_urls", [openai.openai_url])
        set_config("openai.api_configs", {"0": {"tags": [{"name": "gpu"}]}})
        set_config("ollama.base_urls", [ollama.url])
        for model_id in ("gpt", "llama"):
            row = AIModel.objects.create(model_id=model_id, name=model_id.upper(), owner=people.alice)
            share(row, people.bob, "read")
        preset = AIModel.objects.create(
            model_id="short",
            name="Short",
            owner=people.alice,
            base_model=AIModel.objects.get(model_id="gpt"),
            params={"temperature": 0.5},
            meta={"description": "Brief", "tags": [{"name": "law"}]},
        )
        share(preset, people.bob, "read")
        yield people
    live.forget()


def record(world: SimpleNamespace, **changes: Any) -> dict[str, Any]:
    return {
        "id": "short",
        "user_id": str(world.alice.pk),
        "base_model_id": "gpt",
        "name": "Short",
        "params": {"temperature": 0.5},
        "meta": {
            "profile_image_url": None,
            "description": "Brief",
            "capabilities": None,
            "tags": [{"name": "law"}],
        },
        "is_active": True,
        "access_grants": [GRANT | {"principal_id": str(world.bob.pk)}],
        "access_control": {
            "read": {"group_ids": [], "user_ids": [str(world.bob.pk)]},
            "write": {"group_ids": [], "user_ids": []},
        },
        **changes,
    }


def without_times(data: dict[str, Any]) -> dict[str, Any]:
    data = dict(data)
    for name in ("created", "created_at", "updated_at"):
        if name in data:
            assert isinstance(data.pop(name), int)
    return data


def test_listed_models(world: SimpleNamespace, api_for: Any) -> None:
    answer = api_for(world.bob).get("/api/models").json()
    gpt, llama, short = (without_times(m) for m in answer["data"])
    assert without_times(short.pop("info")) == record(world)
    assert short == {
        "id": "short",
        "preset": True,
        "name": "Short",
        "object": "model",
        "owned_by": "openai",
        "connection_type": "external",
        "tags": [{"name": "law"}],
        "actions": [],
        "filters": [],
    }
    assert gpt.pop("info")["id"] == "gpt"
    assert gpt == {
        "id": "gpt",
        "name": "GPT",
        "object": "model",
        "owned_by": "openai",
        "connection_type": "external",
        "tags": [{"name": "gpu"}],
        "urlIdx": 0,
        "actions": [],
        "filters": [],
        "openai": {"id": "gpt", "object": "model", "created": 0, "owned_by": "fake"},
    }
    assert (llama["owned_by"], llama["connection_type"]) == ("ollama", "local")
    assert set(llama["ollama"]) == {
        "name", "model", "modified_at", "size", "digest", "details", "connection_type", "urls",
    }  # fmt: skip


def test_record(world: SimpleNamespace, api_for: Any) -> None:
    answer = without_times(api_for(world.bob).get("/api/v1/models/model?id=short").json())
    owner = {
        "id": str(world.alice.pk),
        "name": "Alice Meyer",
        "email": "alice@example.org",
        "profile_image_url": "/user.png",
    }
    assert answer == record(world, write_access=False, user=owner)


def test_create_and_update_give_the_record(world: SimpleNamespace, api_for: Any) -> None:
    api = api_for(world.dana)
    form = {"id": "new", "base_model_id": "gpt", "name": "New", "params": {}, "meta": {}, "access_grants": []}
    made = without_times(api.post("/api/v1/models/create", form).json())
    expected = record(
        world,
        id="new",
        name="New",
        user_id=str(world.dana.pk),
        params={},
        meta={"profile_image_url": None, "description": None, "capabilities": None},
        access_grants=[],
        access_control={},
    )
    assert made == expected
    changed = api.post("/api/v1/models/model/update", form | {"is_active": False}).json()
    assert without_times(changed) == expected | {"is_active": False}
    assert without_times(api.post("/api/v1/models/model/toggle?id=new").json()) == expected
    taken = api.post("/api/v1/models/create", form)
    assert (taken.status_code, "already registered" in taken.json()["detail"]) == (401, True)
    assert api.post("/api/v1/models/model/delete", {"id": "new"}).json() is True


def test_lists(world: SimpleNamespace, api_for: Any) -> None:
    api = api_for(world.bob)
    assert set(api.get("/openai/models").json()) == {"object", "data"}
    assert set(api.get("/ollama/api/tags").json()["models"][0]) >= {
        "name",
        "model",
        "size",
        "digest",
        "details",
        "urls",
    }
    assert set(api.get("/api/v1/models/list").json()) == {"items", "total"}
    assert set(api_for(world.dana).get("/api/models/base").json()) == {"data"}


def test_embeddings_are_openais(world: SimpleNamespace, api_for: Any) -> None:
    answer = api_for(world.bob).post("/api/embeddings", {"model": "gpt", "input": "hi"}).json()
    assert answer["object"] == "list"
    assert set(answer["data"][0]) == {"object", "index", "embedding"}


def test_configs(world: SimpleNamespace, api_for: Any) -> None:
    api = api_for(world.dana)
    assert set(api.get("/openai/config").json()) == {
        "ENABLE_OPENAI_API", "OPENAI_API_BASE_URLS", "OPENAI_API_KEYS", "OPENAI_API_CONFIGS",
    }  # fmt: skip
    assert set(api.get("/ollama/config").json()) == {"ENABLE_OLLAMA_API", "OLLAMA_BASE_URLS", "OLLAMA_API_CONFIGS"}
    answer = api_for(world.bob).get("/openai/config")
    assert answer.status_code == 401
    assert answer.json()["detail"].startswith("You do not have permission to access this resource.")


@pytest.mark.parametrize("path", ["/openai/chat/completions", "/ollama/api/chat"])
def test_denied_model(world: SimpleNamespace, api_for: Any, path: str) -> None:
    answer = api_for(world.mallory).post(path, {"model": "gpt", "messages": []})
    assert (answer.status_code, answer.json()) == (403, {"detail": "Model not found"})
