"""One's own messages in other words, or gone. What was written over is kept for whoever governs (`MessageVersion`)."""

from __future__ import annotations

import hashlib
import uuid

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from chat.compaction import drop_summaries
from chat.history import SUMMARY
from chat.models import Chat, Citation, Message, MessageVersion, State
from chat.services import check_stored, check_text, own_message
from chat.tree import newest_leaf
from owui.audit.record import record
from owui.lib.errors import UserError
from owui.lib.markdown import code_blocks, replaced
from rbac.permissions import require


class Changed(UserError):
    """Somebody, in another window perhaps, wrote over the message since it was opened: `changed` has their words."""

    status = 409
    code = "changed_meanwhile"

    def __init__(self, changed: Message) -> None:
        super().__init__(
            _(
                "This message was changed in another window meanwhile. "
                "Your words are still here: save again to keep them."
            )
        )
        self.changed = changed


def mark_of(message: Message) -> str:
    """What tells the words of a message from others in its place."""
    words = f"{message.content}\x00{message.reasoning}" if message.reasoning else message.content
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def editable_message(user: User, message_id: uuid.UUID, *, lock: bool = False) -> Message:
    """A message of the person whose words they may change. 401 without the permission, 409 while it is written."""
    require(user, "chat.edit")
    message = own_message(user, message_id, lock=lock)
    if message.state == State.RUNNING:
        raise UserError(_("Wait for the answer, or stop it, before you change it."), status=409, code="still_answering")
    return message


@transaction.atomic
def save_text(
    *, by: User, message_id: uuid.UUID, text: str, reasoning: str | None = None, seen: str | None = None
) -> Message:
    """Other words in the same place; nothing is asked again. The former ones are kept, and who replaced them when.

    :param reasoning: the thoughts before an answer; None leaves them as they are
    :param seen: `mark_of` the message when it was opened; None writes over whatever is there
    :raises Changed: 409, it has other words by now
    """
    message = editable_message(by, message_id, lock=True)
    check_stored(by)
    text, thoughts = check_text(text), _thoughts(message, reasoning)
    if (text, thoughts) != (message.content, message.reasoning):
        if seen is not None and seen != mark_of(message):
            raise Changed(message)
        write_over(message, text, by=by, reasoning=thoughts)
    return message


@transaction.atomic
def save_code(*, by: User, message_id: uuid.UUID, number: int, former: str, code: str) -> Message:
    """Other code in one block of an answer, kept like any other change of its words.

    :param number: which of its code blocks, from 0, without those in folds
    :param former: what stood in the block when it was opened: what is there now decides which one is meant
    :raises UserError: 409, the block is not there any more; 400, it cannot be told from the text around it
    """
    message = editable_message(by, message_id, lock=True)
    former, code = (value.replace("\r\n", "\n").rstrip("\n") for value in (former, code))
    found = [block.code.rstrip("\n") == former for block in code_blocks(message.content)]
    place = number if 0 <= number < len(found) and found[number] else found.index(True) if sum(found) == 1 else None
    if message.author != "assistant" or place is None:
        text = _("This code was changed in another window meanwhile. Copy yours, reload the page and edit it there.")
        raise UserError(text, status=409, code="changed_meanwhile")
    block = code_blocks(message.content)[place]
    if not block.is_fenced:
        raise UserError(_("This block can only be changed with the whole answer: choose “Edit” in its menu."))
    if code == former:
        return message
    return save_text(by=by, message_id=message_id, text=replaced(message.content, block, code.replace("\x00", "")))


def _thoughts(message: Message, sent: str | None) -> str:
    """What shall stand before an answer; a question has no thoughts."""
    if sent is None or message.author != "assistant":
        return str(message.reasoning)
    sent = sent.replace("\x00", "").replace("\r\n", "\n")
    if sent.strip() == message.reasoning.strip():
        return str(message.reasoning)
    return check_text(sent) if sent.strip() else ""


def write_over(message: Message, text: str, *, by: User, reasoning: str | None = None) -> None:
    """Other words for a message that is locked, whoever sent them: what stood there is kept, and the log says so."""
    version = MessageVersion.objects.create(
        message=message, content=message.content, reasoning=message.reasoning, replaced_by=by
    )
    message.content = text
    message.reasoning = message.reasoning if reasoning is None else reasoning
    message.meta = {**message.meta, "edited_at": int(timezone.now().timestamp())}
    message.meta.pop(SUMMARY, None)
    message.save(update_fields=["content", "reasoning", "meta", "updated_at"])
    drop_summaries(message.chat_id)
    detail = {"chat": str(message.chat_id), "author": message.author, "version": version.pk}
    record("message.edit", by=by, object_type="message", object_id=str(message.pk), detail=detail)


@transaction.atomic
def save_copy(*, by: User, message_id: uuid.UUID, text: str, reasoning: str | None = None) -> Chat:
    """An answer in the person's own words, beside the model's, which stays; the chat goes on from the copy.

    What the answer stands on comes along: its thoughts, what it was searched for, and its sources.
    """
    former = editable_message(by, message_id, lock=True)
    check_stored(by)
    if former.author != "assistant":
        raise UserError(_("Only an answer can be copied; send a question again in other words."))
    copy = Message.objects.create(
        chat=former.chat,
        parent_id=former.parent_id,
        author="assistant",
        content=check_text(text),
        reasoning=_thoughts(former, reasoning),
        status_history=former.status_history,
        usage={name: value for name, value in (former.usage or {}).items() if name == "reasoning_ms"},
        model_id=former.model_id,
        model_name=former.model_name,
        meta={"edited_at": int(timezone.now().timestamp()), "copied_from": str(former.pk)},
    )
    citations = list(Citation.objects.filter(message=former))
    for citation in citations:
        citation.pk, citation.message_id = None, copy.pk
    Citation.objects.bulk_create(citations)
    _show(former.chat, copy.pk)
    detail = {"chat": str(former.chat_id), "from": str(former.pk)}
    record("message.copy", by=by, object_type="message", object_id=str(copy.pk), detail=detail)
    return former.chat


def deletable_message(user: User, message_id: uuid.UUID, *, lock: bool = False) -> Message:
    """A message of the person that they may take away. 401 without the permission, 409 while it is written.

    Who may delete no chat may not empty one message by message either.
    """
    require(user, "chat.delete")
    require(user, "chat.delete_message")
    message = own_message(user, message_id, lock=lock)
    if message.state == State.RUNNING:
        raise UserError(_("Stop the answer before you delete it."), status=409, code="still_answering")
    return message


@transaction.atomic
def delete_message(*, by: User, message_id: uuid.UUID) -> Chat:
    """Takes one message away. What followed it follows now what it followed."""
    message = deletable_message(by, message_id, lock=True)
    chat, parent_id = message.chat, message.parent_id
    Message.objects.filter(parent=message).update(parent=parent_id)
    if chat.current_id == message.pk:
        _show(chat, _nearest(chat, message))
    detail = {"chat": str(chat.pk), "author": message.author, "characters": len(message.content)}
    record("message.delete", by=by, object_type="message", object_id=str(message.pk), detail=detail)
    message.delete()
    drop_summaries(chat.pk)
    return chat


def _nearest(chat: Chat, gone: Message) -> uuid.UUID | None:
    """The leaf to show when the shown one is taken away: below its parent, or below the newest first message."""
    nodes = list(chat.messages.exclude(pk=gone.pk).only("id", "parent_id", "created_at").order_by("created_at"))
    start = gone.parent_id or next((node.pk for node in reversed(nodes) if node.parent_id is None), None)
    return newest_leaf(nodes, start) if start else None


def _show(chat: Chat, leaf: uuid.UUID | None) -> None:
    chat.current_id = leaf
    chat.save(update_fields=["current", "updated_at"])
