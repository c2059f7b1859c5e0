"""The built-in models speak OpenAI's protocol, to holders of the key only."""

from __future__ import annotations

import base64
import json
import math
import os
import signal
import struct
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.embedded.conftest import Running, until

pytestmark = pytest.mark.process


def call(url: str, key: str, body: Any = None) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def check_embeddings(url: str, key: str) -> None:
    texts = ["The cat sleeps on the sofa.", "Interest rates rose last year.", "A kitten naps on the couch."]
    status, answer = call(f"{url}/embeddings", key, {"model": "any", "input": texts})
    vectors = [item["embedding"] for item in answer["data"]]
    assert status == 200
    assert [len(vector) for vector in vectors] == [384] * 3
    assert all(math.isclose(likeness(vector, vector), 1, abs_tol=1e-3) for vector in vectors)
    assert likeness(vectors[0], vectors[2]) > likeness(vectors[0], vectors[1]) + 0.3
    assert answer["usage"]["prompt_tokens"] > 10
    # The official client asks for base64, and a single text is a string.
    _, packed = call(f"{url}/embeddings", key, {"input": texts[0], "encoding_format": "base64"})
    unpacked = list(struct.unpack("<384f", base64.b64decode(packed["data"][0]["embedding"])))
    assert likeness(unpacked, vectors[0]) > 0.99
    assert call(f"{url}/embeddings", key, {"input": ["word " * 5000]})[1]["usage"]["prompt_tokens"] == 256


def check_faults(url: str, key: str) -> None:
    assert call(f"{url}/embeddings", "wrong", {"input": "x"})[0] == 401
    assert call(f"{url}/models", "wrong")[0] == 401
    for body in (b"{", [], {}, {"input": []}, {"input": [1]}, {"input": "x", "dimensions": 5}):
        status, answer = call(f"{url}/embeddings", key, body)
        assert status == 400
        assert answer["error"]["message"]
    assert call(f"{url}/nothing", key)[0] == 404


def test_models_answer_and_come_back_after_a_crash(services: Callable[..., Running]) -> None:
    running = services(models=True)
    env = running.env
    embedding, embedding_key = env["RAG_OPENAI_API_BASE_URL"], env["RAG_OPENAI_API_KEY"]
    chat, chat_key = env["OPENAI_API_BASE_URLS"], env["OPENAI_API_KEYS"]
    assert env["RAG_EMBEDDING_ENGINE"] == "openai"
    assert call(f"{embedding}/models", embedding_key)[1]["data"][0]["id"] == env["RAG_EMBEDDING_MODEL"]
    check_embeddings(embedding, embedding_key)
    check_faults(embedding, embedding_key)

    assert call(f"{chat}/models", chat_key)[1]["data"][0]["id"] == "smollm2-135m-instruct"
    question = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
    assert call(f"{chat}/chat/completions", "wrong", question)[0] == 401
    status, answer = call(f"{chat}/chat/completions", chat_key, question)
    assert status == 200
    assert answer["choices"][0]["message"]["content"].strip()

    def is_back() -> bool:
        try:
            return call(f"{embedding}/models", embedding_key)[0] == call(f"{chat}/models", chat_key)[0] == 200
        except (OSError, ValueError):
            return False

    for name in ("chat-model", "embedding-model"):
        os.kill(running.pid(name), signal.SIGKILL)
    until(is_back)
    family = running.family()
    assert running.stop() == 0
    assert psutil.wait_procs(family, timeout=20)[1] == []
