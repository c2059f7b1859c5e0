"""What a preset adds to a request that passes through as it is: its parameters and its system prompt."""

from __future__ import annotations

from typing import Any

from inference.catalogue import Resolved
from inference.providers import params as parameters
from inference.providers.ollama import OPTIONS, TOP_LEVEL
from inference.providers.openai import PARAMS


def for_openai(body: dict[str, Any], resolved: Resolved, model_id: str) -> dict[str, Any]:
    """The body for an OpenAI-compatible server; the preset's parameters win over the caller's."""
    params = resolved.params
    out = dict(resolved.connection.config.get("extra_params") or {}) | body | parameters.pick(params, PARAMS)
    if params.get("stop"):
        out["stop"] = parameters.stop_list(params["stop"])
    out |= parameters.custom(params)
    out["model"] = model_id
    if resolved.system and isinstance(out.get("messages"), list):
        out["messages"] = with_system(out["messages"], resolved.system)
    return out


def for_ollama(body: dict[str, Any], resolved: Resolved, model_id: str) -> dict[str, Any]:
    """The body for Ollama's own chat and generate."""
    params = resolved.params
    out = body | parameters.pick(params, TOP_LEVEL) | {"model": model_id}
    options = dict(out.get("options") or {}) | parameters.pick(params, OPTIONS)
    if params.get("max_tokens") is not None:
        options["num_predict"] = params["max_tokens"]
    if params.get("stop"):
        options["stop"] = parameters.stop_list(params["stop"])
    options |= parameters.custom(params)
    if options:
        out["options"] = options
    if resolved.system:
        if isinstance(out.get("messages"), list):
            out["messages"] = with_system(out["messages"], resolved.system)
        elif "prompt" in out:
            out["system"] = resolved.system
    return out


def with_system(messages: list[Any], system: str) -> list[Any]:
    """The messages with the preset's system prompt first; a caller's own system text follows it."""
    first = messages[0] if messages else None
    if isinstance(first, dict) and first.get("role") == "system" and isinstance(first.get("content"), str):
        return [{**first, "content": f"{system}\n{first['content']}"}, *messages[1:]]
    return [{"role": "system", "content": system}, *messages]
