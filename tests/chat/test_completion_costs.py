"""What an answer by REST may cost the database: at most eight statements, whoever asks and however long it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from accounts.models import User
from accounts.tokens import issue, new_api_key
from inference.models import AIModel
from owui.config import store
from owui.lib.aio import in_thread
from rbac.services import set_grants
from tests.chat.conftest import forget_connections
from tests.chat.test_rights import read
from tests.factories.rbac import make_group

BUDGET = 8
ANSWER = "[[n=40 tps=60]]"  # longer than the watch waits before it asks


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Everything sent to the database, by all threads; a transaction is two more."""
    sent: list[str] = []
    execute, commit = CursorWrapper.execute, BaseDatabaseWrapper._commit  # type: ignore[attr-defined]

    def executed(cursor: Any, sql: Any, params: Any = None) -> Any:
        sent.append(str(sql))
        return execute(cursor, sql, params)

    def committed(connection: Any) -> Any:
        sent.extend(("BEGIN", "COMMIT"))
        return commit(connection)

    monkeypatch.setattr(CursorWrapper, "execute", executed)
    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", committed)
    yield sent


@pytest.fixture
def ways(small: Any, people: Any, set_config: Callable[..., None]) -> SimpleNamespace:
    """People with the model by a group, by a grant that ends, by being administrator; by session and by key."""
    set_config("auth_api_key.enable", True)
    group = make_group(members=[people.carol], permissions={"features": {"api_keys": True}, "chat": {"params": True}})
    ends = timezone.now() + timedelta(hours=1)
    set_grants(small, [read(group), read(people.bob, expires_at=ends)], by=people.dana)
    AIModel.objects.create(
        model_id="preset", name="Preset", base_model=small, owner=people.bob, params={"system": "Be kind."}
    )

    def token(person: Any) -> str:
        return issue(User.objects.get(pk=person.pk), auth_method="password")[0]

    return SimpleNamespace(
        group=(token(people.carol), "fake-small"),
        key=(new_api_key(people.carol), "fake-small"),
        ends=(token(people.bob), "fake-small"),
        preset=(token(people.bob), "preset"),
        administrator=(token(people.dana), "fake-small"),
    )


async def ask(credential: str, model: str, *, stream: bool) -> str:
    from owui.asgi import application

    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": ANSWER}]}
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=30) as client:
        answer = await client.post(
            "/api/chat/completions", json=body, headers={"authorization": f"Bearer {credential}"}
        )
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.parametrize(
    ("way", "stream"),
    [("group", True), ("group", False), ("key", True), ("ends", True), ("preset", True), ("administrator", True)],
)
async def test_an_answer_costs_at_most_eight_statements(
    ways: SimpleNamespace, statements: list[str], way: str, stream: bool
) -> None:
    credential, model = getattr(ways, way)
    try:
        await ask(credential, model, stream=stream)  # the lists of models, and "last seen", are for once in a while
        # As the first answer of a second: stored settings are read again.
        await in_thread(store._invalidate)()
        statements.clear()
        assert '"output_tokens":40' in await ask(credential, model, stream=stream)
        assert sum("INSERT" in sql and "audit" in sql for sql in statements) == 1
        assert len(statements) <= BUDGET, "\n".join(sql[:150] for sql in statements)
    finally:
        await forget_connections()
