"""Readers of streamed answers, three ways: the model server alone, our REST, our page's socket.

Each token carries its number and the moment it left the model server. A reader takes them in as they come and notes
what is lost, doubled or out of order; at its end the whole text must be there, each token once.
"""

from __future__ import annotations

import asyncio
import random
import re
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

CSRF = "b" * 32
MODEL = "mock-small"
_TURN = re.compile(r'data-turn="([0-9a-f-]{36})"')
_MESSAGE = re.compile(r'<article[^>]*id="message-([0-9a-f-]{36})"')
_CHAT = re.compile(r"/c/([0-9a-f-]{36})/messages/")
_TOKEN = re.compile(r"@(\d+)-\d+@")
_CLOSING = re.compile(r"(?:</\w+>\s*)+\Z")
#: codes after which a page comes back at once: going away, lost, restarting
COMES_BACK = (1001, 1006, 1012, None)


@dataclass(frozen=True)
class Ask:
    """What is asked for: `n` tokens at `tps` a second."""

    n: int
    tps: float
    ttft: float = 50
    timeout: float = 0.0

    @property
    def prompt(self) -> str:
        return f"Say something. [[n={self.n} tps={self.tps} ttft={self.ttft} stamp=1]]"

    @property
    def seconds(self) -> float:
        return self.timeout or self.ttft / 1000 + self.n / self.tps * 3 + 60


@dataclass
class Reply:
    """What one answer looked like from its reader's side."""

    sent: float = 0.0
    first: float = 0.0
    ended: float = 0.0
    #: seconds each token was under way
    held: list[float] = field(default_factory=list)
    next: int = 0
    faults: list[str] = field(default_factory=list)
    chat: str = ""
    message: str = ""
    turn: str = ""
    reconnects: int = 0

    def take(self, now: float, number: int, stamp: int) -> None:
        if number != self.next:
            self.faults.append(f"token {number} where {self.next} should come")
        self.next = number + 1
        if not self.held:
            self.first = now
        self.held.append(now - stamp / 1e6)

    def first_added(self, ask: Ask) -> float:
        """Milliseconds to the first token, less the model server's own."""
        return (self.first - self.sent) * 1000 - ask.ttft

    def check(self, n: int) -> None:
        if self.next != n and not self.faults:
            self.faults.append(f"{self.next} of {n} tokens came")


# ------------------------------------------------------------------------------------------------------------ REST
class _Stream(asyncio.Protocol):
    """One POST and its streamed answer, as cheaply as Python can."""

    def __init__(self, request: bytes, reply: Reply, done: asyncio.Future[None]) -> None:
        self.request, self.reply, self.done = request, reply, done
        self.status, self.head, self.rest, self.end = 0, b"", b"", b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.reply.sent = time.monotonic()
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if not self.status:
            self.head += data
            head, found, data = self.head.partition(b"\r\n\r\n")
            if not found:
                return
            self.status = int(head.split(b" ", 2)[1])
        self.end = (self.end + data)[-600:]
        if self.status == 200:
            self._tokens(now, self.rest + data)
        if self.end.endswith(b"0\r\n\r\n") or self.status != 200:
            self.finish()

    def _tokens(self, now: float, data: bytes) -> None:
        parts = data.split(b"@")
        for part in parts[1:-1:2]:
            number, _dash, stamp = part.partition(b"-")
            self.reply.take(now, int(number), int(stamp))
        self.rest = b"@" + parts[-1] if len(parts) % 2 == 0 else b""

    def connection_lost(self, error: Exception | None) -> None:
        self.finish()

    def finish(self) -> None:
        if not self.done.done():
            if self.status != 200:
                self.reply.faults.append(f"HTTP {self.status or 'connection lost'}: {self.end[-200:]!r}")
            elif b"[DONE]" not in self.end or b'"error"' in self.end:
                self.reply.faults.append(f"no proper end: {self.end[-200:]!r}")
            self.done.set_result(None)
        self.transport.close()


async def stream(url: str, ask: Ask, token: str = "", tls: ssl.SSLContext | None = None) -> Reply:
    """Asks an OpenAI-compatible route and reads the answer."""
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": ask.prompt}]}
    raw = orjson.dumps(body)
    host, _slash, path = url.partition("://")[2].partition("/")
    name, _colon, port = host.partition(":")
    lines = [f"POST /{path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", "Accept: text/event-stream"]
    lines += ["Connection: close", f"Content-Length: {len(raw)}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    request = "\r\n".join([*lines, "", ""]).encode() + raw
    loop = asyncio.get_running_loop()
    reply, done, transport = Reply(sent=time.monotonic()), loop.create_future(), None
    try:
        async with asyncio.timeout(ask.seconds):
            make = lambda: _Stream(request, reply, done)  # noqa: E731
            transport, _protocol = await loop.create_connection(make, name, int(port), ssl=tls)
            await done
    except (OSError, TimeoutError) as error:
        reply.faults.append(f"{type(error).__name__}: {error}")
    finally:
        if transport is not None:
            transport.close()
    reply.ended = time.monotonic()
    reply.check(ask.n)
    return reply


# ------------------------------------------------------------------------------------------------------------- pages
class Shown:
    """The answer as its page holds it: elements by id, filled by the socket's operations."""

    def __init__(self, reply: Reply) -> None:
        self.reply, self.seq, self.over = reply, 0, False
        self.elements: dict[str, str] = {}

    def apply(self, now: float, frame: dict[str, Any]) -> None:
        """What `static/owui/socket.js` does; only the new tokens of a frame are looked at."""
        if frame["seq"] <= self.seq:
            return
        self.seq = frame["seq"]
        for op, name, *rest in frame["ops"]:
            if op == "attr":
                self.over = self.over or rest[0] == "data-turn"
            elif op in ("append", "replace"):
                self.elements[name] = (self.elements.get(name, "") if op == "append" else "") + rest[0]
                if not self.over:
                    self._new_tokens(now, rest[0])
            elif op == "grow":
                self._grow(now, name, rest[0])

    def _grow(self, now: float, name: str, text: str) -> None:
        """More text behind the last one. The closing tags, which no token is in, are left away."""
        html = self.elements[name]
        if html.endswith((">", "\n")):
            html = _CLOSING.sub("", html)
        start = html.rfind("@") if html.count("@") % 2 else len(html)
        self.elements[name] = html + text
        if not self.over:
            self._new_tokens(now, html[start:] + text)

    def _new_tokens(self, now: float, html: str) -> None:
        found = []
        # Half a token at the end waits for its rest.
        position = html.rindex("@") if html.count("@") % 2 else len(html)
        while (end := html.rfind("@", 0, position)) >= 0 and (start := html.rfind("@", 0, end)) >= 0:
            number, _dash, stamp = html[start + 1 : end].partition("-")
            if int(number) < self.reply.next:
                break
            found.append((int(number), int(stamp)))
            position = start
        for token in reversed(found):
            self.reply.take(now, *token)

    @property
    def numbers(self) -> list[int]:
        """The tokens of the whole text as it is shown."""
        name = f"message-{self.reply.message}"
        html = self.elements.get(f"{name}-blocks", "") + self.elements.get(f"{name}-tail", "")
        return [int(number) for number in _TOKEN.findall(html)]


class Tab:
    """One page: a socket that stays open and comes back when it is lost, questions by HTTP form as the composer sends
    them."""

    def __init__(self, base_url: str, token: str, http: aiohttp.ClientSession, *, tls: ssl.SSLContext | None = None):
        self.base_url, self.http, self.tls = base_url, http, tls
        cookie = f"token={token}; csrftoken={CSRF}"
        self.headers = {"Origin": base_url, "X-CSRFToken": CSRF, "HX-Request": "true", "Cookie": cookie}
        self.shown: Shown | None = None
        self.frames = 0
        #: handshakes that failed, and the last reason
        self.refusals, self.refusal = 0, ""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False

    async def open(self) -> Tab:
        try:
            await asyncio.wait_for(self._come_back(0.0), 60)
        except TimeoutError as error:
            raise TimeoutError(f"no socket in 60 s, {self.refusals} tries, last: {self.refusal}") from error
        self.task = asyncio.create_task(self._keep(), name="tab")
        return self

    async def _connect(self) -> None:
        self.socket = await self.http.ws_connect(
            f"{self.base_url}/ws/chat", headers=self.headers, compress=0, max_msg_size=0, ssl=self.tls or True
        )

    async def _keep(self) -> None:
        """Nobody waits for this task: what breaks in it is the reader's fault."""
        try:
            await self._read()
        except Exception as error:
            self._fault(f"the page broke: {error!r}")

    async def _read(self) -> None:
        """Reads until the tab is closed; comes back as the page's script does."""
        while not self.closed:
            async for message in self.socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(message.data)
            if self.closed:
                return
            if self.socket.close_code not in COMES_BACK:
                self._fault(f"the socket was closed with {self.socket.close_code}")
                return
            await self._come_back(random.uniform(0.2, 1.5) if self.socket.close_code == 1012 else 0.5)

    async def _come_back(self, wait: float) -> None:
        """Tries until there is a socket again, and goes on from where the page is."""
        while not self.closed:
            await asyncio.sleep(wait)
            try:
                await self._connect()
            except (aiohttp.ClientError, OSError) as error:
                self.refusals, self.refusal = self.refusals + 1, repr(error)
                wait = min(10.0, max(0.5, wait * 2))
                continue
            await self._attach()
            return

    def _take(self, data: str) -> None:
        frame, shown = orjson.loads(data), self.shown
        self.frames += 1
        if shown is None or frame.get("turn") != shown.reply.turn:
            return
        if frame.get("error"):
            self._fault(f"the socket says {frame['error']}")
            return
        if frame.get("after", shown.seq) != shown.seq and frame["seq"] > shown.seq:
            shown.reply.faults.append(f"a frame for a page at {frame['after']}, which is at {shown.seq}")
        shown.apply(time.monotonic(), frame)
        if shown.over:
            self._end()

    def _fault(self, text: str) -> None:
        if self.shown is not None and not self.done.done():
            self.shown.reply.faults.append(text)
            self._end()

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    async def _attach(self) -> None:
        """Nothing while there is no socket: it is done again when there is one."""
        if self.shown is not None and not self.shown.over and not self.socket.closed:
            self.shown.reply.reconnects += bool(self.shown.seq)
            frame = {"type": "attach", "turn": self.shown.reply.turn, "seq": self.shown.seq}
            with suppress(aiohttp.ClientConnectionResetError):
                await self.socket.send_str(orjson.dumps(frame).decode())

    async def ask(self, ask: Ask, *, may_be_cut: bool = False) -> Reply:
        """Sends a question in a new chat and reads the answer to its end.

        :param may_be_cut: it may end early, with the text up to there
        """
        reply = Reply(sent=time.monotonic())
        try:
            async with asyncio.timeout(ask.seconds):
                if await self.send(ask, reply):
                    await self.done
        except TimeoutError:
            reply.faults.append(f"waited {ask.seconds:.0f} s for {self._awaited(reply)}")
        except (aiohttp.ClientError, OSError) as error:
            reply.faults.append(f"{type(error).__name__}: {error}")
        reply.ended = time.monotonic()
        if not may_be_cut:
            reply.check(ask.n)
        if not reply.faults and self.shown is not None:
            shown = self.shown.numbers
            if shown == list(range(len(shown) if may_be_cut else ask.n)):
                return reply
            reply.faults.append("the text shown at the end is not the text that was written")
        return reply

    def _awaited(self, reply: Reply) -> str:
        """What a reader that waited too long waited for."""
        if self.shown is None or not reply.turn:
            return "what the question's form gives"
        how = f"closed with {self.socket.close_code}" if self.socket.closed else "open"
        refused = f", {self.refusals} handshakes failed, last: {self.refusal}" if self.refusals else ""
        return f"the end of turn {reply.turn}: {reply.next} tokens, event {self.shown.seq}, socket {how}{refused}"

    async def send(self, ask: Ask, reply: Reply) -> bool:
        """The composer's POST, and the attachment of the new answer."""
        form = {"text": ask.prompt, "model": MODEL}
        url = f"{self.base_url}/c/new/messages"
        async with self.http.post(url, data=form, headers=self.headers, ssl=self.tls or True) as response:
            text, status = await response.text(), response.status
        turn, articles, chat = _TURN.search(text), _MESSAGE.findall(text), _CHAT.search(text)
        if status != 200 or not turn or not articles:
            reply.faults.append(f"HTTP {status}: {text[:200]}")
            return False
        reply.turn, reply.message, reply.chat = turn[1], articles[-1], chat[1] if chat else ""
        self.shown, self.done = Shown(reply), asyncio.get_running_loop().create_future()
        await self._attach()
        return True

    async def close(self) -> None:
        self.closed = True
        self.task.cancel()
        await self.socket.close()
