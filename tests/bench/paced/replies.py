"""What the server says: chat replies as OpenAI's SSE and Ollama's NDJSON, and the small routes beside them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import orjson

from tests.bench.paced.pace import STATS

FIELDS = re.compile(r"\[\[(.*?)\]\]")
_DATE = "2026-01-01T00:00:00Z"
_DETAILS = {"format": "gguf", "family": "mock", "parameter_size": "1B", "quantization_level": "Q4_0"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, by the fields of its last user message."""

    model: str
    n: int
    tps: float
    ttft: float
    stamp: bool
    error: int
    tool: str
    arguments: str
    wants_usage: bool

    @property
    def usage(self) -> dict[str, int]:
        return {"prompt_tokens": 10, "completion_tokens": self.n, "total_tokens": self.n + 10}

    @property
    def seconds(self) -> float:
        return self.ttft + (self.n / self.tps if self.tps else 0)


def asked(body: dict[str, Any], defaults: dict[str, str]) -> Asked:
    fields = dict(defaults)
    for group in FIELDS.findall(_last_user_text(body)):
        fields |= dict(pair.split("=", 1) for pair in group.split() if "=" in pair)
    # Once the tool has answered it is time to say something.
    is_answered = any(message.get("role") == "tool" for message in body.get("messages") or [])
    return Asked(
        model=body.get("model") or "mock",
        n=int(fields["n"]),
        tps=float(fields["tps"]),
        ttft=float(fields["ttft"]) / 1000,
        stamp=fields.get("stamp") == "1",
        error=int(fields.get("err", 0)),
        tool=fields.get("tool", "") if body.get("tools") and not is_answered else "",
        arguments=fields.get("args", "{}"),
        wants_usage=bool((body.get("stream_options") or {}).get("include_usage")),
    )


def _last_user_text(body: dict[str, Any]) -> str:
    for message in reversed(body.get("messages") or []):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                return " ".join(part.get("text", "") for part in content if part.get("type") == "text")
            return content or ""
    return body.get("prompt") or ""


@dataclass(frozen=True, slots=True)
class Wire:
    """A streamed reply around its tokens: `before` + text + `after` for each, then `tail`."""

    kind: bytes
    before: bytes
    after: bytes
    tail: bytes


def openai_wire(ask: Asked) -> Wire:
    head = b'data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":%d,"model":%b,' % (
        int(time.time()),
        orjson.dumps(ask.model),
    )
    tail = head + b'"choices":[{"index":0,"delta":{},"finish_reason":"%b"}]}\n\n' % (
        b"tool_calls" if ask.tool else b"stop"
    )
    if ask.tool:
        calls = orjson.dumps([{"index": 0, **_call(ask)}])
        tail = head + b'"choices":[{"index":0,"delta":{"tool_calls":%b},"finish_reason":null}]}\n\n' % calls + tail
    if ask.wants_usage:
        tail += head + b'"choices":[],"usage":%b}\n\n' % orjson.dumps(ask.usage)
    return Wire(
        b"text/event-stream",
        head + b'"choices":[{"index":0,"delta":{"content":"',
        b'"},"finish_reason":null}]}\n\n',
        tail + b"data: [DONE]\n\n",
    )


def ollama_wire(ask: Asked) -> Wire:
    head = b'{"model":%b,"created_at":"%b","message":{"role":"assistant","content":"' % (
        orjson.dumps(ask.model),
        _DATE.encode(),
    )
    last = {"model": ask.model, "created_at": _DATE, "done": True, "done_reason": "stop"}
    last |= {"message": {"role": "assistant", "content": ""}, "eval_count": ask.n, "prompt_eval_count": 10}
    tail = orjson.dumps(last | {"total_duration": 1, "eval_duration": 1}) + b"\n"
    if ask.tool:
        call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": ask.tool, "arguments": {}}}]}
        tail = orjson.dumps({"model": ask.model, "done": False, "message": call}) + b"\n" + tail
    return Wire(b"application/x-ndjson", head, b'"},"done":false}\n', tail)


def _call(ask: Asked) -> dict[str, Any]:
    function = {"name": ask.tool, "arguments": ask.arguments}
    return {"id": f"call_{STATS['chat']}", "type": "function", "function": function}


def whole(ask: Asked, *, ollama: bool) -> dict[str, Any]:
    """A reply that is not streamed."""
    text = "".join(f" w{i}" for i in range(ask.n))
    STATS["tokens"] += ask.n
    if ollama:
        message = {"role": "assistant", "content": text}
        return {"model": ask.model, "done": True, "message": message, "response": text, "eval_count": ask.n}
    answer: dict[str, Any] = {"role": "assistant", "content": text}
    if ask.tool:
        answer = {"role": "assistant", "content": None, "tool_calls": [_call(ask)]}
    choice = {"index": 0, "message": answer, "finish_reason": "tool_calls" if ask.tool else "stop"}
    head = {"id": "chatcmpl-mock", "object": "chat.completion", "created": int(time.time()), "model": ask.model}
    return head | {"choices": [choice], "usage": ask.usage}


def small(path: str, models: list[str]) -> dict[str, Any] | None:
    """The answer of a route that only lists something; None when there is no such route."""
    if path in ("/v1/models", "/models"):
        row = {"object": "model", "created": 1700000000, "owned_by": "mock"}
        return {"object": "list", "data": [{"id": model, **row} for model in models]}
    if path == "/api/tags":
        row = {"modified_at": _DATE, "size": 1, "digest": "0" * 64, "details": _DETAILS}
        return {"models": [{"name": model, "model": model, **row} for model in models]}
    return {
        "/api/version": {"version": "0.9.0-mock"},
        "/api/ps": {"models": []},
        "/api/show": {"details": {"family": "mock"}, "model_info": {}, "capabilities": ["completion", "tools"]},
        "/stats": STATS,
    }.get(path)
