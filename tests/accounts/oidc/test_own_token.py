"""A connection that is asked with the caller's own token of the provider, from a real provider to a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models import OAuthSession, User
from accounts.services.oauth.sessions import tokens_of
from chat.dispatch import start
from chat.models import Message
from chat.services import start_turn
from inference import live
from inference.catalogue import resolve_for
from inference.models import AIModel
from owui.lib.aio import in_thread
from tests.accounts.oidc.world import Person
from tests.chat.helpers import until
from tests.fakes.model_server import FakeModelServer
from tests.real.servers import needs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process, needs("oidc")]
ASK = {"model": "fake-small", "messages": [{"role": "user", "content": "[[n=2]]"}]}
FACES = ("/api/chat/completions", "/openai/chat/completions")


@pytest.fixture
def server(transactional_db: None, set_config: Callable[..., None]) -> Iterator[FakeModelServer]:
    """A model server that is asked with people's own tokens."""
    with FakeModelServer() as running:
        live.forget()
        set_config("openai.api_base_urls", [running.openai_url])
        set_config("openai.api_keys", ["sk-shared"])
        set_config("openai.api_configs", {"0": {"auth_type": "system_oauth"}})
        set_config("ollama.base_urls", [])
        AIModel.objects.create(model_id="fake-small", name="Fake small", general_access="read")
        yield running
    live.forget()


def sent(server: FakeModelServer) -> list[str]:
    """The credentials of what was asked for a person."""
    return [r.headers.get("authorization", "") for r in server.requests if r.path != "/v1/models"]


def test_the_token_of_the_provider_reaches_the_model_server_and_is_renewed_on_the_way(
    sso: Any, browser: Callable[..., Person], server: FakeModelServer, dana: User, client_for: Any
) -> None:
    person = browser("tbecker")
    person.sign_in()
    row = OAuthSession.objects.get()
    for face in FACES:
        assert person.here.post(face, ASK, content_type="application/json").status_code == 200
    assert sent(server) == [f"Bearer {tokens_of(row)['access_token']}"] * 2
    OAuthSession.objects.update(expires_at=row.created_at, updated_at=row.created_at)
    assert person.here.post(FACES[0], ASK, content_type="application/json").status_code == 200
    renewed = tokens_of(OAuthSession.objects.get())["access_token"]
    assert sent(server)[2:] == [f"Bearer {renewed}"] and renewed != tokens_of(row)["access_token"]
    # Somebody who came in another way has no such token, and gets neither this one nor the shared key.
    for face in FACES:
        answer = client_for(dana).post(face, ASK, content_type="application/json")
        assert answer.status_code == 403 and "sign in again by the provider" in answer.content.decode()
    # Nor has he himself, once the provider takes it back.
    sso.person("tbecker", disabled=True)
    OAuthSession.objects.update(expires_at=row.created_at, updated_at=row.created_at)
    assert person.here.post(FACES[1], ASK, content_type="application/json").status_code == 403
    assert len(sent(server)) == 3


def test_a_turn_of_a_page_says_what_to_do_when_there_is_no_token(server: FakeModelServer, dana: User) -> None:
    from chat.nodes import nodes
    from chat.runner import runner

    async def turn() -> Any:
        await runner.start()
        await nodes.start()
        try:
            resolved = await resolve_for(dana, "fake-small")
            names = {"model_id": resolved.model_id, "model_name": resolved.name}
            started = await start(dana, resolved, start_turn, text="[[n=2]]", **names)
            await until(lambda: started.turn.pk not in runner.turns)
            return await in_thread(Message.objects.get)(pk=started.message.pk)
        finally:
            await nodes.stop()
            await runner.stop()

    message = asyncio.run(turn())
    assert message.state == "failed" and "sign in again by the provider" in str(message.error)
    assert not sent(server)
