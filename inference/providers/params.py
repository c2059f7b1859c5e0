"""Product parameters on their way into a request's body."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

#: OpenRouter's and LiteLLM's words for "answer with another model"
REROUTING = frozenset({"models", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "route"})


def pick(params: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take the named parameters that are set; None means unset."""
    return {name: params[name] for name in names if params.get(name) is not None}


def custom(params: Mapping[str, Any]) -> dict[str, Any]:
    """Take `custom_params`, the fields a person adds by hand. Text that is JSON stands for its value, because the
    form they are typed into knows only text."""
    given = params.get("custom_params")
    if not isinstance(given, Mapping):
        return {}
    return allowed({name: _value(value) for name, value in given.items()})


def allowed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the fields by which a server would take another model than `model`, for which access was decided. Ollama
    reads names in any case of letters, and the last one wins."""
    return {name: value for name, value in body.items() if not _reroutes(name)}


def _reroutes(name: str) -> bool:
    plain = name.casefold()
    return plain in REROUTING or (plain in ("model", "name") and name != plain)


def stop_list(stop: Any) -> list[str]:
    """Make a list of stop texts of one or several."""
    return [stop] if isinstance(stop, str) else list(stop)


def _value(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
