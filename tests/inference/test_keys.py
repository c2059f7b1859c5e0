"""Keys of servers are written and never read: whoever sees them masked can use them at their own address only."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from inference.config import OllamaConfig, OpenAIConfig
from owui.audit.models import AuditEvent
from owui.lib.masks import MASK

A, B = "http://a.internal/v1", "http://b.internal/v1"


@pytest.fixture
def listening() -> Iterator[tuple[str, list[tuple[str, str | None, str | None]]]]:
    """A server that gives an OpenAPI description and a list of models, and remembers what it was told."""
    heard: list[tuple[str, str | None, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append((self.path, self.headers.get("authorization"), self.headers.get("x-lab")))
            body = json.dumps({"paths": {}, "data": [], "version": "1"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", heard
    running.shutdown()
    running.server_close()
    thread.join(5)


@pytest.mark.django_db(transaction=True)
def test_a_trial_uses_the_whole_entry_and_a_mask_only_at_its_own_server(api_for, dana, listening, connect):
    url, heard = listening
    api = api_for(dana)
    entry = {"url": url, "path": "v2/api.json", "key": "sk-lab", "headers": {"X-Lab": "7"}, "info": {"id": "lab"}}
    entries = "/api/v1/configs/tool_servers"
    assert api.post(f"{entries}/verify", entry).json()["paths"] == {}
    assert heard.pop() == ("/v2/api.json", "Bearer sk-lab", "7")
    pasted = {"url": url, "spec_type": "json", "spec": {"paths": {"/x": {}}}}
    assert api.post(f"{entries}/verify", pasted).json()["paths"] == {"/x": {}} and heard == []
    (shown,) = api.post(entries, {"TOOL_SERVER_CONNECTIONS": [entry]}).json()["TOOL_SERVER_CONNECTIONS"]
    assert shown["key"] == MASK
    assert api.post(f"{entries}/verify", shown).status_code == 200
    assert heard.pop()[1] == "Bearer sk-lab"
    (far,) = api.post(entries, {"TOOL_SERVER_CONNECTIONS": [entry | {"url": "http://far.internal"}]}).json().values()
    answer = api.post(f"{entries}/verify", far[0] | {"path": f"{url}/steal"})
    assert answer.status_code == 400 and "another server" in answer.json()["detail"] and heard == []

    connect([f"{url}/v1"], keys=["sk-models"])
    tried = {"url": f"{url}/v1", "key": MASK}
    assert api.post("/openai/verify", tried).status_code == 200
    assert heard.pop()[:2] == ("/v1/models", "Bearer sk-models")
    connect([A], keys=["sk-models"])
    for kind in ("openai", "ollama"):
        answer = api.post(f"/{kind}/verify", tried)
        assert answer.status_code == 400 and "Enter it again" in answer.json()["detail"]
    assert heard == []


def form(urls: list[str], keys: list[str], configs: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"OPENAI_API_BASE_URLS": urls, "OPENAI_API_KEYS": keys, "OPENAI_API_CONFIGS": configs or {}}


@pytest.fixture
def update(db: None, api_for: Any, dana: Any, connect: Callable[..., None]) -> Callable[..., Any]:
    configs = {"0": {"prefix_id": "a", "headers": {"X-A": "h-a"}}, B: {"api_key": "o-b"}}
    connect([A, B], keys=["sk-a", "sk-b"], configs=configs)
    return lambda *args: api_for(dana).post("/openai/config/update", form(*args))


def test_keys_and_headers_are_shown_as_masks_and_sent_back_as_they_were(update, api_for, dana):
    shown = api_for(dana).get("/openai/config").json()
    assert shown["OPENAI_API_KEYS"] == [MASK, MASK]
    assert shown["OPENAI_API_CONFIGS"] == {"0": {"prefix_id": "a", "headers": {"X-A": MASK}}, B: {"api_key": MASK}}
    before = OpenAIConfig.load()
    assert api_for(dana).post("/openai/config/update", shown).json() == shown
    assert OpenAIConfig.load() == before


def test_keys_go_with_their_addresses_when_these_move(update):
    assert update([B], [MASK]).status_code == 200
    assert (OpenAIConfig.load().api_base_urls, OpenAIConfig.load().api_keys) == ([B], ["sk-b"])
    assert update(["http://new/v1", B], ["sk-new", MASK]).status_code == 200
    assert OpenAIConfig.load().api_keys == ["sk-new", "sk-b"]
    assert update(["http://new/v2", B], [MASK, ""]).status_code == 200, "the same server by another path"
    assert OpenAIConfig.load().api_keys == ["sk-new", ""]


@pytest.mark.parametrize(
    ("urls", "keys", "configs"),
    [
        (["http://elsewhere/v1", B], [MASK, MASK], {}),
        (["http://a.internal:81/v1", B], [MASK, MASK], {}),
        (["https://a.internal/v1", B], [MASK, MASK], {}),
        (["http://elsewhere/v1", B], ["", MASK], {"0": {"headers": {"X-A": MASK}}}),
        ([A, B, "http://elsewhere/v1"], [MASK, MASK, MASK], {}),
    ],
)
def test_keys_do_not_go_to_another_server(update, urls, keys, configs):
    before = OpenAIConfig.load()
    answer = update(urls, keys, configs)
    assert answer.status_code == 400 and "Enter it again" in answer.json()["detail"]
    assert OpenAIConfig.load() == before


def test_addresses_hold_no_passwords(update, api_for, dana):
    urls = ["http://svc:hunter22@a.internal/v1"]
    ollama = {"OLLAMA_BASE_URLS": urls, "OLLAMA_API_CONFIGS": {}}
    for answer in (update(urls, [""]), api_for(dana).post("/ollama/config/update", ollama)):
        assert answer.status_code == 400 and "name or password" in answer.json()["detail"]
        assert "hunter22" not in answer.json()["detail"]
    assert "hunter22" not in str(list(AuditEvent.objects.values_list("detail", flat=True)))


@pytest.mark.django_db
def test_keys_of_ollama_servers_are_masked_too(api_for, dana, connect):
    connect(ollama=[A], ollama_configs={"0": {"key": "sk-o"}})
    api = api_for(dana)
    shown = api.get("/ollama/config").json()
    assert shown["OLLAMA_API_CONFIGS"] == {"0": {"key": MASK}}
    assert api.post("/ollama/config/update", shown).json() == shown
    assert OllamaConfig.load().api_configs == {"0": {"key": "sk-o"}}
    assert api.post("/ollama/config/update", shown | {"OLLAMA_BASE_URLS": [B]}).status_code == 400
