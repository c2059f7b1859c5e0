"""A model server for tests: real sockets, OpenAI's and Ollama's protocols, and faults on request.

A script in the last user message says how to answer, e.g. `[[n=20 tps=50 ttft=100]]`:

| Field | Meaning |
|---|---|
| n, tps, ttft | number of tokens `t1 t2 …`, tokens a second (0: at once), milliseconds before the first |
| text=… | the words of the answer, to the end of the brackets |
| think | reasoning tokens `r1 r2 …` before the answer |
| tool=name | ask for a call of that tool instead of a text |
| burst | tokens in one write |
| frag | write pieces of that many bytes |
| slow | milliseconds of silence after the first token |
| err=503 | answer with that status; msg=… is its text |
| cut=5, badjson=3, inband=1 | after that many tokens: close the socket, send broken JSON, send an error event |
| crlf, comments, nodone, nofinish, nousage | =1: variants of the stream |

`python -m tests.fakes.model_server --port N` runs it alone; `FakeModelServer()` runs it in a thread of its own.
"""

import argparse
import asyncio
import hashlib
import math
import re
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.fakes.http_server import Exchange, Request, serve
from tests.fakes.model_wires import CREATED, OllamaWire, OpenAIWire, Script

DIMENSIONS = 384


def embedding(text: str) -> list[float]:
    """A unit vector of the words, so that texts that share words are near each other."""
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [text]:
        digest = hashlib.sha256(word.encode()).digest()
        for at in range(0, 16, 4):
            place = int.from_bytes(digest[at : at + 2], "big") % DIMENSIONS
            vector[place] += 1.0 if digest[at + 2] & 1 else -1.0
    norm = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / norm for x in vector]


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content if part.get("type") == "text")


@dataclass
class FakeModels:
    """The server's behaviour and its memory of what was asked.

    `reply(body)` gives the text of an answer, or a script, where the message holds none. `models` are the names listed;
    with `api_key` every request must bear it; `stream_options=False` refuses that field as some servers do.
    """

    models: list[str] = field(default_factory=lambda: ["fake-small", "fake-large"])
    reply: Callable[[dict[str, Any]], str] | None = None
    api_key: str = ""
    stream_options: bool = True
    requests: list[Request] = field(default_factory=list)
    counts: dict[str, int] = field(
        default_factory=lambda: {
            "active": 0,
            "cancelled": 0,
            "finished": 0,
            "requests": 0,
            "tokens": 0,
            "max_active": 0,
        }
    )

    async def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        if request.path == "/stats":
            await exchange.send_json(self.counts)
            return
        self.requests.append(request)
        self.counts["requests"] += 1
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            given = request.headers.get("authorization", "none")
            await exchange.send_json({"error": {"message": f"Incorrect API key provided: {given}"}}, 401)
            return
        routes = {
            "/v1/models": self._openai_models,
            "/v1/chat/completions": self._openai_chat,
            "/v1/embeddings": self._openai_embed,
            "/v1/rerank": self._rerank,
            "/api/tags": self._ollama_tags,
            "/api/chat": self._ollama_chat,
            "/api/generate": self._ollama_chat,
            "/api/embed": self._ollama_embed,
            "/api/version": self._version,
            "/api/ps": self._ollama_tags,
            "/api/show": self._version,
            "/": self._version,
            "/redirect": self._redirect,
        }
        route = routes.get(request.path)
        if route is None:
            await exchange.send_json({"error": {"message": f"no such path {request.path}"}}, 404)
        else:
            await route(exchange)

    def script(self, body: dict[str, Any]) -> Script:
        messages = body.get("messages") or [{"role": "user", "content": body.get("prompt", "")}]
        asked = next((text_of(m) for m in reversed(messages) if m.get("role") == "user"), "")
        pattern = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
        found = pattern.search(asked)
        fields: dict[str, str] = {}
        text = None
        if not found and self.reply is not None:
            text = self.reply(body)
            found = pattern.fullmatch(text)
        if found:
            head, is_text, rest = found[1].partition("text=")
            text = rest if is_text else None
            head, is_message, message = head.partition("msg=")
            fields = dict(item.partition("=")[::2] for item in head.split())
            if is_message:
                fields["msg"] = message
        if text is None:
            tokens = [f"t{i} " for i in range(1, int(fields.get("n", 20)) + 1)]
        else:
            tokens = re.findall(r"\s*\S+\s?", text)
        thoughts = [f"r{i} " for i in range(1, int(fields.get("think", 0)) + 1)]
        return Script(tokens, thoughts, fields)

    async def _version(self, exchange: Exchange) -> None:
        await exchange.send_json({"version": "0.99.0", "capabilities": ["completion"], "status": True})

    async def _redirect(self, exchange: Exchange) -> None:
        await exchange.send_json({}, 307, {"Location": "/v1/models", "Set-Cookie": "who=first; Path=/"})

    async def _openai_models(self, exchange: Exchange) -> None:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "fake"} for name in self.models]
        await exchange.send_json({"object": "list", "data": data}, headers={"Set-Cookie": "who=first; Path=/"})

    async def _openai_embed(self, exchange: Exchange) -> None:
        texts = exchange.request.json["input"]
        texts = [texts] if isinstance(texts, str) else texts
        data = [{"object": "embedding", "index": i, "embedding": embedding(text)} for i, text in enumerate(texts)]
        data.reverse()  # clients must go by the index
        if any("[[lose]]" in text for text in texts):
            data.pop()
        await exchange.send_json({"object": "list", "model": "fake", "data": data, "usage": {"prompt_tokens": 1}})

    async def _rerank(self, exchange: Exchange) -> None:
        """By the share of the question's words that a passage holds; as logits where the model is called so."""
        body = exchange.request.json
        asked = set(re.findall(r"\w+", body["query"].lower()))
        results = []
        for index, text in enumerate(body["documents"]):
            score = len(asked & set(re.findall(r"\w+", text.lower()))) / max(1, len(asked))
            results.append({"index": index, "relevance_score": score * 12 - 6 if body["model"] == "logits" else score})
        if body["model"] == "broken":
            results = [{"index": 99, "relevance_score": 1.0}]
        results.sort(key=lambda result: -result["relevance_score"])
        await exchange.send_json({"model": body["model"], "results": results[: body["top_n"]]})

    async def _ollama_embed(self, exchange: Exchange) -> None:
        texts = exchange.request.json["input"]
        texts = [texts] if isinstance(texts, str) else texts
        vectors = [embedding(text) for text in texts if "[[lose]]" not in text]
        await exchange.send_json({"model": "fake", "embeddings": vectors})

    async def _ollama_tags(self, exchange: Exchange) -> None:
        details = {"format": "gguf", "family": "fake", "parameter_size": "1B", "quantization_level": "Q4_0"}
        models = [
            {"name": name, "model": name, "modified_at": CREATED, "size": 1, "digest": "0" * 64, "details": details}
            for name in self.models
        ]
        await exchange.send_json({"models": models})

    async def _openai_chat(self, exchange: Exchange) -> None:
        body = exchange.request.json
        script = self.script(body)
        if "stream_options" in body and not self.stream_options:
            await exchange.send_json({"error": {"message": "Unrecognized request argument: stream_options"}}, 400)
            return
        if "err" in script.fields:
            message = script.fields.get("msg") or "scripted error"
            await exchange.send_json({"error": {"message": message, "type": "fake"}}, int(script.fields["err"]))
            return
        wire = OpenAIWire(body, script)
        if body.get("stream"):
            await self._stream(exchange, script, wire)
        else:
            await self._whole(exchange, script, wire)

    async def _ollama_chat(self, exchange: Exchange) -> None:
        body = exchange.request.json
        script = self.script(body)
        if "err" in script.fields:
            message = script.fields.get("msg") or "scripted error"
            await exchange.send_json({"error": message}, int(script.fields["err"]))
            return
        wire = OllamaWire(body, script, exchange.request.path == "/api/generate")
        if body.get("stream", True):
            await self._stream(exchange, script, wire)
        else:
            await self._whole(exchange, script, wire)

    async def _whole(self, exchange: Exchange, script: Script, wire: OpenAIWire | OllamaWire) -> None:
        async for _ in self._paced(script):
            pass
        await exchange.send_json(wire.whole())

    async def _stream(self, exchange: Exchange, script: Script, wire: OpenAIWire | OllamaWire) -> None:
        counts = self.counts
        counts["active"] += 1
        counts["max_active"] = max(counts["max_active"], counts["active"])
        try:
            exchange.start_stream(wire.content_type)
            burst, frag = int(script.number("burst", 1)), int(script.number("frag"))
            held: list[bytes] = []
            sent = 0
            async for kind, token in self._paced(script):
                fault = wire.fault(script, sent)
                if fault is not None:
                    await exchange.send_chunk(b"".join(held) + fault)
                    held.clear()
                if fault is not None or ("cut" in script.fields and sent >= script.number("cut")):
                    if held:
                        await exchange.send_chunk(b"".join(held))
                    exchange.cut()
                    counts["finished"] += 1
                    return
                held.append(wire.token(kind, token))
                sent += 1
                counts["tokens"] += 1
                if len(held) >= burst:
                    await self._write(exchange, b"".join(held), frag)
                    held.clear()
            held += wire.end()
            await self._write(exchange, b"".join(held), frag)
            exchange.end_stream()
            counts["finished"] += 1
        except asyncio.CancelledError:
            counts["cancelled"] += 1
            raise
        finally:
            counts["active"] -= 1

    async def _write(self, exchange: Exchange, data: bytes, frag: int) -> None:
        if not frag:
            await exchange.send_chunk(data)
            return
        for at in range(0, len(data), frag):
            await exchange.send_chunk(data[at : at + frag])
            await asyncio.sleep(0.0005)

    async def _paced(self, script: Script) -> AsyncIterator[tuple[str, str]]:
        now = asyncio.get_running_loop().time
        await asyncio.sleep(script.number("ttft") / 1000)
        tps, begun = script.number("tps"), now()
        pairs = [("reasoning", token) for token in script.thoughts]
        pairs += [("tool", "")] if "tool" in script.fields else [("content", token) for token in script.tokens]
        pairs += [("end", "")] if not pairs else []
        for number, pair in enumerate(pairs):
            if number == 1 and "slow" in script.fields:
                await asyncio.sleep(script.number("slow") / 1000)
            if tps:
                await asyncio.sleep(max(0.0, begun + number / tps - now()))
            elif number % 64 == 0:
                await asyncio.sleep(0)  # let a lost connection be noticed
            yield pair


class FakeModelServer:
    """The fake in a thread with a loop of its own, for tests of any kind; arguments as for `FakeModels`."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, **options: Any) -> None:
        self.models = FakeModels(**options)
        self._where = (host, port)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="fake-models", daemon=True)

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[Request]:
        """What was asked so far, oldest first, `/stats` apart."""
        return self.models.requests

    def stats(self) -> dict[str, int]:
        """Counts of streams (active, cancelled by the client, finished), requests and tokens."""
        return dict(self.models.counts)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the fake model server did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        port, stop = await serve(self.models.handle, *self._where)
        self.url = f"http://{self._where[0]}:{port}"
        self._ready.set()
        await self._stop.wait()
        await stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake model server for tests")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--models", default="fake-small,fake-large")
    options = parser.parse_args()

    async def run() -> None:
        port, _ = await serve(FakeModels(models=options.models.split(",")).handle, "127.0.0.1", options.port)
        print(f"http://127.0.0.1:{port}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    main()
