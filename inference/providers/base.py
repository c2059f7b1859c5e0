"""What every provider takes and gives."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from inference.providers.events import StreamEvent


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """Address and credentials of one inference server.

    `headers` are this call's own and win over `config["headers"]`, the administrator's. `config` keys read here:
    `auth_type` (`bearer`, the default, or `none`), `headers`, `model_ids`, `extra_params` (body fields a request may
    override), `provider` (`vllm` changes how an answer is continued).
    Limits are seconds, None for no limit: `idle_timeout` is the longest silence, also before the first token, so it
    must leave time to read a long prompt. `answer_chars` are the most characters of one answer, thoughts and arguments
    of calls included; 0 for no limit.
    """

    kind: str
    base_url: str
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    connect_timeout: float | None = 10.0
    idle_timeout: float | None = 300.0
    total_timeout: float | None = None
    answer_chars: int = 0


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request for an answer.

    `messages` and `tools` are in OpenAI's shape whatever the server's kind. A last message of the assistant is
    continued. `params` are the product's parameters (unknown ones are ignored, None means unset); `extra` are raw
    fields for the top of the body, which win over everything but model, messages and stream. Without `stream` the
    server is to give the answer in one piece; `count` asks it for its count of tokens.
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    params: Mapping[str, Any] = field(default_factory=dict)
    tools: Sequence[Mapping[str, Any]] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = True
    count: bool = True


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model a server offers; `raw` is the server's own description."""

    id: str
    name: str
    owned_by: str
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PassthroughResponse:
    """A server's answer byte for byte, errors too. Read `aiter_bytes()` at most once and always await `aclose()`,
    which ends the server's work on an answer that is still streaming."""

    status: int
    content_type: str
    aiter_bytes: Callable[[], AsyncIterator[bytes]]
    aclose: Callable[[], Awaitable[None]]


class Provider(Protocol):
    """Speaks one wire format. Stateless towards callers, safe for concurrent use; raises `ProviderError` only."""

    def stream_chat(self, connection: ConnectionInfo, request: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        """Yield the answer as it arrives, `Finished` last. Cancelling the task, or `aclose()` on the iterator, closes
        the server's connection at once; a caller that stops early must do one of the two."""
        ...

    async def list_models(self, connection: ConnectionInfo, *, timeout: float = 10.0) -> list[ModelInfo]:
        """List what the server offers within `timeout` seconds, narrowed to the connection's `model_ids`."""
        ...

    async def embed(self, connection: ConnectionInfo, model: str, texts: Sequence[str]) -> list[list[float]]:
        """Give one vector for each text, in order, all of one length. The caller chooses the batch size."""
        ...

    async def passthrough(
        self, connection: ConnectionInfo, method: str, path: str, body: bytes | None = None, stream: bool = False
    ) -> PassthroughResponse:
        """Send JSON bytes to `path` below the base address and give back what comes, statuses of errors too. Without
        `stream` the whole body has been read on return."""
        ...
