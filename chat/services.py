"""What people do with chats. Keyword-only, atomic; the turn itself is run by `chat.runner`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from psycopg.types.json import Jsonb

from accounts.models import User
from chat import listed
from chat.attaching import attachable, check_count
from chat.config import ChatConfig
from chat.engine.prompt import Message as PromptMessage
from chat.folders import place_for
from chat.history import SUMMARY, attached_items, history_of
from chat.models import Chat, Message, State, Turn
from chat.pictures import picture_items
from chat.selectors import branch_of
from chat.tree import newest_leaf
from owui.audit.record import record
from owui.config.sections import UiConfig
from owui.lib.errors import Missing, Refused, UserError
from owui.lib.languages import number
from owui.lib.together import Statement, insert_together
from rbac.history import acting
from rbac.permissions import is_bound, may, require

TITLE_CHARS = 60
#: in the `meta` of an answer of several models: which column it stands in (`chat.several`)
COLUMN = "modelIdx"
ONLY_TEMPORARY = gettext_lazy(
    "Your administrator allows you temporary chats only, and chats on this page are stored. Ask your administrator."
)
#: mark of a chat whose title a person chose
NAMED = "named"
#: Markdown signs that would only be noise in a list of titles
_MARKS = str.maketrans("", "", "*_`#")
_RUNNING = "SELECT count(*) FROM chat_turn WHERE user_id = %s AND state = 'running'"
_MOVED = "UPDATE chat_chat SET current_id = %s, model_ids = %s, updated_at = %s, read_at = %s WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Started:
    """A turn whose rows are committed and that waits to be run."""

    chat: Chat
    message: Message
    turn: Turn
    question: Message | None
    history: list[PromptMessage]
    items: list[dict[str, Any]]
    is_new_chat: bool = False
    #: parameters of this one request, over the chat's
    params: dict[str, Any] = field(default_factory=dict)
    #: prompt variables of the request, which win over ours
    variables: dict[str, Any] = field(default_factory=dict)


def check_text(text: str) -> str:
    """The text of a message, cleaned. 400 when there is nothing to send, 413 when it is too long."""
    text = text.replace("\x00", "").replace("\r\n", "\n")
    if not text.strip():
        raise UserError(_("Please write a message first."), code="empty_message")
    limit = ChatConfig.load().max_message_chars
    if len(text) > limit:
        raise UserError(
            _(
                "This message has %(have)s characters; at most %(limit)s can be sent. "
                "Put long texts into a document and attach it."
            )
            % {"have": number(len(text)), "limit": number(limit)},
            status=413,
            code="message_too_long",
        )
    return text


def check_stored(user: User) -> None:
    """403 for whoever is bound to temporary chats: everything here stores what is said."""
    if is_bound(user, "chat.temporary_enforced"):
        raise Refused(ONLY_TEMPORARY, code="only_temporary")


def may_rate(user: Any) -> bool:
    """Whether answers are rated here, and the person may do it."""
    return UiConfig.load().enable_message_rating and may(user, "chat.rate_response")


def check_running(user: User, running: int | None = None) -> None:
    """429 when a person has many answers being written already: one account must not fill the model servers.

    :param running: how many there are, where that is known
    """
    if running is None:
        running = Turn.objects.filter(user=user, state=State.RUNNING).count()
    limit = ChatConfig.load().max_running_turns
    if running >= limit:
        text = _("%(limit)s of your answers are being written already. Wait for one, or stop it, and send again.")
        raise UserError(text % {"limit": limit}, status=429, code="too_many_turns")


@transaction.atomic
def start_turn(
    *,
    by: User,
    runner_id: uuid.UUID,
    text: str,
    model_id: str,
    model_name: str,
    chat_id: uuid.UUID | None = None,
    knowledge_ids: Sequence[str] = (),
    file_ids: Sequence[str] = (),
    whole_ids: Sequence[str] = (),
    pictures: Sequence[UploadedFile[bytes]] = (),
    parent_id: uuid.UUID | None = None,
    folder_id: str = "",
    params: Mapping[str, Any] | None = None,
) -> Started:
    """A question and the empty answer to it; a new chat when `chat_id` is None, which may begin in a folder.

    :param whole_ids: which of the files go to the model whole instead of being searched
    :param pictures: files as they came, to be looked at by the model
    :param parent_id: the message the question follows; the end of the shown branch by default
    :param params: of a new chat, already trimmed to what the person may set
    :raises UserError: 400 empty or too many files, 413 too long, 404 no such chat, 409 while the branch is
        still being answered
    """
    text = check_text(text)
    check_stored(by)
    check_count(len(file_ids) + len(pictures))
    items = attachable(by, knowledge_ids, file_ids, whole_ids)
    if pictures:
        require(by, "chat.file_upload", status=403)
        items += picture_items(pictures, largest=ChatConfig.load().max_image_bytes)
    if chat_id is None:
        folder = place_for(by, folder_id) if folder_id else None
        title, first = title_of(text), dict(params or {})
        chat, branch = Chat(owner=by, title=title, model_ids=[model_id], folder=folder, params=first), []
    else:
        chat = own_chat(by, chat_id)
        branch = branch_of(chat.pk, parent_id or chat.current_id)
    if parent_id and not branch:
        raise Missing(_("This message does not exist."))
    if branch and branch[-1].state == State.RUNNING:
        raise UserError(_("Wait for the answer, or stop it, before you write on."), status=409, code="still_answering")
    question = Message(chat=chat, parent_id=parent_id or chat.current_id, author="user", content=text, files=items)
    return _answer(chat, [*branch, question], by, runner_id, model_id, model_name)


def _answer(
    chat: Chat,
    branch: list[Message],
    by: User,
    runner_id: uuid.UUID,
    model_id: str,
    model_name: str,
    column: int | None = None,
) -> Started:
    """Writes what is new of a chat and the branch, an empty answer at its end, and the turn: one statement.

    :param column: of an answer that stands beside those of other models; the chat stays with all of these
    """
    question, is_new_chat = branch[-1], chat._state.adding
    answer = Message(
        chat=chat,
        parent=question,
        author="assistant",
        model_id=model_id,
        model_name=model_name,
        state=State.RUNNING,
        meta={} if column is None else {COLUMN: column},
    )
    turn = Turn(chat=chat, message=answer, user=by, runner_id=runner_id)
    chat.current, chat.model_ids = answer, [model_id] if column is None else chat.model_ids
    rows = [row for row in (chat, question, answer, turn) if row._state.adding]
    moved: list[Statement] = []
    if not is_new_chat:
        chat.updated_at = chat.read_at = now = timezone.now()
        moved.append((_MOVED, [answer.pk, Jsonb(chat.model_ids), now, now, chat.pk]))
    (running,) = insert_together(rows, also=moved, asking=(_RUNNING, [by.pk]))
    check_running(by, running)
    return Started(chat, answer, turn, question, history_of(branch), attached_items(branch), is_new_chat)


@transaction.atomic
def regenerate(
    *,
    by: User,
    runner_id: uuid.UUID,
    message_id: uuid.UUID,
    model_id: str,
    model_name: str,
    instruction: str = "",
) -> Started:
    """Another answer to the same question, beside the first. 401 without the permission.

    :param instruction: what shall be different; the model sees the first answer and this, the chat keeps neither again
    """
    require(by, "chat.regenerate_response")
    answer = own_message(by, message_id, lock=True)
    if answer.author != "assistant" or answer.parent is None:
        raise UserError(_("Only an answer can be asked for again."))
    check_stored(by)
    branch = branch_of(answer.chat_id, answer.parent_id)
    column = (answer.meta or {}).get(COLUMN)
    started = _answer(answer.chat, branch, by, runner_id, model_id, model_name, column)
    if not instruction.strip():
        return started
    asked: PromptMessage = {"role": "user", "content": check_text(instruction)}
    return replace(started, history=[*started.history, *history_of([answer]), asked])


@transaction.atomic
def edit_question(
    *, by: User, runner_id: uuid.UUID, message_id: uuid.UUID, text: str, model_id: str, model_name: str
) -> Started:
    """The question in other words, as a sibling, and an answer to it; the former stays. 401 without the permission."""
    require(by, "chat.edit")
    former = own_message(by, message_id, lock=True)
    if former.author != "user":
        raise UserError(_("Only a question can be asked in other words."))
    check_stored(by)
    question = Message(
        chat=former.chat, parent_id=former.parent_id, author="user", content=check_text(text), files=former.files
    )
    branch = [*branch_of(former.chat_id, former.parent_id), question]
    return _answer(former.chat, branch, by, runner_id, model_id, model_name)


@transaction.atomic
def continue_answer(
    *, by: User, runner_id: uuid.UUID, message_id: uuid.UUID, model_id: str = "", model_name: str = ""
) -> Started:
    """Goes on writing an answer where it ended; with another model it is said to be of both. 401 without the
    permission, 409 while it is being written."""
    require(by, "chat.continue_response")
    check_stored(by)
    # Locked: what a turn that ends just now writes must be in the prefix of this one.
    answer = own_message(by, message_id, lock=True)
    if answer.author != "assistant":
        raise UserError(_("Only an answer can be continued."))
    try:
        with transaction.atomic():
            turn = Turn.objects.create(
                chat=answer.chat, message=answer, user=by, runner_id=runner_id, prefix_length=len(answer.content)
            )
    except IntegrityError as error:
        raise UserError(_("This answer is being written already."), status=409, code="still_answering") from error
    answer.state, answer.error = State.RUNNING, ""
    answer.meta = {key: value for key, value in answer.meta.items() if key not in ("follow_ups", SUMMARY)}
    if model_id and model_id != answer.model_id:
        names = [name for name in (answer.model_name or answer.model_id, model_name or model_id) if name]
        answer.model_id, answer.model_name = model_id, ", ".join(dict.fromkeys(names))[:255]
    answer.save(update_fields=["state", "error", "meta", "model_id", "model_name", "updated_at"])
    branch = branch_of(answer.chat_id, answer.pk)
    history = history_of(branch)
    if answer.content and not answer.content.strip():
        history = history[:-1]
    return Started(answer.chat, answer, turn, None, history, attached_items(branch))


def request_stop(*, by: User, chat_id: uuid.UUID) -> list[uuid.UUID]:
    """Asks every running turn of a chat to stop, wherever it runs. Returns their ids."""
    chat = own_chat(by, chat_id, lock=False)
    running = list(Turn.objects.filter(chat=chat, state=State.RUNNING).values_list("pk", flat=True))
    Turn.objects.filter(pk__in=running).update(stop_requested=True)
    return running


def running_for(user: User) -> list[uuid.UUID]:
    """The turns being written for a person; for administrators everybody's."""
    turns = Turn.objects.filter(state=State.RUNNING).order_by("started_at")
    turns = turns if user.role == "admin" else turns.filter(user=user)
    return list(turns.values_list("pk", flat=True)[:1000])


def request_stop_of(*, by: User, turn_id: uuid.UUID) -> None:
    """Asks one running turn to stop: the person's own, or anybody's for an administrator. 404 for any other."""
    turns = Turn.objects.filter(pk=turn_id, state=State.RUNNING)
    if not (turns if by.role == "admin" else turns.filter(user=by)).update(stop_requested=True):
        raise Missing(_("This answer is not being written."))


@transaction.atomic
def select_branch(*, by: User, message_id: uuid.UUID) -> Chat:
    """Shows the branch that a sibling lies on, down to its newest leaf."""
    message = own_message(by, message_id, lock=True)
    chat = message.chat
    nodes = list(chat.messages.only("id", "parent_id", "created_at").order_by("created_at"))
    chat.current_id = newest_leaf(nodes, message.pk)
    chat.save(update_fields=["current"])
    return chat


@transaction.atomic
def rename_chat(*, by: User, chat_id: uuid.UUID, title: str) -> Chat:
    title = " ".join(title.replace("\x00", "").split())[:500]
    if not title:
        raise UserError(_("A chat needs a title."))
    chat = own_chat(by, chat_id)
    # Named also where it says what the automatic one would: somebody chose it.
    chat.title, chat.meta = title, {**(chat.meta or {}), NAMED: True}
    chat.save(update_fields=["title", "meta"])
    listed.tell_renamed(chat)
    return chat


@transaction.atomic
def toggle_pin(*, by: User, chat_id: uuid.UUID) -> Chat:
    chat = own_chat(by, chat_id)
    chat.pinned = not chat.pinned
    chat.save(update_fields=["pinned"])
    listed.tell_pinned(chat)
    return chat


@transaction.atomic
def delete_chat(*, by: User, chat_id: uuid.UUID) -> None:
    """Removes a chat with its messages. 401 without the permission `chat.delete`: nothing is lost then."""
    require(by, "chat.delete")
    acting(by)  # the link it may have been shared by goes with it
    chat = own_chat(by, chat_id)
    record("chat.delete", by=by, object_type="chat", object_id=str(chat.pk), detail={"messages": chat.messages.count()})
    listed.tell_gone(chat)
    chat.delete()


def own_chat(user: User, chat_id: uuid.UUID, *, lock: bool = True) -> Chat:
    chats = Chat.objects.writable_by(user)
    chat = (chats.select_for_update() if lock else chats).filter(pk=chat_id).first()
    if chat is None:
        raise Missing(_("This chat does not exist."))
    return chat  # type: ignore[no-any-return]


def own_message(user: User, message_id: uuid.UUID, *, lock: bool = False) -> Message:
    messages = Message.objects.writable_by(user).select_related("chat", "parent")
    if lock:
        # The chat first, as who sends and who deletes do: two orders would lock each other out.
        chats = Chat.objects.writable_by(user).filter(pk__in=Message.objects.filter(pk=message_id).values("chat_id"))
        chats.select_for_update(of=("self",)).first()
        messages = messages.select_for_update(of=("self",))
    message = messages.filter(pk=message_id).first()
    if message is None:
        raise Missing(_("This message does not exist."))
    return message  # type: ignore[no-any-return]


def title_of(text: str) -> str:
    """A first title: the beginning of the question, cut at a word."""
    line = " ".join(text.translate(_MARKS).split())
    if len(line) <= TITLE_CHARS:
        return line
    return line[:TITLE_CHARS].rsplit(" ", 1)[0] + "…"
