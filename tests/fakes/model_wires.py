"""The frames the fake model server writes, right and wrong ones."""

from dataclasses import dataclass
from typing import Any

import orjson

CREATED = "2026-01-01T00:00:00Z"


@dataclass
class Script:
    """How to answer one request."""

    tokens: list[str]
    thoughts: list[str]
    fields: dict[str, str]

    def number(self, name: str, default: float = 0) -> float:
        return float(self.fields.get(name, default))


class OpenAIWire:
    """OpenAI's frames."""

    content_type = "text/event-stream"

    def __init__(self, body: dict[str, Any], script: Script) -> None:
        self._script = script
        self._head = {"id": "chatcmpl-fake", "created": 0, "model": body.get("model", "fake")}
        self._tool = script.fields.get("tool")
        self._with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        count = len(script.tokens) + len(script.thoughts)
        self._usage = {"prompt_tokens": 7, "completion_tokens": count, "total_tokens": 7 + count}
        self._timings = {"prompt_n": 7, "predicted_n": count, "predicted_per_second": 50.0}

    def token(self, kind: str, token: str) -> bytes:
        if kind == "tool":
            call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": self._tool, "arguments": ""}}
            pieces = [self._chunk({"tool_calls": [call]})]
            for part in ('{"city": ', '"Bern"}'):
                pieces.append(self._chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}))
            return b"".join(pieces)
        if kind == "end":
            return b""
        return self._chunk({"content" if kind == "content" else "reasoning_content": token})

    def fault(self, script: Script, sent: int) -> bytes | None:
        if "badjson" in script.fields and sent >= script.number("badjson"):
            return b'data: {"choices": [{"delta": {"content": \n\n'
        if "inband" in script.fields and sent >= script.number("inband"):
            return b'data: {"error": {"message": "the model fell over", "code": 500}}\n\n'
        return None

    def end(self) -> list[bytes]:
        fields = self._script.fields
        frames = []
        if "nofinish" not in fields:
            reason = "tool_calls" if self._tool else "stop"
            frames.append(self._frame({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
        if self._with_usage and "nousage" not in fields:
            frames.append(self._frame({"choices": [], "usage": self._usage, "timings": self._timings}))
        if "nodone" not in fields:
            frames.append(self._sse(b"[DONE]"))
        return frames

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._script.tokens)}
        if self._tool:
            function = {"name": self._tool, "arguments": '{"city": "Bern"}'}
            message = {"role": "assistant", "content": None}
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if self._tool else "stop"}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": self._usage}

    def _chunk(self, delta: dict[str, Any]) -> bytes:
        return self._frame({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})

    def _frame(self, data: dict[str, Any]) -> bytes:
        return self._sse(orjson.dumps({**self._head, "object": "chat.completion.chunk", **data}))

    def _sse(self, data: bytes) -> bytes:
        frame = b"data: " + data + b"\n\n"
        if "comments" in self._script.fields:
            frame = b": keep-alive\n\n" + frame
        return frame.replace(b"\n", b"\r\n") if "crlf" in self._script.fields else frame


class OllamaWire:
    """Ollama's lines; `is_generate` speaks the older `/api/generate`."""

    content_type = "application/x-ndjson"

    def __init__(self, body: dict[str, Any], script: Script, is_generate: bool) -> None:
        self._script = script
        self._model = body.get("model", "fake")
        self._is_generate = is_generate
        self._tool = script.fields.get("tool")

    def token(self, kind: str, token: str) -> bytes:
        if kind == "tool":
            call = {"function": {"name": self._tool, "arguments": {"city": "Bern"}}}
            return self._line({"content": "", "tool_calls": [call]})
        if kind == "reasoning":
            return self._line({"content": "", "thinking": token})
        return b"" if kind == "end" else self._line({"content": token})

    def fault(self, script: Script, sent: int) -> bytes | None:
        if "badjson" in script.fields and sent >= script.number("badjson"):
            return b'{"message": {"content": \n'
        if "inband" in script.fields and sent >= script.number("inband"):
            return b'{"error": "the model fell over"}\n'
        return None

    def end(self) -> list[bytes]:
        return [] if "nofinish" in self._script.fields else [self._line({"content": ""}, self._counts())]

    def whole(self) -> dict[str, Any]:
        line: dict[str, Any] = orjson.loads(self._line({"content": "".join(self._script.tokens)}, self._counts()))
        return line

    def _counts(self) -> dict[str, Any]:
        count = len(self._script.tokens) + len(self._script.thoughts)
        durations = {"total_duration": 5_000_000, "eval_duration": 4_000_000}
        return {"done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": count, **durations}

    def _line(self, message: dict[str, Any], more: dict[str, Any] | None = None) -> bytes:
        said = {"response": message["content"]} if self._is_generate else {"message": {"role": "assistant", **message}}
        return (
            orjson.dumps({"model": self._model, "created_at": CREATED, **said, "done": False, **(more or {})}) + b"\n"
        )
