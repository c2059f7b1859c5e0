"""Requests of odd shapes: a clear 400 for whatever no model server could be sent, and never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from inference import live
from tests.conftest import Api, token_for
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)
USER = {"role": "user", "content": "x [[n=2]]"}
#: for servers of both kinds: they are what they are in the body of either
ANYWHERE: list[dict[str, Any]] = [
    {"seed": 10**30},
    {"stop": 5},
    {"messages": [{"role": "user", "content": "half a sign: \ud800"}]},
]
#: OpenAI's servers get messages as they are, and say themselves what is wrong with them
FOR_OLLAMA: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": ["text alone"]}]},
    {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
    {"messages": [{"role": "user", "content": 5}]},
    {"messages": [USER, {"role": "assistant", "tool_calls": [5]}]},
]
FOR_OPENAI: list[dict[str, Any]] = [{"stream": True, "params": {"custom_params": {"stream_options": "x"}}}]


@pytest.mark.parametrize(
    ("kind", "more"),
    [(kind, more) for kind in ("openai", "ollama") for more in ANYWHERE]
    + [("ollama", more) for more in FOR_OLLAMA]
    + [("openai", more) for more in FOR_OPENAI],
)
def test_what_cannot_be_sent_is_said(
    small: Any, server: FakeModelServer, alice: Any, set_config: Callable[..., None], kind: str, more: dict[str, Any]
) -> None:
    if kind == "ollama":
        set_config("openai.api_base_urls", [])
        set_config("ollama.base_urls", [server.url])
        live.forget()
    body = json.dumps({"model": "fake-small", "messages": [USER], **more})
    answer = Api(token_for(alice)).post("/api/chat/completions", body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert "cannot be sent" in answer.json()["detail"]
    assert not [r for r in server.requests if r.path.endswith(("/chat/completions", "/api/chat"))]
