"""`POST /api/chat/completions` bound to a stored chat: the answer is written into the chat by a turn of the engine, as
one that a page began. The caller gets the ids of the turns at once, or with no `session_id` waits for the end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.tokens import INVALID_TOKEN, BadCredential, Identity, still_valid
from chat.dispatch import start_all
from chat.follow import follow
from chat.models import Message, State
from chat.services import Started
from chat.sessions import Binding, Place, Question, start_answers
from inference.catalogue import Resolved, resolve_for
from inference.permitted import TEMPORARY, permitted_for, refuse_temporary, trimmed
from owui.lib.aio import in_thread
from owui.lib.errors import Missing, UserError
from rbac.watch import Lost, while_allowed

CHANNEL = "channel:"
MOST_MODELS = 16


def is_bound(body: Mapping[str, Any]) -> bool:
    """Whether a request names a chat, or asks for one to be made, and where the answer goes."""
    chat_id = body.get("chat_id")
    if isinstance(chat_id, str) and chat_id:
        if chat_id.startswith(TEMPORARY):
            return bool(body.get("session_id")) and _names_place(body)
        return chat_id.startswith(CHANNEL) or _names_place(body) or bool(body.get("user_message"))
    return "parent_id" in body and body["parent_id"] is None and bool(body.get("user_message"))


async def answer_bound(user: User, body: dict[str, Any], sampling: Sequence[str], identity: Identity) -> Any:
    """`{status, task_ids, chat_id}` at once; `null`, or the whole answer, at the end when no session waits for it.

    :param identity: what the caller came with; who waits to the end needs it to the end
    :param sampling: the names of the parameters that stand beside the others in the body
    """
    await in_thread(_refuse_unstored)(user, body.get("chat_id"))
    body = trimmed(body, await in_thread(permitted_for)(user))
    places, resolved = await _places(user, body)
    binding = _binding(body, sampling)
    begun = await start_all(user, resolved, start_answers, binding=binding, places=places)
    if body.get("session_id") or binding.chat_id is None:
        return _accepted(begun)
    for started in begun:
        await _wait(started.turn.pk, identity)
    return None if body.get("stream") else await in_thread(_whole)(user, begun[0])


async def _wait(turn_id: uuid.UUID, identity: Identity) -> None:
    """To the end of a turn. It goes on when its caller is signed out or their key revoked; they learn nothing more."""

    def lost() -> str:
        return INVALID_TOKEN if still_valid(identity) is None else ""

    async with aclosing(while_allowed(follow(turn_id), [identity.user.id], lost, ())) as batches:
        try:
            async for _batch in batches:
                pass
        except Lost as gone:
            raise BadCredential(str(gone)) from gone


def _refuse_unstored(user: User, chat_id: Any) -> None:
    if not isinstance(chat_id, str):
        return
    refuse_temporary(user, chat_id)
    if chat_id.startswith(TEMPORARY):
        raise UserError(
            _(
                "Answers of temporary chats would have to be sent over a Socket.IO connection, which this server does "
                "not have. Leave out session_id, and the answer comes in the response; nothing is stored."
            ),
            code="no_socket",
        )
    if chat_id.startswith(CHANNEL):
        raise Missing(_("This channel does not exist."))


async def _places(user: User, body: Mapping[str, Any]) -> tuple[list[Place], list[Resolved]]:
    """Where each model writes. All of them are looked up before anything is stored."""
    entries = body.get("message_ids") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError("message_ids must be a list of objects with model_id and message_id.")
    if len(entries) > MOST_MODELS:
        raise UserError(f"At most {MOST_MODELS} models can answer one question.")
    named = body.get("assistant_message_id") or body.get("id")
    if named == body.get("regeneration_message_id"):
        named = None  # a new one stands beside it
    entries = entries or [{"model_id": body["model"], "message_id": named}]
    places, resolved = [], []
    for entry in entries:
        model = await resolve_for(user, str(entry.get("model_id") or body["model"]), status=400)
        column = entry.get("modelIdx")
        places.append(
            Place(
                model.model_id,
                model.name,
                _uuid(entry.get("message_id"), "message_id"),
                column if isinstance(column, int) and 0 <= column < MOST_MODELS else None,
            )
        )
        resolved.append(model)
    ids = [place.message_id for place in places if place.message_id]
    if len(set(ids)) < len(ids):
        raise UserError("Each entry of message_ids needs an id of its own.")
    return places, resolved


def _binding(body: Mapping[str, Any], sampling: Sequence[str]) -> Binding:
    chat_id = body.get("chat_id")
    if chat_id:
        try:
            chat_id = uuid.UUID(str(chat_id))
        except ValueError as error:  # no chat of ours has such an id
            raise Missing(_("This chat does not exist.")) from error
    files = body.get("files") or []
    return Binding(
        chat_id=chat_id or None,
        question=_question(body.get("user_message")),
        parent_id=_uuid(body.get("parent_id"), "parent_id"),
        folder_id=_uuid(body.get("folder_id"), "folder_id"),
        continues=bool(body.get("assistant_message_id")),
        regenerates=_uuid(body.get("regeneration_message_id"), "regeneration_message_id"),
        messages=body.get("messages") or [],
        items=[item for item in files if isinstance(item, dict)],
        params={**(body.get("params") or {}), **{k: body[k] for k in sampling if body.get(k) is not None}},
        variables=body["variables"] if isinstance(body.get("variables"), dict) else {},
    )


def _question(sent: Any) -> Question | None:
    if not sent:
        return None
    content = sent.get("content") if isinstance(sent, dict) else None
    if not isinstance(content, str):
        raise UserError("user_message must be an object with the text as content.")
    files = sent.get("files") or []
    return Question(
        content,
        _uuid(sent.get("id"), "user_message.id"),
        _uuid(sent.get("parentId"), "user_message.parentId"),
        "parentId" in sent,
        [item for item in files if isinstance(item, dict)] if isinstance(files, list) else [],
    )


def _uuid(value: Any, name: str) -> uuid.UUID | None:
    if value is None or value == "":
        return None
    try:
        return uuid.UUID(value)
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{name} must be a UUID.") from error


def _names_place(body: Mapping[str, Any]) -> bool:
    names = ("id", "message_ids", "assistant_message_id", "regeneration_message_id")
    return any(body.get(name) for name in names)


def _accepted(begun: Sequence[Started]) -> dict[str, Any]:
    places = [{"model_id": one.message.model_id, "message_id": str(one.message.pk)} for one in begun]
    return {
        "status": True,
        "task_ids": [str(one.turn.pk) for one in begun],
        "chat_id": str(begun[0].chat.pk),
        "message_ids": places,
    }


def _whole(user: User, started: Started) -> dict[str, Any]:
    """The stored answer in OpenAI's form."""
    message = Message.objects.readable_by(user).filter(pk=started.message.pk).first()
    if message is None:  # deleted while it was written
        raise Missing(_("This message does not exist."))
    if message.state == State.FAILED:
        raise UserError(message.error, status=502, code="upstream")
    if message.error:  # a right that it stood on went
        raise UserError(message.error, status=403, code="stopped")
    if message.state == State.INTERRUPTED:
        text = _("The server that wrote this answer ended. What had come is in the chat, and can be continued.")
        raise UserError(text, status=503, code="interrupted")
    said: dict[str, Any] = {"role": "assistant", "content": message.content}
    if message.reasoning:
        said["reasoning_content"] = message.reasoning
    usage = message.usage or {}
    prompt, completion = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    sources = message.meta.get("sources") or []
    return {
        "id": f"chatcmpl-{message.pk.hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": message.model_id,
        "chat_id": str(message.chat_id),
        "choices": [{"index": 0, "message": said, "finish_reason": "stop", "logprobs": None}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "input_tokens": prompt,
            "output_tokens": completion,
        },
        **({"sources": sources} if sources else {}),
    }
