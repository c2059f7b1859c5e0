"""A key that is limited to models: every face shows and opens these, and only as far as its owner may use them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from accounts import services
from accounts.key_limits import KeyLimits
from accounts.models import ApiKey
from inference.models import AIModel
from tests.conftest import Api
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)
ASK = [{"role": "user", "content": "[[n=2]]"}]
USING = [
    *(("gpt", path, {"messages": ASK}) for path in (
        "/api/chat/completions", "/api/v1/chat/completions", "/v1/chat/completions", "/openai/chat/completions")),
    *(("gpt", path, {"input": "x"}) for path in ("/openai/embeddings", "/api/embeddings", "/api/v1/embeddings")),
    ("llama", "/ollama/api/chat", {"messages": ASK, "stream": False}),
    ("llama", "/ollama/api/generate", {"prompt": "[[n=2]]", "stream": False}),
    ("llama", "/ollama/api/embed", {"input": "x"}),
    ("llama", "/ollama/api/show", {}),
    ("llama", "/ollama/v1/chat/completions", {"messages": ASK}),
]  # fmt: skip


@pytest.fixture
def world(
    people: SimpleNamespace, connect: Callable[..., None], server: FakeModelServer, base: Any, set_config: Any
) -> Any:
    """gpt, spare and a preset of gpt on one server, llama and idle on an Ollama; bare is registered by nobody."""
    set_config("auth_api_key.enable", True)
    set_config("user.permissions", {"features": {"api_keys": True}})
    server.models.models = ["gpt", "spare", "bare"]
    with FakeModelServer(models=["llama", "idle"]) as ollama:
        connect([server], [ollama])
        rows = {name: base(name, owner=people.alice) for name in ("gpt", "spare", "llama", "idle")}
        base("preset", owner=people.alice, base_model=rows["gpt"])
        yield people


def key_for(user: Any, *models: str) -> Api:
    return Api(services.create_named_key(user, name="-".join(models) or "all", limits=KeyLimits(models=models))[1])


@pytest.mark.parametrize(("model", "path", "body"), USING, ids=[path for _model, path, _body in USING])
def test_every_face_opens_only_the_models_of_the_key(world: Any, model: str, path: str, body: Any) -> None:
    other = "idle" if model == "llama" else "spare"
    api = key_for(world.alice, model)
    assert api.post(path, body | {"model": model}).status_code == 200
    assert api.post(path, body | {"model": other}).status_code in (400, 403)
    assert key_for(world.alice).post(path, body | {"model": other}).status_code == 200


def _ids(answer: Any) -> set[str]:
    body = answer.json()
    rows = next(body[name] for name in ("data", "models", "items") if name in body)
    return {row.get("id") or row.get("model") for row in rows}


@pytest.mark.parametrize("who", ["alice", "dana"])
def test_every_list_shows_only_the_models_of_the_key(world: Any, who: str) -> None:
    api = key_for(getattr(world, who), "preset", "llama", "bare")
    bare = {"bare"} if who == "dana" else set()
    assert _ids(api.get("/api/models")) == {"preset", "llama"} | bare
    assert _ids(api.get("/v1/models")) == {"preset", "llama"} | bare
    assert _ids(api.get("/openai/models")) == bare
    assert _ids(api.get("/ollama/api/tags")) == {"llama"}
    assert _ids(api.get("/ollama/v1/models")) == {"llama"}
    assert _ids(api.get("/api/v1/models/list")) == {"preset"}
    assert api.get("/api/v1/models/model?id=gpt").status_code == 401


def test_a_preset_of_the_key_brings_its_base_and_does_not_open_it(world: Any) -> None:
    api = key_for(world.alice, "preset")
    assert api.post("/api/chat/completions", {"model": "preset", "messages": ASK}).status_code == 200
    assert api.post("/api/chat/completions", {"model": "gpt", "messages": ASK}).status_code == 400


def test_a_key_gives_nothing_that_its_owner_may_not_use(world: Any) -> None:
    api = key_for(world.mallory, "gpt", "bare")
    for model in ("gpt", "bare"):
        assert api.post("/api/chat/completions", {"model": model, "messages": ASK}).status_code == 400
    assert _ids(api.get("/api/models")) == set()
    AIModel.objects.filter(model_id="gpt").update(is_active=False)
    asked = key_for(world.alice, "gpt").post("/openai/chat/completions", {"model": "gpt", "messages": ASK})
    assert asked.status_code == 403


def test_an_administrators_key_for_models_administers_nothing(world: Any) -> None:
    api = key_for(world.dana, "gpt")
    for path in ("/api/v1/users/", "/openai/config", "/api/models/base", "/openai/models/0", "/ollama/api/ps"):
        assert api.get(path).status_code == 403, path
    assert api.post("/ollama/api/pull", {"model": "idle"}).status_code == 403
    assert key_for(world.dana).get("/api/v1/users/").status_code == 200
    assert api.post("/openai/chat/completions", {"model": "bare", "messages": ASK}).status_code == 403


def test_pages_obey_the_key_too(world: Any) -> None:
    text = services.create_named_key(world.alice, name="page", limits=KeyLimits(models=("gpt",)))[1]
    page = Api().get("/", headers={"authorization": f"Bearer {text}"}).content.decode()
    assert 'value="gpt"' in page and 'value="spare"' not in page


async def test_a_stream_ends_when_its_key_is_deleted(world: Any) -> None:
    import asyncio

    from asgiref.sync import sync_to_async
    from django.test import AsyncClient

    make = sync_to_async(services.create_named_key)
    for path in ("/openai/chat/completions", "/api/chat/completions"):
        key, text = await make(world.alice, name=path)
        body = {"model": "gpt", "stream": True, "messages": [{"role": "user", "content": "[[n=3000 tps=100]]"}]}
        answer = await AsyncClient().post(
            path, body, content_type="application/json", headers={"authorization": f"Bearer {text}"}
        )
        pieces = aiter(answer.streaming_content)
        await anext(pieces)
        await sync_to_async(services.delete_key)(key, by=world.alice)
        from rbac.watch import watch

        watch.doubt("user", [str(world.alice.pk)])  # what another process would be told by the broker
        rest = b""
        async with asyncio.timeout(10):
            async for piece in pieces:
                rest += piece
        assert b"session has expired" in rest and b"t3000 " not in rest
        assert not await sync_to_async(ApiKey.objects.filter(pk=key.pk).exists)()
