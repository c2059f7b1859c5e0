"""Messages in other words, copied, taken away, asked again differently."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from chat import copies, services, versions
from chat.models import Chat, Message, MessageVersion
from owui.audit.models import AuditEvent
from owui.lib.errors import Missing, Refused, UserError
from tests.chat.helpers import MODEL, ask, end

pytestmark = pytest.mark.django_db


def again(user: Any) -> Any:
    """The person as the next request reads them: what they may is asked anew."""
    return type(user).objects.get(pk=user.pk)


def answered(user: Any, text: str = "What is it?", said: str = "It is so.", **more: Any) -> Any:
    started = ask(user, text, **more)
    end(started, said)
    started.message.refresh_from_db()
    return started


def test_a_text_is_saved_in_place_and_the_former_one_is_kept(alice):
    started = answered(alice)
    versions.save_text(by=alice, message_id=started.question.pk, text="What is that?")
    versions.save_text(by=alice, message_id=started.message.pk, text="It is not so.")
    assert [m.content for m in Message.objects.order_by("created_at")] == ["What is that?", "It is not so."]
    kept = MessageVersion.objects.order_by("pk")
    assert [(v.content, v.replaced_by) for v in kept] == [("What is it?", alice), ("It is so.", alice)]
    events = AuditEvent.objects.filter(action="message.edit").order_by("pk")
    assert [e.detail["version"] for e in events] == [v.pk for v in kept]
    assert "It is" not in str([e.detail for e in events]), "no words in the log, which nobody can clean"


def test_the_same_text_is_no_change(alice):
    started = answered(alice)
    versions.save_text(by=alice, message_id=started.message.pk, text="It is so.")
    assert not MessageVersion.objects.exists() and not AuditEvent.objects.filter(action="message.edit").exists()


@pytest.mark.parametrize("verb", ["save_text", "save_copy"])
def test_only_owners_with_the_permission_change_words(alice, mallory, set_config, verb):
    started = answered(alice)
    change = getattr(versions, verb)
    with pytest.raises(Missing):
        change(by=mallory, message_id=started.message.pk, text="No.")
    with pytest.raises(UserError):
        change(by=alice, message_id=started.message.pk, text="  ")
    set_config("user.permissions", {"chat": {"edit": False}})
    with pytest.raises(Refused):
        change(by=again(alice), message_id=started.message.pk, text="No.")
    assert not MessageVersion.objects.exists() and Message.objects.count() == 2


def test_what_is_being_written_is_left_alone(alice):
    started = ask(alice)
    for change in (versions.save_text, versions.save_copy):
        with pytest.raises(UserError) as refused:
            change(by=alice, message_id=started.message.pk, text="No.")
        assert refused.value.status == 409
    with pytest.raises(UserError):
        versions.delete_message(by=alice, message_id=started.message.pk)


def test_a_copy_stands_beside_the_model_s_answer(alice):
    started = answered(alice)
    chat = versions.save_copy(by=alice, message_id=started.message.pk, text="My words.")
    copy = Message.objects.get(pk=chat.current_id)
    assert (copy.content, copy.parent_id) == ("My words.", started.question.pk)
    assert Message.objects.get(pk=started.message.pk).content == "It is so."
    with pytest.raises(UserError):
        versions.save_copy(by=alice, message_id=started.question.pk, text="x")


def test_what_followed_a_deleted_message_follows_what_it_followed(alice):
    first = answered(alice, "One", "A")
    second = answered(alice, "Two", "B", chat_id=first.chat.pk)
    versions.delete_message(by=alice, message_id=first.message.pk)
    assert Message.objects.get(pk=second.question.pk).parent_id == first.question.pk
    versions.delete_message(by=alice, message_id=first.question.pk)
    assert Message.objects.get(pk=second.question.pk).parent_id is None
    chat = Chat.objects.get()
    assert chat.current_id == second.message.pk
    versions.delete_message(by=alice, message_id=second.message.pk)
    assert Chat.objects.get().current_id == second.question.pk
    versions.delete_message(by=alice, message_id=second.question.pk)
    assert Chat.objects.get().current_id is None and not Message.objects.exists()
    assert AuditEvent.objects.filter(action="message.delete").count() == 4


def test_the_other_answer_is_shown_when_the_shown_one_is_deleted(alice):
    started = answered(alice)
    other = services.regenerate(by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk, **MODEL)
    end(other, "Or so.")
    assert versions.delete_message(by=alice, message_id=other.message.pk).current_id == started.message.pk


def test_only_owners_with_the_permission_delete(alice, mallory, set_config):
    started = answered(alice)
    with pytest.raises(Missing):
        versions.delete_message(by=mallory, message_id=started.message.pk)
    set_config("user.permissions", {"chat": {"delete_message": False}})
    with pytest.raises(Refused):
        versions.delete_message(by=again(alice), message_id=started.message.pk)
    assert Message.objects.count() == 2


def test_where_chats_are_kept_their_messages_are(alice, set_config):
    """Somebody who may delete no chat must not empty it message by message."""
    started = answered(alice)
    set_config("user.permissions", {"chat": {"delete": False}})
    with pytest.raises(Refused):
        versions.delete_message(by=again(alice), message_id=started.message.pk)


def test_asked_again_differently_the_model_sees_its_first_answer(alice):
    started = answered(alice)
    other = services.regenerate(
        by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk, instruction="Shorter.", **MODEL
    )
    assert [(m["role"], m["content"]) for m in other.history] == [
        ("user", "What is it?"),
        ("assistant", "It is so."),
        ("user", "Shorter."),
    ]
    assert Message.objects.filter(author="user").count() == 1, "the wish is no question of the chat"


def test_a_continued_answer_loses_the_questions_that_followed_its_end(alice):
    started = answered(alice)
    Message.objects.filter(pk=started.message.pk).update(meta={"follow_ups": ["And?"], "sources": []})
    services.continue_answer(by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk)
    assert Message.objects.get(pk=started.message.pk).meta == {"sources": []}


def test_copies_of_chats_need_the_permission_to_bring_chats_in(alice, set_config):
    started = answered(alice)
    set_config("user.permissions", {"chat": {"import": False}})
    with pytest.raises(Refused):
        copies.clone_chat(started.chat, by=again(alice), leaf=started.message.pk)


# ---- pages
def test_the_pages_of_a_message(alice, client_for, set_config):
    set_config("ui.response_watermark", "Written by AI. Check it.")
    started = answered(alice)
    base = f"/c/{started.chat.pk}/messages/"
    question, answer = f"{base}{started.question.pk}", f"{base}{started.message.pk}"
    page = client_for(alice, htmx=True)
    assert page.get(f"{answer}/text").content.decode() == "It is so.\n\nWritten by AI. Check it."
    assert page.get(f"{question}/text").content.decode() == "What is it?"
    menu = page.get(f"{answer}/menu").content.decode()
    assert all(f'{answer}/{verb}"' in menu for verb in ("edit", "fork", "delete"))
    assert "/regenerate" not in menu and f'{answer}/regenerate"' in page.get(f"{answer}/menu?again").content.decode()
    assert "/regenerate" not in page.get(f"{question}/menu?again").content.decode()
    saved = page.post(f"{answer}/save", {"text": "<b>No</b>."}).content.decode()
    assert "edited" in saved and "No" in saved and "<b>" not in saved
    branch = page.post(f"{answer}/copy", {"text": "Mine."})
    assert branch["HX-Retarget"] == "#messages" and "Mine." in branch.content.decode()
    forked = page.post(f"{answer}/fork")
    assert forked["HX-Redirect"] == f"/c/{Chat.objects.exclude(pk=started.chat.pk).get().pk}"
    assert "Delete this question?" in page.get(f"{question}/delete").content.decode()
    gone = page.post(f"{question}/delete")
    assert "What is it?" not in gone.content.decode() and not Message.objects.filter(pk=started.question.pk).exists()


def test_without_the_menu_the_button_asks_again_at_once(alice, client_for):
    started = answered(alice)
    path = f"/c/{started.chat.pk}/messages/{started.message.pk}"
    page = client_for(alice, htmx=True)
    assert f'hx-get="{path}/menu?again"' in page.get(path).content.decode()
    page.post("/settings/interface", {"on": []})
    html = page.get(path).content.decode()
    assert "?again" not in html and f'hx-post="{path}/regenerate"' in html
    assert f'{path}/regenerate"' in page.get(f"{path}/menu").content.decode(), "the other ways stay in the menu"


def test_former_words_are_for_administrators_who_may_read_chats(alice, dana, client_for, settings):
    started = answered(alice)
    versions.save_text(by=alice, message_id=started.message.pk, text="Other.")
    version = MessageVersion.objects.get()
    path = f"/admin/chat/messageversion/{version.pk}/change/"
    settings.ENABLE_ADMIN_CHAT_ACCESS = True
    assert "It is so." in client_for(dana).get(path).content.decode()
    assert AuditEvent.objects.filter(action="message_version.read", object_id=str(version.pk)).count() == 1
    settings.ENABLE_ADMIN_CHAT_ACCESS = False
    assert "It is so." not in client_for(dana).get(path).content.decode()
