"""`/openai` and `/ollama`: what passes through, for whom, and in which shape."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from inference.models import AIModel
from owui.lib.masks import MASK
from tests.fakes.model_server import FakeModelServer
from tests.inference.conftest import dead_address

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = ("alice", "bob", "carol", "mallory", "dana")
NOT_FOUND = {"detail": "Model not found"}
USING = (
    ("/openai/chat/completions", {"messages": [{"role": "user", "content": "[[n=2]]"}]}),
    ("/openai/embeddings", {"input": "hello"}),
    ("/api/embeddings", {"input": "hello"}),
    ("/api/v1/embeddings", {"input": ["hello"]}),
    ("/ollama/api/chat", {"messages": [{"role": "user", "content": "[[n=2]]"}], "stream": False}),
    ("/ollama/api/generate", {"prompt": "[[n=2]]", "stream": False}),
    ("/ollama/api/embed", {"input": "hello"}),
    ("/ollama/api/show", {}),
    ("/ollama/v1/chat/completions", {"messages": [{"role": "user", "content": "[[n=2]]"}]}),
    ("/ollama/v1/embeddings", {"input": "hello"}),
)


@pytest.fixture
def world(
    people: SimpleNamespace,
    connect: Callable[..., None],
    server: FakeModelServer,
    base: Any,
    share: Any,
    carols_group: Any,
) -> Any:
    """An OpenAI-compatible server with gpt and spare, an Ollama one with llama; alice owns gpt and llama."""
    server.models.models = ["gpt", "spare"]
    with FakeModelServer(models=["llama", "idle"]) as ollama:
        connect([server], [ollama])
        for model_id in ("gpt", "llama"):
            row = base(model_id, owner=people.alice)
            share(row, people.bob, "read")
            share(row, carols_group, "write")
        people.ollama = ollama
        yield people


def model_for(path: str) -> str:
    return "llama" if path.startswith("/ollama") else "gpt"


@pytest.mark.parametrize(("path", "body"), USING, ids=[path for path, _ in USING])
def test_who_may_use_a_model(world: SimpleNamespace, api_for: Any, path: str, body: dict[str, Any]) -> None:
    body = body | {"model": model_for(path)}
    codes = {name: api_for(getattr(world, name)).post(path, body).status_code for name in PEOPLE}
    assert codes == {"alice": 200, "bob": 200, "carol": 200, "mallory": 403, "dana": 200}
    assert api_for(world.pending).post(path, body).status_code == 401
    assert api_for(None).post(path, body).status_code == 401


@pytest.mark.parametrize(("path", "body"), USING, ids=[path for path, _ in USING])
def test_refusal_hides_whether_it_exists(
    world: SimpleNamespace, api_for: Any, path: str, body: dict[str, Any], server: FakeModelServer
) -> None:
    api = api_for(world.mallory)
    before = len(server.requests) + len(world.ollama.requests)
    answers = {m: api.post(path, body | {"model": m}) for m in (model_for(path), "spare", "idle", "no-such-model")}
    assert {(a.status_code, str(a.json())) for a in answers.values()} == {(403, str(NOT_FOUND))}
    asked = [r.path for r in (server.requests + world.ollama.requests)]
    assert len(server.requests) + len(world.ollama.requests) == before, asked


@pytest.mark.parametrize(("path", "body"), USING, ids=[path for path, _ in USING])
def test_admin_bypass_holds_at_the_proxies_too(
    world: SimpleNamespace, api_for: Any, path: str, body: dict[str, Any], settings: Any
) -> None:
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert api_for(world.dana).post(path, body | {"model": model_for(path)}).status_code == 403
    bare = "idle" if path.startswith("/ollama") else "spare"
    assert api_for(world.dana).post(path, body | {"model": bare}).status_code == 200


def test_lists_are_filtered(world: SimpleNamespace, api_for: Any) -> None:
    def seen(user: Any) -> tuple[list[str], list[str], list[str]]:
        api = api_for(user)
        tags = api.get("/ollama/api/tags").json()["models"]
        return (
            [m["id"] for m in api.get("/openai/models").json()["data"]],
            [m["model"] for m in tags],
            [m["id"] for m in api.get("/ollama/v1/models").json()["data"]],
        )

    assert seen(world.bob) == (["gpt"], ["llama"], ["llama"])
    assert seen(world.mallory) == ([], [], [])
    assert seen(world.dana) == (["gpt", "spare"], ["idle", "llama"], ["idle", "llama"])
    (entry,) = api_for(world.bob).get("/ollama/api/tags/0").json()["models"]
    assert (entry["name"], entry["urls"], entry["details"]["family"]) == ("llama", [0], "fake")
    assert api_for(world.bob).get("/ollama/api/tags/7").json() == {"models": []}


def test_preset_is_laid_over_a_request_that_passes_through(
    world: SimpleNamespace, api_for: Any, base: Any, server: FakeModelServer
) -> None:
    params = {
        "system": "Be brief.",
        "temperature": 0.2,
        "max_tokens": 9,
        "stop": "END",
        "custom_params": {"top_k": "7"},
    }
    for model_id, below in (("short", "gpt"), ("kurz", "llama")):
        base(model_id, owner=world.alice, base_model=AIModel.objects.get(model_id=below), params=params)
    messages = [{"role": "user", "content": "[[n=1]]"}]
    body = {"messages": messages, "temperature": 1, "user": "x"}
    assert api_for(world.alice).post("/openai/chat/completions", body | {"model": "short"}).status_code == 200
    sent = server.requests[-1].json
    assert sent == {
        "model": "gpt",
        "messages": [{"role": "system", "content": "Be brief."}, *messages],
        "temperature": 0.2,
        "max_tokens": 9,
        "stop": ["END"],
        "top_k": 7,
        "user": "x",
    }
    body = {"model": "kurz", "messages": [{"role": "system", "content": "Own."}, *messages], "stream": False}
    assert api_for(world.alice).post("/ollama/api/chat", body).status_code == 200
    sent = world.ollama.requests[-1].json
    assert sent["messages"][0] == {"role": "system", "content": "Be brief.\nOwn."}
    assert sent["options"] == {"temperature": 0.2, "num_predict": 9, "stop": ["END"], "top_k": 7}
    api_for(world.alice).post("/ollama/api/generate", {"model": "kurz", "prompt": "[[n=1]]", "stream": False})
    assert world.ollama.requests[-1].json["system"] == "Be brief."


def test_presets_name_who_asks_and_hold_numbers_as_text(
    world: SimpleNamespace, api_for: Any, base: Any, server: FakeModelServer
) -> None:
    params = {"system": "For {{USER_NAME}} in {{place}}.", "temperature": "0.2", "think": "true"}
    for model_id, below in (("short", "gpt"), ("kurz", "llama")):
        base(model_id, owner=world.alice, base_model=AIModel.objects.get(model_id=below), params=params)
    body = {"messages": [{"role": "user", "content": "[[n=1]] {{USER_NAME}}"}], "stream": False}
    api_for(world.alice).post("/openai/chat/completions", body | {"model": "short", "variables": {"place": "Rome"}})
    sent = server.requests[-1].json
    assert sent["messages"][0]["content"] == f"For {world.alice.name} in Rome."
    assert sent["messages"][1] == body["messages"][0]
    assert "variables" not in sent, "what they say of a person is for our prompts"
    assert sent["temperature"] == 0.2
    api_for(world.alice).post("/ollama/api/chat", body | {"model": "kurz"})
    sent = world.ollama.requests[-1].json
    assert sent["messages"][0]["content"] == f"For {world.alice.name} in {{{{place}}}}."
    assert (sent["options"], sent["think"]) == ({"temperature": 0.2}, True)


def test_plain_request_arrives_as_it_was_sent(world: SimpleNamespace, api_for: Any, server: FakeModelServer) -> None:
    body = {"model": "gpt", "messages": [{"role": "user", "content": "[[n=1]] ünï"}], "made_up": [1, {"a": None}]}
    api_for(world.bob).post("/openai/chat/completions", body)
    assert server.requests[-1].json == body


def test_servers_error_keeps_its_status_and_loses_the_key(
    world: SimpleNamespace, api_for: Any, connect: Callable[..., None], server: FakeModelServer
) -> None:
    body = {"model": "gpt", "messages": [{"role": "user", "content": "[[err=429 msg=slow down]]"}]}
    for stream in (False, True):
        answer = api_for(world.bob).post("/openai/chat/completions", body | {"stream": stream})
        assert (answer.status_code, answer.json()["error"]["message"]) == (429, "slow down")
    connect([server], keys=["wrong-secret-key"])
    server.models.api_key = "right"
    connect([server], keys=["wrong-secret-key"], configs={"0": {"model_ids": ["gpt"]}})
    answer = api_for(world.bob).post("/openai/chat/completions", body)
    assert answer.status_code == 401
    assert b"wrong-secret-key" not in answer.content


def test_server_that_does_not_answer_is_502(world: SimpleNamespace, api_for: Any, connect: Callable[..., None]) -> None:
    connect([dead_address()], configs={"0": {"model_ids": ["gpt"]}})
    body = {"model": "gpt", "messages": []}
    answer = api_for(world.bob).post("/openai/chat/completions", body)
    assert (answer.status_code, "does not answer" in answer.json()["detail"]) == (502, True)


@pytest.mark.parametrize("body", ["", "[1]", "{", '{"model": 5}', "{}"])
def test_bodies_that_are_none_are_400(world: SimpleNamespace, api_for: Any, body: str) -> None:
    for path in ("/openai/chat/completions", "/ollama/api/chat"):
        answer = api_for(world.bob).post(path, body, content_type="application/json")
        assert answer.status_code == 400
        assert answer.json()["detail"]


def test_openai_model_is_not_for_ollamas_own_protocol(world: SimpleNamespace, api_for: Any) -> None:
    answer = api_for(world.bob).post("/ollama/api/chat", {"model": "gpt", "messages": []})
    assert (answer.status_code, answer.json()) == (403, NOT_FOUND)
    body = {"model": "llama", "messages": [{"role": "user", "content": "[[n=1]]"}]}
    assert api_for(world.bob).post("/openai/chat/completions", body).status_code == 200  # Ollama speaks OpenAI's too


def test_server_by_its_place(world: SimpleNamespace, api_for: Any, connect: Callable[..., None], server: Any) -> None:
    connect([], [server, world.ollama])
    body = {"model": "llama", "messages": [{"role": "user", "content": "[[n=1]]"}], "stream": False}
    assert api_for(world.bob).post("/ollama/api/chat/1", body).status_code == 200
    assert api_for(world.bob).post("/ollama/api/chat/0", body).json() == NOT_FOUND


def test_switched_off_is_503(world: SimpleNamespace, api_for: Any, set_config: Callable[..., None]) -> None:
    set_config("openai.enable", False)
    set_config("ollama.enable", False)
    for path, body in USING:
        if path.startswith("/api"):
            continue
        assert api_for(world.bob).post(path, body | {"model": model_for(path)}).status_code == 503
    assert api_for(world.bob).get("/ollama/api/tags").status_code == 503
    assert api_for(world.bob).get("/openai/models").status_code == 503


def test_config_is_for_administrators_and_keeps_places(world: SimpleNamespace, api_for: Any) -> None:
    from owui.audit.models import AuditEvent

    form = {
        "ENABLE_OPENAI_API": True,
        "OPENAI_API_BASE_URLS": ["http://127.0.0.1:1/v1/", "http://127.0.0.1:2/v1"],
        "OPENAI_API_KEYS": ["sk-very-secret"],
        "OPENAI_API_CONFIGS": {"0": {"headers": {"x": "hidden-header"}}, "9": {"prefix_id": "gone"}},
    }
    api = api_for(world.dana)
    answer = api.post("/openai/config/update", form).json()
    assert answer == {
        "ENABLE_OPENAI_API": True,
        "OPENAI_API_BASE_URLS": ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"],
        "OPENAI_API_KEYS": [MASK, ""],
        "OPENAI_API_CONFIGS": {"0": {"headers": {"x": MASK}}},
    }
    assert api.get("/openai/config").json() == answer
    said = str(list(AuditEvent.objects.values_list("detail", flat=True)))
    assert "very-secret" not in said and "hidden-header" not in said
    ollama = {
        "ENABLE_OLLAMA_API": False,
        "OLLAMA_BASE_URLS": ["http://o:1/"],
        "OLLAMA_API_CONFIGS": {"0": {"key": "k"}},
    }
    assert api.post("/ollama/config/update", ollama).json() == ollama | {
        "OLLAMA_BASE_URLS": ["http://o:1"],
        "OLLAMA_API_CONFIGS": {"0": {"key": MASK}},
    }
    for path in ("/openai/config", "/ollama/config"):
        assert api_for(world.alice).get(path).status_code == 401
        assert api_for(world.alice).post(f"{path}/update", form | ollama).status_code == 401


def test_verify_and_raw_lists(world: SimpleNamespace, api_for: Any, server: FakeModelServer) -> None:
    api = api_for(world.dana)
    assert len(api.post("/openai/verify", {"url": server.openai_url, "key": ""}).json()["data"]) == 2
    assert api.post("/ollama/verify", {"url": world.ollama.url}).json()["version"] == "0.99.0"
    assert api.post("/openai/verify", {"url": dead_address()}).status_code == 502
    assert api.post("/openai/verify", {"url": "not an address"}).status_code == 502
    assert api_for(world.alice).post("/openai/verify", {"url": server.openai_url}).status_code == 401
    assert {m["id"] for m in api.get("/openai/models/0").json()["data"]} == {"gpt", "spare"}
    assert api.get("/openai/models/5").status_code == 404
    assert api_for(world.alice).get("/openai/models/0").status_code == 401


def test_looking_after_ollama_servers(world: SimpleNamespace, api_for: Any) -> None:
    api = api_for(world.dana)
    assert api_for(None).get("/ollama/").json() == {"status": True}
    assert api_for(None).head("/ollama/").status_code == 200
    assert api_for(world.bob).get("/ollama/api/version").json() == {"version": "0.99.0"}
    assert len(api.get("/ollama/api/ps").json()["models"]) == 2
    assert api_for(world.alice).get("/ollama/api/ps").status_code == 401
    for method, path, body in (
        ("post", "/ollama/api/pull", {"model": "new", "stream": False}),
        ("post", "/ollama/api/pull/0", {"name": "new", "stream": False}),
        ("post", "/ollama/api/create", {"model": "new", "stream": False}),
        ("post", "/ollama/api/copy", {"source": "llama", "destination": "l2"}),
        ("delete", "/ollama/api/delete", {"model": "llama"}),
    ):
        assert getattr(api_for(world.alice), method)(path, body, content_type="application/json").status_code == 401
        answer = getattr(api, method)(path, body, content_type="application/json")
        assert answer.status_code == 404  # the fake has no such path: it was asked, and its answer came back
        assert world.ollama.requests[-1].path == "/api/" + path.split("/")[3]
        assert world.ollama.requests[-1].json == body
    assert api.post("/ollama/api/unload", {"model": "llama"}).json() == {"status": True}
    assert world.ollama.requests[-1].json["keep_alive"] == 0


INSIDE = "http://169.254.169.254/latest"
WITH_LINKS = (
    ("/openai/chat/completions", "messages", [{"role": "user", "content": [{"image_url": {"url": INSIDE}}]}]),
    (
        "/openai/responses",
        "input",
        [{"role": "user", "content": [{"type": "input_image", "image_url": INSIDE}]}],
    ),
    ("/openai/embeddings", "input", [{"image": INSIDE}]),
    (
        "/ollama/v1/chat/completions",
        "messages",
        [{"role": "user", "content": [{"type": "image_url", "image_url": "file:///etc/passwd"}]}],
    ),
)


@pytest.mark.parametrize(("path", "name", "said"), WITH_LINKS, ids=[path for path, _, _ in WITH_LINKS])
def test_no_address_to_fetch_from_passes_through(
    world: SimpleNamespace, api_for: Any, path: str, name: str, said: list[Any], server: FakeModelServer
) -> None:
    before = len(server.requests) + len(world.ollama.requests)
    answer = api_for(world.bob).post(path, {"model": model_for(path), name: said})
    assert (answer.status_code, answer.json()["detail"][:5]) == (400, "Links")
    asked = [r for r in [*server.requests, *world.ollama.requests][before:] if "169.254" in str(r.json)]
    assert not asked


def test_words_and_calls_of_tools_may_hold_addresses(
    world: SimpleNamespace, api_for: Any, server: FakeModelServer
) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": {"image_url": INSIDE}}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": INSIDE}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": INSIDE},
        {"role": "user", "content": f"[[n=2]] {INSIDE}"},
    ]
    answer = api_for(world.bob).post("/openai/chat/completions", {"model": "gpt", "messages": messages})
    assert answer.status_code == 200
    assert server.requests[-1].json["messages"] == messages
