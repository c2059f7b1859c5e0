"""What a program adds to a message of its person: words, the state of some work, a notice; shown at once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from accounts.models import User
from chat import versions
from chat.models import Message
from owui.lib.errors import Missing, UserError

MOST_STATUSES, MOST_WORDS = 100, 2_000
#: the field's names, old and new: what they do
_KINDS = {
    "message": "append",
    "chat:message:delta": "append",
    "replace": "replace",
    "chat:message": "replace",
    "status": "status",
    "notification": "notice",
}
_LOOKS = {"success": "good", "info": "info", "warning": "warn", "error": "bad"}


@transaction.atomic
def add_event(*, by: User, chat_id: uuid.UUID, message_id: uuid.UUID, kind: str, data: Mapping[str, Any]) -> list[Any]:
    """Writes what is to be kept. Returns the operation that shows it.

    :raises UserError: 401 without `chat.edit`; 404 no such message of theirs; 409 while it is being written; 400 a kind
        that is not known
    """
    if not Message.objects.writable_by(by).filter(pk=message_id, chat_id=chat_id).exists():
        raise Missing
    message = versions.editable_message(by, message_id, lock=True)
    what, text = _KINDS.get(kind, ""), str(data.get("content") or "").replace("\x00", "")
    if not what:
        known = ", ".join(sorted(_KINDS))
        raise UserError(_("This kind of event is not known here. Known are: %(known)s.") % {"known": known})
    if what == "notice":
        look = _LOOKS.get(str(data.get("type")), "info")
        html = render_to_string("errors/_toast.html", {"message": text[:MOST_WORDS], "kind": look, "reference": ""})
        return ["append", "toasts", html]
    if what == "status":
        _add_status(message, data)
    else:
        versions.save_text(by=by, message_id=message_id, text=message.content + text if what == "append" else text)
    # Every page draws the branch again: none has this yet.
    return ["stale", "messages", f"/c/{chat_id}/messages", "#none", str(chat_id)]


def _add_status(message: Message, data: Mapping[str, Any]) -> None:
    told = {
        "action": str(data.get("action") or "")[:100],
        "description": str(data.get("description") or "").replace("\x00", "")[:MOST_WORDS],
        "done": data.get("done") is not False,
    }
    message.status_history = [*message.status_history, told][-MOST_STATUSES:]
    message.save(update_fields=["status_history", "updated_at"])
