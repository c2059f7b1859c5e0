"""The controls of one chat: its system prompt, its parameters, and what is attached to it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.preferences import change_interface, interface_of, may_set
from chat.models import Chat, Message
from chat.services import own_chat
from inference.permitted import permitted_for, trimmed_params
from owui.audit.record import record
from owui.lib.errors import Missing, UserError
from owui.lib.languages import number
from rbac.permissions import may, require

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

KEY = "chat.controls"
LONGEST = 50_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """One that a person may set for a chat; what is not set is the model's own affair.

    :param kind: number, whole, truth, text, json
    :param options: the values of a choice
    """

    name: str
    label: _StrOrPromise
    kind: str = "number"
    lowest: float | None = None
    highest: float | None = None
    step: str = "any"
    start: str = ""
    options: Sequence[str] = ()

    def read(self, text: str) -> Any:
        """The value of what was typed.

        :raises UserError: 400 it is none
        """
        text = text.strip()
        wrong = UserError(_("“%(value)s” is no value for “%(name)s”.") % {"value": text[:40], "name": self.label})
        if self.kind == "truth" or self.options:
            allowed = self.options or ("true", "false")
            if text not in allowed:
                raise wrong
            return text == "true" if set(allowed) == {"true", "false"} else text
        if self.kind == "text":
            return text[:1000]
        if self.kind == "json":
            return _json(text, wrong)
        try:
            value: float = int(text) if self.kind == "whole" else float(text)
        except ValueError as error:
            raise wrong from error
        if not (self.lowest is None or value >= self.lowest) or not (self.highest is None or value <= self.highest):
            text = _("“%(name)s” is between %(lowest)s and %(highest)s.")
            bounds = {"lowest": "−∞" if self.lowest is None else self.lowest, "highest": self.highest}
            raise UserError(text % {"name": self.label, **bounds})
        return value


def _json(text: str, wrong: UserError) -> Any:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise wrong from error
    if not isinstance(found, dict):
        raise wrong
    return found


_T = gettext_lazy
PARAMETERS = (
    Parameter("temperature", _T("Temperature"), "number", 0, 2, "0.05", "0.8"),
    Parameter("max_tokens", _T("Longest answer, in tokens"), "whole", 1, 1_000_000, "1", "1024"),
    Parameter("top_p", "top_p", "number", 0, 1, "0.05", "0.9"),
    Parameter("top_k", "top_k", "whole", 0, 1000, "1", "40"),
    Parameter("min_p", "min_p", "number", 0, 1, "0.01", "0.05"),
    Parameter("reasoning_effort", _T("How hard the model thinks"), "text", start="medium",
              options=("none", "minimal", "low", "medium", "high", "xhigh")),
    Parameter("think", _T("Thinking (Ollama)"), "truth", start="true"),
    Parameter("stop", _T("Stop texts, with commas between"), "text"),
    Parameter("seed", _T("Seed"), "whole", -(2**53), 2**53, "1", "1"),
    Parameter("frequency_penalty", _T("Frequency penalty"), "number", -2, 2, "0.05", "0"),
    Parameter("presence_penalty", _T("Presence penalty"), "number", -2, 2, "0.05", "0"),
    Parameter("repeat_penalty", _T("Repeat penalty"), "number", -2, 2, "0.05", "1.1"),
    Parameter("logit_bias", _T("Logit bias (5432:100, 413:-100)"), "text"),
    Parameter("stream_response", _T("Show the answer while it is written"), "truth", start="true"),
    Parameter("function_calling", _T("Function calling"), "text", start="native", options=("default", "native")),
    Parameter("mirostat", "mirostat", "whole", 0, 2, "1", "0"),
    Parameter("mirostat_eta", "mirostat_eta", "number", 0, 1, "0.05", "0.1"),
    Parameter("mirostat_tau", "mirostat_tau", "number", 0, 10, "0.5", "5"),
    Parameter("tfs_z", "tfs_z", "number", 0, 2, "0.05", "1"),
    Parameter("num_ctx", _T("Context window (num_ctx)"), "whole", 1, 10_000_000, "1", "4096"),
    Parameter("num_batch", "num_batch", "whole", 1, 100_000, "1", "512"),
    Parameter("num_keep", "num_keep", "whole", -1, 1_000_000, "1", "24"),
    Parameter("num_gpu", "num_gpu", "whole", 0, 1000, "1", "0"),
    Parameter("num_thread", "num_thread", "whole", 1, 1000, "1", "4"),
    Parameter("use_mmap", "use_mmap", "truth", start="true"),
    Parameter("use_mlock", "use_mlock", "truth", start="true"),
    Parameter("format", _T("Format of the answer (json)"), "text"),
    Parameter("keep_alive", "keep_alive", "text", start="5m"),
    Parameter("custom_params", _T("Further fields, as JSON"), "json", start="{}"),
)  # fmt: skip
_NAMES = frozenset(parameter.name for parameter in PARAMETERS)


def read_params(system: str, typed: Mapping[str, str]) -> dict[str, Any]:
    """What a form holds as the chat's `params`; empty fields are not set.

    :raises UserError: 400 a value that is none, or a prompt that is too long
    """
    if len(system) > LONGEST:
        raise UserError(_("A system prompt has at most %(most)s characters.") % {"most": number(LONGEST)}, status=413)
    params = {p.name: p.read(typed[p.name]) for p in PARAMETERS if typed.get(p.name, "").strip()}
    system = system.replace("\x00", "").strip()
    return params | ({"system": system} if system else {})


@transaction.atomic
def save_controls(*, by: User, chat_id: uuid.UUID, system: str, typed: Mapping[str, str]) -> Chat:
    """The controls of a chat as they are now. What the person may not set, and what the form does not know, stays.

    :raises UserError: 403 without `chat.controls`; 404 no such chat; 400 a value that is none
    """
    require(by, KEY, status=403)
    chat = own_chat(by, chat_id)
    permitted = permitted_for(by)
    sent = trimmed_params(read_params(system, typed), permitted)
    mine = (_NAMES if permitted.params else frozenset()) | ({"system"} if permitted.system else set())
    kept = {name: value for name, value in chat.params.items() if name not in mine}
    return _saved(chat, kept | sent, by)


@transaction.atomic
def merge_params(*, by: User, chat_id: uuid.UUID, sent: Mapping[str, Any]) -> Chat:
    """Single parameters of a chat, as a program sends them: null takes one away, what is not sent stays.

    :raises UserError: 403 without `chat.controls`; 404 no such chat
    """
    require(by, KEY, status=403)
    chat = own_chat(by, chat_id)
    known = {name: value for name, value in sent.items() if name in _NAMES or name == "system"}
    merged = {**chat.params, **trimmed_params(known, permitted_for(by))}
    return _saved(chat, {name: value for name, value in merged.items() if value is not None}, by)


def _saved(chat: Chat, params: dict[str, Any], by: User) -> Chat:
    before, chat.params = chat.params, params
    changed = sorted(name for name in {*before, *params} if before.get(name) != params.get(name))
    if changed:
        chat.save(update_fields=["params"])
        record("chat.controls", by=by, object_type="chat", object_id=str(chat.pk), detail={"changed": changed})
    return chat


def save_own(*, by: User, system: str, typed: Mapping[str, str]) -> None:
    """The person's own prompt and parameters: for every chat that has none of its own. What they may not set, and what
    the form does not know, stays.

    :raises UserError: 403 when they may set neither; 400 a value that is none
    """
    params = read_params(system, typed)
    changes: dict[str, Any] = {}
    if may_set(by, "system"):
        changes["system"] = params.pop("system", "")
    if may_set(by, "params"):
        own = interface_of(by).get("params")
        kept = {n: v for n, v in own.items() if n not in _NAMES} if isinstance(own, dict) else {}
        params.pop("system", None)
        changes["params"] = kept | params
    if not changes:
        require(by, "chat.system_prompt", status=403)
    change_interface(by, changes)


def sent_params(user: User, sent: Any) -> dict[str, Any]:
    """The parameters that come with the first question of a chat, without what the person may not set."""
    try:
        given = orjson.loads(sent) if sent else {}
    except (TypeError, ValueError) as error:
        raise UserError(_("The controls could not be read. Open them and set them again.")) from error
    if not given or not isinstance(given, dict):
        return {}
    require(user, KEY, status=403)
    known = {name: value for name, value in given.items() if name in _NAMES or name == "system"}
    return trimmed_params(known, permitted_for(user))


def params_reader(user: User) -> Callable[[Any], dict[str, Any]]:
    """Reads what files say of the parameters of chats, as far as the person may set them; asks for that once."""
    permitted = permitted_for(user) if may(user, KEY) else None

    def read(sent: Any) -> dict[str, Any]:
        if permitted is None or not isinstance(sent, dict):
            return {}
        known = {name: value for name, value in sent.items() if name in _NAMES or name == "system"}
        if len(json.dumps(known, default=str)) > 2 * LONGEST or not isinstance(known.get("system", ""), str):
            return {}
        return trimmed_params(known, permitted)

    return read


@transaction.atomic
def remove_item(*, by: User, chat_id: uuid.UUID, kind: str, item_id: str) -> None:
    """Takes a file or a base off all messages of a chat: later answers get nothing of it. That it was there is kept.
    404 when it is not on it."""
    chat = own_chat(by, chat_id)
    changed = []
    for message in Message.objects.select_for_update().filter(chat=chat, files__contains=[{"id": item_id}]):
        rest = [item for item in message.files if (item.get("type"), item.get("id")) != (kind, item_id)]
        if len(rest) < len(message.files):
            gone = [item for item in message.files if item not in rest]
            message.meta = {**message.meta, "detached": [*message.meta.get("detached", []), *gone]}
            message.files = rest
            changed.append(message)
    if not changed:
        raise Missing(_("This is not attached to the chat any more."))
    Message.objects.bulk_update(changed, ["files", "meta"])
    record("chat.detach", by=by, object_type="chat", object_id=str(chat.pk), detail={"type": kind, "item": item_id})
