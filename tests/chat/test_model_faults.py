"""Every way in which a model server goes wrong, through a page's turn and through REST: what came is kept, the words
are for people, the connection is closed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from django.test import AsyncClient

from chat import services
from chat.dispatch import start
from chat.models import Message
from inference.catalogue import resolve_for
from owui.lib.aio import in_thread
from tests.chat.helpers import until
from tests.chat.test_views import browser
from tests.conftest import token_for
from tests.fakes.misbehaving import FAULTS, ODDITIES, SILENCES, Fault, MisbehavingServer
from tests.inference.conftest import dead_address

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/chat/completions"
#: its model server speaks as `kind`
MODELS = {"openai": "fake-small", "ollama": "o.fake-small"}


@pytest.fixture
def wrong(
    transactional_db: None, set_config: Callable[..., None], share: Callable[..., None]
) -> Iterator[MisbehavingServer]:
    """A misbehaving server under both protocols."""
    from inference import live
    from inference.models import AIModel

    live.forget()
    with MisbehavingServer() as server:
        set_config("openai.api_base_urls", [server.openai_url])
        set_config("ollama.base_urls", [server.url])
        set_config("ollama.api_configs", {"0": {"prefix_id": "o"}})
        set_config("answers.max_chars", 20_000)
        for model_id in MODELS.values():
            share(AIModel.objects.create(model_id=model_id, name=model_id), "*")
        yield server
    live.forget()


@pytest.fixture(params=["faults", "silences"])
def faults(request: pytest.FixtureRequest, boot: Callable[..., None]) -> dict[str, Fault]:
    """Little patience only where nothing else ends the answer: this machine may be slow by itself."""
    if request.param == "faults":
        return FAULTS
    boot(aiohttp_client_stream_idle_timeout=1, aiohttp_client_timeout=3)
    return SILENCES


async def asked(user: Any, name: str, fault: Fault) -> Message:
    resolved = await resolve_for(user, MODELS[fault.kind])
    names = {"model_id": resolved.model_id, "model_name": resolved.name}
    started = await start(user, resolved, services.start_turn, text=f"[[{name}]]", **names)
    return started.message


async def ended(message: Message) -> Message:
    async with asyncio.timeout(60):
        while (found := await in_thread(Message.objects.get)(pk=message.pk)).state == "running":
            await asyncio.sleep(0.05)
    return found  # type: ignore[no-any-return]


async def test_a_page_keeps_the_text_says_what_happened_and_offers_to_go_on(
    process: Any, alice: Any, wrong: MisbehavingServer, faults: dict[str, Fault]
) -> None:
    sent = {name: await asked(alice, name, fault) for name, fault in faults.items()}
    page = browser(await in_thread(token_for)(alice))
    for name, fault in faults.items():
        message = await ended(sent[name])
        assert message.state == "failed", name
        assert message.content == fault.kept, name
        assert re.search(fault.error, message.error), (name, message.error)
        assert "secret" not in message.error and "<html" not in message.error, name
        shown = (await page.get(f"/c/{message.chat_id}/messages/{message.pk}")).content.decode()
        note = shown[
            shown.index(f'id="message-{message.pk}-error"') : shown.index(f'id="message-{message.pk}-sources"')
        ]
        assert 'class="note bad"' in note, name
        assert f"/messages/{message.pk}/regenerate" in note, name
        assert (f"/messages/{message.pk}/continue" in note) is bool(fault.kept), name
    await until(lambda: wrong.open == 0)


async def test_what_only_looks_wrong_is_an_answer(process: Any, alice: Any, wrong: MisbehavingServer) -> None:
    sent = {name: await asked(alice, name, oddity) for name, oddity in ODDITIES.items()}
    for name, oddity in ODDITIES.items():
        message = await ended(sent[name])
        assert (message.state, message.error, message.content) == ("done", "", oddity.kept), name
    await until(lambda: wrong.open == 0)


async def rest(token: str, name: str, fault: Fault, *, stream: bool) -> tuple[int, bytes, Any]:
    body = {"model": MODELS[fault.kind], "messages": [{"role": "user", "content": f"[[{name}]]"}], "stream": stream}
    answer: Any = await AsyncClient().post(
        PATH, orjson.dumps(body), content_type="application/json", headers={"authorization": f"Bearer {token}"}
    )
    data = b"".join([part async for part in answer.streaming_content]) if answer.streaming else answer.content
    return answer.status_code, data, answer.headers


async def test_rest_answers_with_the_status_or_with_an_error_frame(
    process: Any, alice: Any, wrong: MisbehavingServer, faults: dict[str, Fault]
) -> None:
    token = await in_thread(token_for)(alice)
    answers = await asyncio.gather(*(rest(token, name, fault, stream=True) for name, fault in faults.items()))
    for (name, fault), (status, data, headers) in zip(faults.items(), answers, strict=True):
        assert status == fault.status, (name, status, data[:500])
        if status == 200:
            frames = [orjson.loads(part[6:]) for part in data.split(b"\n\n")[:-2]]
            assert data.endswith(b"data: [DONE]\n\n"), name
            assert "".join(c["delta"].get("content", "") for f in frames[:-1] for c in f["choices"]) == fault.kept, name
            said = frames[-1]["error"]
        else:
            said = orjson.loads(data)["error"]
            assert re.search(fault.error, orjson.loads(data)["detail"]), (name, data)
            assert {**said, **dict(fault.more)} == said, name
        assert said["message"], name
        if name == "busy":
            assert headers["retry-after"] == "7"
    await until(lambda: wrong.open == 0)


async def test_rest_without_a_stream_answers_with_a_status(process: Any, alice: Any, wrong: MisbehavingServer) -> None:
    token = await in_thread(token_for)(alice)
    chosen = {name: fault for name, fault in FAULTS.items() if name != "a line of 40 MB"}
    answers = await asyncio.gather(*(rest(token, name, fault, stream=False) for name, fault in chosen.items()))
    for (name, fault), (status, data, _headers) in zip(chosen.items(), answers, strict=True):
        assert status == (fault.status if fault.status != 200 else status) and status >= 400, (name, status)
        assert re.search(fault.error, orjson.loads(data)["detail"]), (name, data)
    await until(lambda: wrong.open == 0)


async def test_a_server_that_is_not_there_is_said_plainly(
    process: Any, alice: Any, wrong: MisbehavingServer, set_config: Callable[..., None]
) -> None:
    token = await in_thread(token_for)(alice)
    fault = Fault(())
    assert (await rest(token, "packed", fault, stream=True))[0] == 200
    await in_thread(set_config)("openai.api_base_urls", [dead_address()])
    await in_thread(set_config)("openai.api_configs", {"0": {"model_ids": ["fake-small"]}})
    for stream in (True, False):
        status, data, _headers = await rest(token, "packed", fault, stream=stream)
        assert status == 502
        assert "does not answer. Check that it runs" in orjson.loads(data)["detail"]
    message = await ended(await asked(alice, "packed", fault))
    assert (message.state, message.content) == ("failed", "")
    assert "does not answer. Check that it runs" in message.error
