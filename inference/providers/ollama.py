"""Servers that speak Ollama's own API."""

import dataclasses
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import orjson

from inference.providers import params as parameters
from inference.providers.base import ChatRequest, ConnectionInfo, ModelInfo, PassthroughResponse
from inference.providers.errors import ServerRejected
from inference.providers.events import StreamEvent, Usage
from inference.providers.lines import LineSplitter
from inference.providers.said import bad_answer, raise_in_band, unsendable
from inference.providers.stream import AnswerStream, count_of
from inference.providers.transport import answer_to, check_vectors, parse_object, passthrough, request_json

OPTIONS = (
    "temperature", "top_p", "top_k", "min_p", "num_ctx", "num_keep", "num_batch", "num_gpu", "num_thread",
    "repeat_penalty", "repeat_last_n", "presence_penalty", "frequency_penalty", "seed", "num_predict", "mirostat",
    "mirostat_eta", "mirostat_tau", "tfs_z", "typical_p", "use_mmap", "use_mlock",
)  # fmt: skip
TOP_LEVEL = ("keep_alive", "think", "format")


class OllamaProvider:
    """Provider for `kind="ollama"`; the base address is the server's root (an old one ending in `/api` will do)."""

    async def stream_chat(self, connection: ConnectionInfo, request: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        """See `Provider.stream_chat`."""
        connection = at_root(connection)
        try:
            body = chat_body(connection, request)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise unsendable() from error
        async with answer_to(connection, "POST", "/api/chat", body) as answer:
            state, has_spoken = _Stream(connection), False
            while not state.is_done and (piece := await (answer.read_on() if has_spoken else answer.read())):
                events, fault = state.feed(piece)
                has_spoken = has_spoken or bool(events)
                for event in events:
                    yield event
                if fault is not None:
                    raise fault
            events, fault = state.finish()
            for event in events:
                yield event
            if fault is not None:
                raise fault
            await answer.drain()

    async def list_models(self, connection: ConnectionInfo, *, timeout: float = 10.0) -> list[ModelInfo]:
        """See `Provider.list_models`; an allow-list narrows what the server has, for its sizes and families matter."""
        connection = at_root(connection)
        models = (await request_json(connection, "GET", "/api/tags", total=timeout)).get("models")
        if not isinstance(models, list):
            raise bad_answer(connection, "the list of models is missing")
        allowed = connection.config.get("model_ids")
        found = []
        for raw in models:
            name = (raw.get("model") or raw.get("name")) if isinstance(raw, dict) else None
            if isinstance(name, str) and (not allowed or name in allowed):
                found.append(ModelInfo(id=name, name=str(raw.get("name") or name), owned_by="ollama", raw=raw))
        return found

    async def embed(self, connection: ConnectionInfo, model: str, texts: Sequence[str]) -> list[list[float]]:
        """See `Provider.embed`."""
        if not texts:
            return []
        connection = at_root(connection)
        data = await request_json(connection, "POST", "/api/embed", {"model": model, "input": list(texts)})
        return check_vectors(connection, data.get("embeddings"), len(texts))

    async def passthrough(
        self, connection: ConnectionInfo, method: str, path: str, body: bytes | None = None, stream: bool = False
    ) -> PassthroughResponse:
        """See `Provider.passthrough`; `path` begins at the server's root, as in `/api/tags` or `/v1/models`."""
        return await passthrough(at_root(connection), method, path, body, stream)


def at_root(connection: ConnectionInfo) -> ConnectionInfo:
    """Give the connection with a base address that does not end in `/api`."""
    address = connection.base_url.strip().rstrip("/")
    return dataclasses.replace(connection, base_url=address.removesuffix("/api"))


def chat_body(connection: ConnectionInfo, request: ChatRequest) -> dict[str, Any]:
    """Build the body of a streamed chat; custom parameters that are not the body's own fields become options."""
    params = request.params
    body: dict[str, Any] = dict(connection.config.get("extra_params") or {})
    options = dict(body.pop("options", None) or {}) | parameters.pick(params, OPTIONS)
    if params.get("max_tokens") is not None:
        options["num_predict"] = params["max_tokens"]
    if params.get("stop"):
        options["stop"] = parameters.stop_list(params["stop"])
    told = {**params, "think": parameters.effort_of(params), "format": parameters.format_of(params)}
    body |= parameters.pick(told, TOP_LEVEL)
    if request.tools:
        body["tools"] = list(request.tools)
    for name, value in parameters.custom(params).items():
        if name == "options" and isinstance(value, dict):
            options |= value
        else:
            (body if name in TOP_LEVEL else options)[name] = value
    extra = dict(request.extra)
    options |= extra.pop("options", None) or {}
    body |= extra
    if options:
        body["options"] = options
    body |= {"model": request.model, "messages": to_ollama(connection, request.messages)}
    body["stream"] = request.stream
    return body


def to_ollama(connection: ConnectionInfo, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Translate OpenAI's messages: images beside the text, arguments of calls as objects, results named by tool."""
    names: dict[str, str] = {}  # of the tools called, by call id
    translated = []
    for message in messages:
        turned: dict[str, Any] = {"role": message.get("role"), "content": ""}
        content = message.get("content")
        if isinstance(content, str):
            turned["content"] = content
        elif content:
            turned["content"] = "\n".join(part["text"] for part in content if part.get("type") == "text")
            images = [_image(connection, part) for part in content if part.get("type") == "image_url"]
            if images:
                turned["images"] = images
        if message.get("tool_calls"):
            turned["tool_calls"] = [_call(connection, call, names) for call in message["tool_calls"]]
        if message.get("role") == "tool":
            name = message.get("name") or names.get(message.get("tool_call_id", ""))
            if name:
                turned["tool_name"] = name
        thinking = message.get("reasoning_content") or message.get("thinking")
        if thinking:
            turned["thinking"] = thinking
        if message.get("images"):
            turned.setdefault("images", []).extend(message["images"])
        translated.append(turned)
    return translated


def _image(connection: ConnectionInfo, part: Mapping[str, Any]) -> str:
    given = part.get("image_url")
    address = given.get("url", "") if isinstance(given, Mapping) else str(given or "")
    head, comma, data = address.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64") or not comma:
        raise ServerRejected(
            "Ollama takes images only as data inside the message, not as links. Attach the image itself.", 400
        )
    return data


def _call(connection: ConnectionInfo, call: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
    function = call.get("function") or {}
    name, arguments = function.get("name") or "", function.get("arguments") or {}
    if call.get("id"):
        names[call["id"]] = name
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments)
        except orjson.JSONDecodeError:
            arguments = {"arguments": arguments}  # a call the model spoiled must not make the chat unusable
    return {"function": {"name": name, "arguments": arguments}}


class _Stream(AnswerStream):
    def __init__(self, connection: ConnectionInfo) -> None:
        super().__init__(connection)
        self._lines = LineSplitter()
        self._last: dict[str, Any] = {}

    def take_bytes(self, piece: bytes) -> None:
        for line in self._lines.feed(piece):
            self._take_line(line)

    def take_end(self) -> None:
        for line in self._lines.finish():
            if line.strip():
                self._take_object(self.take_rest(line))

    def usage(self) -> Usage | None:
        raw = {name: value for name, value in self._last.items() if name.endswith(("_count", "_duration"))}
        if not raw:
            return None
        return Usage(count_of(raw.get("prompt_eval_count")), count_of(raw.get("eval_count")), raw)

    def _take_line(self, line: bytes) -> None:
        if self.is_done or not line.strip():
            return
        self._take_object(parse_object(self.connection, line))

    def _take_object(self, data: dict[str, Any]) -> None:
        if data.get("error"):
            raise_in_band(self.connection, data["error"])
        try:
            self._take_message(data.get("message") or {})
        except (AttributeError, KeyError, TypeError) as error:
            raise bad_answer(self.connection, "a line of an unknown shape") from error
        if data.get("done"):
            self.is_done = True
            self.reason = str(data.get("done_reason") or "stop")
            self._last = data

    def _take_message(self, message: dict[str, Any]) -> None:
        if message.get("thinking"):
            self.text(message["thinking"], is_reasoning=True)
        if message.get("content"):
            self.text(message["content"])
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            # a call comes whole; its number is missing in old versions and may repeat, so it is counted here
            call_id = str(call.get("id") or f"call_{uuid.uuid4().hex[:12]}")
            self.tool_call(None, call_id, function.get("name"), function.get("arguments") or {})
