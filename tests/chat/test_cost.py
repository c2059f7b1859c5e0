"""What an answer costs the database: statements, counted over all threads."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db.backends.utils import CursorWrapper

from chat import selectors, services
from chat.models import Message
from owui.lib.aio import in_thread
from tests.chat.helpers import MODEL, ask, end
from tests.chat.test_sockets import socket
from tests.chat.test_views import browser
from tests.conftest import token_for

#: from the question's form to the last frame; without BEGIN and COMMIT of the one transaction
BUDGET = 15
#: what a process does once or twice a second, however many answers it writes
OF_THE_PROCESS = ("chat_runner", "audit_auditpending", '"stop_requested" FROM')


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each statement of any thread from now on."""
    seen: list[str] = []
    real = CursorWrapper.execute

    def execute(self: Any, sql: Any, params: Any = None) -> Any:
        if not any(mark in str(sql) for mark in OF_THE_PROCESS):
            seen.append(" ".join(str(sql).split()))
        return real(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", execute)
    return seen


async def answered(page: Any, wire: Any, address: str) -> str:
    """A question by form, its answer followed to the end through the page's socket. Gives the chat's id."""
    sent = await page.post(address, {"text": "Hello [[n=5 ttft=400]]", "model": "fake-small"})
    assert sent.status_code == 200, sent.content
    turn = re.findall(r'data-turn="([0-9a-f-]{36})"', sent.content.decode())[-1]
    await wire.send_to(text_data=orjson.dumps({"type": "attach", "turn": turn, "seq": 0}).decode())
    while '"data-turn",null' not in await wire.receive_from(20):
        pass
    return str(re.findall(r'data-url="/c/([0-9a-f-]{36})', sent.content.decode())[0])


@pytest.mark.django_db(transaction=True)
async def test_an_answer_on_the_page_costs_fifteen_statements_at_most(
    process: Any, alice: Any, small: Any, statements: list[str]
) -> None:
    token = await in_thread(token_for)(alice)
    page, wire = browser(token), socket(token)
    await wire.connect()
    chat = await answered(page, wire, "/c/new/messages")
    for address in ("/c/new/messages", f"/c/{chat}/messages"):
        statements.clear()
        await answered(page, wire, address)
        assert len(statements) <= BUDGET, "\n".join(statements)
    await wire.disconnect()


@pytest.mark.django_db
def test_a_question_is_written_in_one_statement(alice: Any, statements: list[str]) -> None:
    first = ask(alice)
    assert [sql[:12] for sql in statements if "INSERT" in sql or "UPDATE" in sql.replace("FOR UPDATE", "")] == [
        "WITH part0 A"
    ]
    end(first)
    statements.clear()
    ask(alice, "And?", chat_id=first.chat.pk)
    assert len([sql for sql in statements if "chat_message" in sql]) == 2  # the branch, and what is new


@pytest.mark.django_db
def test_siblings_are_not_read_for_a_branch(
    alice: Any, statements: list[str], django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    started = ask(alice, "One")
    end(started, "A")
    for number in range(3):
        again = services.regenerate(by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk, **MODEL)
        end(again, f"B{number}")
    with django_assert_max_num_queries(1):
        branch = selectors.branch_of(started.chat.pk, started.message.pk)
    assert [m.content for m in branch] == ["One", "A"]
    assert selectors.branch_of(uuid.uuid4(), started.message.pk) == [], "a message of another chat is none of this one"


@pytest.mark.django_db
def test_a_loop_of_messages_ends(alice: Any) -> None:
    started = ask(alice)
    assert started.question is not None
    Message.objects.filter(pk=started.question.pk).update(parent=started.message)
    assert len(selectors.branch_of(started.chat.pk, started.message.pk)) == 2


@pytest.mark.django_db
def test_nothing_is_written_where_too_many_answers_run(alice: Any, set_config: Any) -> None:
    from owui.lib.errors import UserError

    set_config("chat.max_running_turns", 1)
    ask(alice)
    with pytest.raises(UserError):
        ask(alice)
    assert Message.objects.count() == 2
