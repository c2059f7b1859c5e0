"""Statements that the database plans once, and rows of several tables written in one."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from chat.models import Chat, Message, Turn
from owui.lib.prepared import prepared_cursor
from owui.lib.together import insert_together

KNOWN = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s"


def known(text: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(KNOWN, [f"%{text}%"])
        return int(cursor.fetchone()[0])


def test_a_statement_is_planned_once_and_counted_by_tests(db: None) -> None:
    with CaptureQueriesContext(connection) as captured:
        for number in (1, 2, 3):
            with prepared_cursor() as cursor:
                cursor.execute("SELECT 40 + %s::int AS once_only", [number])
                assert cursor.fetchone() == (40 + number,)
    assert len(captured) == 3
    assert known("once_only") == 1


def test_errors_are_those_of_django(db: None) -> None:
    with pytest.raises(IntegrityError), prepared_cursor() as cursor:
        cursor.execute("INSERT INTO chat_chat (id) VALUES (gen_random_uuid())")


def test_the_texts_of_other_statements_are_not_kept(db: None) -> None:
    """They hold what people write: a hundred of the largest messages a connection would be gigabytes."""
    with prepared_cursor() as cursor:
        cursor.execute("SELECT %s::int AS kept_once", [1])
    kept: Any = connection.connection._prepared
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s AS written", ["a long message"])
    assert not any(b"long message" in query for query, _types in [*kept._counts, *kept._names])
    assert any(b"kept_once" in query for query, _types in kept._names)


def test_nothing_is_prepared_where_a_pooler_would_mix_it_up(db: None, settings: Any) -> None:
    settings.DATABASE_PREPARED_STATEMENTS = False
    with prepared_cursor() as cursor:
        cursor.execute("SELECT 'not kept' AS never_kept")
    assert known("never_kept") == 0


def test_rows_of_several_tables_are_one_statement(alice: Any) -> None:
    for title in ("One", "100 % 'quoted'"):
        chat = Chat(owner=alice, title=title, params={"a": [1]})
        answer = Message(chat=chat, author="assistant", content="%s")
        with CaptureQueriesContext(connection) as captured:
            found = insert_together([chat, answer], asking=("SELECT %s::int", [7]))
        assert (len(captured), found) == (1, (7,))
        stored = Message.objects.select_related("chat").get(pk=answer.pk)
        assert (stored.content, stored.chat.title, stored.chat.params) == ("%s", title, {"a": [1]})
        assert not chat._state.adding
    turn = Turn(chat=chat, message=answer, user=alice)
    insert_together([turn], asking=("SELECT 1", []))
    assert Turn.objects.get(pk=turn.pk).model_digest == "", "the database's own default"


def test_an_expression_is_refused(alice: Any) -> None:
    with pytest.raises(TypeError, match="title"):
        insert_together([Chat(owner=alice, title=Now())], asking=("SELECT 1", []))
