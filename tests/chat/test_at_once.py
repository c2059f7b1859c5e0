"""Things that one person, or two, do in the same moment. Each gets an answer, and the chat stays whole."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from chat import services
from chat.models import Chat, Message, State, Turn
from chat.services import Started
from owui.lib.errors import UserError
from tests.chat.helpers import MODEL, ask, end

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Each in a thread and on a connection of its own; what it gave, or the refusal."""
    gate, found = threading.Barrier(len(calls)), [None] * len(calls)

    def one(index: int, call: Callable[[], Any]) -> None:
        gate.wait(20)
        try:
            found[index] = call()
        except Exception as error:
            found[index] = error  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def whole(chat: Chat) -> None:
    """Every running answer has exactly one running turn, and the shown branch reaches the root."""
    running = Message.objects.filter(chat=chat, state=State.RUNNING).values_list("pk", flat=True)
    turns = Counter(Turn.objects.filter(chat=chat, state=State.RUNNING).values_list("message_id", flat=True))
    assert turns == Counter(running)
    chat.refresh_from_db()
    leaf = chat.current
    assert leaf is not None and leaf.author == "assistant"
    while leaf.parent is not None:
        assert leaf.parent.author != leaf.author
        leaf = leaf.parent
    assert leaf.author == "user"


def test_two_tabs_that_send_at_once_give_one_answer_and_one_refusal(alice: Any) -> None:
    first = ask(alice)
    end(first)
    for number in range(3):
        found = at_once(
            *[lambda n=n, number=number: ask(alice, f"{number} {n}", chat_id=first.chat.pk) for n in range(2)]
        )  # type: ignore[misc]
        refused = [f for f in found if isinstance(f, UserError)]
        (begun,) = [f for f in found if not isinstance(f, Exception)]
        assert [(f.status, f.code) for f in refused] == [(409, "still_answering")]
        whole(first.chat)
        end(begun)


def beginning(by: Any, first: Started, what: str) -> Callable[[], Any]:
    """One way to begin an answer in the chat of a finished one."""
    common: Any = {"by": by, "runner_id": first.turn.runner_id}
    question: Any = first.question
    return {
        "send": lambda: ask(by, "next", chat_id=first.chat.pk),
        "regenerate": lambda: services.regenerate(message_id=first.message.pk, **common, **MODEL),
        "continue": lambda: services.continue_answer(message_id=first.message.pk, **common),
        "edit": lambda: services.edit_question(message_id=question.pk, text="Other", **common, **MODEL),
    }[what]


@pytest.mark.parametrize("what", ["regenerate", "continue", "edit"])
def test_send_and_another_way_to_begin_an_answer_at_once_leave_the_chat_whole(alice: Any, what: str) -> None:
    first = ask(alice)
    end(first)
    found = at_once(lambda: ask(alice, "next", chat_id=first.chat.pk), beginning(alice, first, what))
    for item in found:
        assert not isinstance(item, Exception) or (isinstance(item, UserError) and item.status == 409), item
    assert any(not isinstance(item, Exception) for item in found)
    whole(first.chat)


@pytest.mark.parametrize("what", ["regenerate", "continue", "edit", "send"])
def test_chat_that_is_deleted_while_an_answer_begins_is_gone_or_refused(alice: Any, what: str) -> None:
    for _ in range(3):
        first = ask(alice)
        end(first)
        found = at_once(
            lambda f=first: services.delete_chat(by=alice, chat_id=f.chat.pk), beginning(alice, first, what)
        )  # type: ignore[misc]
        assert found[0] is None
        assert not isinstance(found[1], Exception) or (isinstance(found[1], UserError) and found[1].status == 404)
        assert not Chat.objects.filter(pk=first.chat.pk).exists()


def test_continue_twice_at_once_writes_once(alice: Any) -> None:
    first = ask(alice)
    end(first)
    go_on = lambda: services.continue_answer(  # noqa: E731
        by=alice, runner_id=first.turn.runner_id, message_id=first.message.pk
    )
    found = at_once(go_on, go_on)
    assert sorted(getattr(item, "status", 0) for item in found) == [0, 409]
    whole(first.chat)


def test_end_and_delete_and_stop_at_once_lose_no_chat_and_hang_nowhere(alice: Any) -> None:
    for _ in range(3):
        started = ask(alice)
        stop = lambda started=started: services.request_stop(by=alice, chat_id=started.chat.pk)  # noqa: E731
        delete = lambda started=started: services.delete_chat(by=alice, chat_id=started.chat.pk)  # noqa: E731
        found = at_once(lambda started=started: end(started), delete, stop, stop)  # type: ignore[misc]
        for item in found:
            assert not isinstance(item, Exception) or (isinstance(item, UserError) and item.status == 404), item
        assert not Chat.objects.filter(pk=started.chat.pk).exists()


def test_stop_of_a_turn_of_somebody_else_is_hidden_and_does_nothing(people: Any) -> None:
    started = ask(people.alice)
    with pytest.raises(UserError) as refused:
        services.request_stop(by=people.mallory, chat_id=started.chat.pk)
    assert refused.value.status == 404
    assert not Turn.objects.get(pk=started.turn.pk).stop_requested


def test_branch_switch_while_an_answer_is_written_keeps_both(alice: Any) -> None:
    first = ask(alice)
    end(first)
    second = services.regenerate(by=alice, runner_id=first.turn.runner_id, message_id=first.message.pk, **MODEL)
    found = at_once(
        lambda: services.select_branch(by=alice, message_id=first.message.pk), lambda: end(second, "Second.")
    )
    assert not [item for item in found if isinstance(item, Exception)]
    assert Message.objects.get(pk=second.message.pk).content == "Second."
    assert Chat.objects.get(pk=first.chat.pk).current_id == first.message.pk
