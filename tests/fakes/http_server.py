"""A small HTTP/1.1 server on asyncio for fakes that must misbehave on the wire: it can cut, stall and split bytes, and
knows the moment a client goes away."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import orjson

REASONS = {200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


@dataclass
class Request:
    """A request as it arrived; header names are lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return orjson.loads(self.body) if self.body else {}


@dataclass
class Exchange:
    """One request and the means to answer it."""

    request: Request
    transport: asyncio.Transport
    writable: asyncio.Event = field(default_factory=asyncio.Event)
    keep_alive: bool = True

    async def send_json(self, data: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = data if isinstance(data, bytes) else orjson.dumps(data)
        self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})})
        self.transport.write(body)

    def start_stream(self, content_type: str) -> None:
        self._head(200, {"Content-Type": content_type, "Transfer-Encoding": "chunked"})

    async def send_chunk(self, data: bytes) -> None:
        if not data:
            return  # an empty chunk would mean the end
        self.transport.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self.writable.wait()

    def end_stream(self) -> None:
        self.transport.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Close the socket in the middle of whatever was being said."""
        self.keep_alive = False
        self.transport.close()

    def _head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in headers.items())]
        self.transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())


Handler = Callable[[Exchange], Coroutine[Any, Any, None]]


class HttpProtocol(asyncio.Protocol):
    """One connection: requests one after the other, the running one cancelled when the client goes away."""

    def __init__(self, handler: Handler, open_transports: set[asyncio.Transport]) -> None:
        self._handler = handler
        self._open = open_transports
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self._transport)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None:
            self._start_next()

    def _start_next(self) -> None:
        request = self._parse()
        if request is not None and not self._transport.is_closing():
            exchange = Exchange(request, self._transport, self._writable)
            self._task = asyncio.get_running_loop().create_task(self._run(exchange))

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._handler(exchange)
        except asyncio.CancelledError:
            return  # the client went away, which is nothing to report here
        finally:
            self._task = None
        if exchange.keep_alive and exchange.request.headers.get("connection", "").lower() != "close":
            self._start_next()
        else:
            self._transport.close()

    def _parse(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        if len(self._buffer) < end + 4 + size:
            return None
        body = bytes(self._buffer[end + 4 : end + 4 + size])
        del self._buffer[: end + 4 + size]
        method, target, _ = first.split(" ", 2)
        path, _, query = target.partition("?")
        return Request(method, path, query, headers, body)


async def serve(handler: Handler, host: str, port: int) -> tuple[int, Callable[[], Awaitable[None]]]:
    """Listen; give the port and a function that stops listening and closes what is open."""
    transports: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpProtocol(handler, transports), host, port, backlog=2048)

    async def stop() -> None:
        server.close()
        for transport in list(transports):
            transport.abort()
        for _ in range(100):
            await asyncio.sleep(0)
            if not transports:
                break

    return server.sockets[0].getsockname()[1], stop
