"""Two nodes behind a real proxy are restarted one after the other, under readers and programs: nobody notices."""

from __future__ import annotations

import asyncio
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import orjson
import pytest
import websockets

from tests.ports import free_ports
from tests.processes.server import Site, until
from tests.processes.talk import MODEL, Page, Sent, ask, counted
from tests.real.servers import Real, RealServer, needs

pytestmark = [pytest.mark.process, needs("nginx")]


@dataclass
class Cluster:
    """Nodes on one database and one broker, and the proxy that people go to."""

    site: Site
    nginx: RealServer
    ports: list[int]
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.nginx.port}"

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.nginx.ca))

    def browser(self) -> httpx.Client:
        csrf = "c" * 32
        return httpx.Client(
            base_url=self.url,
            verify=self.tls,
            cookies={"token": self.site.token, "csrftoken": csrf},
            headers={"origin": self.url, "sec-fetch-site": "same-origin", "x-csrftoken": csrf, "hx-request": "true"},
            timeout=30,
        )

    def is_up(self, number: int) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[number]}/ready", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    async def restart(self, number: int) -> float:
        """Ends a node and starts it again. Returns the seconds it took to end."""
        node, began = self.nodes[number], time.monotonic()
        node.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(node.wait, 60) in (0, -signal.SIGTERM)
        took = time.monotonic() - began
        self.nodes[number] = self.site.start_node(f"node-{number}", self.ports[number])
        await asyncio.to_thread(until, lambda: self.is_up(number), 240, "the node that was started again")
        return took


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    site = Site(env={"SHUTDOWN_DRAIN_SECONDS": "40"})
    try:
        with Real() as real:
            ports = [site.port, free_ports()]
            made = Cluster(site, real.start("nginx", *ports, env={"API_RATE": "1000r/s"}), ports)
            made.nodes = [site.web, site.start_node("node-1", ports[1])]
            until(lambda: made.is_up(0) and made.is_up(1), 240, "both nodes")
            assert site.token
            yield made
    finally:
        site.stop()


@asynccontextmanager
async def socket_of(cluster: Cluster):
    async with websockets.connect(
        f"wss://localhost:{cluster.nginx.port}/ws/chat",
        ssl=cluster.tls,
        origin=cluster.url,
        additional_headers={"cookie": f"token={cluster.site.token}"},
        max_size=None,
        proxy=None,
    ) as connection:
        yield connection


async def reader(cluster: Cluster, answer: Sent, codes: list[int]) -> Page:
    """A page: goes on from where it is whenever its socket is closed, as `static/owui/socket.js` does."""
    page = Page(answer.message, answer.turn)
    end = time.monotonic() + 120
    while not page.over and time.monotonic() < end:
        try:
            async with socket_of(cluster) as connection:
                await connection.send(orjson.dumps({"type": "attach", "turn": page.turn, "seq": page.seq}).decode())
                async for text in connection:
                    frame = orjson.loads(text)
                    assert "error" not in frame, frame
                    page.apply(frame)
                    if page.over:
                        break
        except websockets.ConnectionClosed:
            pass
        if not page.over:
            codes.append(connection.close_code or 0)
            await asyncio.sleep(0.3)
    return page


async def program(cluster: Cluster, number: int) -> str:
    """A stream of REST: its text. Raises where it breaks."""
    body = {
        "model": MODEL,
        "stream": True,
        "messages": [{"role": "user", "content": f"go [[n={number} tps=20]]"}],
    }
    headers = {"authorization": f"Bearer {cluster.site.token}"}
    text, ended = [], False
    async with (
        httpx.AsyncClient(verify=cluster.tls, timeout=60) as client,
        client.stream("POST", f"{cluster.url}/api/chat/completions", json=body, headers=headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            if line == "data: [DONE]":
                ended = True
            elif line.startswith("data: "):
                frame = orjson.loads(line[6:])
                assert "error" not in frame, frame
                text += [c["delta"].get("content") or "" for c in frame["choices"]]
    assert ended
    return "".join(text)


def test_a_node_that_ends_takes_no_more_and_says_so(cluster: Cluster) -> None:
    with cluster.browser() as browser:
        answer = ask(browser, "go [[n=60 tps=20]]")
        running = next(i for i, port in enumerate(cluster.ports) if _runs(cluster, port, answer))
        with httpx.Client(base_url=f"http://127.0.0.1:{cluster.ports[running]}", timeout=60) as direct:
            assert direct.get("/ready").status_code == 200
            cluster.nodes[running].send_signal(signal.SIGTERM)
            until(lambda: _refuses(cluster.ports[running]), 60, "the port let go")
            assert cluster.nodes[running].poll() is None, "it still writes"
        assert cluster.nodes[running].wait(60) in (0, -signal.SIGTERM)
    assert cluster.site.answer(answer.message)[0] == "done"
    cluster.nodes[running] = cluster.site.start_node(f"node-{running}", cluster.ports[running])
    until(lambda: cluster.is_up(running), 240, "the node that was started again")


async def test_a_rolling_restart_of_two_nodes_behind_a_proxy_loses_nothing(cluster: Cluster) -> None:
    codes: list[int] = []
    with cluster.browser() as browser:

        async def questions(count: int, words: int) -> list[Sent]:
            return [await asyncio.to_thread(ask, browser, f"go [[n={words} tps=20]]") for _ in range(count)]

        for number in (0, 1):
            sent = await questions(4, 100)
            pages = [asyncio.create_task(reader(cluster, answer, codes)) for answer in sent for _ in range(2)]
            programs = [asyncio.create_task(program(cluster, 60)) for _ in range(4)]
            await asyncio.sleep(1)
            restart = asyncio.create_task(cluster.restart(number))
            await asyncio.sleep(1.5)
            # New questions are taken by the other node meanwhile, and their readers too.
            later = await questions(2, 30)
            pages += [asyncio.create_task(reader(cluster, answer, codes)) for answer in later]
            took = await restart
            for page in await asyncio.gather(*pages):
                assert page.words == counted(30 if page.turn in {s.turn for s in later} else 100)
            assert [text.split() for text in await asyncio.gather(*programs)] == [counted(60)] * 4
            assert took < 40, "it waits for what is written, not for its limit"
            for answer in [*sent, *later]:
                state, text = cluster.site.answer(answer.message)
                assert (state, text.split()) == ("done", counted(len(text.split())))
    assert 1012 in codes, "pages were handed over"


def _runs(cluster: Cluster, port: int, answer: Sent) -> bool:
    pid = cluster.nodes[cluster.ports.index(port)].pid
    return cluster.site.pid_of_turn(answer.turn) == pid


def _refuses(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/health", timeout=2)
    except httpx.ConnectError:
        return True
    except httpx.HTTPError:
        return False
    return False
