"""Talking to a site as a browser does: send, attach, apply operations, read the words."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import psutil
import websockets
from websockets.asyncio.client import ClientConnection

from tests.chat.page import grown
from tests.processes.server import Site

MODEL = "fake-small"


@dataclass(frozen=True)
class Sent:
    """A running answer, as the page that sent the question knows it."""

    chat: str
    question: str
    message: str
    turn: str


def sent(html: str) -> Sent:
    """Reads the fragment that answers a question."""
    turn = re.search(r'data-turn="([0-9a-f-]{36})"', html)
    articles = re.findall(r'<article[^>]*id="message-([0-9a-f-]{36})"', html)
    chat = re.search(r"/c/([0-9a-f-]{36})/messages/", html)
    assert turn and articles and chat, html
    return Sent(chat[1], articles[0], articles[-1], turn[1])


def ask(browser: httpx.Client, text: str, chat: str = "new") -> Sent:
    answer = browser.post(f"/c/{chat}/messages", data={"text": text, "model": MODEL})
    assert answer.status_code == 200, answer.text
    return sent(answer.text)


@dataclass
class Page:
    """The part of a page that a running answer is: elements by id, filled by the socket's operations."""

    message: str
    turn: str
    elements: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    seq: int = 0
    over: bool = False
    frames: int = 0

    def apply(self, frame: dict[str, Any]) -> None:
        """What `static/owui/socket.js` does."""
        if frame.get("turn") != self.turn or frame["seq"] <= self.seq:
            return
        self.seq = frame["seq"]
        self.frames += 1
        for op, name, *rest in frame["ops"]:
            if op == "append":
                self.elements[name] = self.elements.get(name, "") + rest[0]
            elif op == "replace":
                self.elements[name] = rest[0]
            elif op == "grow":
                self.elements[name] = grown(self.elements[name], rest[0])
            elif op == "attr":
                self.attributes[rest[0]] = rest[1]
                self.over = self.over or rest[0] == "data-turn"

    @property
    def html(self) -> str:
        name = f"message-{self.message}"
        return self.elements.get(f"{name}-blocks", "") + self.elements.get(f"{name}-tail", "")

    @property
    def words(self) -> list[str]:
        return re.sub(r"<[^>]+>", " ", self.html).split()


def counted(number: int, letter: str = "t") -> list[str]:
    return [f"{letter}{i}" for i in range(1, number + 1)]


@asynccontextmanager
async def opened(site: Site, token: str = "", **options: Any) -> AsyncIterator[ClientConnection]:
    headers = {"cookie": f"token={token or site.token}"}
    async with websockets.connect(
        site.socket_url, additional_headers=headers, origin=site.url, max_size=None, proxy=None, **options
    ) as connection:
        yield connection


async def attach(connection: ClientConnection, page: Page) -> None:
    await connection.send(orjson.dumps({"type": "attach", "turn": page.turn, "seq": page.seq}).decode())


async def read(connection: ClientConnection, page: Page, *, words: int = 0) -> Page:
    """Reads to the end of the answer, or until so many words are there."""
    async for text in connection:
        page.apply(orjson.loads(text))
        if page.over or (words and len(page.words) >= words):
            return page
    raise AssertionError(f"the socket closed with {connection.close_code} after {len(page.words)} words")


async def watch(site: Site, answer: Sent, *, token: str = "", seconds: float = 30) -> Page:
    """A second tab: opens a socket, reads the answer to its end."""
    began = time.monotonic()
    page = Page(answer.message, answer.turn)
    async with opened(site, token) as connection:
        await attach(connection, page)
        await read(connection, page)
    assert time.monotonic() - began < seconds
    return page


def reloaded(browser: httpx.Client, answer: Sent) -> Page:
    """The page opened anew: what it holds, and the number it is at."""
    html = browser.get(f"/c/{answer.chat}", headers={"hx-request": ""}).text
    name = f"message-{answer.message}"
    page = Page(answer.message, answer.turn)
    for part in ("blocks", "tail"):
        found = re.search(rf'id="{name}-{part}"[^>]*>(.*?)</div>', html, re.DOTALL)
        assert found, html
        page.elements[f"{name}-{part}"] = found[1]
    article = re.search(rf'<article[^>]*id="{name}"[^>]*>', html)
    assert article, html
    number = re.search(r'data-seq="(\d+)"', article[0])
    page.over = 'data-turn="' not in article[0]
    page.seq = int(number[1]) if number else 0
    return page


def _serves(pid: int, port: int) -> bool:
    connections = psutil.Process(pid).net_connections(kind="tcp")
    return any(c.raddr and c.raddr.port == port and c.status == psutil.CONN_ESTABLISHED for c in connections)


@asynccontextmanager
async def opened_on(site: Site, pid: int, token: str = "") -> AsyncIterator[ClientConnection]:
    """A socket that one certain worker serves."""
    for _ in range(60):
        async with opened(site, token) as connection:
            if _serves(pid, connection.local_address[1]):
                yield connection
                return
    raise AssertionError(f"worker {pid} takes no sockets")


@contextmanager
def browser_on(site: Site, pid: int) -> Iterator[httpx.Client]:
    """A browser whose one connection a certain worker serves."""
    for _ in range(60):
        with site.browser(keep=True) as browser:
            answer = browser.get("/health")
            if _serves(pid, answer.extensions["network_stream"].get_extra_info("client_addr")[1]):
                yield browser
                return
    raise AssertionError(f"worker {pid} takes no requests")
