"""Ratings of answers: a thumb, and on request why. One a person and answer; a second one writes over the first."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from django.db import transaction
from django.db.models import F, Func, JSONField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from chat.models import Chat, Feedback, Message
from chat.schemas import chat_json
from chat.services import own_message
from owui.audit.record import record
from owui.config.sections import UiConfig
from owui.lib.errors import Missing, Refused, UserError
from rbac.permissions import may, require

LONGEST_COMMENT = 5_000
MOST_TAGS, TAG_CHARS = 10, 40
#: what a thumb may mean: the name that is stored, and the word for people
REASONS: dict[int, dict[str, Any]] = {
    1: {
        "accurate_information": gettext_lazy("Correct"),
        "followed_instructions_perfectly": gettext_lazy("Did what I asked"),
        "thorough_explanation": gettext_lazy("Well explained"),
        "good_sources": gettext_lazy("Good sources"),
        "other": gettext_lazy("Something else"),
    },
    -1: {
        "not_factually_correct": gettext_lazy("Not correct"),
        "didnt_fully_follow_instructions": gettext_lazy("Not what I asked"),
        "unsupported": gettext_lazy("Sources do not say this"),
        "too_verbose": gettext_lazy("Too long"),
        "refused_when_it_shouldnt_have": gettext_lazy("Refused without need"),
        "other": gettext_lazy("Something else"),
    },
}


def check_rating(user: User) -> None:
    """403 where ratings are switched off for everybody, 401 without the permission."""
    if not UiConfig.load().enable_message_rating:
        raise Refused(_("Answers are not rated here."), code="rating_off")
    require(user, "chat.rate_response")


@transaction.atomic
def rate(*, by: User, message_id: uuid.UUID, rating: int, said: Mapping[str, Any] | None = None) -> Feedback:
    """Rates one of the person's answers, or changes the rating.

    :param rating: 1 or -1
    :param said: `reason`, `comment`, `score` (1 to 10), `tags` with commas between; None leaves what was said before,
        unless the thumb turned
    """
    check_rating(by)
    message = own_message(by, message_id, lock=True)
    if message.author != "assistant":
        raise UserError(_("Only an answer can be rated."))
    if rating not in REASONS:
        raise UserError(_("A rating is 1 or -1."), code="rating")
    feedback = _mine(by, message) or Feedback(user=by, chat=message.chat, message=message)
    former = feedback.data if feedback.data.get("rating") == rating else {}
    feedback.data = _data(message, rating, former if said is None else _said(rating, said), former)
    feedback.meta = {"chat_id": str(message.chat_id), "message_id": str(message.pk), "model_id": message.model_id}
    _keep(feedback, by, message)
    return feedback


@transaction.atomic
def unrate(*, by: User, message_id: uuid.UUID) -> Message:
    """Takes the rating of an answer back. One that is not there is no fault."""
    message = own_message(by, message_id, lock=True)
    if (feedback := _mine(by, message)) is not None:
        delete_feedback(by=by, feedback=feedback)
        message.refresh_from_db()
    return message


@transaction.atomic
def store_feedback(*, by: User, body: Mapping[str, Any], feedback: Feedback | None = None) -> Feedback:
    """A rating as a program sends it: `type, data, meta, snapshot`. A `meta` that names a message that is not the
    person's is kept as text, and stands for no message here."""
    check_rating(by)
    meta = dict(body.get("meta") or {})
    message = _own_named(by, meta) if feedback is None else feedback.message
    if feedback is None:
        known = _mine(by, message) if message is not None else None
        feedback = known or Feedback(user=by, message=message, chat=message.chat if message else None)
    feedback.type = str(body.get("type") or feedback.type)[:40]
    sent = dict(body.get("data") or feedback.data)
    if not feedback._state.adding and not may(by, "chat.delete"):
        # Other words may come in the place of these, but none is taken away by leaving it out.
        sent = {**feedback.data, **{name: value for name, value in sent.items() if value is not None}}
    feedback.data = sent
    feedback.meta = meta or feedback.meta
    if isinstance(body.get("snapshot"), Mapping):
        feedback.snapshot = dict(body["snapshot"])
    _keep(feedback, by, message)
    return feedback


@transaction.atomic
def delete_feedback(*, by: User, feedback: Feedback) -> None:
    """One's own, or as an administrator anybody's. 401 without `chat.delete`: a rating is kept as its chat is."""
    require(by, "chat.delete")
    detail = {"of": str(feedback.user_id)} if feedback.user_id != by.pk else {}
    record("feedback.delete", by=by, object_type="feedback", object_id=str(feedback.pk), detail=detail)
    if feedback.message_id:
        _mark([feedback.message_id])
    feedback.delete()


@transaction.atomic
def delete_all(*, by: User, own: bool) -> int:
    """All of one's own, or all there are. 401 without `chat.delete`: nothing is lost then."""
    require(by, "chat.delete")
    rows = Feedback.objects.writable_by(by) if own else Feedback.objects.readable_by(by)
    count = rows.count()
    _mark(rows.order_by().values("message_id"))
    record("feedback.delete_all", by=by, object_type="feedback", detail={"count": count, "own": own})
    rows.delete()
    return int(count)


@transaction.atomic
def note_export(*, by: User, count: int, with_chats: bool) -> None:
    """In the audit log before the first word leaves."""
    record("feedback.export", by=by, object_type="feedback", detail={"count": count, "with_chats": with_chats})


def feedback_of(user: User, message_id: uuid.UUID) -> tuple[Message, Feedback | None]:
    """One of the person's answers with what they said of it."""
    check_rating(user)
    message = own_message(user, message_id)
    return message, _mine(user, message)


def _mine(user: User, message: Message) -> Feedback | None:
    found: Feedback | None = Feedback.objects.writable_by(user).filter(message=message).first()
    return found


def _own_named(user: User, meta: Mapping[str, Any]) -> Message | None:
    try:
        return own_message(user, uuid.UUID(str(meta.get("message_id"))), lock=True)
    except (ValueError, Missing):
        return None


def _said(rating: int, said: Mapping[str, Any]) -> dict[str, Any]:
    """What the panel may say; anything else is left out."""
    reason = str(said.get("reason") or "")
    out: dict[str, Any] = {
        "reason": reason if reason in REASONS[rating] else "",
        "comment": str(said.get("comment") or "").replace("\x00", "").strip()[:LONGEST_COMMENT],
    }
    score = str(said.get("score") or "")
    if score.isdecimal() and 1 <= int(score) <= 10:
        out["details"] = {"rating": int(score)}
    if "tags" in said:
        names = (" ".join(name.replace("\x00", "").split())[:TAG_CHARS] for name in str(said["tags"]).split(","))
        out["tags"] = [name for name in dict.fromkeys(names) if name][:MOST_TAGS]
    return out


def _data(message: Message, rating: int, said: Mapping[str, Any], former: Mapping[str, Any]) -> dict[str, Any]:
    beside = Message.objects.filter(chat_id=message.chat_id, parent_id=message.parent_id, author="assistant")
    models = beside.exclude(pk=message.pk).order_by("created_at").values_list("model_id", flat=True)
    # Whoever says nothing of the subject means the chat's, by which ratings are compared.
    tags = said.get("tags", former.get("tags")) or list((message.chat.meta or {}).get("tags") or [])
    return {
        "rating": rating,
        "model_id": message.model_id,
        "sibling_model_ids": list(models) or None,
        "reason": said.get("reason", ""),
        "comment": said.get("comment", ""),
        "tags": tags,
        **({"details": said["details"]} if said.get("details") else {}),
    }


def _keep(feedback: Feedback, by: User, message: Message | None) -> None:
    """Stores it with the chat as it stands, and marks the answer for the page."""
    is_new = feedback._state.adding
    feedback.version += 0 if is_new else 1
    if message is not None:
        rated = feedback.data.get("rating")
        message.meta = {**message.meta, "annotation": {"rating": rated}, "feedbackId": str(feedback.pk)}
        message.save(update_fields=["meta"])
        feedback.snapshot = _snapshot(message.chat, by)
    feedback.save()
    detail = {"rating": feedback.data.get("rating"), "model": str(feedback.data.get("model_id") or "")}
    verb = "create" if is_new else "update"
    record(f"feedback.{verb}", by=by, object_type="feedback", object_id=str(feedback.pk), detail=detail)


def _snapshot(chat: Chat, by: User) -> dict[str, Any]:
    """The chat as it stands, without passages of documents: who evaluates answers need not be who may read these."""
    whole = chat_json(chat, list(chat.messages.order_by("created_at")), reader=by)
    inner = whole["chat"]
    for message in (*inner["history"]["messages"].values(), *inner["messages"]):
        message.pop("sources", None)
    plain: dict[str, Any] = orjson.loads(orjson.dumps(whole, default=str))
    return {"chat": plain}


def _mark(message_ids: Any) -> None:
    """Answers whose ratings go show none any more. One statement, however many there are.

    :param message_ids: ids, or a queryset of them
    """
    without = Func(F("meta"), template="(%(expressions)s - 'annotation' - 'feedbackId')", output_field=JSONField())
    Message.objects.filter(pk__in=message_ids).update(meta=without)
