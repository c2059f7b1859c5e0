"""A fast fake LLM provider: OpenAI-compatible and Ollama-compatible on one port.

It exists so that a chat platform can be measured without a model: replies are
paced exactly, cost almost nothing to make, and every token can carry the
monotonic time at which it left, so a client on the same machine can tell how
long the platform held each token.

    python mock_upstream.py --port 9100
    python mock_upstream.py --self-test        # how many tokens/s one core can emit

A request is steered by fields in its last user message, or by the defaults
given on the command line or in the environment (MOCK_N, MOCK_TPS, MOCK_TTFT_MS,
MOCK_MODELS):

    [[n=200 tps=50 ttft=100]]   200 tokens at 50 tokens/s, the first after 100 ms
    [[tps=0]]                   as fast as the socket takes them
    [[stamp=1]]                 each token is " @<monotonic microseconds>@"
    [[tool=lookup]]             calls the tool `lookup` first (once), then replies
    [[err=503]]                 answers with that HTTP status

Endpoints: /v1/models, /v1/chat/completions, /v1/embeddings, /api/version,
/api/tags, /api/ps, /api/show, /api/chat, /api/generate, /api/embed,
/api/embeddings, and /stats (counters: requests, tokens, streams active, cut).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import math
import os
import re
import struct
import time
import zlib

try:  # both are optional: the mock works on the standard library alone
    import orjson

    def dumps(obj) -> bytes:
        return orjson.dumps(obj)

    loads = orjson.loads
except ImportError:  # pragma: no cover

    def dumps(obj) -> bytes:
        return json.dumps(obj, separators=(",", ":")).encode()

    loads = json.loads

DIM = 384
FIELDS = re.compile(r"\[\[(.*?)\]\]")
WORD = re.compile(r"[A-Za-z0-9]+")
STATS = {"requests": 0, "tokens": 0, "active": 0, "cut": 0, "chat": 0, "embedded": 0}


# ---------------------------------------------------------------- embeddings
_slots: dict[str, tuple[int, float]] = {}


def embed(text: str) -> list[float]:
    """Signed feature hashing of the words: texts that share words are near.

    Names and numbers (a capital or a digit) weigh ten times a plain word, a stand-in
    for what a real model learns: they decide what a passage is about.
    """
    vec = [0.0] * DIM
    for word in set(WORD.findall(text)):  # once each, else the commonest word is all that is left
        slot = _slots.get(word)
        if slot is None:
            h = zlib.crc32(word.lower().encode())  # "On" and "on" are one word
            weight = 1.0 if word.islower() else 10.0
            slot = (h % DIM, weight if (h >> 16) & 1 else -weight)
            if len(_slots) < 500_000:
                _slots[word] = slot
        vec[slot[0]] += slot[1]
    norm = math.sqrt(sum(v * v for v in vec)) or 1.0
    return [round(v / norm, 6) for v in vec]


# ------------------------------------------------------------------ requests
def last_user_text(body: dict) -> str:
    for message in reversed(body.get("messages") or []):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                return " ".join(p.get("text", "") for p in content if p.get("type") == "text")
            return content or ""
    return body.get("prompt") or ""


def fields_of(text: str, defaults: dict) -> dict:
    fields = dict(defaults)
    for group in FIELDS.findall(text):
        for pair in group.split():
            key, _, value = pair.partition("=")
            fields[key] = value
    return fields


def token_text(i: int, stamp: bool) -> str:
    return f" @{time.monotonic_ns() // 1000}@" if stamp else f" w{i}"


class Stream:
    """One paced reply. A single timer per stream; late ticks catch up in one write."""

    def __init__(self, conn: Connection, frame, tail: bytes, n: int, tps: float, ttft: float, stamp: bool):
        self.conn, self.frame, self.tail = conn, frame, tail
        self.n, self.tps, self.stamp = n, tps, stamp
        self.i = 0
        self.loop = conn.loop
        self.start = self.loop.time() + ttft
        STATS["active"] += 1
        self.done = False
        self.timer = self.loop.call_at(self.start, self.tick)

    def tick(self) -> None:
        if self.done or self.conn.paused:
            return
        out = []
        if self.tps > 0:
            due = min(self.n, int((self.loop.time() - self.start) * self.tps + 1e-6) + 1)
        else:
            due = min(self.n, self.i + 64)
        while self.i < due:
            out.append(self.frame(token_text(self.i, self.stamp)))
            self.i += 1
        STATS["tokens"] += len(out)
        if self.i >= self.n:
            out.append(self.tail)
            self.finish()
            self.conn.write(b"".join(out))
            self.conn.reply_done()
            return
        self.conn.write(b"".join(out))
        if self.tps > 0:
            self.timer = self.loop.call_at(self.start + self.i / self.tps, self.tick)
        else:
            self.timer = self.loop.call_soon(self.tick)

    def resume(self) -> None:
        if not self.done:
            self.timer.cancel()
            self.timer = self.loop.call_soon(self.tick)

    def finish(self) -> None:
        self.done = True
        STATS["active"] -= 1

    def cut(self) -> None:
        if not self.done:
            self.timer.cancel()
            STATS["cut"] += 1
            self.finish()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and chunked replies; just what an API client sends."""

    def __init__(self, config: dict):
        self.config = config
        self.loop = asyncio.get_running_loop()
        self.buf = b""
        self.stream: Stream | None = None
        self.paused = False
        self.busy = False

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.write = transport.write

    def connection_lost(self, exc) -> None:
        if self.stream:
            self.stream.cut()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.stream:
            self.stream.resume()

    def data_received(self, data: bytes) -> None:
        self.buf += data
        if not self.busy:
            self.next_request()

    def reply_done(self) -> None:
        self.stream = None
        self.busy = False
        if self.buf:
            self.next_request()

    def next_request(self) -> None:
        head, sep, rest = self.buf.partition(b"\r\n\r\n")
        if not sep:
            return
        lines = head.split(b"\r\n")
        length, chunked = 0, False
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            name = name.lower()
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding" and b"chunked" in value.lower():
                chunked = True
            elif name == b"expect" and len(rest) < length:
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if chunked:
            body, used = self.dechunk(rest)
            if body is None:
                return
            rest = rest[used:]
        else:
            if len(rest) < length:
                return
            body, rest = rest[:length], rest[length:]
        self.buf = rest
        self.busy = True
        method, target, _ = lines[0].split(b" ", 2)
        STATS["requests"] += 1
        try:
            self.route(method.decode(), target.decode().partition("?")[0], body)
        except Exception as exc:  # a bad request must not end the mock
            self.send_json({"error": {"message": f"{type(exc).__name__}: {exc}"}}, 400)

    @staticmethod
    def dechunk(data: bytes):
        out, pos = [], 0
        while True:
            end = data.find(b"\r\n", pos)
            if end < 0:
                return None, 0
            size = int(data[pos:end].split(b";")[0], 16)
            if len(data) < end + 4 + size:
                return None, 0
            if size == 0:
                return b"".join(out), end + 4
            out.append(data[end + 2 : end + 2 + size])
            pos = end + 4 + size

    # -------------------------------------------------------------- replies
    def send_json(self, obj, status: int = 200) -> None:
        body = dumps(obj)
        self.write(
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )
        self.reply_done()

    def route(self, method: str, path: str, raw: bytes) -> None:
        body = loads(raw) if raw else {}
        models = self.config["models"]
        if path in ("/v1/models", "/models"):
            self.send_json(
                {
                    "object": "list",
                    "data": [{"id": m, "object": "model", "created": 1700000000, "owned_by": "mock"} for m in models],
                }
            )
        elif path in ("/v1/chat/completions", "/chat/completions"):
            self.chat(body, ollama=False)
        elif path in ("/v1/embeddings", "/embeddings"):
            self.embeddings(body)
        elif path in ("/api/chat", "/api/generate"):
            self.chat(body, ollama=True)
        elif path == "/api/embed":
            texts = body.get("input") or []
            texts = [texts] if isinstance(texts, str) else texts
            STATS["embedded"] += len(texts)
            self.send_json({"model": body.get("model"), "embeddings": [embed(t) for t in texts]})
        elif path == "/api/embeddings":
            self.send_json({"embedding": embed(body.get("prompt") or "")})
        elif path == "/api/version":
            self.send_json({"version": "0.9.0-mock"})
        elif path == "/api/tags":
            self.send_json(
                {
                    "models": [
                        {
                            "name": m,
                            "model": m,
                            "modified_at": "2026-01-01T00:00:00Z",
                            "size": 1,
                            "digest": "0" * 64,
                            "details": {
                                "format": "gguf",
                                "family": "mock",
                                "parameter_size": "1B",
                                "quantization_level": "Q4_0",
                            },
                        }
                        for m in models
                    ]
                }
            )
        elif path == "/api/ps":
            self.send_json({"models": []})
        elif path == "/api/show":
            self.send_json({"details": {"family": "mock"}, "model_info": {}, "capabilities": ["completion", "tools"]})
        elif path == "/stats":
            self.send_json(STATS)
        else:
            self.send_json({"error": {"message": f"no such path: {path}"}}, 404)

    def embeddings(self, body: dict) -> None:
        texts = body.get("input") or []
        texts = [texts] if isinstance(texts, str) else texts
        STATS["embedded"] += len(texts)
        packed = body.get("encoding_format") == "base64"
        data = []
        for i, text in enumerate(texts):
            vec = embed(text)
            value = base64.b64encode(struct.pack(f"<{DIM}f", *vec)).decode() if packed else vec
            data.append({"object": "embedding", "index": i, "embedding": value})
        words = sum(len(t) for t in texts) // 5
        self.send_json(
            {
                "object": "list",
                "model": body.get("model"),
                "data": data,
                "usage": {"prompt_tokens": words, "total_tokens": words},
            }
        )

    def chat(self, body: dict, ollama: bool) -> None:
        STATS["chat"] += 1
        f = fields_of(last_user_text(body), self.config["fields"])
        if "err" in f:
            return self.send_json({"error": {"message": "asked to fail", "type": "mock"}}, int(f["err"]))
        n, tps, ttft = int(f["n"]), float(f["tps"]), float(f["ttft"]) / 1000
        stamp = f.get("stamp", "0") == "1"
        model = body.get("model") or "mock"
        tool = f.get("tool") if body.get("tools") else None
        if tool and any(m.get("role") == "tool" for m in body.get("messages") or []):
            tool = None  # the tool has answered: now say something
        usage = {"prompt_tokens": 10, "completion_tokens": n, "total_tokens": n + 10}
        if not body.get("stream", ollama):
            return self.loop_later(ttft + (n / tps if tps else 0), lambda: self.whole(model, n, tool, usage, ollama))

        made = int(time.time())
        if ollama:
            pre = b'{"model":%b,"created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"' % dumps(
                model
            )
            post = b'"},"done":false}\n'
            tail = (
                dumps(
                    {
                        "model": model,
                        "created_at": "2026-01-01T00:00:00Z",
                        "done": True,
                        "done_reason": "stop",
                        "message": {"role": "assistant", "content": ""},
                        "eval_count": n,
                        "prompt_eval_count": 10,
                        "total_duration": 1,
                        "eval_duration": 1,
                    }
                )
                + b"\n"
            )
            kind = b"application/x-ndjson"
            if tool:
                n, post_tool = (
                    0,
                    dumps(
                        {
                            "model": model,
                            "done": False,
                            "message": {
                                "role": "assistant",
                                "content": "",
                                "tool_calls": [{"function": {"name": tool, "arguments": {}}}],
                            },
                        }
                    ),
                )
                tail = post_tool + b"\n" + tail
        else:
            base = b'data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":%d,"model":%b,' % (
                made,
                dumps(model),
            )
            pre = base + b'"choices":[{"index":0,"delta":{"content":"'
            post = b'"},"finish_reason":null}]}\n\n'
            reason = b"tool_calls" if tool else b"stop"
            tail = base + b'"choices":[{"index":0,"delta":{},"finish_reason":"%b"}]}\n\n' % reason
            if tool:
                n = 0
                call = [
                    {
                        "index": 0,
                        "id": f"call_{STATS['chat']}",
                        "type": "function",
                        "function": {"name": tool, "arguments": f.get("args", "{}")},
                    }
                ]
                tail = (
                    base
                    + b'"choices":[{"index":0,"delta":{"tool_calls":%b},"finish_reason":null}]}\n\n' % dumps(call)
                    + tail
                )
            if (body.get("stream_options") or {}).get("include_usage"):
                tail += base + b'"choices":[],"usage":%b}\n\n' % dumps(usage)
            tail += b"data: [DONE]\n\n"
            kind = b"text/event-stream"

        def frame(text: str) -> bytes:
            return chunk(pre + text.encode() + post)

        self.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\nCache-Control: no-cache\r\n\r\n"
            % kind
        )
        self.stream = Stream(self, frame, chunk(tail) + b"0\r\n\r\n", n, tps, ttft, stamp)
        return None

    def loop_later(self, delay: float, call) -> None:
        self.loop.call_later(delay, lambda: None if self.transport.is_closing() else call())

    def whole(self, model, n, tool, usage, ollama) -> None:
        text = "".join(f" w{i}" for i in range(n))
        STATS["tokens"] += n
        if ollama:
            return self.send_json(
                {
                    "model": model,
                    "done": True,
                    "message": {"role": "assistant", "content": text},
                    "response": text,
                    "eval_count": n,
                }
            )
        message = {"role": "assistant", "content": text}
        if tool:
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": f"call_{STATS['chat']}", "type": "function", "function": {"name": tool, "arguments": "{}"}}
                ],
            }
        self.send_json(
            {
                "id": "chatcmpl-mock",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": model,
                "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if tool else "stop"}],
                "usage": usage,
            }
        )
        return None


# ---------------------------------------------------------------------- main
def new_loop_runner():
    try:
        import uvloop

        return asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        return asyncio.Runner()


async def serve(host: str, port: int, config: dict) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(config), host, port, backlog=4096)
    print(f"mock upstream on http://{host}:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


def self_test(config: dict) -> None:
    """Forks a server, drains it with trivial socket readers, and prints tokens per CPU-second."""
    import resource
    import socket

    for conns, tps in ((1, 0), (50, 0), (200, 100), (500, 30)):
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:

            async def child():
                loop = asyncio.get_running_loop()
                server = await loop.create_server(lambda: Connection(config), "127.0.0.1", 0, backlog=4096)
                os.write(told, b"%d\n" % server.sockets[0].getsockname()[1])
                await server.serve_forever()

            with new_loop_runner() as runner:
                runner.run(child())
        port = int(os.read(ready, 32))
        n = 200_000 if conns == 1 else (20_000 if tps == 0 else 300)
        body = dumps(
            {"model": "m", "stream": True, "messages": [{"role": "user", "content": f"[[n={n} tps={tps} ttft=0]]"}]}
        )
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        import selectors

        sel = selectors.DefaultSelector()
        t0 = time.monotonic()
        for _ in range(conns):
            s = socket.create_connection(("127.0.0.1", port))
            s.sendall(head + body)
            s.setblocking(False)
            sel.register(s, selectors.EVENT_READ)
        left = conns
        while left:
            for key, _ in sel.select():
                data = key.fileobj.recv(1 << 20)
                if not data or data.endswith(b"0\r\n\r\n"):
                    sel.unregister(key.fileobj)
                    key.fileobj.close()
                    left -= 1
        wall = time.monotonic() - t0
        os.kill(pid, 15)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.waitpid(pid, 0)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        total = n * conns
        print(
            f"{conns:4d} streams, {'unpaced' if not tps else f'{tps} tok/s each'}: {total} tokens in {wall:.2f} s wall "
            f"= {total / wall:,.0f} tok/s; {cpu:.2f} CPU-s = {total / cpu:,.0f} tok per CPU-second"
        )


def main() -> None:
    env = os.environ.get
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=int(env("MOCK_PORT", "9100")))
    p.add_argument("--models", default=env("MOCK_MODELS", "mock-small,mock-large"), help="names, or a number of models")
    p.add_argument("--n", default=env("MOCK_N", "100"), help="tokens per reply")
    p.add_argument("--tps", default=env("MOCK_TPS", "30"), help="tokens per second per stream; 0: unpaced")
    p.add_argument("--ttft", default=env("MOCK_TTFT_MS", "50"), help="ms before the first token")
    p.add_argument("--self-test", action="store_true")
    a = p.parse_args()
    models = [f"mock-{i:05d}" for i in range(int(a.models))] if a.models.isdigit() else a.models.split(",")
    config = {"models": models, "fields": {"n": a.n, "tps": a.tps, "ttft": a.ttft}}
    if a.self_test:
        return self_test(config)
    try:
        with new_loop_runner() as runner:
            runner.run(serve(a.host, a.port, config))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
