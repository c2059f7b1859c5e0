"""What a preset adds to a request that passes through as it is: its parameters and its system prompt."""

from __future__ import annotations

from typing import Any

from accounts.models import User
from inference.catalogue import Resolved
from inference.providers import params as parameters
from inference.providers.ollama import OPTIONS, TOP_LEVEL
from inference.providers.openai import PARAMS
from inference.variables import fill, values_for
from owui.lib.aio import in_thread


async def system_for(user: User, resolved: Resolved, variables: Any = None) -> str:
    """The preset's system prompt with its variables filled in for the person who asks."""
    if "{{" not in resolved.system:
        return resolved.system
    return fill(resolved.system, await in_thread(values_for)(user, (resolved.system,), variables))


def for_openai(body: dict[str, Any], resolved: Resolved, model_id: str, system: str) -> dict[str, Any]:
    """The body for an OpenAI-compatible server; the preset's parameters win over the caller's."""
    params = parameters.cleaned(resolved.params)
    out = dict(resolved.connection.config.get("extra_params") or {}) | body | parameters.pick(params, PARAMS)
    if params.get("stop"):
        out["stop"] = parameters.stop_list(params["stop"])
    out |= parameters.custom(params)
    out["model"] = model_id
    if system and isinstance(out.get("messages"), list):
        out["messages"] = with_system(out["messages"], system)
    return out


def for_ollama(body: dict[str, Any], resolved: Resolved, model_id: str, system: str) -> dict[str, Any]:
    """The body for Ollama's own chat and generate."""
    params = parameters.cleaned(resolved.params)
    params |= {"think": parameters.effort_of(params), "format": parameters.format_of(params)}
    out = body | parameters.pick(params, TOP_LEVEL) | {"model": model_id}
    options = dict(out.get("options") or {}) | parameters.pick(params, OPTIONS)
    if params.get("max_tokens") is not None:
        options["num_predict"] = params["max_tokens"]
    if params.get("stop"):
        options["stop"] = parameters.stop_list(params["stop"])
    options |= parameters.custom(params)
    if options:
        out["options"] = options
    if system:
        if isinstance(out.get("messages"), list):
            out["messages"] = with_system(out["messages"], system)
        elif "prompt" in out:
            out["system"] = system
    return out


def with_system(messages: list[Any], system: str) -> list[Any]:
    """The messages with the preset's system prompt first; a caller's own system text follows it."""
    first = messages[0] if messages else None
    if isinstance(first, dict) and first.get("role") == "system" and isinstance(first.get("content"), str):
        return [{**first, "content": f"{system}\n{first['content']}"}, *messages[1:]]
    return [{"role": "system", "content": system}, *messages]
