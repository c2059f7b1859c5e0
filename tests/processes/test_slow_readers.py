"""Readers that do not read, or come and go without end: the process stays small and everybody else notices nothing."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import orjson
import psutil
import pytest

from tests.processes.server import Site, until
from tests.processes.talk import MODEL, Page, ask, attach, counted, opened, read, reloaded, watch

pytestmark = pytest.mark.process
LIMIT = 3.0
DEAF = 10
#: a long answer in one block that never ends: each frame that draws it anew is as long as what has come
ENDLESS = "go [[n=2000000 burst=200]]"
#: Thoughts are drawn anew with each frame as well, and these end only when they are stopped: sooner or later a reader's
#: frames do not fit into the system's buffers, however few of them a busy machine makes.
LONG = "go [[think=2000000 tps=4000]]"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    running = Site(workers=1, env={"SLOW_READER_TIMEOUT": str(LIMIT), "CHAT_MAX_ANSWER_CHARS": "0"})
    yield running
    running.stop()


def worker(site: Site) -> psutil.Process:
    return psutil.Process(next(iter(site.runners())))


class Deaf:
    """A TCP connection with a small buffer that shakes hands, attaches, and reads nothing more."""

    def __init__(self, site: Site) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", site.port))
        self.site = site

    def upgrade(self, turn: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            (
                f"GET /ws/chat HTTP/1.1\r\nHost: 127.0.0.1:{self.site.port}\r\nOrigin: {self.site.url}\r\n"
                f"Cookie: token={self.site.token}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
            ).encode()
        )
        assert b" 101 " in self.socket.recv(64)
        payload = orjson.dumps({"type": "attach", "turn": turn, "seq": 0})
        # One masked text frame; the mask is zero.
        self.socket.sendall(bytes([0x81, 0x80 | len(payload)]) + b"\0\0\0\0" + payload)

    def stream(self) -> None:
        body = orjson.dumps({"model": MODEL, "stream": True, "messages": [{"role": "user", "content": ENDLESS}]})
        self.socket.sendall(
            (
                f"POST /api/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{self.site.port}\r\n"
                f"Authorization: Bearer {self.site.token}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode()
            + body
        )
        assert b" 200 " in self.socket.recv(64)

    def rest(self) -> int:
        """How much more comes before the server's end."""
        size = 0
        try:
            while piece := self.socket.recv(65536):
                size += len(piece)
        except ConnectionError:
            pass
        return size

    def __enter__(self) -> Deaf:
        return self

    def __exit__(self, *_error: object) -> None:
        self.socket.close()


async def test_reader_that_never_reads_is_cut_off_while_others_read_on(site: Site) -> None:
    cut = "the reader took nothing"
    peak = 0

    async def measure() -> None:
        nonlocal peak
        while True:
            peak = max(peak, worker(site).memory_info().rss)
            await asyncio.sleep(0.2)

    with site.browser() as browser, ExitStack() as opens:
        first = await asyncio.to_thread(ask, browser, "warm up [[n=200 tps=2000]]")
        await watch(site, first)
        before = worker(site).memory_info().rss
        measuring = asyncio.create_task(measure())
        answer = await asyncio.to_thread(ask, browser, LONG)
        deaf = [opens.enter_context(Deaf(site)) for _ in range(DEAF)]
        for reader in deaf:
            reader.upgrade(answer.turn)
        meanwhile = await asyncio.to_thread(ask, browser, "go [[n=200 tps=100]]")
        page = await watch(site, meanwhile, seconds=120)
        assert page.words == counted(200)
        await asyncio.to_thread(until, lambda: site.log("web").count(cut) >= DEAF, 120, "the end of every deaf reader")
        measuring.cancel()
        # What came in the end is what was under way, not the whole answer many times.
        sizes = [await asyncio.to_thread(reader.rest) for reader in deaf]
        assert max(sizes) < 4_000_000
        print(f"deaf readers: memory +{(peak - before) / 2**20:.0f} MB, bytes each got {min(sizes)}-{max(sizes)}")
        assert peak - before < DEAF * 10 * 2**20
        # Such a page connects again, and has everything.
        async with opened(site) as connection:
            again = Page(answer.message, answer.turn)
            await attach(connection, again)
            path = f"/c/{answer.chat}/messages/{answer.message}/stop"
            assert (await asyncio.to_thread(browser.post, path)).status_code == 204
            await read(connection, again)
        assert "r1 r2 r3 " in again.elements[f"message-{answer.message}-reasoning"]
        assert (await asyncio.to_thread(reloaded, browser, answer)).over


async def test_reader_that_reads_again_in_time_gets_what_is_then(site: Site) -> None:
    with site.browser() as browser:
        answer = await asyncio.to_thread(ask, browser, "go [[n=5000 tps=2000]]")
    async with opened(site, max_queue=1) as connection:
        page = Page(answer.message, answer.turn)
        await attach(connection, page)
        await read(connection, page, words=5)
        for _ in range(3):
            connection.transport.pause_reading()
            await asyncio.sleep(LIMIT / 4)
            connection.transport.resume_reading()
        await read(connection, page)
    assert page.words == [f"t{i}" for i in range(1, 5001)]


def test_rest_reader_that_never_reads_gives_its_model_server_free(site: Site) -> None:
    cancelled = site.models.stats()["cancelled"]
    with Deaf(site) as deaf:
        deaf.stream()
        until(lambda: "completions: the reader took nothing" in site.log("web"), 90, f"{site.models.stats()}")
        until(lambda: site.models.stats()["cancelled"] > cancelled, 60, "the end of the upstream answer")
        assert deaf.rest() < 12_000_000
