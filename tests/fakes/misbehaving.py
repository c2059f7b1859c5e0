"""A model server that goes wrong in every way that was seen of real ones, over a real socket.

The last user message names the fault: `[[cut in an event]]`. Each plays raw bytes, so that nothing between helps it to
be right. `open` counts what is still being answered: it must come down to nothing whoever reads or leaves.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson

from tests.fakes.http_server import Exchange, serve

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\n%s\r\n"
SSE, LINES, HTML, JSON = b"text/event-stream", b"application/x-ndjson", b"text/html", b"application/json"
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
#: ends of a play: close now, or say nothing more until the client goes
CUT, HOLD = "cut", "hold"
Step = bytes | str | float
OOM = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB"
DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."
TOO_LONG = "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens."
LLAMA = {
    "error": {
        "code": 400,
        "message": "the request exceeds the available context size, try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 5000,
        "n_ctx": 4096,
    }
}


@dataclass(frozen=True)
class Fault:
    """What is played, what of it is kept, words of the error, and the status REST gives (200: the stream had begun)."""

    play: Callable[[], AsyncIterator[Step]] | tuple[Step, ...]
    error: str = ""
    kept: str = ""
    status: int = 200
    kind: str = "openai"
    more: tuple[tuple[str, Any], ...] = ()  # fields of REST's error object


def event(data: Any) -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else orjson.dumps(data)) + b"\n\n"


def delta(text: str | None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None, **more}
    return event({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


def line(text: str, **more: Any) -> bytes:
    return (
        orjson.dumps({"model": "m", "message": {"role": "assistant", "content": text}, "done": False, **more}) + b"\n"
    )


def answer(status: str, body: bytes = b"", kind: bytes = JSON, headers: bytes = b"") -> tuple[Step, ...]:
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n"
    return (head % (status.encode(), kind, len(body), headers), body, CUT)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


BEGUN = HEAD % (SSE, b"")
CHUNKED = HEAD % (SSE, b"Transfer-Encoding: chunked\r\n")
TALKED = (BEGUN, delta("Grü"), delta("ezi "))
LINED = (HEAD % (LINES, b""), line("Grü"), line("ezi "))
END = delta("", finish_reason="stop") + event(b"[DONE]")
WHOLE = delta("Grüezi ") + END


async def for_ever() -> AsyncIterator[Step]:
    yield BEGUN
    while True:
        yield delta("word " * 200)
        await asyncio.sleep(0)


async def nothing_for_ever() -> AsyncIterator[Step]:
    yield BEGUN
    yield delta("Grüezi ")
    while True:
        yield b": keep-alive\n\n" + delta(None)
        await asyncio.sleep(0.05)


async def one_line_of_forty_megabytes() -> AsyncIterator[Step]:
    yield BEGUN
    yield delta("Grüezi ") + b'data: {"choices":[{"index":0,"delta":{"content":"'
    for _ in range(40):
        yield b"x" * 2**20
    yield b'"}}]}\n\n' + END
    yield CUT


BROKE, ODD = "before the answer was complete", "not an answer of the OpenAI API"
FAULTS: dict[str, Fault] = {
    # --- the connection goes
    "cut off": Fault((*TALKED, CUT), BROKE, "Grüezi "),
    "cut in a chunk": Fault((CHUNKED, chunk(delta("Grü") + delta("ezi ")), b"fff\r\ndata: {", CUT), BROKE, "Grüezi "),
    "cut in an event": Fault((*TALKED, delta("more")[:40], CUT), BROKE, "Grüezi "),
    "cut in the first event": Fault((BEGUN, delta("more")[:40], CUT), BROKE, status=502),
    "cut in a character": Fault((*TALKED, delta("ü").split(b"\xbc")[0], CUT), BROKE, "Grüezi "),
    "cut before the body": Fault((BEGUN, CUT), BROKE, status=502),
    "shorter than said": Fault((HEAD % (SSE, b"Content-Length: 9999\r\n"), delta("Grüezi "), CUT), BROKE, "Grüezi "),
    "closed at once": Fault((CUT,), "without answering", status=502),
    "no HTTP": Fault((b"SSH-2.0-OpenSSH_9.6\r\n", CUT), "speaks HTTP", status=502),
    # --- it refuses
    "too long for vLLM": Fault(
        answer("400 Bad Request", orjson.dumps({"object": "error", "message": TOO_LONG, "code": 400})),
        "longer than the model can take in.*maximum context length is 4096",
        status=400,
        more=(("message", TOO_LONG),),
    ),
    "too long for llama.cpp": Fault(
        answer("400 Bad Request", orjson.dumps(LLAMA)),
        "longer than the model can take in",
        status=400,
        more=(("type", "exceed_context_size_error"), ("n_ctx", 4096)),
    ),
    "busy": Fault(
        answer(
            "429 Too Many Requests", b'{"error":{"message":"slow down","code":"rate"}}', headers=b"Retry-After: 7\r\n"
        ),
        "Wait 7 seconds.*slow down",
        status=429,
        more=(("message", "slow down"), ("code", "rate")),
    ),
    "a page for an error": Fault(answer("502 Bad Gateway", PAGE, HTML), r"failed \(status 502\)", status=502),
    "no such path": Fault(answer("404 Not Found", PAGE, HTML), "does not know this model or path", status=404),
    "nothing for an error": Fault(answer("503 Service Unavailable"), r"failed \(status 503\)", status=503),
    "out of memory": Fault(
        answer("500 Internal Server Error", orjson.dumps({"error": {"message": OOM, "code": 500}})),
        "ran out of memory.*CUDA out of memory",
        status=500,
    ),
    "engine dead": Fault(
        answer("500 Internal Server Error", orjson.dumps({"error": {"message": DEAD, "code": 500}})),
        "lost its engine.*EngineCore",
        status=500,
    ),
    "elsewhere": Fault(
        answer("302 Found", headers=b"Location: http://127.0.0.1:1/v1?key=secret\r\n"), "final address", status=502
    ),
    # --- it goes wrong while it speaks
    "out of memory in the answer": Fault(
        (
            *TALKED,
            event({"error": {"message": OOM, "type": "InternalServerError", "code": 500}}),
            event(b"[DONE]"),
            CUT,
        ),
        "ran out of memory",
        "Grüezi ",
    ),
    "vLLM's older error in the answer": Fault(
        (*TALKED, event({"object": "error", "message": DEAD, "code": 500}), event(b"[DONE]"), CUT),
        "lost its engine",
        "Grüezi ",
    ),
    "error before the first word": Fault(
        (BEGUN, event({"error": {"message": OOM, "code": 500}}), CUT), "ran out of memory", status=500
    ),
    "error as the reason of the end": Fault(
        (*TALKED, delta("", finish_reason="error"), event(b"[DONE]"), CUT), "failed", "Grüezi "
    ),
    "let go by the engine": Fault((*TALKED, delta("", finish_reason="abort"), event(b"[DONE]"), CUT), BROKE, "Grüezi "),
    "llama.cpp's error line": Fault(
        (*TALKED, b'error: {"code":500,"message":"slot lost"}\n\n', CUT), "slot lost", "Grüezi "
    ),
    "no JSON": Fault((*TALKED, b"data: {nonsense}\n\n", END, CUT), ODD, "Grüezi "),
    "JSON of another shape": Fault((*TALKED, event({"choices": [7]}), END, CUT), ODD, "Grüezi "),
    "no object": Fault((*TALKED, event([1, 2]), END, CUT), ODD, "Grüezi "),
    "nothing said": Fault((BEGUN, END, CUT), "answered with nothing", status=502),
    "a web page": Fault((HEAD % (HTML, b""), PAGE, CUT), ODD, status=502),
    "not packed as it says": Fault(
        (HEAD % (SSE, b"Content-Encoding: gzip\r\n"), b"\x1f\x8b\x08\x00nonsense nonsense nonsense", CUT),
        BROKE,
        status=502,
    ),
    # --- it does not come to an end
    "for ever": Fault(for_ever, "ended after 20,000 characters", "word " * 4000),
    "a line of 40 MB": Fault(one_line_of_forty_megabytes, ODD, "Grüezi "),
    # --- Ollama
    "error of Ollama": Fault(
        (*LINED, b'{"error":"llama runner process has terminated: signal: killed"}\n', CUT),
        "lost its engine",
        "Grüezi ",
        kind="ollama",
    ),
    "memory of Ollama": Fault(
        answer(
            "500 Internal Server Error", b'{"error":"model requires more system memory (9.1 GiB) than is available"}'
        ),
        "ran out of memory",
        status=500,
        kind="ollama",
    ),
    "Ollama cut in a line": Fault((*LINED, line("more")[:30], CUT), BROKE, "Grüezi ", kind="ollama"),
    "Ollama without an end": Fault((*LINED, CUT), BROKE, "Grüezi ", kind="ollama"),
    "Ollama without JSON": Fault(
        (*LINED, b"{nonsense}\n", line("", done=True), CUT), "Ollama API", "Grüezi ", kind="ollama"
    ),
    "a page for Ollama": Fault((HEAD % (HTML, b""), PAGE, CUT), "Ollama API", status=502, kind="ollama"),
}

#: what only a limit of time ends
SILENCES: dict[str, Fault] = {
    "silent": Fault((HOLD,), "silent for too long", status=502),
    "silent after its head": Fault((BEGUN, HOLD), "silent for too long", status=502),
    "silent after a word": Fault((*TALKED, HOLD), "silent for too long", "Grüezi "),
    "nothing for ever": Fault(nothing_for_ever, "within the time allowed", "Grüezi "),
}

#: what looks wrong and is an answer
ODDITIES: dict[str, Fault] = {
    "packed": Fault((HEAD % (SSE, b"Content-Encoding: gzip\r\n"), gzip.compress(WHOLE), CUT), kept="Grüezi "),
    "half a character inside": Fault((BEGUN, WHOLE.replace(b"\xbc", b""), CUT), kept="Gr�ezi "),
    "called plain text": Fault((HEAD % (b"text/plain", b""), WHOLE, CUT), kept="Grüezi "),
    "called JSON": Fault((HEAD % (JSON, b""), WHOLE, CUT), kept="Grüezi "),
    "called a page": Fault((HEAD % (HTML, b""), WHOLE, CUT), kept="Grüezi "),
    "byte by byte": Fault(
        tuple(part for part in (BEGUN, *(WHOLE[i : i + 1] for i in range(len(WHOLE))), CUT)), kept="Grüezi "
    ),
    "in one piece": Fault(
        (
            HEAD % (SSE, b""),
            orjson.dumps({"choices": [{"message": {"content": "Grüezi "}, "finish_reason": "stop"}]}),
            CUT,
        ),
        kept="Grüezi ",
    ),
    "more after the end": Fault((BEGUN, WHOLE, delta("not this"), CUT), kept="Grüezi "),
    "several choices and probabilities": Fault(
        (
            BEGUN,
            delta("Grü", logprobs={"content": [{"token": "Grü", "logprob": -0.1}]}),
            event({"choices": [{"index": 1, "delta": {"content": "other"}}]}),
            event({"choices": [{"index": 0, "delta": {"content": [{"type": "text", "text": "ezi "}]}}]}),
            event({"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]}),
            event({"choices": None, "usage": {"prompt_tokens": 3, "completion_tokens": None}}),
            event(b"[DONE]"),
            CUT,
        ),
        kept="Grüezi ",
    ),
    "Ollama in an old form": Fault((*LINED, orjson.dumps({"done": True}), CUT), kept="Grüezi ", kind="ollama"),
}
_NAMED = re.compile(r"\[\[(.*?)\]\]")


class MisbehavingServer:
    """In a thread with a loop of its own."""

    def __init__(self) -> None:
        self.open = 0
        self.begun = 0
        self.sent = 0  # bytes that the other side has taken, or that wait in this machine's buffers
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="misbehaving", daemon=True)

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    async def _handle(self, exchange: Exchange) -> None:
        if exchange.request.path == "/v1/models":
            await exchange.send_json({"object": "list", "data": [{"id": "fake-small", "object": "model"}]})
            return
        if exchange.request.path == "/api/tags":
            await exchange.send_json({"models": [{"name": "fake-small", "model": "fake-small"}]})
            return
        said = exchange.request.json["messages"][-1]["content"]
        found = _NAMED.search(said)
        assert found is not None, said
        await self._play(exchange, {**FAULTS, **SILENCES, **ODDITIES}[found[1]])

    async def _play(self, exchange: Exchange, fault: Fault) -> None:
        self.open += 1
        self.begun += 1
        try:
            async for step in _steps(fault):
                if step == CUT:
                    exchange.cut()
                elif step == HOLD:
                    await asyncio.Event().wait()
                elif isinstance(step, bytes):
                    exchange.transport.write(step)
                    self.sent += len(step)
                    await exchange.writable.wait()
                    await asyncio.sleep(0)
        finally:
            self.open -= 1

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        port, stop = await serve(self._handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{port}"
        self._ready.set()
        await self._stop.wait()
        await stop()


async def _steps(fault: Fault) -> AsyncIterator[Step]:
    if isinstance(fault.play, tuple):
        for step in fault.play:
            yield step
    else:
        async for step in fault.play():
            yield step
