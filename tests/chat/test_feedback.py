"""Thumbs under answers, and what programs and administrators do with ratings."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from chat import feedback
from chat.models import Feedback, Message
from owui.audit.models import AuditEvent
from owui.lib.errors import Missing, Refused, UserError
from tests.chat.helpers import ask, end

pytestmark = pytest.mark.django_db
API = "/api/v1/evaluations"


def answered(user: Any) -> Message:
    started = ask(user)
    end(started)
    return Message.objects.get(pk=started.message.pk)


def test_a_thumb_is_saved_at_once_and_edited_by_the_second(alice):
    answer = answered(alice)
    feedback.rate(by=alice, message_id=answer.pk, rating=1)
    said = {"reason": "accurate_information", "comment": " Good. ", "score": "9", "tags": "dosing,  batch 42 ,,dosing"}
    feedback.rate(by=alice, message_id=answer.pk, rating=1, said=said)
    row = Feedback.objects.get()
    assert row.data == {
        "rating": 1,
        "model_id": "fake-small",
        "sibling_model_ids": None,
        "reason": "accurate_information",
        "comment": "Good.",
        "tags": ["dosing", "batch 42"],
        "details": {"rating": 9},
    }
    assert row.version == 1 and row.meta["message_id"] == str(answer.pk)
    feedback.rate(by=alice, message_id=answer.pk, rating=1)
    assert Feedback.objects.get().data["comment"] == "Good.", "the same thumb again only opens the panel"
    feedback.rate(by=alice, message_id=answer.pk, rating=-1)
    assert Feedback.objects.get().data["comment"] == "", "reasons for good are none for bad"
    answer.refresh_from_db()
    assert answer.meta["annotation"] == {"rating": -1}
    assert list(
        AuditEvent.objects.filter(action__startswith="feedback.").values_list("action", flat=True).order_by("pk")
    ) == [
        "feedback.create",
        *["feedback.update"] * 3,
    ]


def test_a_rating_without_subjects_has_those_of_the_chat(alice):
    answer = answered(alice)
    type(answer.chat).objects.filter(pk=answer.chat_id).update(meta={"tags": ["cleaning"]})
    feedback.rate(by=alice, message_id=answer.pk, rating=1)
    assert Feedback.objects.get().data["tags"] == ["cleaning"]
    feedback.rate(by=alice, message_id=answer.pk, rating=1, said={"tags": ""})
    assert Feedback.objects.get().data["tags"] == ["cleaning"]


def test_the_snapshot_quotes_no_document(alice):
    answer = answered(alice)
    Message.objects.filter(pk=answer.pk).update(meta={"sources": [{"document": ["Secret."], "metadata": []}]})
    feedback.rate(by=alice, message_id=answer.pk, rating=1)
    kept = str(Feedback.objects.get().snapshot)
    assert "It is so." in kept and "Secret." not in kept


def test_who_may_rate(alice, mallory, set_config):
    answer = answered(alice)
    with pytest.raises(Missing):
        feedback.rate(by=mallory, message_id=answer.pk, rating=1)
    with pytest.raises(UserError):
        feedback.rate(by=alice, message_id=answer.parent_id, rating=1)
    with pytest.raises(UserError):
        feedback.rate(by=alice, message_id=answer.pk, rating=5)
    set_config("user.permissions", {"chat": {"rate_response": False}})
    with pytest.raises(Refused):
        feedback.rate(by=type(alice).objects.get(pk=alice.pk), message_id=answer.pk, rating=1)
    set_config("user.permissions", {"chat": {"rate_response": True}})
    set_config("ui.enable_message_rating", False)
    with pytest.raises(Refused):
        feedback.rate(by=alice, message_id=answer.pk, rating=1)


def test_a_rating_goes_with_its_chat_and_its_person(alice):
    answer = answered(alice)
    feedback.rate(by=alice, message_id=answer.pk, rating=1)
    answer.chat.delete()
    assert not Feedback.objects.exists()


def test_the_panel(alice, client_for, set_config, settings):
    settings.ENABLE_ADMIN_CHAT_ACCESS = True
    answer = answered(alice)
    base = f"/c/{answer.chat_id}/messages/{answer.pk}"
    page = client_for(alice, htmx=True)
    assert "Good answer" in page.get(base).content.decode()
    html = page.post(f"{base}/rate", {"rating": "-1"}).content.decode()
    assert "Not correct" in html and 'hx-swap-oob="true"' in html
    assert "together with this chat" in html
    settings.ENABLE_ADMIN_CHAT_ACCESS = False
    assert "but not this chat" in page.get(f"{base}/rate").content.decode()
    done = page.post(f"{base}/rate", {"rating": "-1", "said": "1", "score": "99", "reason": "x", "comment": "<i>"})
    assert "Thank you" in done.content.decode()
    row = Feedback.objects.get()
    assert (row.data["reason"], row.data["comment"], row.data.get("details")) == ("", "<i>", None)
    assert "&lt;i&gt;" in page.get(f"{base}/rate").content.decode()
    assert page.post(f"{base}/rate", {"rating": "x"}).status_code == 400
    assert page.post(f"{base}/unrate").status_code == 200 and not Feedback.objects.exists()
    set_config("ui.enable_message_rating", False)
    assert "Good answer" not in page.get(base).content.decode()


# ---- REST
def read(answer: Any) -> Any:
    """A list that came in pieces."""

    async def pieces() -> bytes:
        return b"".join([piece async for piece in answer.streaming_content])

    return json.loads(asyncio.run(pieces()))


def body(answer: Message, **data: Any) -> dict[str, Any]:
    meta = {"chat_id": str(answer.chat_id), "message_id": str(answer.pk), "model_id": "fake-small", "arena": False}
    return {"type": "rating", "data": {"rating": 1, "model_id": "fake-small", **data}, "meta": meta}


@pytest.mark.django_db(transaction=True)
def test_programs_keep_their_own_feedback(alice, bob, api_for):
    answer = answered(alice)
    api = api_for(alice)
    made = api.post(f"{API}/feedback", body(answer, reason="good")).json()
    assert set(made) == {"id", "user_id", "version", "type", "data", "meta", "created_at", "updated_at"}
    assert made["data"]["reason"] == "good" and made["user_id"] == str(alice.pk)
    assert api.get(f"{API}/feedback/{made['id']}").json() == made
    changed = api.post(f"{API}/feedback/{made['id']}", {"data": {"rating": -1}}).json()
    assert (changed["version"], changed["data"], changed["meta"]) == (1, {"rating": -1}, made["meta"])
    assert [row["id"] for row in read(api.get(f"{API}/feedbacks/user"))] == [made["id"]]
    for method in ("get", "post", "delete"):
        arguments = [{}] if method == "post" else []
        assert getattr(api_for(bob), method)(f"{API}/feedback/{made['id']}", *arguments).status_code == 404
    assert api.delete(f"{API}/feedback/{made['id']}").json() is True
    answer.refresh_from_db()
    assert "annotation" not in answer.meta
    api.post(f"{API}/feedback", body(answer))
    assert api.delete(f"{API}/feedbacks").json() is True and not Feedback.objects.exists()


def test_feedback_on_somebody_else_s_answer_stands_for_no_message(alice, bob, api_for):
    answer = answered(alice)
    assert api_for(bob).post(f"{API}/feedback", body(answer)).status_code == 200
    row = Feedback.objects.get()
    assert row.message is None and row.chat is None and row.snapshot == {}
    answer.refresh_from_db()
    assert "annotation" not in answer.meta


@pytest.mark.django_db(transaction=True)
def test_administrators_evaluate(alice, bob, dana, api_for, settings):
    for person in (alice, bob):
        feedback.rate(by=person, message_id=answered(person).pk, rating=1)
    admin = api_for(dana)
    listed = admin.get(f"{API}/feedbacks/list?order_by=rating").json()
    assert listed["total"] == 2 and "snapshot" not in listed["items"][0]
    assert {row["user"]["email"] for row in listed["items"]} == {alice.email, bob.email}
    assert admin.get(f"{API}/feedbacks/models").json() == ["fake-small"]
    assert len(read(admin.get(f"{API}/feedbacks/all/ids"))) == 2
    settings.ENABLE_ADMIN_EXPORT = settings.ENABLE_ADMIN_CHAT_ACCESS = True
    assert "snapshot" in read(admin.get(f"{API}/feedbacks/all/export"))[0]
    settings.ENABLE_ADMIN_EXPORT = False
    assert "snapshot" not in read(admin.get(f"{API}/feedbacks/all/export"))[0]
    exported = AuditEvent.objects.filter(action="feedback.export").order_by("pk")
    assert [e.detail for e in exported] == [{"count": 2, "with_chats": True}, {"count": 2, "with_chats": False}]
    assert admin.delete(f"{API}/feedbacks/all").json() is True and not Feedback.objects.exists()
    assert api_for(alice).get(f"{API}/feedbacks/list").status_code == 401
