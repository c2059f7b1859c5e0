"""Servers that speak OpenAI's chat completions: OpenAI itself, llama.cpp, vLLM, LiteLLM and many more."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from inference.providers import params as parameters
from inference.providers.base import ChatRequest, ConnectionInfo, ModelInfo, PassthroughResponse
from inference.providers.errors import ServerRejected
from inference.providers.events import StreamEvent, Usage
from inference.providers.lines import SIZE_LIMIT, SSEParser, TooLong
from inference.providers.said import bad_answer, cut_off, raise_in_band, unsendable
from inference.providers.stream import AnswerStream, count_of
from inference.providers.transport import answer_to, check_vectors, parse_object, passthrough, request_json

PARAMS = (
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "frequency_penalty",
    "presence_penalty", "repeat_penalty", "seed", "logit_bias", "logprobs", "top_logprobs", "reasoning_effort",
    "response_format", "tool_choice", "parallel_tool_calls",
)  # fmt: skip
#: values of a connection's `provider`
LLAMA_CPP = ("llama.cpp", "llamacpp", "llama_cpp")
#: those whose chat templates can be told whether to think
TEMPLATED = ("vllm", "sglang", *LLAMA_CPP)


class OpenAIProvider:
    """Provider for `kind="openai"`; the base address includes `/v1`."""

    def __init__(self) -> None:
        # servers that once refused `stream_options`, so that it costs them one refused request, not one each time
        self._without_stream_options: set[str] = set()

    async def stream_chat(self, connection: ConnectionInfo, request: ChatRequest) -> AsyncGenerator[StreamEvent, None]:
        """See `Provider.stream_chat`."""
        try:
            body = chat_body(connection, request)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise unsendable() from error
        if connection.base_url in self._without_stream_options:
            body.pop("stream_options", None)
        while True:
            try:
                async with answer_to(connection, "POST", "/chat/completions", body) as answer:
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
                    return
            except ServerRejected as error:
                refused = error.status in (400, 422) and "stream_options" in error.upstream
                if not refused or body.pop("stream_options", None) is None:
                    raise
                self._without_stream_options.add(connection.base_url)

    async def list_models(self, connection: ConnectionInfo, *, timeout: float = 10.0) -> list[ModelInfo]:
        """See `Provider.list_models`; an allow-list in the connection is the list, the server is not asked."""
        allowed = connection.config.get("model_ids")
        if allowed:
            return [ModelInfo(id=name, name=name, owned_by="openai", raw={"id": name}) for name in allowed]
        data = (await request_json(connection, "GET", "/models", total=timeout)).get("data")
        if not isinstance(data, list):
            raise bad_answer(connection, "the list of models is missing")
        return [
            ModelInfo(
                id=raw["id"], name=str(raw.get("name") or raw["id"]), owned_by=str(raw.get("owned_by") or ""), raw=raw
            )
            for raw in data
            if isinstance(raw, dict) and isinstance(raw.get("id"), str)
        ]

    async def embed(self, connection: ConnectionInfo, model: str, texts: Sequence[str]) -> list[list[float]]:
        """See `Provider.embed`."""
        if not texts:
            return []
        body = {"model": model, "input": list(texts), "encoding_format": "float"}
        data = (await request_json(connection, "POST", "/embeddings", body)).get("data")
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise bad_answer(connection, "the list of vectors is missing")
        indices = [item.get("index", place) for place, item in enumerate(data)]
        if sorted(indices, key=str) != sorted(range(len(texts)), key=str):
            raise bad_answer(connection, f"{len(data)} vectors for {len(texts)} texts, or wrongly numbered")
        ordered = [
            item.get("embedding") for _, item in sorted(zip(indices, data, strict=True), key=lambda pair: pair[0])
        ]
        return check_vectors(connection, ordered, len(texts))

    async def passthrough(
        self, connection: ConnectionInfo, method: str, path: str, body: bytes | None = None, stream: bool = False
    ) -> PassthroughResponse:
        """See `Provider.passthrough`."""
        return await passthrough(connection, method, path, body, stream)


def chat_body(connection: ConnectionInfo, request: ChatRequest) -> dict[str, Any]:
    """Build the body of a streamed chat completion."""
    params = request.params
    body: dict[str, Any] = dict(connection.config.get("extra_params") or {})
    body |= parameters.pick(params, PARAMS)
    if params.get("stop"):
        body["stop"] = parameters.stop_list(params["stop"])
    server = connection.config.get("provider")
    if server == "vllm" and "repeat_penalty" in body:
        body["repetition_penalty"] = body.pop("repeat_penalty")
    think = params.get("think")
    if isinstance(think, str) and "reasoning_effort" not in body:
        body["reasoning_effort"] = think
    elif isinstance(think, bool) and server in TEMPLATED:
        body["chat_template_kwargs"] = {**(body.get("chat_template_kwargs") or {}), "enable_thinking": think}
    if request.tools:
        body["tools"] = list(request.tools)
    messages = list(request.messages)
    # llama.cpp continues a last assistant message by itself; vLLM would begin a new one after it
    if server == "vllm" and messages and messages[-1].get("role") == "assistant":
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    body |= parameters.custom(params)
    body |= request.extra
    body |= {"model": request.model, "messages": messages, "stream": request.stream}
    if not request.stream:
        body.pop("stream_options", None)
    elif request.count:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    return body


class _Stream(AnswerStream):
    def __init__(self, connection: ConnectionInfo) -> None:
        super().__init__(connection)
        # Some servers answer in one piece where they cannot stream, and the type they name is not to be relied on.
        self._is_whole: bool | None = None  # one JSON object instead of a stream; None before the first byte
        self._parser = SSEParser()
        self._body: list[bytes] = []
        self._size = 0
        self._has_chunks = False
        self._usage: dict[str, Any] = {}
        self._timings: dict[str, Any] = {}

    def take_bytes(self, piece: bytes) -> None:
        if self._is_whole is None and (begin := piece.lstrip()):
            self._is_whole = begin.startswith(b"{")
        if self._is_whole:
            self._body.append(piece)
            self._size += len(piece)
            if self._size > SIZE_LIMIT:
                raise TooLong
            return
        for data in self._parser.feed(piece):
            self._take_data(data)

    def take_end(self) -> None:
        if self._is_whole:
            self._take_chunk(self.take_rest(b"".join(self._body)), "message")
            return
        for data in self._parser.finish():
            if data == b"[DONE]":
                self.is_done = True
            elif data and not self.is_done:
                self._take_chunk(self.take_rest(data), "delta")
        if self._parser.is_foreign and not self._has_chunks and not self.is_done:
            raise bad_answer(self.connection)

    def usage(self) -> Usage | None:
        usage, timings = self._usage, self._timings
        if not usage and not timings:
            return None
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if prompt is None:  # llama.cpp counts reused tokens apart
            prompt = count_of(timings.get("prompt_n")) + count_of(timings.get("cache_n"))
        if completion is None:
            completion = timings.get("predicted_n")
        return Usage(count_of(prompt), count_of(completion), {**usage, "timings": timings} if timings else usage)

    def _take_data(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.is_done = True
        elif data and not self.is_done:
            self._take_chunk(parse_object(self.connection, data), "delta")

    def _take_chunk(self, chunk: dict[str, Any], member: str) -> None:
        self._has_chunks = True
        if chunk.get("error"):
            raise_in_band(self.connection, chunk["error"])
        if chunk.get("object") == "error":  # vLLM's older form, without the member around it
            raise_in_band(self.connection, chunk)
        usage, timings = chunk.get("usage"), chunk.get("timings")
        if isinstance(usage, dict):
            self._usage = usage
        if isinstance(timings, dict):
            self._timings = timings
        choices = chunk.get("choices")
        if not choices:
            return
        try:
            choice = choices[0]
            if choice.get("index"):
                return  # only one answer was asked for
            if choice.get("finish_reason"):
                self.reason = str(choice["finish_reason"])
            delta = choice.get(member)
            if delta:
                self._take_delta(delta)
            if choice.get("error") or self.reason == "error":
                raise_in_band(self.connection, choice.get("error") or "")
            if self.reason == "abort":  # vLLM and SGLang, whose engine let the request go
                raise cut_off(self.connection)
        except (AttributeError, KeyError, TypeError) as error:
            raise bad_answer(self.connection, "a chunk of an unknown shape") from error

    def _take_delta(self, delta: dict[str, Any]) -> None:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if reasoning and isinstance(reasoning, str):
            self.text(reasoning, is_reasoning=True)
        content = delta.get("content")
        if content:
            if isinstance(content, str):
                self.text(content)
            else:
                self._take_parts(content)
        elif delta.get("refusal"):
            self.text(str(delta["refusal"]))
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            self.tool_call(call.get("index"), call.get("id"), function.get("name"), function.get("arguments"))
        if delta.get("function_call"):  # the form before tools
            function = delta["function_call"]
            self.tool_call(0, None, function.get("name"), function.get("arguments"))

    def _take_parts(self, parts: list[dict[str, Any] | str]) -> None:
        """Mistral sends parts instead of text once a model thinks."""
        for part in parts:
            if isinstance(part, str):
                self.text(part)
            elif part.get("type") == "thinking":
                thoughts = part.get("thinking") or ()
                for thought in [{"text": thoughts}] if isinstance(thoughts, str) else thoughts:
                    self.text(str(thought.get("text") or ""), is_reasoning=True)
            elif part.get("text"):
                self.text(str(part["text"]))
