"""Sending, asking again, continuing; and what a person may not do."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import connection

from chat import services
from chat.models import Chat, Message, State, Turn
from owui.lib.errors import UserError
from tests.chat.helpers import MODEL, ask, end
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db


def refusal(function: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    with pytest.raises(UserError) as caught:
        function(**arguments)
    return caught.value.status, caught.value.message


def test_first_question_makes_a_chat_with_a_title(alice: Any) -> None:
    started = ask(alice, "  How does\nbatch release work, and who signs it in the end of the whole long day?")
    chat = Chat.objects.get()
    assert started.is_new_chat
    assert chat.title == "How does batch release work, and who signs it in the end of…"
    assert chat.current == started.message
    assert started.message.parent == started.question
    assert started.message.state == State.RUNNING
    assert [m["role"] for m in started.history] == ["user"]


def test_short_question_is_its_own_title_and_one_word_is_never_lost() -> None:
    assert services.title_of("Hello") == "Hello"
    assert len(services.title_of("x" * 500)) == services.TITLE_CHARS + 1


def test_next_question_follows_the_shown_branch(alice: Any) -> None:
    first = ask(alice, "One")
    end(first)
    second = ask(alice, "Two", chat_id=first.chat.pk)
    assert second.question is not None
    assert second.question.parent == first.message
    assert [m["content"] for m in second.history] == ["One", "It is so.", "Two"]
    assert not second.is_new_chat


def test_question_while_the_answer_is_being_written_is_refused(alice: Any) -> None:
    first = ask(alice)
    status, message = refusal(ask, user=alice, text="And?", chat_id=first.chat.pk)
    assert status == 409
    assert message == "Wait for the answer, or stop it, before you write on."
    assert Message.objects.count() == 2


@pytest.mark.parametrize("text", ["", "  \n ", "\x00"])
def test_empty_message_is_refused(alice: Any, text: str) -> None:
    assert refusal(ask, user=alice, text=text) == (400, "Please write a message first.")
    assert not Chat.objects.exists()


def test_message_of_five_megabytes_is_refused_with_advice(alice: Any) -> None:
    status, message = refusal(ask, user=alice, text="x" * 5_000_000)
    assert status == 413
    assert "5,000,000 characters; at most 500,000" in message
    assert "attach it" in message


def test_text_that_the_database_cannot_hold_is_cleaned(alice: Any) -> None:
    started = ask(alice, "a\x00b\r\nc")
    assert Message.objects.get(pk=started.question.pk).content == "ab\nc"  # type: ignore[union-attr]
    assert services.rename_chat(by=alice, chat_id=started.chat.pk, title="new\x00 title").title == "new title"


def test_chats_of_others_do_not_exist(alice: Any, mallory: Any, dana: Any) -> None:
    started = ask(alice)
    end(started)
    chat, message, question = started.chat.pk, started.message.pk, started.question.pk  # type: ignore[union-attr]
    runner = {"runner_id": uuid.uuid4()}
    for person in (mallory, dana):  # an administrator may read others' chats, never write into them
        for function, arguments in (
            (ask, {"user": person, "chat_id": chat}),
            (services.regenerate, {"by": person, "message_id": message, **runner, **MODEL}),
            (services.edit_question, {"by": person, "message_id": question, "text": "x", **runner, **MODEL}),
            (services.continue_answer, {"by": person, "message_id": message, **runner}),
            (services.request_stop, {"by": person, "chat_id": chat}),
            (services.select_branch, {"by": person, "message_id": message}),
            (services.rename_chat, {"by": person, "chat_id": chat, "title": "x"}),
            (services.toggle_pin, {"by": person, "chat_id": chat}),
            (services.delete_chat, {"by": person, "chat_id": chat}),
        ):
            assert refusal(function, **arguments)[0] == 404, function
    assert Message.objects.count() == 2


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("regenerate_response", "regenerate"),
        ("edit", "edit_question"),
        ("continue_response", "continue_answer"),
        ("delete", "delete_chat"),
    ],
)
def test_missing_permission_is_the_fields_401(alice: Any, set_config: Callable[..., None], key: str, name: str) -> None:
    started = ask(alice)
    end(started)
    set_config("user.permissions", {"chat": {key: False}})
    # In her next request: what a person may do is asked for once in each.
    arguments: dict[str, Any] = {"by": type(alice).objects.get(pk=alice.pk)}
    if name == "delete_chat":
        arguments["chat_id"] = started.chat.pk
    else:
        arguments |= {"message_id": started.message.pk, "runner_id": uuid.uuid4()}
        arguments |= {} if name == "continue_answer" else MODEL
        arguments |= {"text": "x"} if name == "edit_question" else {}
    assert refusal(getattr(services, name), **arguments) == (401, "401 Unauthorized")
    assert Message.objects.count() == 2


def test_knowledge_that_may_not_be_read_cannot_be_attached(alice: Any, bob: Any, share: Callable[..., None]) -> None:
    base = make_shared("knowledge", alice)
    for ids in ([str(base.pk)], [str(uuid.uuid4())], ["nonsense"]):
        assert refusal(ask, user=bob, knowledge_ids=ids)[0] == 404
    assert not Chat.objects.exists()
    share(base, bob)
    started = ask(bob, knowledge_ids=[str(base.pk), str(base.pk)])
    assert [item["id"] for item in started.items] == [str(base.pk)]
    end(started)
    # It stays in force for the rest of the conversation.
    assert ask(bob, chat_id=started.chat.pk).items == started.items


def test_answer_beside_the_first_and_back_again(alice: Any) -> None:
    first = ask(alice)
    end(first, "First answer.")
    second = services.regenerate(by=alice, runner_id=uuid.uuid4(), message_id=first.message.pk, **MODEL)
    end(second, "Second answer.")
    assert second.message.parent == first.message.parent
    assert Chat.objects.get().current == second.message
    third = ask(alice, "More", chat_id=first.chat.pk)
    services.select_branch(by=alice, message_id=first.message.pk)
    assert Chat.objects.get().current == first.message
    services.select_branch(by=alice, message_id=second.message.pk)
    assert Chat.objects.get().current == third.message  # down to the newest leaf


def test_question_in_other_words_is_a_sibling(alice: Any) -> None:
    first = ask(alice, "One")
    end(first)
    assert first.question is not None
    again = services.edit_question(
        by=alice, runner_id=uuid.uuid4(), message_id=first.question.pk, text="Other", **MODEL
    )
    assert again.question is not None
    assert again.question.parent_id == first.question.parent_id
    assert [m["content"] for m in again.history] == ["Other"]
    assert Message.objects.filter(content="One").exists()


def test_wrong_kind_of_message_is_refused(alice: Any) -> None:
    started = ask(alice)
    end(started)
    runner = {"runner_id": uuid.uuid4(), "by": alice}
    question = started.question.pk  # type: ignore[union-attr]
    assert refusal(services.regenerate, message_id=question, **runner, **MODEL)[0] == 400
    assert refusal(services.continue_answer, message_id=question, **runner)[0] == 400
    assert refusal(services.edit_question, message_id=started.message.pk, text="x", **runner, **MODEL)[0] == 400


def test_continued_answer_keeps_its_beginning(alice: Any) -> None:
    started = ask(alice, "One")
    end(started, "It is", "interrupted")
    again = services.continue_answer(by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk)
    assert [m["content"] for m in again.history] == ["One", "It is"]
    assert again.turn.prefix_length == 5
    assert refusal(services.continue_answer, by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk) == (
        409,
        "This answer is being written already.",
    )
    end(again, " so.")
    assert Message.objects.get(pk=started.message.pk).content == "It is so."


@pytest.mark.parametrize("text", ["", "\n"])
def test_continued_answer_without_text_is_asked_with_its_question(alice: Any, text: str) -> None:
    started = ask(alice, "One")
    end(started, text, "interrupted")
    again = services.continue_answer(by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk)
    assert [(m["role"], m["content"]) for m in again.history] == [("user", "One")]


def test_parent_must_be_in_the_chat(alice: Any) -> None:
    one, other = ask(alice), ask(alice)
    end(one)
    end(other)
    assert refusal(ask, user=alice, chat_id=one.chat.pk, parent_id=other.message.pk)[0] == 404


def test_stop_marks_every_running_turn(alice: Any) -> None:
    started = ask(alice)
    assert services.request_stop(by=alice, chat_id=started.chat.pk) == [started.turn.pk]
    assert Turn.objects.get().stop_requested
    end(started)
    assert services.request_stop(by=alice, chat_id=started.chat.pk) == []


def test_title_and_pin(alice: Any) -> None:
    chat = ask(alice).chat
    assert services.rename_chat(by=alice, chat_id=chat.pk, title="  A \n title ").title == "A title"
    assert refusal(services.rename_chat, by=alice, chat_id=chat.pk, title="  ")[0] == 400
    assert services.toggle_pin(by=alice, chat_id=chat.pk).pinned
    assert not services.toggle_pin(by=alice, chat_id=chat.pk).pinned


def test_deleted_chat_takes_its_messages_and_turns(alice: Any) -> None:
    from owui.audit.models import AuditEvent

    started = ask(alice)
    services.delete_chat(by=alice, chat_id=started.chat.pk)
    assert not Message.objects.exists()
    assert not Turn.objects.exists()
    assert AuditEvent.objects.filter(action="chat.delete").exists()


@pytest.mark.django_db(transaction=True)
def test_two_tabs_that_continue_at_once_start_one_turn(alice: Any) -> None:
    started = ask(alice)
    end(started, "It is", "interrupted")
    codes: list[int] = []
    both = threading.Barrier(2)

    def press() -> None:
        both.wait(5)
        try:
            services.continue_answer(by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk)
            codes.append(200)
        except UserError as error:
            codes.append(error.status)
        finally:
            connection.close()

    tabs = [threading.Thread(target=press) for _ in range(2)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join(10)
    assert sorted(codes) == [200, 409]


def test_inherited_knowledge_is_read_with_the_rights_of_the_base_that_brings_it(alice: Any, bob: Any) -> None:
    from chat.dispatch import _knowledge_owner
    from inference.models import AIModel

    base = AIModel.objects.create(owner=bob, name="b", model_id="b", meta={"knowledge": [{"id": "x"}]})
    preset = AIModel.objects.create(owner=alice, name="p", model_id="p", base_model=base, meta={"knowledge": []})
    assert _knowledge_owner(cast(Any, SimpleNamespace(row=preset))) == bob.pk
    preset.meta = {"knowledge": [{"id": "y"}]}
    assert _knowledge_owner(cast(Any, SimpleNamespace(row=preset))) == alice.pk
    assert _knowledge_owner(cast(Any, SimpleNamespace(row=None))) is None


def test_more_answers_at_once_than_allowed_are_refused(alice: Any, set_config: Any) -> None:
    set_config("chat.max_running_turns", 2)
    ask(alice), ask(alice)
    with pytest.raises(UserError, match="2 of your answers") as refusal:
        ask(alice)
    assert refusal.value.status == 429
