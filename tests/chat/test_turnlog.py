"""The durable log: nothing is lost, nothing twice, and the dead are told from the living."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from chat import services, turnlog
from chat.engine.events import FINISH, TEXT, Transcript
from chat.models import Chat, Message, Runner, State, Turn, TurnEvent
from chat.turnlog import Batch
from tests.chat.helpers import ask, end

pytestmark = pytest.mark.django_db


def batch(turn: Any, first: int, text: str) -> Batch:
    return Batch(turn.pk, first, [(TEXT, letter) for letter in text])


def text_of(turn: Any) -> str:
    return turnlog.transcript(turn.pk).text


def long_ago(turn: Any, seconds: float = 60) -> None:
    Turn.objects.filter(pk=turn.pk).update(started_at=timezone.now() - timedelta(seconds=seconds))


def dead_runner() -> uuid.UUID:
    row = Runner.objects.create(heartbeat_at=timezone.now() - timedelta(seconds=30))
    return row.pk  # type: ignore[no-any-return]


def living_runner() -> uuid.UUID:
    runner_id = uuid.uuid4()
    turnlog.beat(runner_id, host="here", pid=1)
    return runner_id


def test_same_batch_twice_is_harmless(alice: Any) -> None:
    turn = ask(alice).turn
    for _ in range(2):
        turnlog.append([batch(turn, 1, "abc")])
    turnlog.append([batch(turn, 4, "de")])
    assert text_of(turn) == "abcde"
    assert turnlog.read(turn.pk, 2)[0] == [(3, (TEXT, "c")), (4, (TEXT, "d")), (5, (TEXT, "e"))]


def test_batch_whose_success_was_not_heard_of_comes_again_with_more(alice: Any) -> None:
    turn = ask(alice).turn
    turnlog.append([batch(turn, 1, "abc")])
    turnlog.append([batch(turn, 1, "abcdef")])
    assert text_of(turn) == "abcdef"
    turnlog.append([batch(turn, 1, "abc")])  # and a late shorter one takes nothing away
    assert text_of(turn) == "abcdef"


def test_deleted_chat_does_not_hold_up_the_log_of_the_others(alice: Any, bob: Any) -> None:
    gone, here = ask(alice).turn, ask(bob).turn
    services.delete_chat(by=alice, chat_id=gone.chat_id)
    turnlog.append([batch(gone, 1, "abc"), batch(here, 1, "abc")])
    assert text_of(here) == "abc"
    assert not TurnEvent.objects.filter(turn_id=gone.pk).exists()
    assert turnlog.stop_requests([gone.pk, here.pk]) == [gone.pk]


def test_end_is_repeatable_and_completes_the_log(alice: Any) -> None:
    started = ask(alice)
    turnlog.append([batch(started.turn, 1, "ab")])
    added = Transcript(text="abcd", reasoning="hm", usage={"prompt_tokens": 1}, statuses=[{"description": "x"}])
    rest = Batch(started.turn.pk, 3, [(TEXT, "cd"), (FINISH, {"state": "done", "error": ""})])
    for _ in range(2):
        turnlog.finish(started.turn.pk, state="done", error="", added=added, rest=rest)
    message = Message.objects.get(pk=started.message.pk)
    assert (message.content, message.reasoning, message.state) == ("abcd", "hm", "done")
    assert Turn.objects.get().finished_at is not None
    events, state = turnlog.read(started.turn.pk, 0)
    assert state == "done"
    assert [seq for seq, _event in events] == [1, 2, 3, 4]
    assert events[-1][1][0] == FINISH


def test_end_of_a_turn_that_is_gone_is_nothing(alice: Any) -> None:
    turnlog.finish(uuid.uuid4(), state="done", error="", added=Transcript())


def test_turn_held_for_dead_still_gives_its_text_unless_somebody_went_on(alice: Any) -> None:
    started = ask(alice)
    end(started, "half", "interrupted")
    end(started, "half and whole")
    assert Message.objects.get(pk=started.message.pk).content == "half and whole"
    end(started, "half", "interrupted")
    again = services.continue_answer(by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk)
    end(started, "half and whole")
    message = Message.objects.get(pk=started.message.pk)
    assert (message.content, message.state) == ("half", "running")
    end(again, " and new")
    assert Message.objects.get(pk=started.message.pk).content == "half and new"


def test_dead_runners_turn_is_marked_with_its_text(alice: Any) -> None:
    started = ask(alice, runner_id=dead_runner())
    long_ago(started.turn)
    turnlog.append([batch(started.turn, 1, "kept")])
    assert turnlog.mark_interrupted() == [(started.turn.pk, started.chat.pk)]
    message = Message.objects.get(pk=started.message.pk)
    assert (message.content, message.state) == ("kept", State.INTERRUPTED)
    assert turnlog.mark_interrupted() == []


def test_runner_that_never_beat_and_one_without_name_are_dead(alice: Any, bob: Any) -> None:
    first, second = ask(alice).turn, ask(bob).turn
    Turn.objects.filter(pk=second.pk).update(runner_id=None)
    long_ago(first)
    long_ago(second)
    assert {turn for turn, _chat in turnlog.mark_interrupted()} == {first.pk, second.pk}


def test_living_runners_turn_is_left_alone_whatever_this_nodes_clock_says(alice: Any, monkeypatch: Any) -> None:
    started = ask(alice, runner_id=living_runner())
    long_ago(started.turn)
    wrong = timezone.now() + timedelta(minutes=5)
    monkeypatch.setattr(timezone, "now", lambda: wrong)
    assert turnlog.mark_interrupted() == []


def test_own_turn_that_was_never_begun_is_marked(alice: Any, bob: Any) -> None:
    mine = living_runner()
    lost, running = ask(alice, runner_id=mine).turn, ask(bob, runner_id=mine).turn
    long_ago(lost)
    long_ago(running)
    assert turnlog.mark_interrupted(runner_id=mine, running=[running.pk]) == [(lost.pk, lost.chat_id)]


def test_many_turns_are_marked_with_a_text_each(alice: Any) -> None:
    dead = dead_runner()
    turns = [ask(alice, runner_id=dead).turn for _ in range(5)]
    for number, turn in enumerate(turns):
        long_ago(turn)
        turnlog.append([batch(turn, 1, "ab")])
        turnlog.append([batch(turn, 3, str(number))])
    first = turnlog.mark_interrupted(3)
    assert len(first) == 3
    assert {*first, *turnlog.mark_interrupted()} == {(turn.pk, turn.chat_id) for turn in turns}
    texts = {turn.message_id: f"ab{number}" for number, turn in enumerate(turns)}
    assert dict(Message.objects.filter(author="assistant").values_list("pk", "content")) == texts


def test_who_is_gone_is_not_waited_for_and_silence_may_say_nothing(alice: Any, bob: Any) -> None:
    gone, silent = living_runner(), dead_runner()
    turns = [ask(alice, runner_id=gone).turn, ask(bob, runner_id=silent).turn]
    for turn in turns:
        long_ago(turn)
    assert turnlog.mark_interrupted(dead_after=None) == []
    assert turnlog.mark_interrupted(dead_after=None, gone=[gone]) == [(turns[0].pk, turns[0].chat_id)]
    assert turnlog.mark_interrupted() == [(turns[1].pk, turns[1].chat_id)]


def test_a_beat_sees_who_is_silent_while_a_turn_runs(alice: Any, bob: Any, carol: Any) -> None:
    mine, late = living_runner(), dead_runner()
    dead_runner()  # nothing of its is running
    for person, runner_id in ((alice, late), (bob, living_runner()), (carol, None)):
        turn = ask(person).turn
        Turn.objects.filter(pk=turn.pk).update(runner_id=runner_id)
        long_ago(turn)
    just_now = ask(alice, runner_id=dead_runner()).turn
    look = turnlog.beat(mine, host="here", pid=1)
    assert {silent.runner_id for silent in look.silent} == {late, None}
    assert next(s.seconds for s in look.silent if s.runner_id == late) == pytest.approx(30, abs=5)
    assert next(s.seconds for s in look.silent if s.runner_id is None) is None
    assert Turn.objects.get(pk=just_now.pk).state == State.RUNNING


def test_a_beat_sees_turns_of_its_own_that_were_never_begun(alice: Any) -> None:
    mine = living_runner()
    turn = ask(alice, runner_id=mine).turn
    long_ago(turn)
    assert turnlog.beat(mine, host="here", pid=1, running=[turn.pk]).silent == []
    assert [silent.runner_id for silent in turnlog.beat(mine, host="here", pid=1).silent] == [mine]


@pytest.mark.django_db(transaction=True)
def test_row_that_another_process_holds_is_skipped(alice: Any) -> None:
    started = ask(alice, runner_id=dead_runner())
    long_ago(started.turn)
    found: list[Any] = []

    def sweep() -> None:
        found.append(turnlog.mark_interrupted())
        connection.close()

    with transaction.atomic():
        Turn.objects.select_for_update().get(pk=started.turn.pk)
        other = threading.Thread(target=sweep)
        other.start()
        other.join(5)
    assert found == [[]]
    assert len(turnlog.mark_interrupted()) == 1


@pytest.mark.django_db(transaction=True)
def test_end_of_a_turn_does_not_wait_for_who_deletes_the_chat(alice: Any) -> None:
    """Each would wait for the other's row."""
    started = ask(alice)
    ended = threading.Event()

    def finish() -> None:
        end(started)
        connection.close()
        ended.set()

    with transaction.atomic():
        Chat.objects.select_for_update().get(pk=started.chat.pk)
        other = threading.Thread(target=finish)
        other.start()
        assert ended.wait(3)
    other.join(5)
    assert Message.objects.get(pk=started.message.pk).state == State.DONE


def test_logs_are_pruned_after_a_while_and_running_ones_never(alice: Any, bob: Any) -> None:
    old, running = ask(alice), ask(bob)
    for started in (old, running):
        turnlog.append([batch(started.turn, 1, "abc")])
    end(old)
    assert turnlog.prune() == 0
    Turn.objects.filter(pk=old.turn.pk).update(finished_at=timezone.now() - timedelta(hours=2))
    assert turnlog.prune() == 1
    assert text_of(running.turn) == "abc"
    assert Message.objects.get(pk=old.message.pk).content == "It is so."


def test_log_of_many_turns_is_one_statement(alice: Any, django_assert_num_queries: Callable[[int], Any]) -> None:
    turns = [ask(alice).turn for _ in range(5)]
    with django_assert_num_queries(1):
        turnlog.append([batch(turn, 1, "abc") for turn in turns])
