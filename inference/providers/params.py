"""Product parameters on their way into a request's body."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

#: OpenRouter's and LiteLLM's words for "answer with another model"
REROUTING = frozenset({"models", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "route"})

#: what a form may hold as text although it is a number, a truth value or JSON
_PARSED = frozenset({
    "temperature", "top_p", "top_k", "top_a", "min_p", "typical_p", "tfs_z", "seed", "max_tokens", "num_ctx",
    "max_completion_tokens", "num_predict", "num_keep", "num_batch", "num_gpu", "num_thread", "use_mmap", "use_mlock",
    "repeat_penalty", "repeat_last_n", "presence_penalty", "frequency_penalty", "mirostat", "mirostat_eta",
    "mirostat_tau", "think", "format", "keep_alive", "response_format", "stream_response", "stream_delta_chunk_size",
    "compact_token_threshold", "custom_params", "reasoning_tags",
})  # fmt: skip
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
_ESCAPE = re.compile(r"\\([ntr\\])")


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


def cleaned(params: Mapping[str, Any]) -> dict[str, Any]:
    """The product's parameters as servers take them. Forms and imported presets hold numbers as text, stop texts with
    commas between and line breaks written out, and `logit_bias` as `5432:100, 413:-100`. What cannot be read stays as
    it is: the server says best what is wrong with it. Empty values mean unset."""
    out: dict[str, Any] = {}
    for name, value in params.items():
        if value is None or value == "":
            continue
        if name == "stop":
            value = _stops(value)
        elif name == "logit_bias" and isinstance(value, str):
            value = _biases(value)
        elif name in _PARSED and isinstance(value, str):
            value = _value(value.strip())
        out[name] = value
    return out


def _stops(value: Any) -> Any:
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list):
        return value
    return [_ESCAPE.sub(lambda m: _ESCAPES[m[1]], str(text)) for text in value if text]


def _biases(text: str) -> Any:
    if isinstance(parsed := _value(text), Mapping):
        return parsed
    pairs = [part.partition(":")[::2] for part in text.split(",") if part.strip()]
    try:
        return {token.strip(): max(-100.0, min(100.0, float(bias))) for token, bias in pairs}
    except ValueError:
        return text


def _value(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def effort_of(params: Mapping[str, Any]) -> Any:
    """How hard a model is to think, for Ollama: `think` may be yes, no or low, medium, high; OpenAI's word for it is
    `reasoning_effort`."""
    if params.get("think") is not None:
        return params["think"]
    effort = params.get("reasoning_effort")
    return {"none": False, "minimal": "low"}.get(effort, effort) if isinstance(effort, str) else None


def format_of(params: Mapping[str, Any]) -> Any:
    """Ollama's `format`: `json` or a schema. OpenAI's way to ask for it is understood."""
    wanted = params.get("response_format")
    if params.get("format") is not None or not isinstance(wanted, Mapping):
        return params.get("format")
    if wanted.get("type") == "json_schema":
        schema = wanted.get("json_schema")
        return schema.get("schema") if isinstance(schema, Mapping) else None
    return "json" if wanted.get("type") == "json_object" else None
