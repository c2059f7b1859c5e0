"""Answers that leave no chat behind: the page's temporary chats. The conversation is the browser's own, sent whole with
each question; here it is checked, answered and forgotten. REST has the same in `chat.api.completions`."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.tokens import INVALID_TOKEN, Identity, still_valid
from chat import attaching, controls, services
from chat.background import Background, background_of
from chat.config import ChatConfig
from chat.copies import import_chats
from chat.engine.events import Outcome, Sources
from chat.engine.prompt import Message as PromptMessage
from chat.engine.turn import Event, TurnPlan, run_turn
from chat.models import Chat
from chat.standing import TYPES, Standing, used_in
from inference.catalogue import Resolved
from inference.permitted import permitted_for
from owui.audit.record import record
from owui.lib.errors import UserError
from rbac.permissions import require
from rbac.watch import Known, Lost, while_allowed

KEY = "chat.temporary"
MOST_MESSAGES = 2_000


@transaction.atomic
def admit(
    user: User,
    resolved: Resolved,
    *,
    text: str,
    said: str,
    knowledge_ids: Sequence[str] = (),
    params: str | None = None,
) -> tuple[list[PromptMessage], list[dict[str, Any]], Background]:
    """A question of a temporary chat: history with the question last, attached knowledge, what stands behind.

    Nothing of it is stored; the audit log knows that an answer was given, not which.

    :param said: the conversation so far, as JSON
    :raises UserError: 403 without `chat.temporary`; 400 empty or not understood; 404 knowledge that is not shared
    """
    require(user, KEY, status=403)
    question = services.check_text(text)
    items = attaching.attachable(user, knowledge_ids, ())
    background = background_of(user, resolved, permitted_for(user), chat_params=controls.sent_params(user, params))
    record(
        "completion.create", by=user, object_type="model", object_id=resolved.model_id, object_label=resolved.name,
        detail={"stream": True, "temporary": True},
    )  # fmt: skip
    history = [{"role": m["role"], "content": m["content"]} for m in conversation(said) if m["content"]]
    return [*history, {"role": "user", "content": question}], items, background


def conversation(said: str) -> list[dict[str, str]]:
    """What the browser remembers, each message with role, content and model.

    :raises UserError: 400 another form; 413 more than a chat may hold
    """
    limit = ChatConfig.load().max_message_chars
    try:
        found = json.loads(said or "[]")
        out = [
            {"role": str(m["role"]), "content": m["content"].replace("\x00", ""), "model": str(m.get("model") or "")}
            for m in found
        ]
        if any(m["role"] not in ("user", "assistant") for m in out):
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(_("This temporary chat could not be read. Begin a new one."), code="conversation") from error
    if len(out) > MOST_MESSAGES or sum(len(m["content"]) for m in out) > 20 * limit:
        raise UserError(_("This temporary chat is too long. Begin a new one."), status=413, code="too_long")
    return out


def keep(*, by: User, said: str) -> Chat:
    """Makes an ordinary chat of a temporary one. As every import: 403 without `chat.import`."""
    messages = conversation(said)
    if not messages:
        raise UserError(_("There is nothing to keep yet."))
    models = list(dict.fromkeys(m["model"] for m in messages if m["model"]))[-1:]
    (chat,) = import_chats([{"chat": {"title": "", "models": models, "messages": messages}}], by=by)
    return chat


async def allowed(
    plan: TurnPlan, standing: Standing, identity: Identity, known: Known | None
) -> AsyncGenerator[Event, None]:
    """The answer's events for as long as the person may have them."""
    used: set[tuple[str, str]] = set()

    def lost() -> str:
        return INVALID_TOKEN if still_valid(identity) is None else standing.lost(frozenset(used))

    async with aclosing(while_allowed(run_turn(plan), standing.people, lost, TYPES, known=known)) as events:
        try:
            async for event in events:
                if isinstance(event, Sources):
                    used |= used_in(event.sources)
                yield event
        except Lost as gone:
            yield Outcome("failed", str(gone), 403)
