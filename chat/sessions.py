"""Answers that another program has written into a stored chat: the field's session form.

The caller names the chat and gives the ids of the messages to be. Whatever it names is its person's own, or is refused
alike whether it exists or not; what is written already is never overwritten.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from chat import attaching, selectors, services
from chat.engine.prompt import Message as PromptMessage
from chat.engine.prompt import text_of
from chat.folders import check_folders
from chat.history import attached_items, history_of
from chat.models import Chat, Folder, Message, State, Turn
from chat.services import Started
from owui.lib.errors import Missing, UserError
from rbac.permissions import require


@dataclass(frozen=True, slots=True)
class Place:
    """Where one model's answer goes; without an id one is made."""

    model_id: str
    model_name: str
    message_id: uuid.UUID | None = None
    column: int | None = None  # the field's `modelIdx`


@dataclass(frozen=True, slots=True)
class Question:
    """The message of the person that came with the request."""

    text: str
    message_id: uuid.UUID | None = None
    parent_id: uuid.UUID | None = None
    has_parent: bool = False  # it says what it follows, be it nothing
    files: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """What a request says of the chat it belongs to, without a `chat_id` of one to be made."""

    chat_id: uuid.UUID | None
    question: Question | None = None
    parent_id: uuid.UUID | None = None
    folder_id: uuid.UUID | None = None
    continues: bool = False
    regenerates: uuid.UUID | None = None
    messages: Sequence[PromptMessage] = ()
    items: Sequence[dict[str, Any]] = ()
    params: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)


@transaction.atomic
def start_answers(*, by: User, runner_id: uuid.UUID, binding: Binding, places: Sequence[Place]) -> list[Started]:
    """Question and empty answers, or the answer to go on with.

    :raises UserError: 404 no such chat, message or folder; 400 an id that cannot be used; 409 an answer that is being
        written or has been; 401 without the permission to ask again, edit or continue
    """
    services.check_stored(by)
    if binding.chat_id is None:
        chat, is_new = _new_chat(by, binding), True
    else:
        chat, is_new = services.own_chat(by, binding.chat_id), False
    if binding.continues or _goes_on(chat, binding, places):
        return [_continued(by, runner_id, chat, binding, places)]
    try:
        with transaction.atomic():
            question = _question(by, chat, binding, places)
            return [
                _begin(by, runner_id, chat, question, binding, place, is_new=is_new, is_first=number == 0)
                for number, place in enumerate(places)
            ]
    except IntegrityError as error:  # the same ids twice at once
        raise UserError(_("These messages were sent already."), status=409, code="still_answering") from error


def _new_chat(by: User, binding: Binding) -> Chat:
    if binding.question is None:
        raise UserError(_("A new chat begins with a question: send user_message."), code="user_message")
    folder = None
    if binding.folder_id is not None:
        check_folders(by)
        folder = Folder.objects.writable_by(by).filter(pk=binding.folder_id).first()
        if folder is None:
            raise Missing()
    title = services.title_of(services.check_text(binding.question.text))
    return Chat.objects.create(owner=by, title=title, folder=folder)


def _question(by: User, chat: Chat, binding: Binding, places: Sequence[Place]) -> Message:
    """The message that is answered: the one sent along, the parent of the waiting answer, or the last one of the
    conversation that was sent."""
    sent = binding.question
    if binding.regenerates is not None:
        former = _in_chat(chat, binding.regenerates)
        if former is None or former.parent is None or former.author != "assistant":
            raise _unusable()
        require(by, "chat.regenerate_response")
        return former.parent
    if sent is None:
        if waiting := _waiting_parent(chat, [place.message_id for place in places]):
            return _again(by, waiting)
        parent = _in_chat(chat, binding.parent_id)
        if parent is not None and parent.author == "user":
            return _again(by, parent)
        last = binding.messages[-1] if binding.messages else {}
        if last.get("role") != "user":
            raise UserError(_("The request holds no question. Send user_message, or a last message of the user."))
        sent = Question(text_of(last), parent_id=binding.parent_id, has_parent=binding.parent_id is not None)
    if sent.message_id is not None and (known := Message.objects.filter(pk=sent.message_id).first()):
        if known.chat_id != chat.pk or known.author != "user":
            raise _unusable()
        return _again(by, known)
    given = sent.parent_id if sent.has_parent else binding.parent_id or chat.current_id
    parent = _in_chat(chat, given)
    if parent is not None and parent.state == State.RUNNING:
        text = _("Wait for the answer, or stop it, before you write on.")
        raise UserError(text, status=409, code="still_answering")
    if Message.objects.filter(chat=chat, parent=parent, author="user").exists():
        require(by, "chat.edit")  # the same place in other words
    return Message.objects.create(
        pk=sent.message_id or uuid.uuid4(),
        chat=chat,
        parent=parent,
        author="user",
        content=services.check_text(sent.text),
        files=_attached(by, sent.files),
    )


def _again(by: User, question: Message) -> Message:
    """A question that was there before: whoever has it answered anew needs the permission for that."""
    if question.children.filter(author="assistant").exclude(content="").exists():
        require(by, "chat.regenerate_response")
    return question


def _waiting_parent(chat: Chat, ids: Sequence[uuid.UUID | None]) -> Message | None:
    wanted = [i for i in ids if i is not None]
    found = Message.objects.filter(pk__in=wanted, chat=chat).select_related("parent").first() if wanted else None
    return found.parent if found is not None else None


def _begin(
    by: User,
    runner_id: uuid.UUID,
    chat: Chat,
    question: Message,
    binding: Binding,
    place: Place,
    *,
    is_new: bool,
    is_first: bool,
) -> Started:
    services.check_running(by)
    answer = _empty_answer(chat, question, place)
    turn = Turn.objects.create(chat=chat, message=answer, user=by, runner_id=runner_id)
    if is_first:
        chat.current, chat.model_ids = answer, []
    chat.model_ids = [*chat.model_ids, place.model_id]
    chat.save(update_fields=["current", "model_ids", "updated_at"])
    return _started(chat, answer, turn, question, binding, is_new)


def _empty_answer(chat: Chat, question: Message, place: Place) -> Message:
    values = {"model_id": place.model_id, "model_name": place.model_name, "state": State.RUNNING, "error": ""}
    meta = {} if place.column is None else {"modelIdx": place.column}
    known = None
    if place.message_id is not None:
        known = Message.objects.select_for_update(of=("self",)).filter(pk=place.message_id).first()
    if known is None:
        made: Message = Message.objects.create(
            pk=place.message_id or uuid.uuid4(), chat=chat, parent=question, author="assistant", meta=meta, **values
        )
        return made
    if known.chat_id != chat.pk or known.author != "assistant" or known.parent_id != question.pk:
        raise _unusable()
    if known.state == State.RUNNING:
        raise UserError(_("This answer is being written already."), status=409, code="still_answering")
    if known.content:
        text = _("This message holds an answer already. Send another id to ask again, or continue it.")
        raise UserError(text, status=409, code="answered")
    for name, value in values.items():
        setattr(known, name, value)
    known.meta = {**known.meta, **meta}
    known.save(update_fields=[*values, "meta", "updated_at"])
    return known  # type: ignore[no-any-return]


def _goes_on(chat: Chat, binding: Binding, places: Sequence[Place]) -> bool:
    """Clients of the field ask for more of an answer by sending it as the last message, under its own id."""
    last = binding.messages[-1] if binding.messages else {}
    if last.get("role") != "assistant" or places[0].message_id is None:
        return False
    return Message.objects.filter(pk=places[0].message_id, chat=chat, author="assistant").exclude(content="").exists()


def _continued(by: User, runner_id: uuid.UUID, chat: Chat, binding: Binding, places: Sequence[Place]) -> Started:
    answer = _in_chat(chat, places[0].message_id)
    if answer is None or len(places) > 1:
        raise _unusable()
    started = services.continue_answer(by=by, runner_id=runner_id, message_id=answer.pk)
    return Started(
        started.chat,
        started.message,
        started.turn,
        None,
        [*_system(binding), *started.history],
        [*started.items, *binding.items],
        params=binding.params,
        variables=binding.variables,
    )


def _started(chat: Chat, answer: Message, turn: Turn, question: Message, binding: Binding, is_new: bool) -> Started:
    branch = selectors.branch_of(chat.pk, question.pk)
    history = history_of(branch)
    last = binding.messages[-1] if binding.messages else {}
    if history and last.get("role") == "user":
        history[-1] = _with_pictures(history[-1], last.get("content"))
    items = [*attached_items(branch), *binding.items]
    history = [*_system(binding), *history]
    return Started(
        chat, answer, turn, question, history, items, is_new, params=binding.params, variables=binding.variables
    )


def _with_pictures(question: PromptMessage, sent: Any) -> PromptMessage:
    """The stored question with the pictures of the request, where they are nowhere else. The words are the stored ones:
    what a model is asked in a chat is what the chat shows."""
    parts = [p for p in sent if isinstance(p, dict) and p.get("type") != "text"] if isinstance(sent, list) else []
    text = question["content"]
    if not parts or isinstance(text, list):
        return question
    return {**question, "content": [{"type": "text", "text": text}, *parts]}


def _system(binding: Binding) -> list[PromptMessage]:
    """The conversation is what is stored; system prompts are the request's own."""
    return [dict(message) for message in binding.messages if message.get("role") == "system"]


def _in_chat(chat: Chat, message_id: uuid.UUID | None) -> Message | None:
    if message_id is None:
        return None
    found = Message.objects.filter(pk=message_id, chat=chat).first()
    if found is None:
        raise Missing(_("This message does not exist."))
    return found  # type: ignore[no-any-return]


def _unusable() -> UserError:
    return UserError(_("A message id of this request cannot be used here. Send new ids."), code="message_id")


def _attached(by: User, files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    ids = {kind: [str(f.get("id", "")) for f in files if f.get("type") == kind] for kind in ("collection", "file")}
    return attaching.attachable(by, ids["collection"], ids["file"])
