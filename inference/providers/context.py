"""Asking servers how long a context their models have. Each kind of server says it in a place of its own."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from inference.providers.base import ConnectionInfo
from inference.providers.errors import ProviderError
from inference.providers.ollama import at_root
from inference.providers.openai import LLAMA_CPP
from inference.providers.transport import request_json

TIMEOUT = 2.0
#: in entries of `/v1/models`: vLLM and SGLang; LM Studio; OpenRouter, Together; Groq; Mistral
_FIELDS = (
    "max_model_len", "loaded_context_length", "n_ctx", "context_length", "context_window", "max_context_length",
    "max_input_tokens",
)  # fmt: skip
_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)", re.M)


@dataclasses.dataclass(frozen=True, slots=True)
class ContextInfo:
    """Tokens that a model takes in as it is loaded now, and at the most; 0 where the server does not say."""

    now: int = 0
    most: int = 0


def listed_context(raw: Mapping[str, Any]) -> int:
    """What a model's entry in the list of its server says; 0 where it does not."""
    meta = raw.get("meta")
    places = (raw, meta if isinstance(meta, Mapping) else {})
    return next((n for name in _FIELDS for place in places if (n := _number(place.get(name)))), 0)


async def context_info(connection: ConnectionInfo, model: str, raw: Mapping[str, Any]) -> ContextInfo:
    """What a server says about a model. At most two requests; raises `ProviderError`.

    :param raw: the model's entry in the server's list
    """
    if connection.kind == "ollama":
        return await _ollama(at_root(connection), model)
    if raw.get("owned_by") != "llamacpp" and connection.config.get("provider") not in LLAMA_CPP:
        return ContextInfo()
    root = dataclasses.replace(connection, base_url=connection.base_url.strip().rstrip("/").removesuffix("/v1"))
    settings = (await request_json(root, "GET", "/props", total=TIMEOUT)).get("default_generation_settings")
    found = _number(settings.get("n_ctx")) if isinstance(settings, Mapping) else 0
    return ContextInfo(found, found)


async def _ollama(connection: ConnectionInfo, model: str) -> ContextInfo:
    """The Modelfile's `num_ctx`; without one, how the model is loaded now. Longer prompts are cut without a word."""
    shown = await request_json(connection, "POST", "/api/show", {"model": model}, total=TIMEOUT)
    details = shown.get("model_info")
    details = details if isinstance(details, Mapping) else {}
    most = max((_number(value) for name, value in details.items() if name.endswith(".context_length")), default=0)
    written = _NUM_CTX.search(str(shown.get("parameters") or ""))
    if written:
        now = int(written[1])
        return ContextInfo(min(now, most) if most else now, most)
    try:
        loaded = (await request_json(connection, "GET", "/api/ps", total=TIMEOUT)).get("models")
    except ProviderError:
        loaded = None
    names = {model, f"{model}:latest"}
    for entry in loaded if isinstance(loaded, list) else []:
        if isinstance(entry, Mapping) and names & {entry.get("name"), entry.get("model")}:
            return ContextInfo(_number(entry.get("context_length")), most)
    return ContextInfo(0, most)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
