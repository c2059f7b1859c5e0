"""HTTP/1.1 with keep-alive and chunked replies; just what an API client sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from tests.bench.paced.embeddings import embed, openai_embeddings
from tests.bench.paced.pace import STATS, Stream
from tests.bench.paced.replies import Asked, asked, ollama_wire, openai_wire, small, whole

CHATS = {"/v1/chat/completions": False, "/chat/completions": False, "/api/chat": True, "/api/generate": True}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def dechunked(data: bytes) -> tuple[bytes, int] | None:
    """A chunked body and its length on the wire; None while some of it is missing."""
    out, position = [], 0
    while (end := data.find(b"\r\n", position)) >= 0:
        size = int(data[position:end].split(b";")[0], 16)
        if len(data) < end + 4 + size:
            return None
        if size == 0:
            return b"".join(out), end + 4
        out.append(data[end + 2 : end + 2 + size])
        position = end + 4 + size
    return None


class Connection(asyncio.Protocol):
    """One client's connection; one request at a time."""

    def __init__(self, models: list[str], defaults: dict[str, str]) -> None:
        self.models, self.defaults = models, defaults
        self.loop = asyncio.get_running_loop()
        self.buffer = b""
        self.stream: Stream | None = None
        self.paused = self.busy = False

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.Transport = transport
        self.write: Callable[[bytes], None] = transport.write

    def connection_lost(self, error: Exception | None) -> None:
        if self.stream:
            self.stream.cut()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.stream:
            self.stream.resume()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.busy:
            self.next_request()

    def reply_done(self) -> None:
        self.stream, self.busy = None, False
        if self.buffer:
            self.next_request()

    def next_request(self) -> None:
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.split(b"\r\n")
        fields = {name.lower(): value.strip() for name, _colon, value in (line.partition(b":") for line in lines)}
        length = int(fields.get(b"content-length", 0))
        if b"expect" in fields and len(rest) < length:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
            taken = dechunked(rest)
            if taken is None:
                return
            body, length = taken
        elif len(rest) < length:
            return
        else:
            body = rest[:length]
        self.buffer, self.busy = rest[length:], True
        STATS["requests"] += 1
        try:
            self.route(first.split(b" ", 2)[1].decode().partition("?")[0], orjson.loads(body) if body else {})
        except Exception as error:  # a bad request must not end the server
            self.send({"error": {"message": f"{type(error).__name__}: {error}"}}, 400)

    def send(self, value: Any, status: int = 200) -> None:
        body = orjson.dumps(value)
        head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        self.write(head + body)
        self.reply_done()

    def route(self, path: str, body: dict[str, Any]) -> None:
        if path in CHATS:
            self.chat(body, ollama=CHATS[path])
        elif path in ("/v1/embeddings", "/embeddings", "/api/embed", "/api/embeddings"):
            self.embeddings(path, body)
        elif (answer := small(path, self.models)) is not None:
            self.send(answer)
        else:
            self.send({"error": {"message": f"no such path: {path}"}}, 404)

    def embeddings(self, path: str, body: dict[str, Any]) -> None:
        given = body.get("input") or []
        texts = [given] if isinstance(given, str) else given
        STATS["embedded"] += len(texts)
        if path == "/api/embeddings":
            self.send({"embedding": embed(body.get("prompt") or "")})
        elif path == "/api/embed":
            self.send({"model": body.get("model"), "embeddings": [embed(text) for text in texts]})
        else:
            self.send(openai_embeddings(body, texts))

    def chat(self, body: dict[str, Any], *, ollama: bool) -> None:
        STATS["chat"] += 1
        ask = asked(body, self.defaults)
        if ask.error:
            self.send({"error": {"message": "asked to fail", "type": "mock"}}, ask.error)
        elif body.get("stream", ollama):
            self.begin(ask, ollama=ollama)
        else:
            self.loop.call_later(ask.seconds, self.send_whole, ask, ollama)

    def send_whole(self, ask: Asked, ollama: bool) -> None:
        if not self.transport.is_closing():
            self.send(whole(ask, ollama=ollama))

    def begin(self, ask: Asked, *, ollama: bool) -> None:
        wire = ollama_wire(ask) if ollama else openai_wire(ask)
        before, after = wire.before, wire.after
        self.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\nCache-Control: no-cache\r\n\r\n"
            % wire.kind
        )
        self.stream = Stream(
            self,
            lambda text: chunk(before + text.encode() + after),
            chunk(wire.tail) + b"0\r\n\r\n",
            n=0 if ask.tool else ask.n,
            tps=ask.tps,
            ttft=ask.ttft,
            stamp=ask.stamp,
        )
