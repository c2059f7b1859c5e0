"""Answers on two real workers: several readers, stops, closed browsers, killed parts. No word is lost or doubled."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
import pytest
import websockets

from tests.processes.server import OwnValkey, Site, until
from tests.processes.talk import (
    MODEL,
    Page,
    Sent,
    ask,
    attach,
    browser_on,
    counted,
    opened,
    opened_on,
    read,
    reloaded,
    watch,
)

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def valkey() -> Iterator[OwnValkey]:
    running = OwnValkey()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def site(valkey: OwnValkey) -> Iterator[Site]:
    running = Site(workers=2, redis=valkey.url)
    yield running
    running.stop()


def other_worker(site: Site, turn: str) -> int:
    """A living worker that does not write the turn."""
    until(lambda: len(site.runners()) >= 2, 60, "two living workers")
    writing = site.pid_of_turn(turn)
    return next(pid for pid in site.runners() if pid != writing)


def saved(site: Site, answer: Sent, state: str = "done", seconds: float = 15) -> str:
    until(lambda: site.answer(answer.message)[0] == state, seconds, f"{state} after {site.answer(answer.message)}")
    return site.answer(answer.message)[1]


async def test_tabs_on_both_workers_and_a_reload_show_each_word_once(site: Site) -> None:
    with site.browser() as browser:
        answer = await asyncio.to_thread(ask, browser, "go [[n=90 tps=30]]")
        here, there = site.pid_of_turn(answer.turn), other_worker(site, answer.turn)

        async def tab(pid: int, after: int = 0) -> Page:
            async with opened_on(site, pid) as connection:
                page = Page(answer.message, answer.turn)
                await attach(connection, page)
                if after:
                    await read(connection, page, words=after)
                    assert page.words == counted(len(page.words))
                    page = await asyncio.to_thread(reloaded, browser, answer)
                    assert page.words == counted(len(page.words))
                    await attach(connection, page)
                return await read(connection, page)

        pages = await asyncio.gather(tab(here), tab(there), tab(here, after=20), tab(there, after=40))
    assert [page.words for page in pages] == [counted(90)] * 4
    assert saved(site, answer).split() == counted(90)


async def test_stop_by_the_other_worker_reaches_the_model_server(site: Site) -> None:
    with site.browser() as browser:
        answer = await asyncio.to_thread(ask, browser, "go [[n=3000 tps=30]]")
    cancelled = site.models.stats()["cancelled"]
    there = other_worker(site, answer.turn)
    async with opened(site) as connection:
        page = Page(answer.message, answer.turn)
        await attach(connection, page)
        await read(connection, page, words=10)
        with browser_on(site, there) as browser:
            began = time.monotonic()
            path = f"/c/{answer.chat}/messages/{answer.message}/stop"
            assert (await asyncio.to_thread(browser.post, path)).status_code == 204
        await read(connection, page)
    assert time.monotonic() - began < 15
    until(lambda: site.models.stats()["cancelled"] == cancelled + 1, 60, "the end of the upstream answer")
    text = saved(site, answer, "stopped")
    assert page.words == text.split() == counted(len(page.words))


async def test_closed_browser_does_not_end_the_answer(site: Site) -> None:
    with site.browser() as browser:
        answer = await asyncio.to_thread(ask, browser, "go [[n=45 tps=30]]")
    async with opened(site) as connection:
        await attach(connection, Page(answer.message, answer.turn))
        await connection.recv()
        connection.transport.abort()
    assert saved(site, answer).split() == counted(45)


def test_browser_that_leaves_while_it_sends_leaves_no_answer_behind_that_nobody_writes(site: Site) -> None:
    body = urlencode({"text": "leaving [[n=5]]", "model": MODEL}).encode()
    head = (
        f"POST /c/new/messages HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nOrigin: {site.url}\r\n"
        f"Cookie: token={site.token}; csrftoken={'c' * 32}\r\nX-CSRFToken: {'c' * 32}\r\nHX-Request: true\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    # The last ones arrive on any machine; the first ones are meant to break off somewhere in between.
    for wait in (0.0, 0.01, 0.02, 0.03, 0.05, 0.3, 2.0):
        with socket.create_connection(("127.0.0.1", site.port)) as connection:
            connection.sendall(head.encode() + body)
            time.sleep(wait)
    running = "SELECT count(*) FROM chat_message WHERE state = 'running'"
    questions = "SELECT count(*) FROM chat_message WHERE content LIKE 'leaving%%'"
    until(lambda: site.rows(questions)[0][0] >= 1, 60, "a question that arrived")
    until(lambda: site.rows(running)[0][0] == 0, 60, "the end of every answer")


async def test_fifty_sockets_get_every_word_once(site: Site) -> None:
    browsers = [site.browser() for _ in range(50)]

    async def one(browser: Any) -> list[str]:
        answer = await asyncio.to_thread(ask, browser, "go [[n=90 tps=30]]")
        return (await watch(site, answer)).words

    began = time.monotonic()
    try:
        found = await asyncio.gather(*(one(browser) for browser in browsers))
    finally:
        for browser in browsers:
            browser.close()
    assert found == [counted(90)] * 50
    assert time.monotonic() - began < 20


async def _words_until_the_end(page: Page, connection: Any) -> tuple[float, int]:
    """When the last text came over a socket, and the code it was closed with (0: it was told of the end)."""
    last = time.monotonic()
    try:
        async for text in connection:
            before = len(page.words)
            page.apply(orjson.loads(text))
            if len(page.words) > before:
                last = time.monotonic()
            if page.over:
                return last, 0
    except websockets.ConnectionClosed:
        pass
    return last, int(connection.close_code or 0)


async def _stream_until_the_end(site: Site, token: str, begun: asyncio.Event) -> tuple[float, str]:
    """When the last word of a REST stream came, and everything it said."""
    headers, last, said = {"authorization": f"Bearer {token}"}, 0.0, ""
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "go [[n=3000 tps=30]]"}]}
    async with (
        httpx.AsyncClient(base_url=site.url, headers=headers, timeout=60) as client,
        client.stream("POST", "/api/chat/completions", json=body) as answer,
    ):
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            said += line
            if '"content"' in line:
                last = time.monotonic()
                begun.set()
    return last, said


@pytest.mark.parametrize("change", ["model", "role"])
async def test_revoked_right_ends_sockets_turns_and_streams_of_every_worker_within_a_second(
    site: Site, change: str
) -> None:
    token, user_id = site.user_token("uma@example.org")
    grant = [{"principal_type": "user", "principal_id": user_id, "permission": "read"}]
    with site.program() as dana:
        model = {"id": MODEL, "name": "Fake", "base_model_id": None, "meta": {}, "params": {}}
        dana.post("/api/v1/models/create", json=model | {"access_grants": grant})
        access = {"id": MODEL, "name": "Fake", "access_grants": grant}
        assert dana.post("/api/v1/models/model/access/update", json=access).status_code == 200
    with site.browser(token) as browser:
        answer = await asyncio.to_thread(ask, browser, "go [[n=3000 tps=30]]")
    here, there = site.pid_of_turn(answer.turn), other_worker(site, answer.turn)
    async with opened_on(site, here, token) as near, opened_on(site, there, token) as far:
        pages = [Page(answer.message, answer.turn) for _ in range(2)]
        for connection, page in zip((near, far), pages, strict=True):
            await attach(connection, page)
            await read(connection, page, words=5)
        begun = [asyncio.Event() for _ in range(4)]
        streams = [asyncio.create_task(_stream_until_the_end(site, token, event)) for event in begun]
        await asyncio.gather(*(event.wait() for event in begun))
        readers = [
            asyncio.create_task(_words_until_the_end(page, connection))
            for connection, page in zip((near, far), pages, strict=True)
        ]
        with site.program() as dana:
            if change == "model":
                path, body = "/api/v1/models/model/access/update", access | {"access_grants": []}
            else:
                path, body = f"/api/v1/users/{user_id}/update", {"role": "pending"}
            assert (await asyncio.to_thread(dana.post, path, json=body)).status_code == 200
        revoked = time.monotonic()
        async with asyncio.timeout(5):
            shown, streamed = await asyncio.gather(*readers), await asyncio.gather(*streams)
            if change == "role":
                await asyncio.gather(near.wait_closed(), far.wait_closed())
                assert [near.close_code, far.close_code] == [4401, 4401]
    late = [moment - revoked for moment, _end in [*shown, *streamed]]
    assert max(late) < 1, late
    if change == "model":
        assert [code for _moment, code in shown] == [0, 0]
    for _moment, said in streamed:
        assert '"error"' in said and said.endswith("data: [DONE]")
    # Who is shut out does not see the end of the turn, which comes all the same.
    assert saved(site, answer, "stopped", 3).startswith("t1 ")


async def test_killed_broker_costs_no_word(site: Site, valkey: OwnValkey) -> None:
    with site.browser() as browser:
        answer = await asyncio.to_thread(ask, browser, "go [[n=150 tps=30]]")
        here, there = site.pid_of_turn(answer.turn), other_worker(site, answer.turn)
        async with opened_on(site, here) as near, opened_on(site, there) as far:
            pages = [Page(answer.message, answer.turn) for _ in range(2)]
            for connection, page in zip((near, far), pages, strict=True):
                await attach(connection, page)
                await read(connection, page, words=15)
            await asyncio.to_thread(valkey.kill)
            killed_at = len(pages[0].words)
            began = time.monotonic()
            await read(near, pages[0], words=killed_at + 20)
            assert time.monotonic() - began < 6  # readers of the same process notice nothing
            await read(far, pages[1], words=killed_at + 20)  # those of the other read the database
            # Sending works without a broker too.
            second = await asyncio.to_thread(ask, browser, "go [[n=30 tps=30]]")
            assert (await watch(site, second)).words == counted(30)
            await asyncio.to_thread(valkey.start)
            for connection, page in zip((near, far), pages, strict=True):
                await read(connection, page)
        assert [page.words for page in pages] == [counted(150)] * 2
        assert saved(site, answer).split() == counted(150)
        # And afterwards news travel between the workers again.
        third = await asyncio.to_thread(ask, browser, "go [[n=60 tps=30]]")
        async with opened_on(site, other_worker(site, third.turn)) as far:
            page = Page(third.message, third.turn)
            await attach(far, page)
            assert (await read(far, page)).words == counted(60)
        assert page.frames > 6  # by polling the database it would be one a second


async def test_killed_worker_leaves_an_answer_that_can_be_continued(site: Site) -> None:
    with site.browser() as browser:
        answer = await asyncio.to_thread(ask, browser, "go [[n=600 tps=30]]")
        there = other_worker(site, answer.turn)
        async with opened_on(site, there) as connection:
            page = Page(answer.message, answer.turn)
            await attach(connection, page)
            await read(connection, page, words=40)
            killed = time.time()
            os.kill(site.pid_of_turn(answer.turn), signal.SIGKILL)
            await read(connection, page)  # the reader on the other worker gets the end
        assert time.time() - killed < 6
        marked = site.rows("SELECT extract(epoch FROM finished_at) FROM chat_turn WHERE id = %s", answer.turn)[0][0]
        assert float(marked) - killed < 5
        state, text = site.answer(answer.message)
        assert state == "interrupted"
        assert page.words == text.split() == counted(len(page.words))
        assert len(page.words) >= 20
        assert "interrupted" in page.elements[f"message-{answer.message}-error"]
        until(lambda: len(site.runners()) >= 2, 60, "a new worker in the place of the killed one")
        going_on = await asyncio.to_thread(browser.post, f"/c/{answer.chat}/messages/{answer.message}/continue")
        assert going_on.status_code == 200, going_on.text
        path = f"/c/{answer.chat}/messages/{answer.message}/stop"
        until(lambda: len(text) < len(site.answer(answer.message)[1]) or browser.post(path), 5)
        whole = saved(site, answer, "stopped")
    assert whole.startswith(text)
