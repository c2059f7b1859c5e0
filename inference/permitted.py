"""What of a request's optional fields a person may set.

The rest is left out without a word: clients send more than they need, and a program must not break over it. Every face
that takes a request for an answer passes here: the completions of chats, and both proxies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from owui.audit.record import record
from owui.lib.errors import Refused
from rbac.permissions import is_offered, may
from rbac.sharing import Person

#: how clients mark a chat that is not to be stored
TEMPORARY = ("temporary:", "local:")
#: what everybody may send: the conversation, what binds it to a chat, and what programs need to read the answer.
#: An allow list, because every server knows fields of its own; Ollama even reads names in any case of letters.
PLAIN = frozenset({
    "model", "name", "messages", "prompt", "suffix", "input", "images", "stream", "stream_options", "stop", "format",
    "response_format", "text", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "include",
    "logprobs", "top_logprobs", "encoding_format", "dimensions", "truncate", "user", "metadata", "store",
    "files", "params", "features", "tool_ids", "skill_ids", "filter_ids", "terminal_id", "tool_servers",
    "web_search_options", "variables", "chat_variables", "background_tasks", "chat_id", "id", "session_id",
    "message_id", "message_ids", "parent_id", "user_message", "folder_id", "assistant_message_id",
    "regeneration_message_id",
})  # fmt: skip
#: what the controls of a chat set, under the names of both protocols and of the usual servers
PARAMETERS = frozenset({
    "temperature", "top_p", "top_k", "min_p", "top_a", "typical_p", "tfs_z", "seed", "max_tokens", "min_tokens",
    "max_completion_tokens", "max_output_tokens", "presence_penalty", "frequency_penalty", "repeat_penalty",
    "repetition_penalty", "repeat_last_n", "length_penalty", "logit_bias", "mirostat", "mirostat_eta", "mirostat_tau",
    "reasoning_effort", "reasoning", "think", "num_ctx", "num_predict", "n_predict", "num_keep", "num_batch",
    "num_thread", "num_gpu", "use_mmap", "use_mlock", "keep_alive", "custom_params", "options", "verbosity", "n",
    "best_of", "ignore_eos", "stop_token_ids", "service_tier", "truncation", "prediction", "cache_prompt",
})  # fmt: skip
#: the system prompt and what takes its place: OpenAI's responses, Ollama's generate
PROMPTS = frozenset({"system", "instructions", "template", "raw"})
#: who else may speak; any other role is read as the system by one server or another
_ROLES = ("user", "assistant", "tool", "function")
_CONVERSATIONS = ("messages", "input")
#: the beginnings of tool types that a model server runs by itself, and the keys they need
_SERVER_TOOLS = {
    "web_search": "features.web_search",
    "image_generation": "features.image_generation",
    "code_interpreter": "features.code_interpreter",
}
_FEATURES = _SERVER_TOOLS | {"memory": "features.memories"}


@dataclass(frozen=True, slots=True)
class Permitted:
    """The answers of this moment as plain values, for code that has no database at hand."""

    params: bool = True
    system: bool = True
    tool_servers: bool = True
    features: frozenset[str] = frozenset(_FEATURES)


def permitted_for(user: Person) -> Permitted:
    """Two statements at most, and none where the person's permissions were asked for already in this request."""
    return Permitted(
        params=may(user, "chat.params"),
        system=may(user, "chat.system_prompt"),
        tool_servers=may(user, "features.direct_tool_servers") and is_offered("features.direct_tool_servers"),
        features=frozenset(name for name, key in _FEATURES.items() if may(user, key)),
    )


def trimmed(body: Mapping[str, Any], permitted: Permitted) -> dict[str, Any]:
    """The body without what the person may not set. Fields we do not know need both keys."""
    dropped = set() if permitted.tool_servers else {"tool_servers"}
    dropped |= set() if "web_search" in permitted.features else {"web_search_options"}
    out = {name: value for name, value in body.items() if _may_send(name, permitted) and name not in dropped}
    if isinstance(out.get("params"), Mapping):
        out["params"] = trimmed_params(out["params"], permitted)
    if isinstance(out.get("custom_params"), Mapping):
        out["custom_params"] = _custom(out["custom_params"], permitted)
    if isinstance(out.get("features"), Mapping):
        out["features"] = {k: v for k, v in out["features"].items() if k not in _FEATURES or k in permitted.features}
    if isinstance(out.get("tools"), list):
        out["tools"] = [tool for tool in out["tools"] if _tool_feature(tool) in (None, *permitted.features)]
    if isinstance(out.get("text"), Mapping) and not permitted.params:
        out["text"] = {name: value for name, value in out["text"].items() if name == "format"}
    if not permitted.system:
        out.pop("variables", None)  # they would stand in a system prompt, with whatever words they hold
        for name in _CONVERSATIONS:
            if isinstance(out.get(name), list):
                out[name] = [message for message in out[name] if not _is_system(message)]
    return out


def trimmed_params(params: Mapping[str, Any], permitted: Permitted) -> dict[str, Any]:
    """The product's own `params`, in which the system prompt stands beside the others."""
    out = {k: v for k, v in params.items() if (permitted.system if k in PROMPTS else permitted.params)}
    if isinstance(out.get("custom_params"), Mapping):
        out["custom_params"] = _custom(out["custom_params"], permitted)
    return out


def _may_send(name: str, permitted: Permitted) -> bool:
    if name in PLAIN:
        return True
    if name in PARAMETERS:
        return permitted.params
    if name in PROMPTS:
        return permitted.system
    return permitted.params and permitted.system


def _custom(fields: Mapping[str, Any], permitted: Permitted) -> dict[str, Any]:
    """Fields added by hand end up in the body as they are: none of them may take the place of a system prompt."""
    if permitted.system:
        return dict(fields)
    return {name: value for name, value in fields.items() if name in PARAMETERS and name != "custom_params"}


def _tool_feature(tool: Any) -> str | None:
    """The feature a tool of the model server stands for; None for a program's own functions."""
    kind = str(tool.get("type", "")) if isinstance(tool, Mapping) else ""
    return next((name for name in _SERVER_TOOLS if kind.startswith(name)), None)


def _is_system(message: Any) -> bool:
    """Whether a message has a role that is not the person's to take, however the field or the role is written."""
    if not isinstance(message, Mapping):
        return False
    roles = [value for name, value in message.items() if str(name).strip().casefold() == "role" and value is not None]
    return any(str(role).strip().lower() not in _ROLES for role in roles)


def refuse_temporary(user: Person, chat_id: Any) -> None:
    """403 for a chat that is not to be stored, when the person may have none."""
    if isinstance(chat_id, str) and chat_id.startswith(TEMPORARY) and not may(user, "chat.temporary"):
        text = _("Temporary chats are not allowed for you. Start a chat that is stored.")
        raise Refused(text, code="temporary")


def passed_on(user: Person, body: Mapping[str, Any], *, object_id: str, label: str) -> dict[str, Any]:
    """A request through a proxy as the person may make it.

    Whoever may have no temporary chats is still allowed to ask without a chat, and the audit log says so. Nothing is
    written for all others: this is on the way of every answer.
    """
    refuse_temporary(user, body.get("chat_id"))
    if not may(user, "chat.temporary"):
        with transaction.atomic():
            actor: Any = user
            record(
                "completion.create",
                by=actor,
                object_type="model",
                object_id=object_id,
                object_label=label,
                detail={"stream": bool(body.get("stream")), "stored": False},
            )
    return trimmed(body, permitted_for(user))
