"""One question, several models: answers side by side, each of which goes on from its own column.

The answers are siblings under the question and carry the number of their column (`meta.modelIdx`, the field's name). A
later question stands once in the tree, under the answer that is shown; for each column the history is put together from
the answers of that column, until the person chooses one of them: from there on all columns stand on the chosen one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from chat import attaching, services
from chat.config import ChatConfig
from chat.folders import place_for
from chat.history import attached_items, history_of
from chat.models import Chat, Message, State, Turn
from chat.pictures import picture_items
from chat.selectors import branch_of
from chat.services import Started
from chat.sessions import Place
from owui.lib.errors import UserError
from rbac.permissions import require

COLUMN, CHOSEN = services.COLUMN, "chosen"
MOST = 6
KEY = "chat.multiple_models"


@transaction.atomic
def start_several(
    *,
    by: User,
    runner_id: uuid.UUID,
    text: str,
    places: Sequence[Place],
    chat_id: uuid.UUID | None = None,
    knowledge_ids: Sequence[str] = (),
    file_ids: Sequence[str] = (),
    whole_ids: Sequence[str] = (),
    pictures: Sequence[UploadedFile[bytes]] = (),
    folder_id: str = "",
    params: Mapping[str, Any] | None = None,
) -> list[Started]:
    """A question and an empty answer for each place.

    :param params: of a new chat, already trimmed to what the person may set
    :raises UserError: 403 without `chat.multiple_models`; else as `services.start_turn`
    """
    require(by, KEY, status=403)
    if len(places) > MOST:
        raise UserError(_("At most %(most)s models can answer one question.") % {"most": MOST})
    text = services.check_text(text)
    services.check_stored(by)
    attaching.check_count(len(file_ids) + len(pictures))
    items = attaching.attachable(by, knowledge_ids, file_ids, whole_ids)
    if pictures:
        require(by, "chat.file_upload", status=403)
        items += picture_items(pictures, largest=ChatConfig.load().max_image_bytes)
    models = [place.model_id for place in places]
    if chat_id is None:
        folder = place_for(by, folder_id) if folder_id else None
        title, first = services.title_of(text), dict(params or {})
        chat = Chat.objects.create(owner=by, title=title, model_ids=models, folder=folder, params=first)
    else:
        chat = services.own_chat(by, chat_id)
    branch = branch_of(chat.pk, chat.current_id)
    columns = columns_of(branch)
    if any(m.state == State.RUNNING for m in [*branch[-1:], *(columns[-1].values() if columns else ())]):
        raise UserError(_("Wait for the answer, or stop it, before you write on."), status=409, code="still_answering")
    question = Message.objects.create(chat=chat, parent_id=chat.current_id, author="user", content=text, files=items)
    begun = []
    for number, place in enumerate(places):
        services.check_running(by)
        answer = Message.objects.create(
            chat=chat, parent=question, author="assistant", model_id=place.model_id, model_name=place.model_name,
            state=State.RUNNING, meta={COLUMN: number},
        )  # fmt: skip
        turn = Turn.objects.create(chat=chat, message=answer, user=by, runner_id=runner_id)
        own = [*in_column(branch, columns, number), question]
        begun.append(Started(chat, answer, turn, question, history_of(own), attached_items(own), chat_id is None))
    chat.current, chat.model_ids = begun[0].message, models
    chat.save(update_fields=["current", "model_ids", "updated_at"])
    return begun


@transaction.atomic
def choose(*, by: User, message_id: uuid.UUID) -> Chat:
    """From here on the conversation stands on this one of several answers."""
    answer = services.own_message(by, message_id, lock=True)
    if COLUMN not in (answer.meta or {}):
        raise UserError(_("Only one of several answers can be chosen."))
    beside = Message.objects.filter(chat=answer.chat, parent_id=answer.parent_id, author="assistant")
    for other in beside.exclude(pk=answer.pk).filter(meta__has_key=CHOSEN):
        Message.objects.filter(pk=other.pk).update(meta={k: v for k, v in other.meta.items() if k != CHOSEN})
    Message.objects.filter(pk=answer.pk).update(meta={**answer.meta, CHOSEN: True})
    return services.select_branch(by=by, message_id=answer.pk)


def columns_of(branch: Sequence[Message]) -> list[dict[int, Message]]:
    """For each answer of the branch the answers beside it by column, empty where it stands alone. One statement."""
    asked = {m.parent_id for m in branch if m.author == "assistant"}
    beside: dict[Any, dict[int, Message]] = {}
    if asked:
        rows = Message.objects.filter(parent_id__in=asked, author="assistant", meta__has_key=COLUMN)
        for row in rows.order_by("created_at"):  # the newest of a column counts
            if isinstance(row.meta.get(COLUMN), int):
                beside.setdefault(row.parent_id, {})[row.meta[COLUMN]] = row
    return [beside.get(m.parent_id, {}) for m in branch if m.author == "assistant"]


def in_column(branch: Sequence[Message], columns: Sequence[Mapping[int, Message]], number: int) -> list[Message]:
    """The branch with the answers of one column, or the ones that were chosen."""
    out, rest = [], iter(columns)
    for message in branch:
        if message.author != "assistant":
            out.append(message)
            continue
        beside = next(rest)
        is_part = message.pk in {m.pk for m in beside.values()}
        chosen = next((m for m in beside.values() if m.meta.get(CHOSEN)), None)
        out.append((chosen or beside.get(number) or message) if is_part else message)
    return out


def grouped(views: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Views of a branch, of which answers that stand side by side become one entry with `columns`."""
    out: list[dict[str, Any]] = []
    for view in views:
        if view.get("column") is None:
            out.append(view)
        elif out and out[-1].get("columns") and out[-1]["parent_id"] == view["parent_id"]:
            out[-1]["columns"].append(view)
        else:
            out.append({"id": view["parent_id"], "parent_id": view["parent_id"], "columns": [view]})
    for entry in out:
        if entry.get("columns"):
            entry["columns"].sort(key=lambda view: view["column"])
            entry["is_chosen"] = any(view["chosen"] for view in entry["columns"])
    return [entry["columns"][0] if len(entry.get("columns", ())) == 1 else entry for entry in out]
